"""files are found by a part of their name, and jobs of a type are counted in an index alone

Revision ID: 0024
Revises: 0023
"""

from alembic import op
import sqlalchemy as sa

from migrations import online

revision = '0024'
down_revision = '0023'
branch_labels = None
depends_on = None

# name, columns, what the index includes from now on, which rows it holds
COUNTED = [
    ('ix_job_last_status_change_id', ['last_status_change', 'id'], ['job_type_id', 'status', 'error_id'], None),
    ('ix_job_job_type_id_status_last_modified_id', ['job_type_id', 'status', 'last_modified', 'id'], ['last_status_change', 'error_id'], None),
    ('ix_job_ended', ['ended'], ['job_type_id', 'status', 'error_id'], sa.text('ended IS NOT NULL')),
]
NAMED = ('scale_file', 'ingest')


def upgrade():
    op.execute('CREATE EXTENSION IF NOT EXISTS pg_trgm')  # the owner of the database may
    for table in NAMED:
        online.add_index(
            f'ix_{table}_file_name_part', table, ['file_name'],
            postgresql_using='gin', postgresql_ops={'file_name': 'gin_trgm_ops'},
        )
    for name, columns, included, condition in COUNTED:
        online.replace_index(name, 'job', columns, postgresql_include=included, postgresql_where=condition)


def downgrade():
    for name, columns, _included, condition in COUNTED:
        online.replace_index(name, 'job', columns, postgresql_where=condition)
    for table in NAMED:
        online.remove_index(f'ix_{table}_file_name_part', table)
    # the extension stays: others may use it
