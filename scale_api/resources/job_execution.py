"""Job execution services."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask.views import MethodView
from marshmallow import fields

from scale_api import database, sandbox
from scale_api.blueprint import Blueprint
from scale_api.database import session
from scale_api.fields import ids, texts
from scale_api.query import Listing, ListQuery, order_by
from scale_api.resources.node import NodeAnswer
from scale_api.schemas import ExecutionAnswer
from scale_core.domain.job import ExecutionStatus
from scale_core.queries import job_execution as queries
from scale_core.queries.job_execution import StoredLog
from scale_core.queries.listing import With
from scale_core.queries.shape import Shape

blp = Blueprint("job_execution", __name__, description="Executions of jobs")


class ExecutionQuery(ListQuery):
    filters = queries.ExecutionFilters
    order = order_by(queries.ORDER)
    status = texts(attribute="statuses")
    job_type_id = ids(attribute="job_type_ids")
    job_type_name = texts(attribute="job_type_names")
    job_type_category = texts(attribute="job_type_categories")
    node_id = ids(attribute="node_ids")


class LogUrl(fields.String):
    """Where the agent serves a stream of a running execution; null at any other time."""

    _CHECK_ATTRIBUTE = False

    def __init__(self, stream: str) -> None:
        super().__init__(allow_none=True)
        self.stream = stream

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        if obj.status != ExecutionStatus.RUNNING or not obj.node or not obj.directory:
            return None
        path = urlencode({"path": f"{obj.directory}/{self.stream}"})
        return f"{sandbox.agent_url(obj.node)}/files/download?{path}"


class ExecutionDetailsAnswer(ExecutionAnswer):
    node = fields.Nested(NodeAnswer, allow_none=True)
    environment = fields.Dict()
    cpus_scheduled = fields.Float(allow_none=True)
    mem_scheduled = fields.Float(allow_none=True)
    disk_in_scheduled = fields.Float(allow_none=True)
    disk_out_scheduled = fields.Float(allow_none=True)
    disk_total_scheduled = fields.Float(allow_none=True)
    gpus_scheduled = fields.Float(allow_none=True)
    used = fields.Dict(
        metadata={
            "description": "cpu_s (seconds), mem_peak, disk, disk_out (MiB), image_digest, gpus; each where known"
        }
    )
    results = fields.Dict()
    current_stdout_url = LogUrl("stdout")
    current_stderr_url = LogUrl("stderr")
    results_manifest = fields.Dict()


class LogsAnswer(ExecutionAnswer):
    is_finished = fields.Boolean()
    stdout = fields.String()
    stderr = fields.String()


@blp.route("/job-executions/")
class Executions(MethodView):
    @blp.listing(ExecutionQuery, ExecutionAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Job Execution List"""
        return queries.list_executions(session(), listing.filters, listing.page, shape)


@blp.route("/job-executions/<id:execution_id>/")
class ExecutionDetails(MethodView):
    @blp.response(200, ExecutionDetailsAnswer)
    def get(self, execution_id: int) -> Any:
        """Job Execution Details"""
        return queries.get_execution(session(), execution_id)


@blp.route("/job-executions/<id:execution_id>/logs/")
class ExecutionLogs(MethodView):
    @blp.response(200, LogsAnswer)
    def get(self, execution_id: int) -> Any:
        """Job Execution Logs: what was kept, or live from the node while there is nothing yet"""
        execution = queries.get_execution(session(), execution_id)
        log = queries.get_stored_log(session(), execution_id)
        if log is None and execution.node and execution.directory:
            database.release()  # the node may be slow, and a transaction should not wait for it
            log = StoredLog(
                sandbox.read_tail(execution.node, f"{execution.directory}/stdout"),
                sandbox.read_tail(execution.node, f"{execution.directory}/stderr"),
            )
        log = log or StoredLog("", "")
        is_finished = execution.status in queries.FINISHED
        return With(execution, is_finished=is_finished, stdout=log.stdout, stderr=log.stderr)
