"""What Scale can be asked for, by noun: ``scale.jobs.list(status="FAILED")``.

Lists are iterators over all pages, newest pages asked for as they are needed. Every method raises ClientError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from scale_client.connection import Connection
from scale_client.errors import NotFound, TimedOut
from scale_client.models import (
    Configuration,
    Document,
    Error,
    Execution,
    File,
    Ingest,
    Job,
    JobDetails,
    JobType,
    JobTypeDetails,
    Logs,
    NewToken,
    Node,
    NodeStatus,
    Product,
    Queued,
    Recipe,
    RecipeDetails,
    RecipeType,
    Source,
    Status,
    Strike,
    StrikeDetails,
    Token,
    Warned,
    Workspace,
)

POLL_S = 1.0
ENDED = ("COMPLETED", "FAILED", "CANCELED")


class _Noun:
    def __init__(self, connection: Connection) -> None:
        self._http = connection


class Jobs(_Noun):
    def list(
        self,
        *,
        status: str | None = None,
        job_type: str | None = None,
        error_category: str | None = None,
        started: str | None = None,
        ended: str | None = None,
        order: str = "-last_modified",
        limit: int | None = None,
    ) -> Iterator[Job]:
        """`job_type` is a name; `started` and `ended` are ISO 8601 times or durations of a period."""
        query = {
            "status": status,
            "job_type_name": job_type,
            "error_category": error_category,
            "started": started,
            "ended": ended,
            "order": order,
        }
        return self._http.pages("/jobs/", query, limit)

    def get(self, job_id: int) -> JobDetails:
        return cast(JobDetails, self._http.get("/jobs/{job_id}/", job_id=job_id))

    def run(self, job_type_id: int, data: Document) -> JobDetails:
        """Queue a job; `data` is job data 1.0 of the documentation."""
        body = {"job_type_id": job_type_id, "job_data": data}
        return cast(JobDetails, self._http.post("/queue/new-job/", body, has_key=True))

    def cancel(self, job_id: int) -> JobDetails:
        return cast(JobDetails, self._http.patch("/jobs/{job_id}/", {"status": "CANCELED"}, job_id=job_id))

    def prioritise(self, job_ids: Sequence[int], priority: int) -> Sequence[int]:
        """Another priority for those that have not ended, a smaller one starts earlier; which these are."""
        body = {"job_ids": [*job_ids], "priority": priority}
        return cast(Sequence[int], self._http.post("/queue/prioritise-jobs/", body)["job_ids"])

    def requeue(
        self,
        *,
        job_ids: Sequence[int] = (),
        status: str | None = None,
        job_types: Sequence[str] = (),
        error_categories: Sequence[str] = (),
        started: str | None = None,
        ended: str | None = None,
        priority: int | None = None,
    ) -> int:
        """Put failed and canceled jobs back on the queue, all that match; how many were."""
        wanted: dict[str, Any] = {
            "job_ids": [*job_ids],
            "status": status,
            "job_type_names": [*job_types],
            "error_categories": [*error_categories],
            "started": started,
            "ended": ended,
            "priority": priority,
        }
        body = {name: value for name, value in wanted.items() if value not in (None, [])}
        return int(self._http.post("/queue/requeue-jobs/", body, {"page_size": 1}, has_key=True)["count"])

    def wait(
        self, job_id: int, timeout_s: float | None = None, on_change: Callable[[JobDetails], None] | None = None
    ) -> JobDetails:
        """Wait until the job has ended; `on_change` hears of every new status. Raises TimedOut."""
        deadline, last = None if timeout_s is None else time.monotonic() + timeout_s, ""
        while True:
            job = self.get(job_id)
            if job["status"] != last and on_change is not None:
                on_change(job)
            last = job["status"]
            if last in ENDED:
                return job
            _pause(deadline, f"job {job_id} is {last}")


class Executions(_Noun):
    def list(self, *, status: str | None = None, limit: int | None = None) -> Iterator[Execution]:
        return self._http.pages("/job-executions/", {"status": status}, limit)

    def get(self, execution_id: int) -> Execution:
        return cast(Execution, self._http.get("/job-executions/{execution_id}/", execution_id=execution_id))

    def logs(self, execution_id: int) -> Logs:
        return cast(Logs, self._http.get("/job-executions/{execution_id}/logs/", execution_id=execution_id))


class JobTypes(_Noun):
    def list(self, *, name: str | None = None, limit: int | None = None) -> Iterator[JobType]:
        return self._http.pages("/job-types/", {"name": name, "order": "name"}, limit)

    def get(self, job_type_id: int) -> JobTypeDetails:
        return cast(JobTypeDetails, self._http.get("/job-types/{job_type_id}/", job_type_id=job_type_id))

    def create(self, document: Document) -> JobTypeDetails:
        return cast(JobTypeDetails, self._http.post("/job-types/", document))

    def edit(self, job_type_id: int, changes: Document) -> JobTypeDetails:
        return cast(JobTypeDetails, self._http.patch("/job-types/{job_type_id}/", changes, job_type_id=job_type_id))

    def validate(self, document: Document) -> Warned:
        return cast(Warned, self._http.post("/job-types/validation/", document))

    def find(self, text: str) -> JobTypeDetails:
        """By id, by name, or by ``name:version``. Raises NotFound, also when several versions have the name."""
        return self.get(_find("job type", text, self.list(name=text.partition(":")[0])))


class RecipeTypes(_Noun):
    def list(self, *, limit: int | None = None) -> Iterator[RecipeType]:
        return self._http.pages("/recipe-types/", {"order": "name"}, limit)

    def get(self, recipe_type_id: int) -> RecipeType:
        return cast(RecipeType, self._http.get("/recipe-types/{recipe_type_id}/", recipe_type_id=recipe_type_id))

    def create(self, document: Document) -> RecipeType:
        return cast(RecipeType, self._http.post("/recipe-types/", document))

    def edit(self, recipe_type_id: int, changes: Document) -> RecipeType:
        return cast(
            RecipeType, self._http.patch("/recipe-types/{recipe_type_id}/", changes, recipe_type_id=recipe_type_id)
        )

    def validate(self, document: Document) -> Warned:
        return cast(Warned, self._http.post("/recipe-types/validation/", document))

    def find(self, text: str) -> RecipeType:
        """By id, by name, or by ``name:version``. Raises NotFound, also when several versions have the name."""
        return self.get(_find("recipe type", text, self.list()))


class Recipes(_Noun):
    def list(
        self,
        *,
        recipe_type: str | None = None,
        started: str | None = None,
        order: str = "-last_modified",
        limit: int | None = None,
    ) -> Iterator[Recipe]:
        return self._http.pages("/recipes/", {"type_name": recipe_type, "started": started, "order": order}, limit)

    def get(self, recipe_id: int) -> RecipeDetails:
        return cast(RecipeDetails, self._http.get("/recipes/{recipe_id}/", recipe_id=recipe_id))

    def run(self, recipe_type_id: int, data: Document) -> RecipeDetails:
        """Queue a recipe; `data` is recipe data 1.0 of the documentation."""
        body = {"recipe_type_id": recipe_type_id, "recipe_data": data}
        return cast(RecipeDetails, self._http.post("/queue/new-recipe/", body, has_key=True))

    def wait(
        self, recipe_id: int, timeout_s: float | None = None, on_change: Callable[[RecipeDetails], None] | None = None
    ) -> RecipeDetails:
        """Wait until nothing of it goes on: completed, or what is left is failed or blocked. Raises TimedOut."""
        deadline, last = None if timeout_s is None else time.monotonic() + timeout_s, ""
        while True:
            recipe = self.get(recipe_id)
            states = {job["job_name"]: job["job"]["status"] for job in recipe["jobs"]}
            if str(states) != last and on_change is not None:
                on_change(recipe)
            last = str(states)
            if recipe["completed"] or not {"QUEUED", "RUNNING"} & set(states.values()):
                return recipe
            _pause(deadline, f"recipe {recipe_id} is not completed")


class Queue(_Noun):
    def list(self, *, job_type: str | None = None, limit: int | None = None) -> Iterator[Queued]:
        """What waits, in the order of the queue, each with its reason."""
        return self._http.pages("/queue/", {"job_type_name": job_type}, limit)


class Ingests(_Noun):
    def list(
        self,
        *,
        status: str | None = None,
        strike_id: int | None = None,
        file_name: str | None = None,
        file_name_part: str | None = None,
        started: str | None = None,
        order: str = "-last_modified",
        limit: int | None = None,
    ) -> Iterator[Ingest]:
        query = {
            "status": status,
            "strike_id": strike_id,
            "file_name": file_name,
            "file_name_part": file_name_part,
            "started": started,
            "order": order,
        }
        return self._http.pages("/ingests/", query, limit)

    def get(self, ingest_id: int) -> Ingest:
        return cast(Ingest, self._http.get("/ingests/{ingest_id}/", ingest_id=ingest_id))

    def retry(self, ingest_id: int) -> Ingest:
        return cast(Ingest, self._http.post("/ingests/{ingest_id}/retry/", {}, ingest_id=ingest_id))


class Strikes(_Noun):
    def list(self, *, name: str | None = None, limit: int | None = None) -> Iterator[Strike]:
        return self._http.pages("/strikes/", {"name": name, "order": "name"}, limit)

    def get(self, strike_id: int) -> StrikeDetails:
        return cast(StrikeDetails, self._http.get("/strikes/{strike_id}/", strike_id=strike_id))

    def create(self, document: Document) -> StrikeDetails:
        return cast(StrikeDetails, self._http.post("/strikes/", document))

    def edit(self, strike_id: int, changes: Document) -> StrikeDetails:
        return cast(StrikeDetails, self._http.patch("/strikes/{strike_id}/", changes, strike_id=strike_id))

    def validate(self, document: Document) -> Warned:
        return cast(Warned, self._http.post("/strikes/validation/", document))

    def find(self, text: str) -> StrikeDetails:
        """By id or by name. Raises NotFound."""
        return self.get(_find("Strike", text, self.list()))


class Workspaces(_Noun):
    def list(self, *, name: str | None = None, limit: int | None = None) -> Iterator[Workspace]:
        return self._http.pages("/workspaces/", {"name": name, "order": "name"}, limit)

    def create(self, document: Document) -> Workspace:
        return cast(Workspace, self._http.post("/workspaces/", document))

    def edit(self, workspace_id: int, changes: Document) -> Workspace:
        return cast(Workspace, self._http.patch("/workspaces/{workspace_id}/", changes, workspace_id=workspace_id))

    def validate(self, document: Document) -> Warned:
        return cast(Warned, self._http.post("/workspaces/validation/", document))

    def find(self, text: str) -> Workspace:
        """By id or by name. Raises NotFound."""
        workspace_id = _find("workspace", text, self.list())
        return cast(Workspace, self._http.get("/workspaces/{workspace_id}/", workspace_id=workspace_id))


class Nodes(_Noun):
    def list(self, *, include_inactive: bool = False, limit: int | None = None) -> Iterator[Node]:
        query = {"include_inactive": "true" if include_inactive else None, "order": "hostname"}
        return self._http.pages("/nodes/", query, limit)

    def status(self) -> Iterator[NodeStatus]:
        return self._http.pages("/nodes/status/", {})

    def pause(self, node_id: int, reason: str | None = None) -> Node:
        """Start nothing more there; what runs goes on."""
        changes = {"is_paused": True, **({"pause_reason": reason} if reason else {})}
        return cast(Node, self._http.patch("/nodes/{node_id}/", changes, node_id=node_id))

    def resume(self, node_id: int) -> Node:
        return cast(Node, self._http.patch("/nodes/{node_id}/", {"is_paused": False}, node_id=node_id))

    def find(self, text: str) -> Node:
        """By id or by host name. Raises NotFound."""
        node_id = _find("node", text, self.list(include_inactive=True), "hostname")
        return cast(Node, self._http.get("/nodes/{node_id}/", node_id=node_id))


class Errors(_Noun):
    def list(self, *, limit: int | None = None) -> Iterator[Error]:
        return self._http.pages("/errors/", {"order": "name"}, limit)


class Files(_Noun):
    """Sources and products are files: their content is downloaded here."""

    def list(
        self, *, file_name: str | None = None, file_name_part: str | None = None, limit: int | None = None
    ) -> Iterator[File]:
        return self._http.pages("/files/", {"file_name": file_name, "file_name_part": file_name_part}, limit)

    def get(self, file_id: int) -> File:
        return cast(File, self._http.get("/files/{file_id}/", file_id=file_id))

    def products(self, *, job_type: str | None = None, limit: int | None = None) -> Iterator[Product]:
        return self._http.pages("/products/", {"job_type_name": job_type, "order": "-last_modified"}, limit)

    def sources(self, *, file_name: str | None = None, limit: int | None = None) -> Iterator[Source]:
        return self._http.pages("/sources/", {"file_name": file_name, "order": "-last_modified"}, limit)

    def download(self, file_id: int, to: Path) -> int:
        """Its content as file `to`, which appears when it is whole; its size in bytes. Raises OSError as well."""
        part = to.with_name(f".{to.name}.part")
        try:
            with part.open("wb") as writing:
                size = self._http.download("/files/{file_id}/content/", writing, file_id=file_id)
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)
        return size


class Configurations(_Noun):
    def export(self, **wanted: Any) -> Configuration:
        """`wanted` as in Export Configuration: include, job_type_name, …"""
        return cast(Configuration, self._http.get("/configuration/", wanted))

    def validate(self, configuration: Mapping[str, Any]) -> Warned:
        """What an import of it would say. Nothing is changed."""
        return cast(Warned, self._http.post("/configuration/validation/", {"import": configuration}))

    def load(self, configuration: Mapping[str, Any]) -> Warned:
        """Import it: all of it, or nothing."""
        return cast(Warned, self._http.post("/configuration/", {"import": configuration}))


class Tokens(_Noun):
    """API tokens, for administrators; there where accounts are on."""

    def list(self, *, limit: int | None = None) -> Iterator[Token]:
        return self._http.pages("/tokens/", {"order": "name"}, limit)

    def create(
        self, name: str, *, role: str | None = None, scope: Sequence[str] = (), days: int | None = None
    ) -> NewToken:
        """Its `token` is told this once. `scope` narrows the role to operations (``GET /jobs/``)."""
        wanted: dict[str, Any] = {"name": name, "role": role, "scope": [*scope], "days": days}
        body = {field: value for field, value in wanted.items() if value not in (None, [])}
        return cast(NewToken, self._http.post("/tokens/", body))

    def revoke(self, token_id: int) -> None:
        self._http.delete("/tokens/{token_id}/", token_id=token_id)


class Scale:
    """A Scale at `url`. `token` is an API token, where accounts are on."""

    def __init__(self, url: str, token: str | None = None, timeout_s: float = 30.0) -> None:
        self.http = http = Connection(url, token, timeout_s)
        self.jobs, self.executions, self.job_types = Jobs(http), Executions(http), JobTypes(http)
        self.recipes, self.recipe_types, self.queue = Recipes(http), RecipeTypes(http), Queue(http)
        self.ingests, self.strikes, self.workspaces = Ingests(http), Strikes(http), Workspaces(http)
        self.files, self.nodes, self.errors = Files(http), Nodes(http), Errors(http)
        self.configuration, self.tokens = Configurations(http), Tokens(http)

    def status(self) -> Status:
        return cast(Status, self.http.get("/status/"))

    def version(self) -> str:
        return str(self.http.get("/version/")["version"])

    def set_paused(self, is_paused: bool) -> None:
        """Stop or go on with starting executions in the whole cluster."""
        self.http.patch("/scheduler/", {"is_paused": is_paused})


def _find(kind: str, text: str, rows: Iterator[Any], field: str = "name") -> int:
    name, _, version = text.partition(":") if field == "name" else (text, "", "")
    found = []
    for row in rows:
        if text.isdigit() and row["id"] == int(text):
            return int(text)
        if row[field] == text or (row[field] == name and version in ("", row.get("version"))):
            found.append(row)
    if not found:
        raise NotFound(404, f"there is no {kind} {text}")
    if len(found) > 1:
        names = ", ".join(f"{row['name']}:{row['version']}" for row in found)
        raise NotFound(404, f"several are called {text}; say which: {names}")
    return int(found[0]["id"])


def _pause(deadline: float | None, what: str) -> None:
    left = POLL_S if deadline is None else deadline - time.monotonic()
    if left <= 0:
        raise TimedOut(f"{what}, and the time that was given for it is over")
    time.sleep(min(POLL_S, left))
