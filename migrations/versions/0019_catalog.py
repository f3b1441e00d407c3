"""borders of countries in small pieces; products that are superseded or to be removed; provenance in both directions

Revision ID: 0019
Revises: 0018
"""

from alembic import op
import sqlalchemy as sa
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('country_data', sa.Column('source', sa.String(length=100), nullable=True))
    op.create_geospatial_table('country_border',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('country_data_id', sa.BigInteger(), nullable=False),
    sa.Column('part', Geometry(srid=4326, dimension=2, spatial_index=False, from_text='ST_GeomFromEWKT', name='geometry', nullable=False), nullable=False),
    sa.ForeignKeyConstraint(['country_data_id'], ['country_data.id'], name=op.f('fk_country_border_country_data_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_country_border'))
    )
    op.create_index(op.f('ix_country_border_country_data_id'), 'country_border', ['country_data_id'])
    op.create_geospatial_index('idx_country_border_part', 'country_border', ['part'], unique=False, postgresql_using='gist', postgresql_ops={})
    op.execute("INSERT INTO country_border (country_data_id, part) SELECT id, ST_Subdivide(ST_MakeValid(border, 'method=structure'), 128) FROM country_data")
    # constant defaults: no rewrite of the table
    op.add_column('scale_file', sa.Column('is_superseded', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    op.add_column('scale_file', sa.Column('superseded', postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column('scale_file', sa.Column('removal_due', postgresql.TIMESTAMP(timezone=True), nullable=True))
    # Not concurrently: that would end this transaction, and with it the lock that keeps a second server from migrating.
    # Writers wait for the seconds that it takes.
    for name, table, columns, condition in INDEXES:
        op.create_index(name, table, columns, postgresql_where=sa.text(condition))


def downgrade() -> None:
    for name, table, _, _ in INDEXES:
        op.drop_index(name, table_name=table)
    for column in ('removal_due', 'superseded', 'is_superseded'):
        op.drop_column('scale_file', column)
    op.drop_geospatial_index('idx_country_border_part', table_name='country_border', postgresql_using='gist', column_name='part')
    op.drop_geospatial_table('country_border')
    op.drop_column('country_data', 'source')


INDEXES = (
    ('ix_scale_file_in_force', 'scale_file', ['uuid'], 'has_been_published AND NOT is_superseded AND NOT is_deleted'),
    ('ix_scale_file_removal_due', 'scale_file', ['removal_due'], 'removal_due IS NOT NULL'),
    ('ix_file_ancestry_link_direct_ancestor', 'file_ancestry_link', ['ancestor_id', 'descendant_id'], 'ancestor_job_id IS NULL'),
    ('ix_file_ancestry_link_direct_descendant', 'file_ancestry_link', ['descendant_id', 'ancestor_id'], 'ancestor_job_id IS NULL'),
)
