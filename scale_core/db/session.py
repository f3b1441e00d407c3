"""Engine, sessions and transactions; advisory locks; paging."""

from __future__ import annotations

import gc
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.orm import Session, configure_mappers, sessionmaker

# A machine whose power is cut says no word more: without these either side would wait for two hours.
KEEPALIVES: dict[str, Any] = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}


def make_engine(url: str, pool_size: int = 5, statement_s: float = 0, **options: Any) -> Engine:
    """An engine for PostgreSQL: UTC, lock and idle time-outs; dead connections are noticed before use by default, and
    within half a minute by whoever waits for an answer, as by PostgreSQL when our machine is gone.

    PostgreSQL gives up a statement after `statement_s` seconds; 0: never.
    """
    alive = " ".join(f"-c tcp_{name}={value}" for name, value in KEEPALIVES.items())
    limits = (
        f"-c idle_in_transaction_session_timeout=60000 -c lock_timeout=30000 -c statement_timeout={statement_s:.3f}s"
    )
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=options.pop("pool_pre_ping", True),
        json_serializer=lambda value: orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode(),
        json_deserializer=_loads,
        connect_args={
            "connect_timeout": 5,
            "options": f"-c timezone=UTC {limits} {alive}",
            "tcp_user_timeout": 30_000,
            **KEEPALIVES,
            "application_name": options.pop("application_name", "scale"),
        },
        **options,
    )


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    return sessionmaker(engine, expire_on_commit=False)


def before_forks() -> None:
    """For a process that has loaded all it needs and forks now: what is made by then is memory that the forks share.

    The garbage collector would write to every object that it looks at, and so give each fork a copy of its own.
    """
    configure_mappers()
    gc.collect()
    gc.freeze()


Sessions = Callable[[], Session]
QUEUE_CHANNEL = "scale_queue"  # NOTIFY: the offer handler should look at the queue, payload: queue_news or nothing


def queue_news(priority: int, queued: datetime) -> str:
    """What is told of new queue rows: the first place that any of them has in the queue's order."""
    return f"{priority} {queued.isoformat()}"


def read_queue_news(payload: str) -> tuple[int, datetime] | None:
    """Inverse of queue_news; None: the payload tells nothing, anything may have changed."""
    priority, _, queued = payload.partition(" ")
    try:
        return int(priority), datetime.fromisoformat(queued)
    except ValueError:
        return None


@contextmanager
def transaction(sessions: Sessions) -> Iterator[Session]:
    """One short transaction: committed at the end of the block, rolled back by an exception."""
    with sessions() as session, session.begin():
        yield session


def try_advisory_lock(session: Session, name: str) -> bool:
    """Take a lock of this name until the transaction ends; False when somebody else holds it."""
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(_lock_key(name)))))


def advisory_lock(session: Session, name: str) -> None:
    """Wait for, and take, a lock of this name until the transaction ends."""
    session.execute(select(func.pg_advisory_xact_lock(_lock_key(name))))


def advisory_locks(session: Session, names: Iterable[str]) -> None:
    """The same for several names, in one order everywhere: no two who want the same ones wait for each other."""
    keys = sorted({_lock_key(name) for name in names})
    if keys:
        session.execute(select(func.pg_advisory_xact_lock(func.unnest(keys))))


def notify(session: Session, channel: str, payload: str = "") -> None:
    """Wake up whoever LISTENs on the channel when this transaction commits."""
    session.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload})


def _lock_key(name: str) -> int:
    return zlib.crc32(name.encode()) | 0x5CA1E << 32


def _loads(value: str | bytes) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return json.loads(value)  # jsonb numbers beyond 64 bits
