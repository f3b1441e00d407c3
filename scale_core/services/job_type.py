"""Job types and their revisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from scale_core.db.job import Error, JobType, JobTypeRevision
from scale_core.db.recipe import RecipeType
from scale_core.db.session import QUEUE_CHANNEL, notify
from scale_core.digests import digest_of
from scale_core.documents import error_interface, job_interface, recipe_definition
from scale_core.domain.job_interface import JobInterface
from scale_core.domain.recipe import check_connections
from scale_core.errors import Conflict, Invalid, Problem, Warning_
from scale_core.services import assign, get, require, trigger_rule

MAX_RESOURCE = 10**9  # cpus or MiB; far larger ones would add up to infinity, so that no job could be queued
_EDITABLE = (
    "title",
    "description",
    "category",
    "author_name",
    "author_url",
    "is_long_running",
    "is_operational",
    "icon_code",
    "docker_privileged",
    "docker_image",
    "priority",
    "timeout",
    "max_scheduled",
    "max_tries",
    "cpus_required",
    "mem_required",
    "disk_out_const_required",
    "disk_out_mult_required",
    "gpus_required",
)
_NULLABLE = {
    "title", "description", "category", "author_name", "author_url", "icon_code", "docker_image", "max_scheduled",
}  # fmt: skip


def create(session: Session, fields: Mapping[str, Any], now: datetime) -> JobType:
    """A new job type with its first revision (Create Job Type). Raises Invalid, Conflict."""
    interface, mapping, _ = _check(session, fields)
    if find(session, fields["name"], fields["version"]):
        raise Conflict(f"There is already a job type {fields['name']!r} in version {fields['version']!r}")
    return _create(session, fields, interface, mapping, now)


def _create(
    session: Session, fields: Mapping[str, Any], interface: dict[str, Any], mapping: dict[str, Any], now: datetime
) -> JobType:
    job_type = JobType(
        name=fields["name"], version=fields["version"], interface=interface, error_mapping=mapping, created=now
    )
    _apply(job_type, fields, now)
    session.add(job_type)
    trigger_rule.set_rule(session, job_type, fields, now)
    session.flush()
    session.add(JobTypeRevision(job_type_id=job_type.id, revision_num=1, interface=interface, created=now))
    session.flush()
    session.refresh(job_type)
    return job_type


def edit(session: Session, job_type_id: int, fields: Mapping[str, Any], now: datetime) -> JobType:
    """Change a job type (Edit Job Type). A changed interface makes a revision and must still fit every recipe type
    that uses it. Raises Invalid (also for system types), NotFound."""
    job_type = get(session, JobType, job_type_id, "job type", lock=True)
    interface, mapping, _ = _check(session, _merged(job_type, fields))
    _edit(session, job_type, fields, interface, mapping, now)
    return job_type


def put(session: Session, fields: Mapping[str, Any], now: datetime) -> list[Warning_]:
    """Create the job type, or edit the one of this name and version; nothing is written that is so already.

    Whether recipe types still connect is for the caller to check (`check_recipes`), when all types are in place.
    Raises Invalid.
    """
    job_type = find(session, fields["name"], fields["version"], lock=True)
    if job_type is None:
        interface, mapping, warnings = _check(session, fields, recipes=False)
        _create(session, fields, interface, mapping, now)
    else:
        interface, mapping, warnings = _check(session, _merged(job_type, fields), recipes=False)
        _edit(session, job_type, fields, interface, mapping, now)
    return warnings


def _merged(job_type: JobType, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an edit and what else must be known to check them. Raises Invalid for a system type."""
    if job_type.is_system:
        raise Invalid(f"{job_type.name} is a system job type and cannot be edited")
    merged = {
        name: getattr(job_type, name) for name in ("interface", "error_mapping", "docker_image", "docker_privileged")
    }
    return {**merged, **fields, "name": job_type.name, "version": job_type.version}


def _edit(
    session: Session,
    job_type: JobType,
    fields: Mapping[str, Any],
    interface: dict[str, Any],
    mapping: dict[str, Any],
    now: datetime,
) -> None:
    _apply(job_type, fields, now)
    job_type.error_mapping = mapping
    if interface != job_type.interface:
        job_type.interface = interface
        job_type.revision_num += 1
        session.add(
            JobTypeRevision(
                job_type_id=job_type.id, revision_num=job_type.revision_num, interface=interface, created=now
            )
        )
    trigger_rule.set_rule(session, job_type, fields, now)
    session.flush()
    notify(session, QUEUE_CHANNEL)  # a pause or a limit may have been lifted


def validate(session: Session, fields: Mapping[str, Any], now: datetime) -> list[Warning_]:
    """What create or edit would refuse raises Invalid; the rest that may surprise is returned."""
    return _check(session, fields)[2]


def interfaces(session: Session, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], JobInterface]:
    """The interfaces of the job types (name, version) that exist."""
    rows = session.execute(
        select(JobType.name, JobType.version, JobType.interface).where(
            tuple_(JobType.name, JobType.version).in_(list(keys))
        )
    )
    return {(name, version): job_interface.parse(interface) for name, version, interface in rows}


