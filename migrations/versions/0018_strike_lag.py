"""how long files of a Strike wait, and how many could not be ingested, are each one look into an index

Revision ID: 0018
Revises: 0014
"""

from alembic import op
import sqlalchemy as sa

revision = '0018'
down_revision = '0014'
branch_labels = None
depends_on = None

OPEN = "status IN ('TRANSFERRING', 'TRANSFERRED', 'QUEUED', 'INGESTING')"


def upgrade() -> None:
    with op.get_context().autocommit_block():  # the table may be large: no lock while the indexes are made
        op.create_index('ix_ingest_waiting', 'ingest', ['strike_id', 'created'], postgresql_where=sa.text(OPEN), postgresql_concurrently=True, if_not_exists=True)
        op.create_index('ix_ingest_errored', 'ingest', ['strike_id'], postgresql_where=sa.text("status = 'ERRORED'"), postgresql_concurrently=True, if_not_exists=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index('ix_ingest_errored', 'ingest', postgresql_concurrently=True, if_exists=True)
        op.drop_index('ix_ingest_waiting', 'ingest', postgresql_concurrently=True, if_exists=True)
