"""What all lists share over HTTP: parameters of the query string, and the envelope count, next, previous, results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, ClassVar
from urllib.parse import urlencode

from flask import Response, request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, pre_load, validate, validates_schema

from scale_api.fields import Answer, Moment
from scale_api.json_provider import to_json
from scale_core.errors import Invalid, NotFound, Problem
from scale_core.queries.listing import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Order, Page, Period
from scale_core.timestamps import utcnow

LEAST_PART, MOST_PART = 3, 255
MAX_OFFSET = 2**63 - 1
OLDEST = datetime(1, 2, 1, tzinfo=UTC)  # a month later than Python's oldest time


@dataclass(frozen=True)
class Listing:
    """A page of a list and the filters of that list, an instance of the query's own class (or None)."""

    page: Page
    period: Period
    filters: Any


class WholeNumber(fields.Integer):
    """A positive number of the query string; anything else is refused by name."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 4000 and int(value)):
            raise ValidationError(f"{str(value)[:50]!r} is not a positive whole number.")
        return int(value)


class PageQuery(Schema):
    """page and page_size; a page_size above the maximum counts as the maximum."""

    class Meta:
        unknown = EXCLUDE

    filters: ClassVar[type[Any] | None] = None

    page = WholeNumber(load_default=1, metadata={"description": "The page of the results to return.", "minimum": 1})
    page_size = WholeNumber(
        load_default=DEFAULT_PAGE_SIZE,
        metadata={"description": "The number of results of a page; more than 1000 count as 1000.", "minimum": 1},
    )

    @pre_load
    def drop_empty(self, data: Any, **_: Any) -> Any:
        """An empty parameter (``started=``) counts as absent, as forms send them."""
        for name in [name for name, field in self.fields.items() if not isinstance(field, fields.List)]:
            if name in data and data[name] == "":
                data = {key: value for key, value in data.items() if key != name}
        return data

    @post_load
    def to_listing(self, data: dict[str, Any], **_: Any) -> Listing:
        size = min(data.pop("page_size"), MAX_PAGE_SIZE)
        page = Page(min(data.pop("page"), MAX_OFFSET // size), size, tuple(data.pop("order", ())))
        period = Period(data.pop("started", None), data.pop("ended", None))
        if self.filters is None:
            return Listing(page, period, None)
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
        return Listing(page, period, self.filters(period=period, **values))


@validates_schema
def check_period(_schema: Schema, data: dict[str, Any], **_: Any) -> None:
    """`started` must come before `ended`; a method of every schema that has both."""
    started, ended = data.get("started"), data.get("ended")
    if started is None or ended is None:
        return
    if started == ended:
        raise ValidationError("Start and end values must be different", "started")
    if started > ended:
        raise ValidationError("Start time must come before end time", "started")


class PeriodQuery(PageQuery):
    """started and ended, each a time or a duration before now."""

    started = Moment(metadata={"description": "The earliest: an ISO 8601 time, or a duration before now."})
    ended = Moment(metadata={"description": "The latest: an ISO 8601 time, or a duration before now."})

    validate_period = check_period


def last_days(period: Period, default: int, maximum: int) -> Period:
    """The period, from midnight UTC `default` days ago where it has no start.

    Raises Invalid above `maximum` days; only a period that has both ends can be too long.
    """
    if period.started is None:
        until = period.ended or utcnow()
        midnight = until.replace(hour=0, minute=0, second=0, microsecond=0)
        return Period(max(midnight, OLDEST) - timedelta(days=default), period.ended)
    if period.ended is not None and period.ended - period.started > timedelta(days=maximum):
        raise Invalid(problems=[Problem("started", f"the time range is longer than {maximum} days")])
    return period


class ListQuery(PeriodQuery):
    """A list whose order can be chosen; each says by `order_by` which fields it has."""


def name_part() -> fields.String:
    """The parameter `file_name_part`. Fewer than three letters are in no index: every name would be looked at."""
    return fields.String(
        validate=validate.Length(LEAST_PART, MOST_PART),
        metadata={
            "description": f"What stands somewhere in the name, capitals or not; at least {LEAST_PART} characters. "
            "There are no wildcards: % and _ are letters."
        },
    )


def order_by(order: Order) -> fields.List:
    """The parameter `order`. Names are checked when the list is read: they may also be spelled with dots."""
    names = order.names
    return fields.List(
        fields.String(metadata={"enum": [*names, *(f"-{name}" for name in names)]}),
        metadata={"description": "Fields to order by; a dash before a name reverses it; repeat for several."},
    )


def envelope(listing: Listing, rows: Sequence[Any], total: int) -> dict[str, Any]:
    """The answer of a list. Raises NotFound for a page beyond the end."""
    page = listing.page
    if page.number > 1 and page.offset >= total:
        raise NotFound("Invalid page.")
    has_next = page.offset + len(rows) < total
    return {
        "count": total,
        "next": _url_of(page.number + 1) if has_next else None,
        "previous": _url_of(page.number - 1) if page.number > 1 else None,
        "results": rows,
    }


def answer(listing: Listing, rows: Sequence[Any], total: int) -> Response:
    """The answer of a list whose rows are shown as they are. Raises NotFound for a page beyond the end."""
    return json_answer(envelope(listing, rows, total))


def json_answer(value: Any) -> Response:
    """Rows and what is made of them, as they are."""
    return Response(to_json(value), content_type="application/json")


@cache
def page_of(item: type[Schema]) -> type[Schema]:
    """The schema of a list's answer."""
    return Answer.from_dict(
        {
            "count": fields.Integer(metadata={"description": "The number of results of all pages."}),
            "next": fields.String(allow_none=True),
            "previous": fields.String(allow_none=True),
            "results": fields.List(fields.Nested(item)),
        },
        name=f"{item.__name__}Page",
    )


def _url_of(page: int) -> str:
    """This request's absolute URL with another page; parameters sorted by name, the first page without `page`."""
    parameters = [(key, value) for key, value in request.args.items(multi=True) if key != "page"]
    if page > 1:
        parameters.append(("page", str(page)))
    parameters.sort(key=lambda pair: pair[0])
    return request.base_url + (f"?{urlencode(parameters)}" if parameters else "")
