"""What every Scale has from the start: built-in errors, system job types, clock rules and the scheduler's row.

`python -m scale_core.seed` may run at every start: it adds what is missing and brings Scale's own rows up to date; what
administrators may change (paused types, an active rule switched off) stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from scale_core import countries, logs
from scale_core.db.job import Error, JobType, JobTypeRevision
from scale_core.db.node import Scheduler
from scale_core.db.session import advisory_lock, make_engine, make_sessions, transaction
from scale_core.db.trigger import RuleType, TriggerRule
from scale_core.domain.job import ErrorCategory
from scale_core.settings import Settings
from scale_core.timestamps import utcnow

SYSTEM, ALGORITHM, DATA = ErrorCategory.SYSTEM, ErrorCategory.ALGORITHM, ErrorCategory.DATA

# name, title, category, description
ERRORS: tuple[tuple[str, str, ErrorCategory, str], ...] = (
    ("unknown", "Unknown", SYSTEM, "No cause of the failure could be identified."),
    ("database", "Database", SYSTEM, "The database of Scale reported an error."),
    ("database-operation", "Database Operation", SYSTEM, "The database could not be reached or refused to work."),
    ("filesystem-io", "Filesystem IO", SYSTEM, "A file could not be read or written on the node."),
    ("nfs", "NFS", SYSTEM, "A file could not be read or written on a network file system."),
    (
        "remote-storage",
        "Remote Storage",
        SYSTEM,
        "A workspace on another machine (s3, ftp) did not answer, or refused.",
    ),
    ("task-launch", "Task Launch", SYSTEM, "The command could not be started on the node."),
    ("docker-task-launch", "Docker Task Launch", SYSTEM, "The container could not be created or started."),
    ("docker-image-pull", "Docker Image Pull", SYSTEM, "The image of the job type could not be fetched to the node."),
    ("gpu-unavailable", "GPU Unavailable", SYSTEM, "The node could not give the job the GPUs that it asks for."),
    ("docker-terminated", "Docker Terminated", SYSTEM, "The container was ended by somebody other than Scale."),
    ("node-lost", "Node Lost", SYSTEM, "The node went away while the job ran on it."),
    ("scheduler-lost", "Lost By Scheduler", SYSTEM, "The scheduler lost track of the execution."),
    ("mesos-lost", "Lost By Mesos", SYSTEM, "Mesos lost the task of the execution."),
    ("timeout", "Timeout", ALGORITHM, "The job ran longer than its timeout allows."),
    ("algorithm-unknown", "Algorithm Failure", ALGORITHM, "The exit code is not in the error mapping of the job type."),
    ("out-of-memory", "Out Of Memory", ALGORITHM, "The job needed more memory than its job type asks for."),
    ("out-of-disk", "Out Of Disk", ALGORITHM, "The job wrote more output than its job type asks disk for."),
    (
        "invalid-results-manifest",
        "Invalid Results Manifest",
        ALGORITHM,
        "The results manifest cannot be read, or names a file that is missing or outside the output directory.",
    ),
    (
        "missing-required-output",
        "Missing Required Output",
        ALGORITHM,
        "The job ended well but did not produce an output that its interface requires.",
    ),
    (
        "missing-workspace",
        "Missing Workspace",
        SYSTEM,
        "A workspace of the job cannot be reached from the node.",
    ),
    ("missing-file", "Missing File", DATA, "An input file is not where the catalogue says it is."),
    ("invalid-job-data", "Invalid Job Data", DATA, "The data that the job was to run on do not fit its interface."),
)


@dataclass(frozen=True)
class SystemType:
    """A job type of Scale's own. Inputs are properties; timeout in seconds, 0: none; mem in MiB.

    Types without CPU are run by workers, the others by nodes.
    """

    name: str
    title: str
    description: str
    arguments: str
    inputs: tuple[str, ...]
    priority: int
    timeout: int
    max_tries: int
    cpus: float
    mem: float
    is_long_running: bool
    icon_code: str


SYSTEM_TYPES = (
    SystemType(
        "scale-clock", "Scale Clock", "Fires the clock rules when they are due", "", (), 1, 0, 0, 0.0, 0.0, True, "f017"
    ),
    SystemType(
        "scale-strike",
        "Scale Strike",
        "Watches a directory for files to ingest",
        "${Strike ID}",
        ("Strike ID",),
        5,
        0,
        0,
        0.0,
        0.0,
        True,
        "f0e7",
    ),
    SystemType(
        "scale-ingest",
        "Scale Ingest",
        "Moves a file from the directory of a Strike into a workspace",
        "${-i :Ingest ID} ${-m :Mount}",
        ("Ingest ID", "Mount"),
        10,
        3600,
        3,
        0.1,
        32.0,
        False,
        "f0f5",
    ),
    SystemType(
        "scale-daily-metrics",
        "Scale Daily Metrics",
        "Computes the figures of one day",
        "${:Day}",
        ("Day",),
        20,
        3600,
        3,
        0.0,
        0.0,
        False,
        "f201",
    ),
    SystemType(
        "scale-job-load",
        "Scale Job Load",
        "Counts the jobs that wait and run",
        "",
        (),
        20,
        3600,
        3,
        0.0,
        0.0,
        False,
        "f201",
    ),
    SystemType(
        "scale-retention",
        "Scale Retention",
        "Removes old logs, trigger events, metrics and job loads",
        "",
        (),
        20,
        3600,
        3,
        0.0,
        0.0,
        False,
        "f1f8",
    ),
    SystemType(
        "scale-workspace-sizes",
        "Scale Workspace Sizes",
        "Finds out how much workspaces hold and provide",
        "",
        (),
        20,
        3600,
        3,
        0.0,
        0.0,
        False,
        "f0a0",
    ),
)

# name, event type, schedule, active
CLOCK_RULES = (
    ("scale-daily-metrics", "DAILY_METRICS", "PT24H0M0S", True),
    ("scale-job-load", "JOB_LOAD", "PT1H0M0S", True),
    ("scale-retention", "RETENTION", "PT1H0M0S", True),
    ("scale-workspace-sizes", "WORKSPACE_SIZES", "PT1H0M0S", True),
)


def seed(session: Session, now: datetime) -> None:
    """Add or refresh Scale's own rows; two servers that start at once wait for each other."""
    advisory_lock(session, "seed")
    for name, title, category, description in ERRORS:
        values = {"title": title, "category": category, "description": description, "is_builtin": True}
        session.execute(
            insert(Error).values(name=name, **values).on_conflict_do_update(index_elements=["name"], set_=values)
        )
    for system_type in SYSTEM_TYPES:
        _seed_type(session, system_type, now)
    for name, event_type, schedule, is_active in CLOCK_RULES:
        known = select(TriggerRule.id).where(TriggerRule.type == RuleType.CLOCK, TriggerRule.name == name)
        if session.scalar(known) is None:
            configuration = {"version": "1.0", "event_type": event_type, "schedule": schedule}
            session.add(TriggerRule(type=RuleType.CLOCK, name=name, configuration=configuration, is_active=is_active))
    session.execute(insert(Scheduler).values(id=1).on_conflict_do_nothing())
    session.flush()


