"""trigger events are looked up by file, and those that could start nothing by time

Revision ID: 0023
Revises: 0022
"""

from alembic import op

revision = '0023'
down_revision = '0022'
branch_labels = None
depends_on = None


def upgrade():
    op.execute(
        "CREATE INDEX ix_trigger_event_file_id ON trigger_event ((description ->> 'file_id'))"
        " WHERE (description ->> 'file_id') IS NOT NULL"
    )
    op.execute("CREATE INDEX ix_trigger_event_failed ON trigger_event (occurred) WHERE error IS NOT NULL")


def downgrade():
    for name in ('ix_trigger_event_failed', 'ix_trigger_event_file_id'):
        op.drop_index(name, 'trigger_event')
