"""Strikes and the files that they saw."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ARRAY, Float, ForeignKey, Index, Numeric, String, Text, cast, func, select, text
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from scale_core.db.base import Base, BigInt, Document, Id, Stamped, enum_of
from scale_core.domain.ingest import OPEN_STATUSES, Duplicates, IngestStatus

if TYPE_CHECKING:
    from scale_core.db.file import ScaleFile, Workspace
    from scale_core.db.job import Job

_OPEN = ", ".join(f"'{status.value}'" for status in OPEN_STATUSES)


class Strike(Stamped, Base):
    """A process that watches a directory. Its job (type scale-strike) is RUNNING while it is watched."""

    __tablename__ = "strike"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(50), unique=True)
    title: Mapped[str | None] = mapped_column(String(50))
    description: Mapped[str] = mapped_column(String(500), server_default="")
    configuration: Mapped[Document]
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), unique=True)
    last_scan: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(Text)
    files_seen: Mapped[int] = mapped_column(server_default=text("0"))  # regular files there at the last good scan

    job: Mapped[Job | None] = relationship("Job")

    if TYPE_CHECKING:  # made below, of the ingests
        lag: Mapped[float]
        errors: Mapped[int]


class Ingest(Stamped, Base):
    __tablename__ = "ingest"
    __table_args__ = (
        Index(
            "uq_ingest_strike_id_file_name_open",
            "strike_id",
            "file_name",
            unique=True,
            postgresql_where=text(f"status IN ({_OPEN})"),
        ),
        Index("ix_ingest_last_modified_id", "last_modified", "id"),
        Index(
            "ix_ingest_file_name_part",
            "file_name",
            postgresql_using="gin",
            postgresql_ops={"file_name": "gin_trgm_ops"},
        ),
        Index(
            "ix_ingest_ingested",  # all that the ingest status adds up
            "source_file_id",
            postgresql_include=["strike_id", "file_size", "ingest_ended"],
            postgresql_where=text("status = 'INGESTED'"),
        ),
        Index("ix_ingest_status_last_modified_id", "status", "last_modified", "id"),
        Index("ix_ingest_waiting", "strike_id", "created", postgresql_where=text(f"status IN ({_OPEN})")),
        Index("ix_ingest_errored", "strike_id", postgresql_where=text("status = 'ERRORED'")),
    )

    id: Mapped[Id]
    file_name: Mapped[str] = mapped_column(Text, index=True)
    strike_id: Mapped[int] = mapped_column(ForeignKey("strike.id"), index=True)
    trace_id: Mapped[str] = mapped_column(String(32), server_default="")
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), index=True)
    status: Mapped[IngestStatus] = mapped_column(enum_of(IngestStatus, "status"))
    reason: Mapped[str | None] = mapped_column(Text)  # why it is ERRORED, DEFERRED or DUPLICATE
    transfer_path: Mapped[str] = mapped_column(Text)
    bytes_transferred: Mapped[BigInt]
    transfer_started: Mapped[datetime]
    transfer_ended: Mapped[datetime | None]
    media_type: Mapped[str] = mapped_column(String(250), server_default="")
    file_size: Mapped[BigInt | None]
    checksum: Mapped[str | None] = mapped_column(String(64))
    data_type: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    file_path: Mapped[str] = mapped_column(Text, server_default="")
    workspace_id: Mapped[int | None] = mapped_column(ForeignKey("workspace.id"), index=True)
    duplicates: Mapped[Duplicates] = mapped_column(
        enum_of(Duplicates, "duplicates"), default=Duplicates.SET_ASIDE, server_default="set_aside"
    )
    ingest_path: Mapped[str] = mapped_column(Text, server_default="")
    ingest_started: Mapped[datetime | None]
    ingest_ended: Mapped[datetime | None] = mapped_column(index=True)
    source_file_id: Mapped[int | None] = mapped_column(ForeignKey("scale_file.id"), index=True)

    strike: Mapped[Strike] = relationship()
    workspace: Mapped[Workspace | None] = relationship("Workspace")
    source_file: Mapped[ScaleFile | None] = relationship("ScaleFile", back_populates="ingests")


# read only where a Strike is looked at for itself: each costs a look into an index of the ingests
_of_strike = select(Ingest).where(Ingest.strike_id == Strike.id).correlate_except(Ingest)
_age_s = func.extract("epoch", func.clock_timestamp() - func.min(Ingest.created))
Strike.lag = column_property(  # seconds since the oldest file was seen that is still to be ingested; 0 if there is none
    _of_strike.with_only_columns(cast(func.round(cast(func.greatest(func.coalesce(_age_s, 0), 0), Numeric), 3), Float))
    .where(Ingest.status.in_(OPEN_STATUSES))
    .scalar_subquery(),
    deferred=True,
)
Strike.errors = column_property(  # its ingests that are ERRORED
    _of_strike.with_only_columns(func.count()).where(Ingest.status == IngestStatus.ERRORED).scalar_subquery(),
    deferred=True,
)
