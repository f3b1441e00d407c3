"""Errors, job types with their revisions, jobs, executions and the logs of executions."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from scale_core.db.base import Base, BigInt, Document, Id, Stamped, enum_of
from scale_core.domain.job import ErrorCategory, ExecutionStatus, JobStatus

if TYPE_CHECKING:
    from scale_core.db.node import Node
    from scale_core.db.recipe import RecipeJob
    from scale_core.db.trigger import TriggerEvent, TriggerRule


class Error(Stamped, Base):
    """An entry of the error catalogue; built-in ones are Scale's own."""

    __tablename__ = "error"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(50), unique=True)
    title: Mapped[str | None] = mapped_column(String(50))
    description: Mapped[str | None] = mapped_column(String(250))
    category: Mapped[ErrorCategory] = mapped_column(enum_of(ErrorCategory, "category"), index=True)
    is_builtin: Mapped[bool] = mapped_column(server_default=text("false"))


class JobType(Stamped, Base):
    """What Scale must know to run an algorithm. Durations are seconds, memory and disk MiB."""

    __tablename__ = "job_type"
    __table_args__ = (
        UniqueConstraint("name", "version"),
        CheckConstraint("timeout >= 0", name="timeout"),
        CheckConstraint("max_tries >= 0", name="max_tries"),
        CheckConstraint("max_scheduled IS NULL OR max_scheduled >= 0", name="max_scheduled"),
        CheckConstraint(
            "cpus_required >= 0 AND mem_required >= 0 AND disk_out_const_required >= 0 AND disk_out_mult_required >= 0"
            " AND gpus_required >= 0",
            name="resources",
        ),
    )

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(50))
    version: Mapped[str] = mapped_column(String(50))
    title: Mapped[str | None] = mapped_column(String(50))
    description: Mapped[str | None] = mapped_column(Text)
    category: Mapped[str | None] = mapped_column(String(50), index=True)
    author_name: Mapped[str | None] = mapped_column(String(50))
    author_url: Mapped[str | None] = mapped_column(Text)
    is_system: Mapped[bool] = mapped_column(server_default=text("false"))
    is_long_running: Mapped[bool] = mapped_column(server_default=text("false"))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    is_operational: Mapped[bool] = mapped_column(server_default=text("true"))
    is_paused: Mapped[bool] = mapped_column(server_default=text("false"))
    docker_privileged: Mapped[bool] = mapped_column(server_default=text("false"))
    docker_image: Mapped[str | None] = mapped_column(String(500))
    interface: Mapped[Document]
    error_mapping: Mapped[Document]
    revision_num: Mapped[int] = mapped_column(server_default=text("1"))
    trigger_rule_id: Mapped[int | None] = mapped_column(ForeignKey("trigger_rule.id"), unique=True)
    priority: Mapped[int] = mapped_column(server_default=text("100"))
    max_scheduled: Mapped[int | None]
    timeout: Mapped[int] = mapped_column(server_default=text("1800"))
    max_tries: Mapped[int] = mapped_column(server_default=text("3"))
    cpus_required: Mapped[float] = mapped_column(server_default=text("1.0"))
    mem_required: Mapped[float] = mapped_column(server_default=text("64.0"))
    disk_out_const_required: Mapped[float] = mapped_column(server_default=text("64.0"))
    disk_out_mult_required: Mapped[float] = mapped_column(server_default=text("0.0"))
    gpus_required: Mapped[float] = mapped_column(server_default=text("0.0"))
    icon_code: Mapped[str | None] = mapped_column(String(20))
    archived: Mapped[datetime | None]
    paused: Mapped[datetime | None]

    trigger_rule: Mapped[TriggerRule | None] = relationship("TriggerRule")

    @hybrid_property
    def uses_docker(self) -> bool:
        """Derived: a type with an image runs in a container."""
        return bool(self.docker_image)

    @uses_docker.inplace.expression
    @classmethod
    def _uses_docker(cls) -> ColumnElement[bool]:
        return func.coalesce(cls.docker_image, "") != ""


