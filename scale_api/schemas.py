"""Answers that appear inside of the answers of several resources, from the smallest to the largest."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import g, url_for
from marshmallow import fields

from scale_api.fields import Answer, Time
from scale_core.queries.file import all_wkt, wkt


class Converted(fields.Field):
    """What `convert` makes of an attribute; null for null."""

    def convert(self, value: Any) -> Any:
        raise NotImplementedError

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else self.convert(value)


class Derived(fields.Field):
    """What `derive` makes of the attributes `sources`; ``relationship.attribute`` is one of a related object."""

    _CHECK_ATTRIBUTE = False
    sources: tuple[str, ...]

    def derive(self, *values: Any) -> Any:
        raise NotImplementedError

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return self.derive(*[self.get_value(obj, source, default=None) for source in self.sources])


class Reference(Converted):
    """``{"id": n}`` out of a foreign key column, null for null: refers to a row without loading it."""

    def __init__(self, column: str) -> None:
        super().__init__(
            attribute=column,
            metadata={"type": ["object", "null"], "properties": {"id": {"type": "integer"}}},
        )

    def convert(self, value: Any) -> Any:
        return {"id": value}


class Wkt(Converted, fields.String):
    """A geometry as well-known text."""

    def convert(self, value: Any) -> str:
        return wkt(value)

    def convert_all(self, values: list[Any]) -> list[str]:
        return all_wkt(values)


class FileUrl(Derived, fields.String):
    """Where to download a file: under its workspace's base_url, else from Scale itself."""

    sources = ("id", "file_path", "workspace.base_url")

    def derive(self, file_id: int, file_path: str, base_url: str | None) -> str:
        if base_url and base_url.lower().startswith(("http://", "https://")):  # a script would be one of the reader's
            return f"{base_url.rstrip('/')}/{quote(file_path.lstrip('/'))}"
        return _content_url().format(file_id)


def _content_url() -> str:
    """The address of any file's content with {} for its id: finding an address takes far longer than filling it in."""
    if "content_url" not in g:
        before, _, after = url_for("file.FileContent", file_id=0, _external=True).rpartition("/0/")
        g.content_url = f"{before.replace('{', '{{').replace('}', '}}')}/{{}}/{after}"
    url: str = g.content_url
    return url


class WarningAnswer(Answer):
    id = fields.String()
    details = fields.String()


class Warnings(Answer):
    warnings = fields.List(fields.Nested(WarningAnswer))


class ErrorAnswer(Answer):
    id = fields.Integer()
    name = fields.String()
    title = fields.String(allow_none=True)
    description = fields.String(allow_none=True)
    category = fields.String()
    is_builtin = fields.Boolean()
    created = Time()
    last_modified = Time()


class JobTypeBase(Answer):
    id = fields.Integer()
    name = fields.String()
    version = fields.String()
    title = fields.String(allow_none=True)
    description = fields.String(allow_none=True)
    category = fields.String(allow_none=True)
    author_name = fields.String(allow_none=True)
    author_url = fields.String(allow_none=True)
    is_system = fields.Boolean()
    is_long_running = fields.Boolean()
    is_active = fields.Boolean()
    is_operational = fields.Boolean()
    is_paused = fields.Boolean()
    icon_code = fields.String(allow_none=True)


class JobTypeAnswer(JobTypeBase):
    uses_docker = fields.Boolean()
    docker_privileged = fields.Boolean()
    docker_image = fields.String(allow_none=True)
    revision_num = fields.Integer()
    priority = fields.Integer()
    timeout = fields.Integer()
    max_scheduled = fields.Integer(allow_none=True)
    max_tries = fields.Integer()
    cpus_required = fields.Float()
    mem_required = fields.Float()
    disk_out_const_required = fields.Float()
    disk_out_mult_required = fields.Float()
    gpus_required = fields.Float()
    created = Time()
    archived = Time(allow_none=True)
    paused = Time(allow_none=True)
    last_modified = Time()


class JobTypeRevisionBase(Answer):
    id = fields.Integer()
    job_type: fields.Field[Any] = Reference("job_type_id")
    revision_num = fields.Integer()


class JobTypeRevisionAnswer(JobTypeRevisionBase):
    interface = fields.Dict()
    created = Time()


class TriggerRuleAnswer(Answer):
    id = fields.Integer()
    type = fields.String()
    name = fields.String()
    is_active = fields.Boolean()
    configuration = fields.Dict()
    created = Time()
    archived = Time(allow_none=True)
    last_modified = Time()


class EventBase(Answer):
    id = fields.Integer()
    type = fields.String()
    rule: fields.Field[Any] = Reference("rule_id")
    occurred = Time()


class EventAnswer(EventBase):
    rule = fields.Nested(TriggerRuleAnswer, allow_none=True)
    description = fields.Dict()
    trace_id = fields.String(metadata={"description": "W3C trace: what one file or request caused has one"})


class CountAnswer(Answer):
    """How many have a status, FAILED ones by category."""

    status = fields.String()
    count = fields.Integer()
    most_recent = Time(allow_none=True)
    category = fields.String(allow_none=True)


class WorkspaceRef(Answer):
    id = fields.Integer()
    name = fields.String()


class CountryAnswer(Answer):
    iso3 = fields.String()


