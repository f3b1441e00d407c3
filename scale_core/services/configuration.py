"""Import of errors, job types and recipe types that another Scale has exported. Specification: Import."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from scale_core.errors import Invalid, Problem, Warning_
from scale_core.services import error, job_type, recipe_type

Entries = Sequence[Mapping[str, Any]]


def import_configuration(session: Session, document: Mapping[str, Entries], now: datetime) -> list[Warning_]:
    """Create or edit everything in the document: errors by name, types by name and version. Returns the warnings.

    What is so already is not written again: no revision, no new last_modified. Keys that an entry leaves out keep
    their value. Recipe types are checked against the job types as the document makes them. Raises Invalid with
    everything that is wrong; then nothing may be committed.
    """
    problems: list[Problem] = []
    warnings: list[Warning_] = []

    def put_all(kind: str, put: Callable[[Mapping[str, Any]], list[Warning_] | None]) -> None:
        seen = set()
        for number, fields in enumerate(document.get(kind, ())):
            path = f"import.{kind}[{number}]"
            key = (fields["name"], fields.get("version"))
            if key in seen:
                problems.append(Problem(path, f"{' '.join(filter(None, key))} is in the document twice"))
                continue
            seen.add(key)
            try:
                warnings.extend(put(fields) or ())
            except Invalid as invalid:
                problems.extend(_under(path, invalid))

    put_all("errors", lambda fields: error.put(session, fields, now))
    put_all("job_types", lambda fields: job_type.put(session, fields, now))
    put_all("recipe_types", lambda fields: recipe_type.put(session, fields, now))
    keys = [(fields["name"], fields["version"]) for fields in document.get("job_types", ())]
    broken, more = job_type.check_recipes(session, keys)
    if not problems:  # else a recipe type may only seem broken
        problems += [Problem("import.job_types", str(problem)) for problem in broken]
    if problems:
        raise Invalid(problems=problems)
    return list(dict.fromkeys([*warnings, *more]))


def _under(path: str, invalid: Invalid) -> list[Problem]:
    if not invalid.problems:
        return [Problem(path, str(invalid))]
    return [Problem(f"{path}.{problem.path}".rstrip("."), problem.message) for problem in invalid.problems]
