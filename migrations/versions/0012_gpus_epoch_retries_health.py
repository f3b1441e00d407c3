"""GPUs; the epoch of the leading offer handler; when a retry may start; what nodes use and how they fare

Revision ID: 0012
Revises: 0009
"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = '0012'
down_revision = '0009'
branch_labels = None
depends_on = None

RESOURCES = "cpus_required >= 0 AND mem_required >= 0 AND disk_out_const_required >= 0 AND disk_out_mult_required >= 0"


def upgrade() -> None:
    for table in ('job_type', 'job', 'queue'):
        op.add_column(table, sa.Column('gpus_required', sa.Float(), server_default=sa.text('0.0'), nullable=False))
    op.add_column('job_exe', sa.Column('gpus_scheduled', sa.Float(), nullable=True))
    _check_resources(f'{RESOURCES} AND gpus_required >= 0')
    op.add_column('queue', sa.Column('not_before', postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column('job', sa.Column('retry_decision', sa.Text(), nullable=True))
    op.add_column('scheduler', sa.Column('epoch', sa.BigInteger(), server_default=sa.text('0'), nullable=False))
    for column in ('usage', 'health'):
        document = postgresql.JSONB(none_as_null=True)
        op.add_column('node', sa.Column(column, document, server_default=sa.text("'{}'"), nullable=False))


def downgrade() -> None:
    for column in ('health', 'usage'):
        op.drop_column('node', column)
    op.drop_column('scheduler', 'epoch')
    op.drop_column('job', 'retry_decision')
    op.drop_column('queue', 'not_before')
    _check_resources(RESOURCES)
    op.drop_column('job_exe', 'gpus_scheduled')
    for table in ('queue', 'job', 'job_type'):
        op.drop_column(table, 'gpus_required')


def _check_resources(condition: str) -> None:
    op.drop_constraint(op.f('ck_job_type_resources'), 'job_type')
    op.create_check_constraint(op.f('ck_job_type_resources'), 'job_type', condition)
