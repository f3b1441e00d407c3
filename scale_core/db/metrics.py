"""Daily figures: one row per UTC day and job type, strike or error. Sizes are bytes, times seconds."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from scale_core.db.base import Base, Id


def _count() -> Mapped[int]:
    return mapped_column(BigInteger, server_default=text("0"))


def _figure() -> Mapped[int | None]:
    return mapped_column(BigInteger)


class MetricsJobType(Base):
    __tablename__ = "metrics_job_type"
    __table_args__ = (UniqueConstraint("occurred", "job_type_id"),)

    id: Mapped[Id]
    job_type_id: Mapped[int] = mapped_column(ForeignKey("job_type.id"), index=True)
    occurred: Mapped[date]
    completed_count: Mapped[int] = _count()
    failed_count: Mapped[int] = _count()
    canceled_count: Mapped[int] = _count()
    total_count: Mapped[int] = _count()
    error_system_count: Mapped[int] = _count()
    error_data_count: Mapped[int] = _count()
    error_algorithm_count: Mapped[int] = _count()
    queue_time_sum: Mapped[int | None] = _figure()
    queue_time_min: Mapped[int | None] = _figure()
    queue_time_max: Mapped[int | None] = _figure()
    queue_time_avg: Mapped[int | None] = _figure()
    pre_time_sum: Mapped[int | None] = _figure()
    pre_time_min: Mapped[int | None] = _figure()
    pre_time_max: Mapped[int | None] = _figure()
    pre_time_avg: Mapped[int | None] = _figure()
    job_time_sum: Mapped[int | None] = _figure()
    job_time_min: Mapped[int | None] = _figure()
    job_time_max: Mapped[int | None] = _figure()
    job_time_avg: Mapped[int | None] = _figure()
    post_time_sum: Mapped[int | None] = _figure()
    post_time_min: Mapped[int | None] = _figure()
    post_time_max: Mapped[int | None] = _figure()
    post_time_avg: Mapped[int | None] = _figure()
    run_time_sum: Mapped[int | None] = _figure()
    run_time_min: Mapped[int | None] = _figure()
    run_time_max: Mapped[int | None] = _figure()
    run_time_avg: Mapped[int | None] = _figure()
    stage_time_sum: Mapped[int | None] = _figure()
    stage_time_min: Mapped[int | None] = _figure()
    stage_time_max: Mapped[int | None] = _figure()
    stage_time_avg: Mapped[int | None] = _figure()
    created: Mapped[datetime] = mapped_column(server_default=text("now()"))


class MetricsIngest(Base):
    __tablename__ = "metrics_ingest"
    __table_args__ = (UniqueConstraint("occurred", "strike_id"),)

    id: Mapped[Id]
    strike_id: Mapped[int] = mapped_column(ForeignKey("strike.id"), index=True)
    occurred: Mapped[date]
    deferred_count: Mapped[int] = _count()
    ingested_count: Mapped[int] = _count()
    errored_count: Mapped[int] = _count()
    duplicate_count: Mapped[int] = _count()
    total_count: Mapped[int] = _count()
    file_size_sum: Mapped[int | None] = _figure()
    file_size_min: Mapped[int | None] = _figure()
    file_size_max: Mapped[int | None] = _figure()
    file_size_avg: Mapped[int | None] = _figure()
    transfer_time_sum: Mapped[int | None] = _figure()
    transfer_time_min: Mapped[int | None] = _figure()
    transfer_time_max: Mapped[int | None] = _figure()
    transfer_time_avg: Mapped[int | None] = _figure()
    ingest_time_sum: Mapped[int | None] = _figure()
    ingest_time_min: Mapped[int | None] = _figure()
    ingest_time_max: Mapped[int | None] = _figure()
    ingest_time_avg: Mapped[int | None] = _figure()
    created: Mapped[datetime] = mapped_column(server_default=text("now()"))


class MetricsError(Base):
    __tablename__ = "metrics_error"
    __table_args__ = (UniqueConstraint("occurred", "error_id"),)

    id: Mapped[Id]
    error_id: Mapped[int] = mapped_column(ForeignKey("error.id"), index=True)
    occurred: Mapped[date]
    total_count: Mapped[int] = _count()
    created: Mapped[datetime] = mapped_column(server_default=text("now()"))
