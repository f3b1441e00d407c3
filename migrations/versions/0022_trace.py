"""the trace that an ingest began and that events, jobs and recipes go on with

Revision ID: 0022
Revises: 0021
"""

from alembic import op
import sqlalchemy as sa

revision = '0022'
down_revision = '0021'
branch_labels = None
depends_on = None


def upgrade():
    for table in ('ingest', 'trigger_event'):
        op.add_column(table, sa.Column('trace_id', sa.String(32), server_default='', nullable=False))


def downgrade():
    for table in ('ingest', 'trigger_event'):
        op.drop_column(table, 'trace_id')
