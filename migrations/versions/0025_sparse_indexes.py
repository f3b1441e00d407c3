"""indexes of columns that are mostly empty hold only the rows that have a value

Revision ID: 0025
Revises: 0024
"""

from alembic import op
import sqlalchemy as sa

from migrations import online

revision = '0025'
down_revision = '0024'
branch_labels = None
depends_on = None

SUPERSEDED = 'uq_job_superseded_job_id'  # a constraint until now
NODE = 'ix_queue_node_required_id'


def upgrade():
    online.add_index(
        'ix_job_superseded_job_id', 'job', ['superseded_job_id'],
        unique=True, postgresql_where=sa.text('superseded_job_id IS NOT NULL'),
    )
    online.replace_index(NODE, 'queue', ['node_required_id'], postgresql_where=sa.text('node_required_id IS NOT NULL'))
    op.execute(f'ALTER TABLE job DROP CONSTRAINT IF EXISTS {SUPERSEDED}')


def downgrade():
    online.replace_index(NODE, 'queue', ['node_required_id'])
    online.add_index(f'{SUPERSEDED}_new', 'job', ['superseded_job_id'], unique=True)
    online.remove_index('ix_job_superseded_job_id', 'job')
    # last, in the transaction that notes the revision: an index that ends it would have this done twice
    op.execute(f'ALTER TABLE job ADD CONSTRAINT {SUPERSEDED} UNIQUE USING INDEX {SUPERSEDED}_new')
