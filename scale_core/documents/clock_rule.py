"""Clock Trigger Configuration Specification 1.0."""

from __future__ import annotations

from datetime import timedelta

from marshmallow import Schema, fields, validate

from scale_core.documents import load, version_field
from scale_core.domain.clock import ClockRule
from scale_core.errors import Invalid, Problem
from scale_core.timestamps import parse_duration

SHORTEST = timedelta(minutes=1)  # the clock ticks once a minute


class ClockConfigurationSchema(Schema):
    version = version_field("1.0")
    event_type = fields.String(required=True, validate=validate.Length(1, 50))
    schedule = fields.String(required=True)


def parse(raw: object, path: str = "trigger_rule.configuration") -> ClockRule:
    """Raises Invalid."""
    document = load(ClockConfigurationSchema(), raw, path)
    try:
        every = parse_duration(document["schedule"])
    except Invalid as error:
        raise Invalid(problems=[Problem(f"{path}.schedule", each.message) for each in error.problems]) from None
    if every < SHORTEST:
        raise Invalid(problems=[Problem(f"{path}.schedule", "must be PT1M or longer: the clock ticks every minute")])
    return ClockRule(document["event_type"], every)
