"""initial

Revision ID: 0001
Revises: 
"""

from alembic import op
import sqlalchemy as sa
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('CREATE EXTENSION IF NOT EXISTS postgis')
    op.create_geospatial_table('country_data',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('name', sa.String(length=128), nullable=False),
    sa.Column('fips', sa.String(length=2), server_default='', nullable=False),
    sa.Column('gmi', sa.String(length=3), server_default='', nullable=False),
    sa.Column('iso2', sa.String(length=2), server_default='', nullable=False),
    sa.Column('iso3', sa.String(length=3), nullable=False),
    sa.Column('iso_num', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('border', Geometry(srid=4326, dimension=2, spatial_index=False, from_text='ST_GeomFromEWKT', name='geometry', nullable=False), nullable=False),
    sa.Column('effective', postgresql.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('is_deleted', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('deleted', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_modified', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_country_data')),
    sa.UniqueConstraint('name', 'effective', name=op.f('uq_country_data_name_effective'))
    )
    op.create_geospatial_index('idx_country_data_border', 'country_data', ['border'], unique=False, postgresql_using='gist', postgresql_ops={})
    op.create_table('error',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('name', sa.String(length=50), nullable=False),
    sa.Column('title', sa.String(length=50), nullable=True),
    sa.Column('description', sa.String(length=250), nullable=True),
    sa.Column('category', sa.Enum('SYSTEM', 'ALGORITHM', 'DATA', name='category', native_enum=False, create_constraint=True, length=20), nullable=False),
    sa.Column('is_builtin', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_modified', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_error')),
    sa.UniqueConstraint('name', name=op.f('uq_error_name'))
    )
    op.create_index(op.f('ix_error_category'), 'error', ['category'], unique=False)
    op.create_table('node',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('hostname', sa.String(length=250), nullable=False),
    sa.Column('port', sa.Integer(), nullable=False),
    sa.Column('agent_id', sa.String(length=250), nullable=False),
    sa.Column('pause_reason', sa.String(length=250), nullable=True),
    sa.Column('is_paused', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('is_paused_errors', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('is_active', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('is_online', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('resources', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('attributes', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('archived', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('last_offer', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_modified', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_node')),
    sa.UniqueConstraint('agent_id', name=op.f('uq_node_agent_id')),
    sa.UniqueConstraint('hostname', name=op.f('uq_node_hostname'))
    )
    op.create_table('idempotency_key',
    sa.Column('key', sa.String(length=255), nullable=False),
    sa.Column('fingerprint', sa.String(length=64), nullable=False),
    sa.Column('status', sa.Integer(), nullable=False),
    sa.Column('headers', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_idempotency_key'))
    )
    op.create_index(op.f('ix_idempotency_key_created'), 'idempotency_key', ['created'], unique=False)
    op.create_table('scheduler',
    sa.Column('id', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('is_paused', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('node_error_period', sa.Integer(), server_default=sa.text('1'), nullable=False),
    sa.Column('max_node_errors', sa.Double(), server_default=sa.text('50.0'), nullable=False),
    sa.Column('master_hostname', sa.String(length=250), server_default='localhost', nullable=False),
    sa.Column('master_port', sa.Integer(), server_default=sa.text('5050'), nullable=False),
    sa.Column('master_online', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('framework_id', sa.String(length=255), nullable=True),
    sa.Column('hostname', sa.String(length=250), server_default='', nullable=False),
    sa.Column('heartbeat', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('waiting', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('last_error', sa.Text(), nullable=True),
    sa.CheckConstraint('id = 1', name=op.f('ck_scheduler_one_row')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_scheduler'))
    )
    op.create_table('trigger_rule',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('type', sa.Enum('INGEST', 'PARSE', 'CLOCK', name='type', native_enum=False, create_constraint=True, length=20), nullable=False),
    sa.Column('name', sa.String(length=50), server_default='', nullable=False),
    sa.Column('configuration', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
    sa.Column('is_active', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('archived', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_modified', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_trigger_rule'))
    )
    op.create_index(op.f('ix_trigger_rule_is_active'), 'trigger_rule', ['is_active'], unique=False)
    op.create_index(op.f('ix_trigger_rule_name'), 'trigger_rule', ['name'], unique=False)
    op.create_index(op.f('ix_trigger_rule_type'), 'trigger_rule', ['type'], unique=False)
    op.create_table('workspace',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('name', sa.String(length=50), nullable=False),
    sa.Column('title', sa.String(length=50), nullable=True),
    sa.Column('description', sa.String(length=500), server_default='', nullable=False),
    sa.Column('base_url', sa.String(length=200), nullable=True),
    sa.Column('is_active', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('json_config', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
    sa.Column('is_move_enabled', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('used_size', sa.BigInteger(), nullable=True),
    sa.Column('total_size', sa.BigInteger(), nullable=True),
    sa.Column('archived', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_modified', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_workspace')),
    sa.UniqueConstraint('name', name=op.f('uq_workspace_name'))
    )
    op.create_table('job_type',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('name', sa.String(length=50), nullable=False),
    sa.Column('version', sa.String(length=50), nullable=False),
    sa.Column('title', sa.String(length=50), nullable=True),
    sa.Column('description', sa.Text(), nullable=True),
    sa.Column('category', sa.String(length=50), nullable=True),
    sa.Column('author_name', sa.String(length=50), nullable=True),
    sa.Column('author_url', sa.Text(), nullable=True),
    sa.Column('is_system', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('is_long_running', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('is_active', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('is_operational', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('is_paused', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('docker_privileged', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('docker_image', sa.String(length=500), nullable=True),
    sa.Column('interface', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
    sa.Column('error_mapping', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
    sa.Column('revision_num', sa.Integer(), server_default=sa.text('1'), nullable=False),
    sa.Column('trigger_rule_id', sa.BigInteger(), nullable=True),
    sa.Column('priority', sa.Integer(), server_default=sa.text('100'), nullable=False),
    sa.Column('max_scheduled', sa.Integer(), nullable=True),
    sa.Column('timeout', sa.Integer(), server_default=sa.text('1800'), nullable=False),
    sa.Column('max_tries', sa.Integer(), server_default=sa.text('3'), nullable=False),
    sa.Column('cpus_required', sa.Double(), server_default=sa.text('1.0'), nullable=False),
    sa.Column('mem_required', sa.Double(), server_default=sa.text('64.0'), nullable=False),
    sa.Column('disk_out_const_required', sa.Double(), server_default=sa.text('64.0'), nullable=False),
    sa.Column('disk_out_mult_required', sa.Double(), server_default=sa.text('0.0'), nullable=False),
    sa.Column('icon_code', sa.String(length=20), nullable=True),
    sa.Column('archived', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('paused', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_modified', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint('cpus_required >= 0 AND mem_required >= 0 AND disk_out_const_required >= 0 AND disk_out_mult_required >= 0', name=op.f('ck_job_type_resources')),
    sa.CheckConstraint('max_scheduled IS NULL OR max_scheduled >= 0', name=op.f('ck_job_type_max_scheduled')),
    sa.CheckConstraint('max_tries >= 0', name=op.f('ck_job_type_max_tries')),
    sa.CheckConstraint('timeout >= 0', name=op.f('ck_job_type_timeout')),
    sa.ForeignKeyConstraint(['trigger_rule_id'], ['trigger_rule.id'], name=op.f('fk_job_type_trigger_rule_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_job_type')),
    sa.UniqueConstraint('name', 'version', name=op.f('uq_job_type_name_version')),
    sa.UniqueConstraint('trigger_rule_id', name=op.f('uq_job_type_trigger_rule_id'))
    )
    op.create_index(op.f('ix_job_type_category'), 'job_type', ['category'], unique=False)
    op.create_table('metrics_error',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('error_id', sa.BigInteger(), nullable=False),
    sa.Column('occurred', sa.Date(), nullable=False),
    sa.Column('total_count', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['error_id'], ['error.id'], name=op.f('fk_metrics_error_error_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_metrics_error')),
    sa.UniqueConstraint('occurred', 'error_id', name=op.f('uq_metrics_error_occurred_error_id'))
    )
    op.create_index(op.f('ix_metrics_error_error_id'), 'metrics_error', ['error_id'], unique=False)
    op.create_table('recipe_type',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('name', sa.String(length=50), nullable=False),
    sa.Column('version', sa.String(length=50), nullable=False),
    sa.Column('title', sa.String(length=50), nullable=True),
    sa.Column('description', sa.Text(), nullable=True),
    sa.Column('is_active', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('definition', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
    sa.Column('revision_num', sa.Integer(), server_default=sa.text('1'), nullable=False),
    sa.Column('trigger_rule_id', sa.BigInteger(), nullable=True),
    sa.Column('archived', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_modified', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['trigger_rule_id'], ['trigger_rule.id'], name=op.f('fk_recipe_type_trigger_rule_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_recipe_type')),
    sa.UniqueConstraint('name', 'version', name=op.f('uq_recipe_type_name_version')),
    sa.UniqueConstraint('trigger_rule_id', name=op.f('uq_recipe_type_trigger_rule_id'))
    )
    op.create_table('trigger_event',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('type', sa.String(length=50), nullable=False),
    sa.Column('rule_id', sa.BigInteger(), nullable=True),
    sa.Column('description', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('firing', sa.String(length=200), nullable=True),
    sa.Column('error', sa.Text(), nullable=True),
    sa.Column('occurred', postgresql.TIMESTAMP(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['rule_id'], ['trigger_rule.id'], name=op.f('fk_trigger_event_rule_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_trigger_event')),
    sa.UniqueConstraint('firing', name=op.f('uq_trigger_event_firing'))
    )
    op.create_index(op.f('ix_trigger_event_occurred'), 'trigger_event', ['occurred'], unique=False)
    op.create_index(op.f('ix_trigger_event_rule_id'), 'trigger_event', ['rule_id'], unique=False)
    op.create_index(op.f('ix_trigger_event_type'), 'trigger_event', ['type'], unique=False)
    op.create_table('job_load',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('job_type_id', sa.BigInteger(), nullable=True),
    sa.Column('measured', postgresql.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('pending_count', sa.BigInteger(), nullable=False),
    sa.Column('queued_count', sa.BigInteger(), nullable=False),
    sa.Column('running_count', sa.BigInteger(), nullable=False),
    sa.Column('total_count', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['job_type_id'], ['job_type.id'], name=op.f('fk_job_load_job_type_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_job_load'))
    )
    op.create_index(op.f('ix_job_load_job_type_id'), 'job_load', ['job_type_id'], unique=False)
    op.create_index('ix_job_load_measured_job_type_id', 'job_load', ['measured', 'job_type_id'], unique=False)
    op.create_table('job_type_revision',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('job_type_id', sa.BigInteger(), nullable=False),
    sa.Column('revision_num', sa.Integer(), nullable=False),
    sa.Column('interface', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['job_type_id'], ['job_type.id'], name=op.f('fk_job_type_revision_job_type_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_job_type_revision')),
    sa.UniqueConstraint('job_type_id', 'revision_num', name=op.f('uq_job_type_revision_job_type_id_revision_num'))
    )
    op.create_table('metrics_job_type',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('job_type_id', sa.BigInteger(), nullable=False),
    sa.Column('occurred', sa.Date(), nullable=False),
    sa.Column('completed_count', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('failed_count', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('canceled_count', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('total_count', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('error_system_count', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('error_data_count', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('error_algorithm_count', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('queue_time_sum', sa.BigInteger(), nullable=True),
    sa.Column('queue_time_min', sa.BigInteger(), nullable=True),
    sa.Column('queue_time_max', sa.BigInteger(), nullable=True),
    sa.Column('queue_time_avg', sa.BigInteger(), nullable=True),
    sa.Column('pre_time_sum', sa.BigInteger(), nullable=True),
    sa.Column('pre_time_min', sa.BigInteger(), nullable=True),
    sa.Column('pre_time_max', sa.BigInteger(), nullable=True),
    sa.Column('pre_time_avg', sa.BigInteger(), nullable=True),
    sa.Column('job_time_sum', sa.BigInteger(), nullable=True),
    sa.Column('job_time_min', sa.BigInteger(), nullable=True),
    sa.Column('job_time_max', sa.BigInteger(), nullable=True),
    sa.Column('job_time_avg', sa.BigInteger(), nullable=True),
    sa.Column('post_time_sum', sa.BigInteger(), nullable=True),
    sa.Column('post_time_min', sa.BigInteger(), nullable=True),
    sa.Column('post_time_max', sa.BigInteger(), nullable=True),
    sa.Column('post_time_avg', sa.BigInteger(), nullable=True),
    sa.Column('run_time_sum', sa.BigInteger(), nullable=True),
    sa.Column('run_time_min', sa.BigInteger(), nullable=True),
    sa.Column('run_time_max', sa.BigInteger(), nullable=True),
    sa.Column('run_time_avg', sa.BigInteger(), nullable=True),
    sa.Column('stage_time_sum', sa.BigInteger(), nullable=True),
    sa.Column('stage_time_min', sa.BigInteger(), nullable=True),
    sa.Column('stage_time_max', sa.BigInteger(), nullable=True),
    sa.Column('stage_time_avg', sa.BigInteger(), nullable=True),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['job_type_id'], ['job_type.id'], name=op.f('fk_metrics_job_type_job_type_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_metrics_job_type')),
    sa.UniqueConstraint('occurred', 'job_type_id', name=op.f('uq_metrics_job_type_occurred_job_type_id'))
    )
    op.create_index(op.f('ix_metrics_job_type_job_type_id'), 'metrics_job_type', ['job_type_id'], unique=False)
    op.create_table('recipe_type_revision',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('recipe_type_id', sa.BigInteger(), nullable=False),
    sa.Column('revision_num', sa.Integer(), nullable=False),
    sa.Column('definition', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['recipe_type_id'], ['recipe_type.id'], name=op.f('fk_recipe_type_revision_recipe_type_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_recipe_type_revision')),
    sa.UniqueConstraint('recipe_type_id', 'revision_num', name=op.f('uq_recipe_type_revision_recipe_type_id_revision_num'))
    )
    op.create_table('job',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('job_type_id', sa.BigInteger(), nullable=False),
    sa.Column('job_type_rev_id', sa.BigInteger(), nullable=False),
    sa.Column('event_id', sa.BigInteger(), nullable=False),
    sa.Column('error_id', sa.BigInteger(), nullable=True),
    sa.Column('status', sa.Enum('PENDING', 'BLOCKED', 'QUEUED', 'RUNNING', 'FAILED', 'COMPLETED', 'CANCELED', name='status', native_enum=False, create_constraint=True, length=20), nullable=False),
    sa.Column('data', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('results', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('priority', sa.Integer(), nullable=False),
    sa.Column('timeout', sa.Integer(), nullable=False),
    sa.Column('max_tries', sa.Integer(), nullable=False),
    sa.Column('num_exes', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('num_lost', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('cpus_required', sa.Double(), nullable=False),
    sa.Column('mem_required', sa.Double(), nullable=False),
    sa.Column('disk_in_required', sa.Double(), nullable=True),
    sa.Column('disk_out_required', sa.Double(), nullable=True),
    sa.Column('is_superseded', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('root_superseded_job_id', sa.BigInteger(), nullable=True),
    sa.Column('superseded_job_id', sa.BigInteger(), nullable=True),
    sa.Column('delete_superseded', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('superseded', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('queued', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('started', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('ended', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('last_status_change', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_modified', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("status <> 'COMPLETED' OR ended IS NOT NULL", name=op.f('ck_job_completed_has_ended')),
    sa.ForeignKeyConstraint(['error_id'], ['error.id'], name=op.f('fk_job_error_id')),
    sa.ForeignKeyConstraint(['event_id'], ['trigger_event.id'], name=op.f('fk_job_event_id')),
    sa.ForeignKeyConstraint(['job_type_id'], ['job_type.id'], name=op.f('fk_job_job_type_id')),
    sa.ForeignKeyConstraint(['job_type_rev_id'], ['job_type_revision.id'], name=op.f('fk_job_job_type_rev_id')),
    sa.ForeignKeyConstraint(['root_superseded_job_id'], ['job.id'], name=op.f('fk_job_root_superseded_job_id')),
    sa.ForeignKeyConstraint(['superseded_job_id'], ['job.id'], name=op.f('fk_job_superseded_job_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_job')),
    sa.UniqueConstraint('superseded_job_id', name=op.f('uq_job_superseded_job_id'))
    )
    op.create_index(op.f('ix_job_ended'), 'job', ['ended'], unique=False)
    op.create_index(op.f('ix_job_error_id'), 'job', ['error_id'], unique=False)
    op.create_index(op.f('ix_job_event_id'), 'job', ['event_id'], unique=False)
    op.create_index('ix_job_job_type_id_status_last_modified_id', 'job', ['job_type_id', 'status', 'last_modified', 'id'], unique=False)
    op.create_index('ix_job_last_modified_id', 'job', ['last_modified', 'id'], unique=False)
    op.create_index('ix_job_last_status_change_id', 'job', ['last_status_change', 'id'], unique=False)
    op.create_index(op.f('ix_job_root_superseded_job_id'), 'job', ['root_superseded_job_id'], unique=False)
    op.create_index('ix_job_status_last_modified_id', 'job', ['status', 'last_modified', 'id'], unique=False)
    op.create_table('recipe',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('recipe_type_id', sa.BigInteger(), nullable=False),
    sa.Column('recipe_type_rev_id', sa.BigInteger(), nullable=False),
    sa.Column('event_id', sa.BigInteger(), nullable=False),
    sa.Column('data', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
    sa.Column('completed', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_modified', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['event_id'], ['trigger_event.id'], name=op.f('fk_recipe_event_id')),
    sa.ForeignKeyConstraint(['recipe_type_id'], ['recipe_type.id'], name=op.f('fk_recipe_recipe_type_id')),
    sa.ForeignKeyConstraint(['recipe_type_rev_id'], ['recipe_type_revision.id'], name=op.f('fk_recipe_recipe_type_rev_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_recipe'))
    )
    op.create_index(op.f('ix_recipe_completed'), 'recipe', ['completed'], unique=False)
    op.create_index(op.f('ix_recipe_event_id'), 'recipe', ['event_id'], unique=False)
    op.create_index('ix_recipe_recipe_type_id_last_modified_id', 'recipe', ['recipe_type_id', 'last_modified', 'id'], unique=False)
    op.create_index('ix_recipe_last_modified_id', 'recipe', ['last_modified', 'id'], unique=False)
    op.create_table('job_exe',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('job_id', sa.BigInteger(), nullable=False),
    sa.Column('status', sa.Enum('QUEUED', 'RUNNING', 'FAILED', 'COMPLETED', 'CANCELED', name='status', native_enum=False, create_constraint=True, length=20), nullable=False),
    sa.Column('error_id', sa.BigInteger(), nullable=True),
    sa.Column('message', sa.Text(), server_default='', nullable=False),
    sa.Column('command_arguments', sa.Text(), server_default='', nullable=False),
    sa.Column('timeout', sa.Integer(), nullable=False),
    sa.Column('node_id', sa.BigInteger(), nullable=True),
    sa.Column('task_id', sa.String(length=100), nullable=True),
    sa.Column('agent_id', sa.String(length=255), nullable=True),
    sa.Column('directory', sa.Text(), nullable=True),
    sa.Column('cpus_scheduled', sa.Double(), nullable=True),
    sa.Column('mem_scheduled', sa.Double(), nullable=True),
    sa.Column('disk_in_scheduled', sa.Double(), nullable=True),
    sa.Column('disk_out_scheduled', sa.Double(), nullable=True),
    sa.Column('disk_total_scheduled', sa.Double(), nullable=True),
    sa.Column('pre_started', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('pre_completed', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('pre_exit_code', sa.Integer(), nullable=True),
    sa.Column('job_started', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('job_completed', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('job_exit_code', sa.Integer(), nullable=True),
    sa.Column('post_started', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('post_completed', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('post_exit_code', sa.Integer(), nullable=True),
    sa.Column('task_ended', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('outcome', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('outcome_file', sa.Text(), nullable=True),
    sa.Column('used', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('results', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('results_manifest', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('queued', postgresql.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('started', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('ended', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_modified', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("status IN ('QUEUED', 'RUNNING') OR ended IS NOT NULL", name=op.f('ck_job_exe_final_has_ended')),
    sa.ForeignKeyConstraint(['error_id'], ['error.id'], name=op.f('fk_job_exe_error_id')),
    sa.ForeignKeyConstraint(['job_id'], ['job.id'], name=op.f('fk_job_exe_job_id')),
    sa.ForeignKeyConstraint(['node_id'], ['node.id'], name=op.f('fk_job_exe_node_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_job_exe')),
    sa.UniqueConstraint('task_id', name=op.f('uq_job_exe_task_id'))
    )
    op.create_index(op.f('ix_job_exe_ended'), 'job_exe', ['ended'], unique=False)
    op.create_index(op.f('ix_job_exe_error_id'), 'job_exe', ['error_id'], unique=False)
    op.create_index(op.f('ix_job_exe_job_id'), 'job_exe', ['job_id'], unique=False)
    op.create_index('ix_job_exe_node_id_status', 'job_exe', ['node_id', 'status'], unique=False)
    op.create_index('ix_job_exe_running', 'job_exe', ['id'], unique=False, postgresql_where=sa.text("status = 'RUNNING'"))
    op.create_index('ix_job_exe_status_last_modified_id', 'job_exe', ['status', 'last_modified', 'id'], unique=False)
    op.create_index('ix_job_exe_last_modified_id', 'job_exe', ['last_modified', 'id'], unique=False)
    op.create_table('recipe_job',
    sa.Column('job_id', sa.BigInteger(), nullable=False),
    sa.Column('recipe_id', sa.BigInteger(), nullable=False),
    sa.Column('job_name', sa.String(length=255), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['job.id'], name=op.f('fk_recipe_job_job_id')),
    sa.ForeignKeyConstraint(['recipe_id'], ['recipe.id'], name=op.f('fk_recipe_job_recipe_id')),
    sa.PrimaryKeyConstraint('job_id', name=op.f('pk_recipe_job')),
    sa.UniqueConstraint('recipe_id', 'job_name', name=op.f('uq_recipe_job_recipe_id_job_name'))
    )
    op.create_table('strike',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('name', sa.String(length=50), nullable=False),
    sa.Column('title', sa.String(length=50), nullable=True),
    sa.Column('description', sa.String(length=500), server_default='', nullable=False),
    sa.Column('configuration', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
    sa.Column('job_id', sa.BigInteger(), nullable=True),
    sa.Column('last_scan', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('last_error', sa.Text(), nullable=True),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_modified', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['job.id'], name=op.f('fk_strike_job_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_strike')),
    sa.UniqueConstraint('job_id', name=op.f('uq_strike_job_id')),
    sa.UniqueConstraint('name', name=op.f('uq_strike_name'))
    )
    op.create_table('job_exe_log',
    sa.Column('job_exe_id', sa.BigInteger(), nullable=False),
    sa.Column('stdout', sa.LargeBinary(), nullable=False),
    sa.Column('stderr', sa.LargeBinary(), nullable=False),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['job_exe_id'], ['job_exe.id'], name=op.f('fk_job_exe_log_job_exe_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('job_exe_id', name=op.f('pk_job_exe_log'))
    )
    op.create_index(op.f('ix_job_exe_log_created'), 'job_exe_log', ['created'], unique=False)
    op.create_table('metrics_ingest',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('strike_id', sa.BigInteger(), nullable=False),
    sa.Column('occurred', sa.Date(), nullable=False),
    sa.Column('deferred_count', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('ingested_count', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('errored_count', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('duplicate_count', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('total_count', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('file_size_sum', sa.BigInteger(), nullable=True),
    sa.Column('file_size_min', sa.BigInteger(), nullable=True),
    sa.Column('file_size_max', sa.BigInteger(), nullable=True),
    sa.Column('file_size_avg', sa.BigInteger(), nullable=True),
    sa.Column('transfer_time_sum', sa.BigInteger(), nullable=True),
    sa.Column('transfer_time_min', sa.BigInteger(), nullable=True),
    sa.Column('transfer_time_max', sa.BigInteger(), nullable=True),
    sa.Column('transfer_time_avg', sa.BigInteger(), nullable=True),
    sa.Column('ingest_time_sum', sa.BigInteger(), nullable=True),
    sa.Column('ingest_time_min', sa.BigInteger(), nullable=True),
    sa.Column('ingest_time_max', sa.BigInteger(), nullable=True),
    sa.Column('ingest_time_avg', sa.BigInteger(), nullable=True),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['strike_id'], ['strike.id'], name=op.f('fk_metrics_ingest_strike_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_metrics_ingest')),
    sa.UniqueConstraint('occurred', 'strike_id', name=op.f('uq_metrics_ingest_occurred_strike_id'))
    )
    op.create_index(op.f('ix_metrics_ingest_strike_id'), 'metrics_ingest', ['strike_id'], unique=False)
    op.create_table('queue',
    sa.Column('job_exe_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('job_id', sa.BigInteger(), nullable=False),
    sa.Column('job_type_id', sa.BigInteger(), nullable=False),
    sa.Column('priority', sa.Integer(), nullable=False),
    sa.Column('node_required_id', sa.BigInteger(), nullable=True),
    sa.Column('cpus_required', sa.Double(), nullable=False),
    sa.Column('mem_required', sa.Double(), nullable=False),
    sa.Column('disk_in_required', sa.Double(), nullable=False),
    sa.Column('disk_out_required', sa.Double(), nullable=False),
    sa.Column('disk_total_required', sa.Double(), nullable=False),
    sa.Column('queued', postgresql.TIMESTAMP(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['job_exe_id'], ['job_exe.id'], name=op.f('fk_queue_job_exe_id')),
    sa.ForeignKeyConstraint(['job_id'], ['job.id'], name=op.f('fk_queue_job_id')),
    sa.ForeignKeyConstraint(['job_type_id'], ['job_type.id'], name=op.f('fk_queue_job_type_id')),
    sa.ForeignKeyConstraint(['node_required_id'], ['node.id'], name=op.f('fk_queue_node_required_id')),
    sa.PrimaryKeyConstraint('job_exe_id', name=op.f('pk_queue')),
    postgresql_with={'autovacuum_vacuum_scale_factor': 0.0, 'autovacuum_vacuum_threshold': 1000, 'fillfactor': 70}
    )
    op.create_index('ix_queue_claim', 'queue', ['priority', 'queued', 'job_exe_id'], unique=False)
    op.create_index(op.f('ix_queue_job_id'), 'queue', ['job_id'], unique=False)
    op.create_index(op.f('ix_queue_job_type_id'), 'queue', ['job_type_id'], unique=False)
    op.create_index(op.f('ix_queue_node_required_id'), 'queue', ['node_required_id'], unique=False)
    op.create_geospatial_table('scale_file',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('file_type', sa.Enum('SOURCE', 'PRODUCT', name='file_type', native_enum=False, create_constraint=True, length=20), nullable=False),
    sa.Column('file_name', sa.Text(), nullable=False),
    sa.Column('media_type', sa.String(length=250), nullable=False),
    sa.Column('file_size', sa.BigInteger(), nullable=False),
    sa.Column('checksum', sa.String(length=64), nullable=True),
    sa.Column('data_type', sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('file_path', sa.Text(), nullable=False),
    sa.Column('moving_to', sa.Text(), nullable=True),
    sa.Column('workspace_id', sa.BigInteger(), nullable=False),
    sa.Column('is_deleted', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('deleted', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('uuid', sa.String(length=32), nullable=False),
    sa.Column('data_started', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('data_ended', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('geometry', Geometry(srid=4326, dimension=2, spatial_index=False, from_text='ST_GeomFromEWKT', name='geometry'), nullable=True),
    sa.Column('center_point', Geometry(geometry_type='POINT', srid=4326, dimension=2, spatial_index=False, from_text='ST_GeomFromEWKT', name='geometry'), nullable=True),
    sa.Column('meta_data', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('is_parsed', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('parsed', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('job_exe_id', sa.BigInteger(), nullable=True),
    sa.Column('job_id', sa.BigInteger(), nullable=True),
    sa.Column('job_type_id', sa.BigInteger(), nullable=True),
    sa.Column('job_output', sa.String(length=255), nullable=True),
    sa.Column('is_operational', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('has_been_published', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('is_published', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('published', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('unpublished', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_modified', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("(file_type = 'PRODUCT') = (job_exe_id IS NOT NULL)", name=op.f('ck_scale_file_product_has_execution')),
    sa.CheckConstraint('file_size >= 0', name=op.f('ck_scale_file_file_size')),
    sa.ForeignKeyConstraint(['job_exe_id'], ['job_exe.id'], name=op.f('fk_scale_file_job_exe_id')),
    sa.ForeignKeyConstraint(['job_id'], ['job.id'], name=op.f('fk_scale_file_job_id')),
    sa.ForeignKeyConstraint(['job_type_id'], ['job_type.id'], name=op.f('fk_scale_file_job_type_id')),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspace.id'], name=op.f('fk_scale_file_workspace_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_scale_file'))
    )
    op.create_geospatial_index('idx_scale_file_center_point', 'scale_file', ['center_point'], unique=False, postgresql_using='gist', postgresql_ops={})
    op.create_geospatial_index('idx_scale_file_geometry', 'scale_file', ['geometry'], unique=False, postgresql_using='gist', postgresql_ops={})
    op.create_index('ix_scale_file_source_data_started', 'scale_file', ['data_started', 'id'], unique=False, postgresql_where=sa.text("file_type = 'SOURCE'"))
    op.create_index(op.f('ix_scale_file_file_name'), 'scale_file', ['file_name'], unique=False)
    op.create_index('ix_scale_file_file_type_last_modified', 'scale_file', ['file_type', 'last_modified', 'id'], unique=False)
    op.create_index('ix_scale_file_last_modified_id', 'scale_file', ['last_modified', 'id'], unique=False)
    op.create_index(op.f('ix_scale_file_job_exe_id'), 'scale_file', ['job_exe_id'], unique=False)
    op.create_index(op.f('ix_scale_file_job_id'), 'scale_file', ['job_id'], unique=False)
    op.create_index(op.f('ix_scale_file_job_type_id'), 'scale_file', ['job_type_id'], unique=False)
    op.create_index('ix_scale_file_moving', 'scale_file', ['id'], unique=False, postgresql_where=sa.text('moving_to IS NOT NULL'))
    op.create_index(op.f('ix_scale_file_parsed'), 'scale_file', ['parsed'], unique=False)
    op.create_index(op.f('ix_scale_file_published'), 'scale_file', ['published'], unique=False)
    op.create_index('ix_scale_file_published_last_modified', 'scale_file', ['last_modified', 'id'], unique=False, postgresql_where=sa.text('has_been_published'))
    op.create_index(op.f('ix_scale_file_uuid'), 'scale_file', ['uuid'], unique=False)
    op.create_index('uq_scale_file_workspace_id_file_path', 'scale_file', ['workspace_id', 'file_path'], unique=True, postgresql_where=sa.text('NOT is_deleted'))
    op.create_table('file_ancestry_link',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('ancestor_id', sa.BigInteger(), nullable=False),
    sa.Column('descendant_id', sa.BigInteger(), nullable=True),
    sa.Column('job_exe_id', sa.BigInteger(), nullable=False),
    sa.Column('job_id', sa.BigInteger(), nullable=False),
    sa.Column('recipe_id', sa.BigInteger(), nullable=True),
    sa.Column('ancestor_job_id', sa.BigInteger(), nullable=True),
    sa.Column('ancestor_job_exe_id', sa.BigInteger(), nullable=True),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['ancestor_id'], ['scale_file.id'], name=op.f('fk_file_ancestry_link_ancestor_id')),
    sa.ForeignKeyConstraint(['ancestor_job_exe_id'], ['job_exe.id'], name=op.f('fk_file_ancestry_link_ancestor_job_exe_id')),
    sa.ForeignKeyConstraint(['ancestor_job_id'], ['job.id'], name=op.f('fk_file_ancestry_link_ancestor_job_id')),
    sa.ForeignKeyConstraint(['descendant_id'], ['scale_file.id'], name=op.f('fk_file_ancestry_link_descendant_id')),
    sa.ForeignKeyConstraint(['job_exe_id'], ['job_exe.id'], name=op.f('fk_file_ancestry_link_job_exe_id')),
    sa.ForeignKeyConstraint(['job_id'], ['job.id'], name=op.f('fk_file_ancestry_link_job_id')),
    sa.ForeignKeyConstraint(['recipe_id'], ['recipe.id'], name=op.f('fk_file_ancestry_link_recipe_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_file_ancestry_link')),
    sa.UniqueConstraint('ancestor_id', 'descendant_id', 'job_exe_id', name=op.f('uq_file_ancestry_link_ancestor_id_descendant_id_job_exe_id'), postgresql_nulls_not_distinct=True)
    )
    op.create_index(op.f('ix_file_ancestry_link_ancestor_job_exe_id'), 'file_ancestry_link', ['ancestor_job_exe_id'], unique=False)
    op.create_index(op.f('ix_file_ancestry_link_ancestor_job_id'), 'file_ancestry_link', ['ancestor_job_id'], unique=False)
    op.create_index(op.f('ix_file_ancestry_link_descendant_id'), 'file_ancestry_link', ['descendant_id'], unique=False)
    op.create_index(op.f('ix_file_ancestry_link_job_exe_id'), 'file_ancestry_link', ['job_exe_id'], unique=False)
    op.create_index(op.f('ix_file_ancestry_link_job_id'), 'file_ancestry_link', ['job_id'], unique=False)
    op.create_index(op.f('ix_file_ancestry_link_recipe_id'), 'file_ancestry_link', ['recipe_id'], unique=False)
    op.create_table('ingest',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('file_name', sa.Text(), nullable=False),
    sa.Column('strike_id', sa.BigInteger(), nullable=False),
    sa.Column('job_id', sa.BigInteger(), nullable=True),
    sa.Column('status', sa.Enum('TRANSFERRING', 'TRANSFERRED', 'DEFERRED', 'QUEUED', 'INGESTING', 'INGESTED', 'ERRORED', 'DUPLICATE', name='status', native_enum=False, create_constraint=True, length=20), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('transfer_path', sa.Text(), nullable=False),
    sa.Column('bytes_transferred', sa.BigInteger(), nullable=False),
    sa.Column('transfer_started', postgresql.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('transfer_ended', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('media_type', sa.String(length=250), server_default='', nullable=False),
    sa.Column('file_size', sa.BigInteger(), nullable=True),
    sa.Column('checksum', sa.String(length=64), nullable=True),
    sa.Column('data_type', sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('file_path', sa.Text(), server_default='', nullable=False),
    sa.Column('workspace_id', sa.BigInteger(), nullable=True),
    sa.Column('ingest_path', sa.Text(), server_default='', nullable=False),
    sa.Column('ingest_started', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('ingest_ended', postgresql.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('source_file_id', sa.BigInteger(), nullable=True),
    sa.Column('created', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_modified', postgresql.TIMESTAMP(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['job.id'], name=op.f('fk_ingest_job_id')),
    sa.ForeignKeyConstraint(['source_file_id'], ['scale_file.id'], name=op.f('fk_ingest_source_file_id')),
    sa.ForeignKeyConstraint(['strike_id'], ['strike.id'], name=op.f('fk_ingest_strike_id')),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspace.id'], name=op.f('fk_ingest_workspace_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ingest'))
    )
    op.create_index(op.f('ix_ingest_file_name'), 'ingest', ['file_name'], unique=False)
    op.create_index(op.f('ix_ingest_ingest_ended'), 'ingest', ['ingest_ended'], unique=False)
    op.create_index(op.f('ix_ingest_job_id'), 'ingest', ['job_id'], unique=False)
    op.create_index(op.f('ix_ingest_source_file_id'), 'ingest', ['source_file_id'], unique=False)
    op.create_index('ix_ingest_status_last_modified_id', 'ingest', ['status', 'last_modified', 'id'], unique=False)
    op.create_index('ix_ingest_last_modified_id', 'ingest', ['last_modified', 'id'], unique=False)
    op.create_index('ix_ingest_ingested', 'ingest', ['source_file_id'], unique=False, postgresql_include=['strike_id', 'file_size', 'ingest_ended'], postgresql_where=sa.text("status = 'INGESTED'"))
    op.create_index(op.f('ix_ingest_strike_id'), 'ingest', ['strike_id'], unique=False)
    op.create_index(op.f('ix_ingest_workspace_id'), 'ingest', ['workspace_id'], unique=False)
    op.create_index('uq_ingest_strike_id_file_name_open', 'ingest', ['strike_id', 'file_name'], unique=True, postgresql_where=sa.text("status IN ('TRANSFERRING', 'TRANSFERRED', 'QUEUED', 'INGESTING')"))
    op.create_table('scale_file_country',
    sa.Column('scale_file_id', sa.BigInteger(), nullable=False),
    sa.Column('country_data_id', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['country_data_id'], ['country_data.id'], name=op.f('fk_scale_file_country_country_data_id')),
    sa.ForeignKeyConstraint(['scale_file_id'], ['scale_file.id'], name=op.f('fk_scale_file_country_scale_file_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('scale_file_id', 'country_data_id', name=op.f('pk_scale_file_country'))
    )
    op.create_index(op.f('ix_scale_file_country_country_data_id'), 'scale_file_country', ['country_data_id'], unique=False)


def downgrade() -> None:
    op.drop_index(op.f('ix_scale_file_country_country_data_id'), table_name='scale_file_country')
    op.drop_table('scale_file_country')
    op.drop_index('uq_ingest_strike_id_file_name_open', table_name='ingest', postgresql_where=sa.text("status IN ('TRANSFERRING', 'TRANSFERRED', 'QUEUED', 'INGESTING')"))
    op.drop_index(op.f('ix_ingest_workspace_id'), table_name='ingest')
    op.drop_index(op.f('ix_ingest_strike_id'), table_name='ingest')
    op.drop_index('ix_ingest_ingested', table_name='ingest', postgresql_include=['strike_id', 'file_size', 'ingest_ended'], postgresql_where=sa.text("status = 'INGESTED'"))
    op.drop_index('ix_ingest_last_modified_id', table_name='ingest')
    op.drop_index('ix_ingest_status_last_modified_id', table_name='ingest')
    op.drop_index(op.f('ix_ingest_source_file_id'), table_name='ingest')
    op.drop_index(op.f('ix_ingest_job_id'), table_name='ingest')
    op.drop_index(op.f('ix_ingest_ingest_ended'), table_name='ingest')
    op.drop_index(op.f('ix_ingest_file_name'), table_name='ingest')
    op.drop_table('ingest')
    op.drop_index(op.f('ix_file_ancestry_link_recipe_id'), table_name='file_ancestry_link')
    op.drop_index(op.f('ix_file_ancestry_link_job_id'), table_name='file_ancestry_link')
    op.drop_index(op.f('ix_file_ancestry_link_job_exe_id'), table_name='file_ancestry_link')
    op.drop_index(op.f('ix_file_ancestry_link_descendant_id'), table_name='file_ancestry_link')
    op.drop_index(op.f('ix_file_ancestry_link_ancestor_job_id'), table_name='file_ancestry_link')
    op.drop_index(op.f('ix_file_ancestry_link_ancestor_job_exe_id'), table_name='file_ancestry_link')
    op.drop_table('file_ancestry_link')
    op.drop_index('uq_scale_file_workspace_id_file_path', table_name='scale_file', postgresql_where=sa.text('NOT is_deleted'))
    op.drop_index(op.f('ix_scale_file_uuid'), table_name='scale_file')
    op.drop_index('ix_scale_file_published_last_modified', table_name='scale_file', postgresql_where=sa.text('has_been_published'))
    op.drop_index(op.f('ix_scale_file_published'), table_name='scale_file')
    op.drop_index('ix_scale_file_moving', table_name='scale_file', postgresql_where=sa.text('moving_to IS NOT NULL'))
    op.drop_index(op.f('ix_scale_file_parsed'), table_name='scale_file')
    op.drop_index(op.f('ix_scale_file_job_type_id'), table_name='scale_file')
    op.drop_index(op.f('ix_scale_file_job_id'), table_name='scale_file')
    op.drop_index(op.f('ix_scale_file_job_exe_id'), table_name='scale_file')
    op.drop_index('ix_scale_file_last_modified_id', table_name='scale_file')
    op.drop_index('ix_scale_file_file_type_last_modified', table_name='scale_file')
    op.drop_index(op.f('ix_scale_file_file_name'), table_name='scale_file')
    op.drop_index('ix_scale_file_source_data_started', table_name='scale_file', postgresql_where=sa.text("file_type = 'SOURCE'"))
    op.drop_geospatial_index('idx_scale_file_geometry', table_name='scale_file', postgresql_using='gist', column_name='geometry')
    op.drop_geospatial_index('idx_scale_file_center_point', table_name='scale_file', postgresql_using='gist', column_name='center_point')
    op.drop_geospatial_table('scale_file')
    op.drop_index(op.f('ix_queue_node_required_id'), table_name='queue')
    op.drop_index(op.f('ix_queue_job_type_id'), table_name='queue')
    op.drop_index(op.f('ix_queue_job_id'), table_name='queue')
    op.drop_index('ix_queue_claim', table_name='queue')
    op.drop_table('queue')
    op.drop_index(op.f('ix_metrics_ingest_strike_id'), table_name='metrics_ingest')
    op.drop_table('metrics_ingest')
    op.drop_index(op.f('ix_job_exe_log_created'), table_name='job_exe_log')
    op.drop_table('job_exe_log')
    op.drop_table('strike')
    op.drop_table('recipe_job')
    op.drop_index('ix_job_exe_last_modified_id', table_name='job_exe')
    op.drop_index('ix_job_exe_status_last_modified_id', table_name='job_exe')
    op.drop_index('ix_job_exe_running', table_name='job_exe', postgresql_where=sa.text("status = 'RUNNING'"))
    op.drop_index('ix_job_exe_node_id_status', table_name='job_exe')
    op.drop_index(op.f('ix_job_exe_job_id'), table_name='job_exe')
    op.drop_index(op.f('ix_job_exe_error_id'), table_name='job_exe')
    op.drop_index(op.f('ix_job_exe_ended'), table_name='job_exe')
    op.drop_table('job_exe')
    op.drop_index('ix_recipe_last_modified_id', table_name='recipe')
    op.drop_index('ix_recipe_recipe_type_id_last_modified_id', table_name='recipe')
    op.drop_index(op.f('ix_recipe_event_id'), table_name='recipe')
    op.drop_index(op.f('ix_recipe_completed'), table_name='recipe')
    op.drop_table('recipe')
    op.drop_index('ix_job_status_last_modified_id', table_name='job')
    op.drop_index(op.f('ix_job_root_superseded_job_id'), table_name='job')
    op.drop_index('ix_job_last_status_change_id', table_name='job')
    op.drop_index('ix_job_last_modified_id', table_name='job')
    op.drop_index('ix_job_job_type_id_status_last_modified_id', table_name='job')
    op.drop_index(op.f('ix_job_event_id'), table_name='job')
    op.drop_index(op.f('ix_job_error_id'), table_name='job')
    op.drop_index(op.f('ix_job_ended'), table_name='job')
    op.drop_table('job')
    op.drop_table('recipe_type_revision')
    op.drop_index(op.f('ix_metrics_job_type_job_type_id'), table_name='metrics_job_type')
    op.drop_table('metrics_job_type')
    op.drop_table('job_type_revision')
    op.drop_index('ix_job_load_measured_job_type_id', table_name='job_load')
    op.drop_index(op.f('ix_job_load_job_type_id'), table_name='job_load')
    op.drop_table('job_load')
    op.drop_index(op.f('ix_trigger_event_type'), table_name='trigger_event')
    op.drop_index(op.f('ix_trigger_event_rule_id'), table_name='trigger_event')
    op.drop_index(op.f('ix_trigger_event_occurred'), table_name='trigger_event')
    op.drop_table('trigger_event')
    op.drop_table('recipe_type')
    op.drop_index(op.f('ix_metrics_error_error_id'), table_name='metrics_error')
    op.drop_table('metrics_error')
    op.drop_index(op.f('ix_job_type_category'), table_name='job_type')
    op.drop_table('job_type')
    op.drop_table('workspace')
    op.drop_index(op.f('ix_trigger_rule_type'), table_name='trigger_rule')
    op.drop_index(op.f('ix_trigger_rule_name'), table_name='trigger_rule')
    op.drop_index(op.f('ix_trigger_rule_is_active'), table_name='trigger_rule')
    op.drop_table('trigger_rule')
    op.drop_table('scheduler')
    op.drop_index(op.f('ix_idempotency_key_created'), table_name='idempotency_key')
    op.drop_table('idempotency_key')
    op.drop_table('node')
    op.drop_index(op.f('ix_error_category'), table_name='error')
    op.drop_table('error')
    op.drop_geospatial_index('idx_country_data_border', table_name='country_data', postgresql_using='gist', column_name='border')
    op.drop_geospatial_table('country_data')
