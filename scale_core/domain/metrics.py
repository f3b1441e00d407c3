"""What daily figures there are: types of metrics, their groups and columns, and how a column adds up over choices.

Specification: Metrics Services. Times are seconds, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from scale_core.errors import Invalid, Problem


class Aggregate(StrEnum):
    SUM = "sum"
    MIN = "min"
    MAX = "max"
    AVG = "avg"


@dataclass(frozen=True)
class Filter:
    """A field of the choices by which clients narrow them down."""

    param: str
    type: str = "string"


@dataclass(frozen=True)
class Group:
    name: str
    title: str
    description: str


@dataclass(frozen=True)
class Column:
    name: str
    title: str
    description: str
    units: str
    group: str
    aggregate: Aggregate


@dataclass(frozen=True)
class MetricsType:
    """`counted` is the column that tells how many things the averages were made of."""

    name: str
    title: str
    description: str
    filters: tuple[Filter, ...]
    groups: tuple[Group, ...]
    columns: tuple[Column, ...] = field(default=())
    counted: str = ""

    def choose(self, names: Sequence[str], groups: Sequence[str]) -> list[Column]:
        """The columns in the order in which they, then their groups, were asked for; all when nothing was.

        Raises Invalid for a name that this type has not.
        """
        by_name = {column.name: column for column in self.columns}
        problems = [
            Problem("column", f"{name!r} is no column of {self.name}: use {', '.join(by_name)}")
            for name in names
            if name not in by_name
        ]
        known = [group.name for group in self.groups]
        problems += [
            Problem("group", f"{name!r} is no group of {self.name}: use {', '.join(known)}")
            for name in groups
            if name not in known
        ]
        if problems:
            raise Invalid(problems=problems)
        if not names and not groups:
            return list(self.columns)
        chosen = [by_name[name] for name in names]
        chosen += [column for group in groups for column in self.columns if column.group == group]
        return list(dict.fromkeys(chosen))


def _counts(group: str, *columns: tuple[str, str, str]) -> Iterator[Column]:
    for name, title, description in columns:
        yield Column(name, title, description, "count", group, Aggregate.SUM)


def _figures(name: str, title: str, units: str, what: str) -> Iterator[Column]:
    """Sum, minimum, maximum and average of what was measured."""
    words = {Aggregate.SUM: "Total", Aggregate.MIN: "Smallest", Aggregate.MAX: "Largest", Aggregate.AVG: "Average"}
    for aggregate, word in words.items():
        description = f"{word} {what}."
        yield Column(f"{name}_{aggregate}", f"{title} ({aggregate.title()})", description, units, name, aggregate)


def _type(
    name: str,
    title: str,
    description: str,
    filters: Sequence[str],
    groups: Sequence[Group],
    counts: Sequence[Column],
    figures: Sequence[tuple[str, str, str, str]] = (),
    counted: str = "",
) -> MetricsType:
    measured = [
        (Group(group, head, f"How the {what} was spread."), list(_figures(group, head, units, what)))
        for group, head, units, what in figures
    ]
    return MetricsType(
        name,
        title,
        description,
        tuple(Filter(param) for param in filters),
        (*groups, *(group for group, _ in measured)),
        (*counts, *(column for _, columns in measured for column in columns)),
        counted,
    )


_OVERVIEW = Group("overview", "Overview", "How many there were, by what became of them.")

JOB_TYPES = _type(
    "job-types",
    "Job Types",
    "Jobs that ended on a day and the executions that completed, by job type.",
    ["name", "version"],
    [_OVERVIEW, Group("errors", "Errors", "How many jobs failed, by the category of their error.")],
    [
        *_counts(
            "overview",
            ("completed_count", "Completed Count", "Jobs that completed."),
            ("failed_count", "Failed Count", "Jobs that failed for good."),
            ("canceled_count", "Canceled Count", "Jobs that were canceled."),
            ("total_count", "Total Count", "Jobs that ended in any way."),
        ),
        *_counts(
            "errors",
            ("error_system_count", "System Error Count", "Jobs that failed because of the system."),
            ("error_data_count", "Data Error Count", "Jobs that failed because of their input."),
            ("error_algorithm_count", "Algorithm Error Count", "Jobs that failed because of their algorithm."),
        ),
    ],
    [
        ("queue_time", "Queue Time", "seconds", "time that executions waited in the queue"),
        ("pre_time", "Pre-task Time", "seconds", "time that preparing the inputs took"),
        ("job_time", "Job Task Time", "seconds", "time that the algorithms ran"),
        ("post_time", "Post-task Time", "seconds", "time that storing the results took"),
        ("run_time", "Run Time", "seconds", "time between start and end of executions"),
        ("stage_time", "Stage Time", "seconds", "time of executions outside of their three tasks"),
    ],
    "completed_count",
)

INGESTS = _type(
    "ingests",
    "Ingests",
    "Files whose ingest ended on a day, by Strike.",
    ["name"],
    [_OVERVIEW],
    [
        *_counts(
            "overview",
            ("deferred_count", "Deferred Count", "Files that no rule wanted."),
            ("ingested_count", "Ingested Count", "Files that were ingested."),
            ("errored_count", "Errored Count", "Files that could not be ingested."),
            ("duplicate_count", "Duplicate Count", "Files that were there already."),
            ("total_count", "Total Count", "Files whose ingest ended in any way."),
        )
    ],
    [
        ("file_size", "File Size", "bytes", "size of the ingested files"),
        ("transfer_time", "Transfer Time", "seconds", "time that files took to arrive"),
        ("ingest_time", "Ingest Time", "seconds", "time that ingesting files took"),
    ],
    "ingested_count",
)

ERRORS = _type(
    "errors",
    "Errors",
    "Executions that failed on a day, by error.",
    ["name", "category"],
    [_OVERVIEW],
    [*_counts("overview", ("total_count", "Total Count", "Executions that failed with the error."))],
)

TYPES = {each.name: each for each in (JOB_TYPES, INGESTS, ERRORS)}