def _seed_type(session: Session, system_type: SystemType, now: datetime) -> None:
    interface: dict[str, Any] = {
        "version": "1.0",
        "command": system_type.name,
        "command_arguments": system_type.arguments,
        "input_data": [{"name": name, "type": "property", "required": True} for name in system_type.inputs],
        "output_data": [],
        "shared_resources": [],
    }
    query = select(JobType).where(JobType.name == system_type.name, JobType.version == "1.0")
    job_type = session.scalar(query)
    if job_type is None:
        job_type = JobType(name=system_type.name, version="1.0", created=now, revision_num=0, interface={})
        session.add(job_type)
    job_type.title, job_type.description = system_type.title, system_type.description
    job_type.category, job_type.is_system = "system", True
    job_type.is_long_running, job_type.icon_code = system_type.is_long_running, system_type.icon_code
    job_type.priority, job_type.timeout, job_type.max_tries = (
        system_type.priority,
        system_type.timeout,
        system_type.max_tries,
    )
    job_type.cpus_required, job_type.mem_required = system_type.cpus, system_type.mem
    job_type.disk_out_const_required, job_type.error_mapping = 0.0, {"version": "1.0", "exit_codes": {}}
    if job_type.interface != interface:
        job_type.interface = interface
        job_type.revision_num += 1
        session.flush()
        session.add(
            JobTypeRevision(
                job_type_id=job_type.id, revision_num=job_type.revision_num, interface=interface, created=now
            )
        )
    session.flush()


def main() -> None:
    """Seed the database of SCALE_DATABASE_URL, and load the borders of countries."""
    settings = Settings.from_environ()
    settings.require("database_url")
    logs.configure("seed", settings.log_level, settings.log_format)
    engine = make_engine(settings.database_url, application_name="scale-seed")
    with transaction(make_sessions(engine)) as session:
        seed(session, utcnow())
    countries.load(make_sessions(engine))
    engine.dispose()


if __name__ == "__main__":
    main()