class FileAnswer(Answer):
    id = fields.Integer()
    workspace = fields.Nested(WorkspaceRef)
    file_name = fields.String()
    media_type = fields.String()
    file_size = fields.Integer()
    data_type = fields.List(fields.String())
    is_deleted = fields.Boolean()
    uuid = fields.String()
    url = FileUrl()
    created = Time()
    deleted = Time(allow_none=True)
    data_started = Time(allow_none=True)
    data_ended = Time(allow_none=True)
    geometry = Wkt(allow_none=True)
    center_point = Wkt(allow_none=True)
    meta_data = fields.Dict(allow_none=True)
    countries = fields.Pluck(CountryAnswer, "iso3", many=True)
    last_modified = Time()


class SourceAnswer(FileAnswer):
    is_parsed = fields.Boolean()
    parsed = Time(allow_none=True)


class ProductBase(FileAnswer):
    """A product inside of its job."""

    is_operational = fields.Boolean()
    is_published = fields.Boolean()
    published = Time(allow_none=True)
    unpublished = Time(allow_none=True)
    is_superseded = fields.Boolean()
    superseded = Time(allow_none=True)
    job_type: fields.Field[Any] = Reference("job_type_id")
    job: fields.Field[Any] = Reference("job_id")
    job_exe = Reference("job_exe_id")


class ProductAnswer(ProductBase):
    job_type = fields.Nested(JobTypeBase)


class FileRef(Answer):
    id = fields.Integer()


class JobInLink(Answer):
    """A job between two files."""

    id = fields.Integer()
    status = fields.String()
    job_type = fields.Nested(JobTypeBase)


class NodeRef(Answer):
    id = fields.Integer()
    hostname = fields.String()
    port = fields.Integer()
    slave_id = fields.String(attribute="agent_id")


class JobInExecution(Answer):
    """A job inside of its execution or its Strike."""

    id = fields.Integer()
    job_type = fields.Nested(JobTypeBase)
    job_type_rev = Reference("job_type_rev_id")
    event = Reference("event_id")
    error = fields.Nested(ErrorAnswer, allow_none=True)
    status = fields.String()
    priority = fields.Integer()
    num_exes = fields.Integer()


class ExecutionBase(Answer):
    """An execution inside of its job. `message` says in one line why it failed."""

    id = fields.Integer()
    status = fields.String()
    command_arguments = fields.String()
    timeout = fields.Integer()
    pre_started = Time(allow_none=True)
    pre_completed = Time(allow_none=True)
    pre_exit_code = fields.Integer(allow_none=True)
    job_started = Time(allow_none=True)
    job_completed = Time(allow_none=True)
    job_exit_code = fields.Integer(allow_none=True)
    post_started = Time(allow_none=True)
    post_completed = Time(allow_none=True)
    post_exit_code = fields.Integer(allow_none=True)
    created = Time()
    queued = Time()
    started = Time(allow_none=True)
    ended = Time(allow_none=True)
    last_modified = Time()
    job: fields.Field[Any] = Reference("job_id")
    node: fields.Field[Any] = Reference("node_id")
    error = fields.Nested(ErrorAnswer, allow_none=True)
    message = fields.String()


class ExecutionAnswer(ExecutionBase):
    job = fields.Nested(JobInExecution)
    node = fields.Nested(NodeRef, allow_none=True)


class RunningExecution(ExecutionBase):
    """An execution inside of its node."""

    job = fields.Nested(JobInExecution)
    cpus_scheduled = fields.Float(allow_none=True)
    mem_scheduled = fields.Float(allow_none=True)
    disk_in_scheduled = fields.Float(allow_none=True)
    disk_out_scheduled = fields.Float(allow_none=True)
    disk_total_scheduled = fields.Float(allow_none=True)
    gpus_scheduled = fields.Float(allow_none=True)


class JobAnswer(Answer):
    """`reason` says in one line why the job is in its status."""

    id = fields.Integer()
    job_type = fields.Nested(JobTypeBase)
    job_type_rev = fields.Nested(JobTypeRevisionBase)
    event = fields.Nested(EventBase)
    error = fields.Nested(ErrorAnswer, allow_none=True)
    status = fields.String()
    reason = fields.String(allow_none=True)
    priority = fields.Integer()
    num_exes = fields.Integer()
    timeout = fields.Integer()
    max_tries = fields.Integer()
    cpus_required = fields.Float()
    mem_required = fields.Float()
    gpus_required = fields.Float()
    disk_in_required = fields.Float(allow_none=True)
    disk_out_required = fields.Float(allow_none=True)
    created = Time()
    queued = Time(allow_none=True)
    started = Time(allow_none=True)
    ended = Time(allow_none=True)
    last_status_change = Time(allow_none=True)
    last_modified = Time()


class RecipeTypeBase(Answer):
    id = fields.Integer()
    name = fields.String()
    version = fields.String()
    title = fields.String(allow_none=True)
    description = fields.String(allow_none=True)


class RecipeTypeRevisionBase(Answer):
    id = fields.Integer()
    recipe_type = Reference("recipe_type_id")
    revision_num = fields.Integer()


class RecipeTypeRevisionAnswer(RecipeTypeRevisionBase):
    definition = fields.Dict()
    created = Time()


class RecipeAnswer(Answer):
    id = fields.Integer()
    recipe_type = fields.Nested(RecipeTypeBase)
    recipe_type_rev = fields.Nested(RecipeTypeRevisionBase)
    event = fields.Nested(EventBase)
    created = Time()
    completed = Time(allow_none=True)
    last_modified = Time()
