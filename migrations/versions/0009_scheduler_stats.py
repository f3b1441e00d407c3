"""figures that the offer handler tells of itself; indexes of rare columns hold only the rows that have a value

Revision ID: 0009
Revises: 0001
"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = '0009'
down_revision = '0001'
branch_labels = None
depends_on = None

# Most jobs have none of these, but every change of a job's status wrote an entry for each of them.
RARE = (
    ('job', 'error_id'),
    ('job', 'ended'),
    ('job', 'root_superseded_job_id'),
    ('job_exe', 'error_id'),
    ('job_exe', 'ended'),
)


def upgrade() -> None:
    op.add_column('scheduler', sa.Column('stats', postgresql.JSONB(none_as_null=True), server_default=sa.text("'{}'"), nullable=False))
    for table, column in RARE:
        op.drop_index(f'ix_{table}_{column}', table_name=table)
        op.create_index(f'ix_{table}_{column}', table, [column], postgresql_where=sa.text(f'{column} IS NOT NULL'))


def downgrade() -> None:
    for table, column in RARE:
        op.drop_index(f'ix_{table}_{column}', table_name=table)
        op.create_index(f'ix_{table}_{column}', table, [column])
    op.drop_column('scheduler', 'stats')
