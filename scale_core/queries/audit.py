"""The audit: who changed what, when and from where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.account import Audit
from scale_core.errors import NotFound
from scale_core.queries.listing import ALWAYS, Order, Page, Period, read_page
from scale_core.queries.shape import Json, Shape, rows

ORDER = Order(Audit, default=["-id"])


@dataclass(frozen=True)
class AuditFilters:
    period: Period = ALWAYS
    account_names: tuple[str, ...] = ()
    account_ids: tuple[int, ...] = ()
    token_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    object_types: tuple[str, ...] = ()
    object_ids: tuple[int, ...] = ()
    object_names: tuple[str, ...] = ()
    request_ids: tuple[str, ...] = ()


def list_audit(session: Session, filters: AuditFilters, page: Page, shape: Shape) -> tuple[Sequence[Json], int]:
    query = filters.period.limit(select(Audit.id), Audit.occurred)
    for column, values in (
        (Audit.account_name, filters.account_names),
        (Audit.account_id, filters.account_ids),
        (Audit.token_name, filters.token_names),
        (Audit.address, filters.addresses),
        (Audit.operation, filters.operations),
        (Audit.object_type, filters.object_types),
        (Audit.object_id, filters.object_ids),
        (Audit.object_name, filters.object_names),
        (Audit.request_id, filters.request_ids),
    ):
        if values:
            query = query.where(column.in_(values))
    return read_page(session, query, ORDER, page, filters, rows(Audit, shape).read)


def get_entry(session: Session, entry_id: int) -> Audit:
    """Raises NotFound."""
    entry = session.get(Audit, entry_id)
    if entry is None:
        raise NotFound(f"There is no entry of the audit with the id {entry_id}.")
    return entry
