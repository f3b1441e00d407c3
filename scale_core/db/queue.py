"""The queue: one row is one execution that waits for a node."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from scale_core.db.base import Base


class Queue(Base):
    """Ordered by priority (lower first), then by the time of queuing. Resources are cpus and MiB."""

    __tablename__ = "queue"
    __table_args__ = (
        Index("ix_queue_claim", "priority", "queued", "job_exe_id"),
        Index("ix_queue_node_required_id", "node_required_id", postgresql_where=text("node_required_id IS NOT NULL")),
        # rows come and go: clean up early, so that a claim never walks over many dead ones
        {
            "postgresql_with": {
                "autovacuum_vacuum_scale_factor": 0.0,
                "autovacuum_vacuum_threshold": 1000,
                "fillfactor": 70,
            }
        },
    )

    job_exe_id: Mapped[int] = mapped_column(ForeignKey("job_exe.id"), primary_key=True, autoincrement=False)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), index=True)
    job_type_id: Mapped[int] = mapped_column(ForeignKey("job_type.id"), index=True)
    priority: Mapped[int]
    node_required_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
    cpus_required: Mapped[float]
    mem_required: Mapped[float]
    disk_in_required: Mapped[float]
    disk_out_required: Mapped[float]
    disk_total_required: Mapped[float]
    gpus_required: Mapped[float] = mapped_column(server_default=text("0.0"))
    queued: Mapped[datetime]
    not_before: Mapped[datetime | None]  # a job that failed again and again waits until then; the claim passes it over