def _check(
    session: Session, fields: Mapping[str, Any], *, recipes: bool = True
) -> tuple[dict[str, Any], dict[str, Any], list[Warning_]]:
    """The normalised interface and error mapping, and the warnings. Raises Invalid with everything that is wrong."""
    require(fields, "name", "version", "interface")
    problems = [
        Problem(name, "must not be null")
        for name in _EDITABLE
        if name in fields and fields[name] is None and name not in _NULLABLE
    ]
    problems += [
        Problem(name, "must not be negative")
        for name in _EDITABLE
        if isinstance(fields.get(name), (int, float)) and fields[name] < 0 and name != "priority"
    ]
    problems += [
        Problem(name, f"must not be more than {MAX_RESOURCE}")
        for name in _EDITABLE
        if name.endswith("_required") and isinstance(fields.get(name), (int, float)) and fields[name] > MAX_RESOURCE
    ]
    if isinstance(fields.get("gpus_required"), float) and not fields["gpus_required"].is_integer():
        problems.append(Problem("gpus_required", "must be a whole number: Mesos does not divide a GPU"))
    interface = mapping = None
    try:
        interface = job_interface.normalize(fields["interface"])
    except Invalid as error:
        problems += error.problems
    try:
        mapping = error_interface.normalize(fields.get("error_mapping"))
        problems += _unknown_errors(session, mapping)
    except Invalid as error:
        problems += error.problems
    warnings: list[Warning_] = []
    if interface is not None:
        parsed = job_interface.parse(interface)
        if not parsed.command.strip() and not fields.get("docker_image"):
            problems.append(Problem("interface.command", "is empty; only a type with a docker_image may do without"))
        rule_problems, warnings = trigger_rule.check_rule(session, fields.get("trigger_rule"), parsed.inputs)
        problems += rule_problems
        if recipes:
            broken, more = _check_recipes(session, (fields["name"], fields["version"]), parsed)
            problems += broken
            warnings += more
    if fields.get("docker_privileged") and not fields.get("docker_image"):
        warnings.append(Warning_("docker_privileged", "docker_privileged has no effect without a docker_image"))
    elif fields.get("docker_privileged") and digest_of(fields["docker_image"]) is None:
        reason = "runs only an image that is named by its digest, NAME@sha256:…, and no tag"
        warnings.append(Warning_("docker_privileged", f"docker_privileged {reason}"))
    if problems or interface is None or mapping is None:
        raise Invalid(problems=problems)
    return interface, mapping, warnings


def _unknown_errors(session: Session, mapping: Mapping[str, Any]) -> list[Problem]:
    names = set(mapping["exit_codes"].values())
    known = set(session.scalars(select(Error.name).where(Error.name.in_(names))))
    return [
        Problem(f"error_mapping.exit_codes.{code}", f"there is no error called {name!r}")
        for code, name in mapping["exit_codes"].items()
        if name not in known
    ]


def check_recipes(session: Session, keys: Iterable[tuple[str, str]]) -> tuple[list[Problem], list[Warning_]]:
    """Whether all recipe types that use one of the job types (name, version), as they are now, still connect."""
    problems: list[Problem] = []
    warnings: list[Warning_] = []
    for key, interface in interfaces(session, keys).items():
        broken, more = _check_recipes(session, key, interface)
        problems += [problem for problem in broken if problem not in problems]
        warnings += [warning for warning in more if warning not in warnings]
    return problems, warnings


def _check_recipes(
    session: Session, key: tuple[str, str], interface: JobInterface
) -> tuple[list[Problem], list[Warning_]]:
    """Whether the recipe types that use this job type still connect."""
    problems: list[Problem] = []
    warnings: list[Warning_] = []
    reference = [{"job_type": {"name": key[0], "version": key[1]}}]
    uses = select(RecipeType).where(RecipeType.definition["jobs"].contains(reference)).order_by(RecipeType.id)
    for recipe_type in session.scalars(uses):
        definition = recipe_definition.parse(recipe_type.definition)
        known = interfaces(session, definition.job_types()) | {key: interface}
        broken, more = check_connections(definition, known)
        where = f"recipe type {recipe_type.name} {recipe_type.version}"
        problems += [Problem("interface", f"breaks the {where}: {problem}") for problem in broken]
        warnings += more
    return problems, warnings


def _apply(job_type: JobType, fields: Mapping[str, Any], now: datetime) -> None:
    assign(job_type, fields, _EDITABLE)
    job_type.docker_image = job_type.docker_image or None
    is_paused, is_active = fields.get("is_paused"), fields.get("is_active")
    if is_paused is not None and is_paused is not (job_type.is_paused or False):
        job_type.is_paused, job_type.paused = is_paused, now if is_paused else None
    if is_active is not None and is_active is not (job_type.is_active is not False):
        job_type.is_active, job_type.archived = is_active, None if is_active else now


def find(session: Session, name: str, version: str, *, lock: bool = False) -> JobType | None:
    query = select(JobType).where(JobType.name == name, JobType.version == version)
    return session.scalar(query.with_for_update() if lock else query)