class JobTypeRevision(Base):
    """The interface as it was when jobs were created."""

    __tablename__ = "job_type_revision"
    __table_args__ = (UniqueConstraint("job_type_id", "revision_num"),)

    id: Mapped[Id]
    job_type_id: Mapped[int] = mapped_column(ForeignKey("job_type.id"))
    revision_num: Mapped[int]
    interface: Mapped[Document]
    created: Mapped[datetime] = mapped_column(server_default=text("now()"))

    job_type: Mapped[JobType] = relationship()


class Job(Stamped, Base):
    """One piece of work. num_lost counts the executions that the cluster lost; they cost no try."""

    __tablename__ = "job"
    __table_args__ = (
        # lists are read in these orders; with the id a page is found in the index alone
        Index("ix_job_last_modified_id", "last_modified", "id"),
        # those that include more also answer how many jobs of a type became what, without a look at the jobs
        Index(
            "ix_job_last_status_change_id",
            "last_status_change",
            "id",
            postgresql_include=["job_type_id", "status", "error_id"],
        ),
        Index("ix_job_status_last_modified_id", "status", "last_modified", "id"),
        Index(
            "ix_job_job_type_id_status_last_modified_id",
            "job_type_id",
            "status",
            "last_modified",
            "id",
            postgresql_include=["last_status_change", "error_id"],
        ),
        # every change of status writes to every index: those of rare columns hold only the rows that have a value
        Index("ix_job_error_id", "error_id", postgresql_where=text("error_id IS NOT NULL")),
        Index(
            "ix_job_ended",
            "ended",
            postgresql_include=["job_type_id", "status", "error_id"],
            postgresql_where=text("ended IS NOT NULL"),
        ),
        Index(
            "ix_job_root_superseded_job_id",
            "root_superseded_job_id",
            postgresql_where=text("root_superseded_job_id IS NOT NULL"),
        ),
        Index(
            "ix_job_superseded_job_id",
            "superseded_job_id",
            unique=True,
            postgresql_where=text("superseded_job_id IS NOT NULL"),
        ),
        CheckConstraint("status <> 'COMPLETED' OR ended IS NOT NULL", name="completed_has_ended"),
    )

    id: Mapped[Id]
    job_type_id: Mapped[int] = mapped_column(ForeignKey("job_type.id"))
    job_type_rev_id: Mapped[int] = mapped_column(ForeignKey("job_type_revision.id"))
    event_id: Mapped[int] = mapped_column(ForeignKey("trigger_event.id"), index=True)
    error_id: Mapped[int | None] = mapped_column(ForeignKey("error.id"))
    status: Mapped[JobStatus] = mapped_column(enum_of(JobStatus, "status"))
    data: Mapped[Document] = mapped_column(server_default=text("'{}'"))
    results: Mapped[Document] = mapped_column(server_default=text("'{}'"))
    reason: Mapped[str | None] = mapped_column(Text)  # one line for people: why it is in its status
    priority: Mapped[int]
    timeout: Mapped[int]
    max_tries: Mapped[int]
    num_exes: Mapped[int] = mapped_column(server_default=text("0"))
    num_lost: Mapped[int] = mapped_column(server_default=text("0"))
    retry_decision: Mapped[str | None] = mapped_column(Text)  # who wanted the newest further attempt, and why
    cpus_required: Mapped[float]
    mem_required: Mapped[float]
    gpus_required: Mapped[float] = mapped_column(server_default=text("0.0"))
    disk_in_required: Mapped[float | None]
    disk_out_required: Mapped[float | None]
    is_superseded: Mapped[bool] = mapped_column(server_default=text("false"))
    root_superseded_job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"))
    superseded_job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"))
    delete_superseded: Mapped[bool] = mapped_column(server_default=text("true"))
    superseded: Mapped[datetime | None]
    queued: Mapped[datetime | None]
    started: Mapped[datetime | None]
    ended: Mapped[datetime | None]
    last_status_change: Mapped[datetime | None]

    job_type: Mapped[JobType] = relationship()
    job_type_rev: Mapped[JobTypeRevision] = relationship()
    event: Mapped[TriggerEvent] = relationship("TriggerEvent")
    error: Mapped[Error | None] = relationship()
    job_exes: Mapped[list[JobExecution]] = relationship(back_populates="job", order_by="JobExecution.id.desc()")
    recipe_job: Mapped[RecipeJob | None] = relationship("RecipeJob", back_populates="job", uselist=False)


