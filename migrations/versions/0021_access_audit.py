"""accounts, API tokens, sessions, failures to sign in; the audit, to which is only added

Revision ID: 0021
Revises: 0019
"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = '0021'
down_revision = '0019'
branch_labels = None
depends_on = None

TIME = postgresql.TIMESTAMP(timezone=True)
JSONB = postgresql.JSONB(none_as_null=True)


def role() -> sa.Enum:
    return sa.Enum('viewer', 'operator', 'admin', name='role', native_enum=False, create_constraint=True, length=20)


# Whoever owns the table may remove what is old, through this function; nobody can by a statement of their own, unless
# they take the trigger away first, which only the owner can.
REFUSE = """
CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('scale.removing_old_audit', true) = 'on'
       AND current_user = pg_get_userbyid((SELECT relowner FROM pg_class WHERE oid = TG_RELID)) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit can only be added to: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$
"""
REMOVE = """
CREATE FUNCTION remove_old_audit(older_than timestamptz, at_most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE removed integer;
BEGIN
    IF older_than > now() - interval '1 day' THEN
        RAISE EXCEPTION 'what happened within a day stays in the audit';
    END IF;
    PERFORM set_config('scale.removing_old_audit', 'on', true);
    DELETE FROM audit WHERE id IN (
        SELECT id FROM audit WHERE occurred < older_than ORDER BY occurred LIMIT at_most FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS removed = ROW_COUNT;
    PERFORM set_config('scale.removing_old_audit', '', true);
    RETURN removed;
END $$
"""


def upgrade() -> None:
    op.create_table(
        'account',
        sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column('name', sa.String(150), nullable=False),
        sa.Column('role', role(), nullable=False),
        sa.Column('is_active', sa.Boolean(), server_default=sa.text('true'), nullable=False),
        sa.Column('password_hash', sa.String(255), nullable=True),
        sa.Column('password_changed', TIME, nullable=True),
        sa.Column('subject', sa.String(500), nullable=True),
        sa.Column('last_sign_in', TIME, nullable=True),
        sa.Column('created', TIME, server_default=sa.text('now()'), nullable=False),
        sa.Column('last_modified', TIME, server_default=sa.text('now()'), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_account'),
        sa.UniqueConstraint('subject', name='uq_account_subject'),
    )
    op.create_index('uq_account_lower_name', 'account', [sa.text('lower(name)')], unique=True)
    op.create_table(
        'api_token',
        sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column('account_id', sa.BigInteger(), nullable=False),
        sa.Column('name', sa.String(100), nullable=False),
        sa.Column('hint', sa.String(20), nullable=False),
        sa.Column('hash', sa.String(64), nullable=False),
        sa.Column('role', role(), nullable=False),
        sa.Column('scope', sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column('created', TIME, server_default=sa.text('now()'), nullable=False),
        sa.Column('expires', TIME, nullable=False),
        sa.Column('revoked', TIME, nullable=True),
        sa.Column('last_used', TIME, nullable=True),
        sa.Column('last_address', sa.String(64), nullable=True),
        sa.ForeignKeyConstraint(['account_id'], ['account.id'], name='fk_api_token_account_id'),
        sa.PrimaryKeyConstraint('id', name='pk_api_token'),
        sa.UniqueConstraint('hash', name='uq_api_token_hash'),
    )
    op.create_index('ix_api_token_account_id', 'api_token', ['account_id'])
    op.create_table(
        'session',
        sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column('hash', sa.String(64), nullable=False),
        sa.Column('account_id', sa.BigInteger(), nullable=False),
        sa.Column('created', TIME, server_default=sa.text('now()'), nullable=False),
        sa.Column('last_seen', TIME, nullable=False),
        sa.Column('expires', TIME, nullable=False),
        sa.Column('address', sa.String(64), server_default='', nullable=False),
        sa.Column('user_agent', sa.String(300), server_default='', nullable=False),
        sa.ForeignKeyConstraint(['account_id'], ['account.id'], name='fk_session_account_id'),
        sa.PrimaryKeyConstraint('id', name='pk_session'),
        sa.UniqueConstraint('hash', name='uq_session_hash'),
    )
    op.create_index('ix_session_account_id', 'session', ['account_id'])
    op.create_index('ix_session_expires', 'session', ['expires'])
    op.create_table(
        'sign_in_failure',
        sa.Column('key', sa.String(220), nullable=False),
        sa.Column('failures', sa.Integer(), nullable=False),
        sa.Column('last', TIME, nullable=False),
        sa.Column('blocked_until', TIME, nullable=True),
        sa.PrimaryKeyConstraint('key', name='pk_sign_in_failure'),
    )
    op.create_index('ix_sign_in_failure_last', 'sign_in_failure', ['last'])
    op.create_table(
        'audit',
        sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column('occurred', TIME, nullable=False),
        sa.Column('account_id', sa.BigInteger(), nullable=True),
        sa.Column('account_name', sa.String(150), server_default='', nullable=False),
        sa.Column('via', sa.String(20), nullable=False),
        sa.Column('token_name', sa.String(100), server_default='', nullable=False),
        sa.Column('address', sa.String(64), server_default='', nullable=False),
        sa.Column('user_agent', sa.String(300), server_default='', nullable=False),
        sa.Column('request_id', sa.String(64), server_default='', nullable=False),
        sa.Column('operation', sa.String(200), nullable=False),
        sa.Column('object_type', sa.String(50), nullable=False),
        sa.Column('object_id', sa.BigInteger(), nullable=True),
        sa.Column('object_name', sa.String(250), server_default='', nullable=False),
        sa.Column('before', JSONB, nullable=True),
        sa.Column('after', JSONB, nullable=True),
        sa.PrimaryKeyConstraint('id', name='pk_audit'),
    )
    op.create_index('ix_audit_occurred', 'audit', ['occurred'])
    op.create_index('ix_audit_object_type_object_id_id', 'audit', ['object_type', 'object_id', 'id'])
    op.create_index('ix_audit_account_name_id', 'audit', ['account_name', 'id'])
    op.execute(REFUSE)
    op.execute(REMOVE)
    op.execute('REVOKE EXECUTE ON FUNCTION remove_old_audit(timestamptz, integer) FROM PUBLIC')
    op.execute(
        'CREATE TRIGGER audit_is_only_added_to BEFORE UPDATE OR DELETE ON audit '
        'FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit()'
    )
    op.execute(
        'CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit '
        'FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit()'
    )


def downgrade() -> None:
    op.drop_table('audit')
    op.execute('DROP FUNCTION remove_old_audit(timestamptz, integer)')
    op.execute('DROP FUNCTION refuse_change_of_audit()')
    op.drop_table('sign_in_failure')
    op.drop_table('session')
    op.drop_table('api_token')
    op.drop_table('account')
