"""what becomes of an ingest's duplicates; how many files a Strike sees

Revision ID: 0014
Revises: 0012
"""

from alembic import op
import sqlalchemy as sa

revision = '0014'
down_revision = '0012'
branch_labels = None
depends_on = None

POLICIES = ('set_aside', 'discard', 'keep', 'replace')


def upgrade() -> None:
    # a constant default: no rewrite of the table
    op.add_column('ingest', sa.Column('duplicates', sa.Enum(*POLICIES, name='duplicates', native_enum=False, create_constraint=True, length=20), server_default='set_aside', nullable=False))
    op.add_column('strike', sa.Column('files_seen', sa.Integer(), server_default=sa.text('0'), nullable=False))


def downgrade() -> None:
    op.drop_column('strike', 'files_seen')
    op.drop_column('ingest', 'duplicates')