class JobExecution(Stamped, Base):
    """One attempt of a job, one Mesos task.

    `outcome` holds what the node reported until the execution is finished (products registered, status final);
    task_ended is when Mesos said that the task ended. Both are written before the update is acknowledged.
    """

    __tablename__ = "job_exe"
    __table_args__ = (
        Index("ix_job_exe_last_modified_id", "last_modified", "id"),
        Index("ix_job_exe_status_last_modified_id", "status", "last_modified", "id"),
        Index("ix_job_exe_running", "id", postgresql_where=text("status = 'RUNNING'")),
        Index("ix_job_exe_node_id_status", "node_id", "status"),
        Index("ix_job_exe_error_id", "error_id", postgresql_where=text("error_id IS NOT NULL")),
        Index("ix_job_exe_ended", "ended", postgresql_where=text("ended IS NOT NULL")),
        CheckConstraint("status IN ('QUEUED', 'RUNNING') OR ended IS NOT NULL", name="final_has_ended"),
    )

    id: Mapped[Id]
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), index=True)
    status: Mapped[ExecutionStatus] = mapped_column(enum_of(ExecutionStatus, "status"))
    error_id: Mapped[int | None] = mapped_column(ForeignKey("error.id"))
    message: Mapped[str] = mapped_column(Text, server_default="")  # one line for people: why it failed
    command_arguments: Mapped[str] = mapped_column(Text, server_default="")
    timeout: Mapped[int]
    node_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
    task_id: Mapped[str | None] = mapped_column(String(100), unique=True)
    agent_id: Mapped[str | None] = mapped_column(String(255))
    directory: Mapped[str | None] = mapped_column(Text)  # on the node, for the agent's files API
    cpus_scheduled: Mapped[float | None]
    mem_scheduled: Mapped[float | None]
    disk_in_scheduled: Mapped[float | None]
    disk_out_scheduled: Mapped[float | None]
    disk_total_scheduled: Mapped[float | None]
    gpus_scheduled: Mapped[float | None]
    pre_started: Mapped[datetime | None]
    pre_completed: Mapped[datetime | None]
    pre_exit_code: Mapped[int | None]
    job_started: Mapped[datetime | None]
    job_completed: Mapped[datetime | None]
    job_exit_code: Mapped[int | None]
    post_started: Mapped[datetime | None]
    post_completed: Mapped[datetime | None]
    post_exit_code: Mapped[int | None]
    task_ended: Mapped[datetime | None]
    outcome: Mapped[Document | None]
    outcome_file: Mapped[str | None] = mapped_column(Text)
    used: Mapped[Document] = mapped_column(server_default=text("'{}'"))
    results: Mapped[Document] = mapped_column(server_default=text("'{}'"))
    results_manifest: Mapped[Document] = mapped_column(server_default=text("'{}'"))
    queued: Mapped[datetime]
    started: Mapped[datetime | None]
    ended: Mapped[datetime | None]

    job: Mapped[Job] = relationship(back_populates="job_exes")
    node: Mapped[Node | None] = relationship("Node")
    error: Mapped[Error | None] = relationship()


class JobExecutionLog(Base):
    """Head and tail of an execution's output, compressed by zlib; at most 1 MiB each before compression."""

    __tablename__ = "job_exe_log"

    job_exe_id: Mapped[int] = mapped_column(ForeignKey("job_exe.id", ondelete="CASCADE"), primary_key=True)
    stdout: Mapped[bytes] = mapped_column(LargeBinary)
    stderr: Mapped[bytes] = mapped_column(LargeBinary)
    created: Mapped[datetime] = mapped_column(server_default=text("now()"), index=True)


class JobLoad(Base):
    """How many jobs of a type were PENDING, QUEUED and RUNNING at `measured`."""

    __tablename__ = "job_load"
    __table_args__ = (Index("ix_job_load_measured_job_type_id", "measured", "job_type_id"),)

    id: Mapped[Id]
    job_type_id: Mapped[int | None] = mapped_column(ForeignKey("job_type.id"), index=True)
    measured: Mapped[datetime]
    pending_count: Mapped[BigInt]
    queued_count: Mapped[BigInt]
    running_count: Mapped[BigInt]
    total_count: Mapped[BigInt]
