"""Recipe types and their revisions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.recipe import RecipeType, RecipeTypeRevision
from scale_core.documents import recipe_definition
from scale_core.domain.recipe import RecipeDefinition, check_connections, unused_inputs
from scale_core.errors import Conflict, Invalid, Problem, Warning_
from scale_core.services import assign, get, job_type, require, trigger_rule

_EDITABLE = ("title", "description")


def create(session: Session, fields: Mapping[str, Any], now: datetime) -> RecipeType:
    """A new recipe type with its first revision (Create Recipe Type). Raises Invalid, Conflict."""
    definition, _ = _check(session, fields)
    if find(session, fields["name"], fields["version"]):
        raise Conflict(f"There is already a recipe type {fields['name']!r} in version {fields['version']!r}")
    return _create(session, fields, definition, now)


def _create(session: Session, fields: Mapping[str, Any], definition: dict[str, Any], now: datetime) -> RecipeType:
    recipe_type = RecipeType(
        name=fields["name"],
        version=fields["version"],
        title=fields["name"],
        definition=definition,
        created=now,
    )
    assign(recipe_type, fields, _EDITABLE)
    session.add(recipe_type)
    trigger_rule.set_rule(session, recipe_type, fields, now)
    session.flush()
    session.add(RecipeTypeRevision(recipe_type_id=recipe_type.id, revision_num=1, definition=definition, created=now))
    session.flush()
    session.refresh(recipe_type)
    return recipe_type


def edit(session: Session, recipe_type_id: int, fields: Mapping[str, Any], now: datetime) -> RecipeType:
    """Change a recipe type (Edit Recipe Type). A changed definition makes a revision; running recipes keep theirs.
    Raises Invalid, NotFound."""
    recipe_type = get(session, RecipeType, recipe_type_id, "recipe type", lock=True)
    definition, _ = _check(session, _merged(recipe_type, fields))
    _edit(session, recipe_type, fields, definition, now)
    return recipe_type


def put(session: Session, fields: Mapping[str, Any], now: datetime) -> list[Warning_]:
    """Create the recipe type, or edit the one of this name and version; nothing is written that is so already.
    Raises Invalid."""
    recipe_type = find(session, fields["name"], fields["version"], lock=True)
    if recipe_type is None:
        definition, warnings = _check(session, fields)
        _create(session, fields, definition, now)
    else:
        definition, warnings = _check(session, _merged(recipe_type, fields))
        _edit(session, recipe_type, fields, definition, now)
    return warnings


def find(session: Session, name: str, version: str, *, lock: bool = False) -> RecipeType | None:
    query = select(RecipeType).where(RecipeType.name == name, RecipeType.version == version)
    return session.scalar(query.with_for_update() if lock else query)


def _merged(recipe_type: RecipeType, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "definition": recipe_type.definition, **fields, "name": recipe_type.name, "version": recipe_type.version,
    }  # fmt: skip


def _edit(
    session: Session, recipe_type: RecipeType, fields: Mapping[str, Any], definition: dict[str, Any], now: datetime
) -> None:
    assign(recipe_type, fields, _EDITABLE)
    is_active = fields.get("is_active")
    if is_active is not None and is_active is not recipe_type.is_active:
        recipe_type.is_active, recipe_type.archived = is_active, None if is_active else now
    if definition != recipe_type.definition:
        recipe_type.definition = definition
        recipe_type.revision_num += 1
        session.add(
            RecipeTypeRevision(
                recipe_type_id=recipe_type.id,
                revision_num=recipe_type.revision_num,
                definition=definition,
                created=now,
            )
        )
    trigger_rule.set_rule(session, recipe_type, fields, now)
    session.flush()


def validate(session: Session, fields: Mapping[str, Any], now: datetime) -> list[Warning_]:
    """What create or edit would refuse raises Invalid; the rest that may surprise is returned."""
    return _check(session, fields)[1]


def _inactive_types(session: Session, definition: RecipeDefinition) -> list[Warning_]:
    found = (job_type.find(session, *key) for key in sorted(definition.job_types()))
    return [
        Warning_("inactive_job_type", f"The job type {each.name} {each.version} is archived: recipes cannot be queued")
        for each in found
        if each is not None and not each.is_active
    ]


def _check(session: Session, fields: Mapping[str, Any]) -> tuple[dict[str, Any], list[Warning_]]:
    require(fields, "name", "version", "definition")
    document = recipe_definition.normalize(fields["definition"])
    definition = recipe_definition.parse(document)
    problems, warnings = check_connections(definition, job_type.interfaces(session, definition.job_types()))
    warnings += unused_inputs(definition) + _inactive_types(session, definition)
    problems = [Problem(f"definition.{problem.path}", problem.message) for problem in problems]
    rule_problems, rule_warnings = trigger_rule.check_rule(session, fields.get("trigger_rule"), definition.inputs)
    if problems or rule_problems:
        raise Invalid(problems=[*problems, *rule_problems])
    return document, warnings + rule_warnings
