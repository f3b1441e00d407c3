"""The answers of the REST API, as far as programs look into them; each has further fields, see the REST reference.

Times are ISO 8601 strings in UTC, memory and disk are MiB.
"""

from __future__ import annotations

from typing import Any, TypedDict

Document = dict[str, Any]


class JobTypeName(TypedDict):
    id: int
    name: str
    version: str
    title: str | None


class JobType(JobTypeName):
    description: str | None
    category: str | None
    is_system: bool
    is_active: bool
    is_paused: bool
    docker_image: str | None
    revision_num: int
    priority: int
    timeout: int
    max_tries: int
    max_scheduled: int | None
    cpus_required: float
    mem_required: float


class JobTypeDetails(JobType):
    interface: Document
    error_mapping: Document
    trigger_rule: Document | None


class Error(TypedDict):
    id: int
    name: str
    title: str | None
    description: str | None
    category: str


class Job(TypedDict):
    id: int
    job_type: JobTypeName
    status: str
    reason: str | None
    error: Error | None
    priority: int
    num_exes: int
    max_tries: int
    created: str
    queued: str | None
    started: str | None
    ended: str | None
    last_modified: str


class Execution(TypedDict):
    id: int
    status: str
    queued: str
    started: str | None
    ended: str | None
    job_exit_code: int | None
    error: Error | None
    message: str


class Retry(TypedDict):
    attempt: int
    max_tries: int
    next: str | None
    decision: str | None


class Waiting(TypedDict):
    position: int
    reason: str


class File(TypedDict):
    id: int
    file_name: str
    media_type: str
    file_size: int
    data_type: list[str]
    uuid: str
    url: str
    created: str


class Product(File):
    is_published: bool
    job_type: Document | None


class Source(File):
    is_parsed: bool


class JobDetails(Job):
    retry: Retry
    waiting: Waiting | None
    inputs: list[Document]
    outputs: list[Document]
    job_exes: list[Execution]
    input_files: list[File]
    products: list[Product]


class Logs(TypedDict):
    id: int
    status: str
    is_finished: bool
    stdout: str
    stderr: str


class RecipeTypeName(TypedDict):
    id: int
    name: str
    version: str
    title: str | None


class RecipeType(RecipeTypeName):
    definition: Document
    is_active: bool
    revision_num: int


class Recipe(TypedDict):
    id: int
    recipe_type: RecipeTypeName
    created: str
    completed: str | None
    last_modified: str


class RecipeJob(TypedDict):
    job_name: str
    job: Job


class RecipeDetails(Recipe):
    jobs: list[RecipeJob]
    input_files: list[File]


class Strike(TypedDict):
    id: int
    name: str
    title: str | None
    description: str
    last_scan: str | None
    last_error: str | None
    files_seen: int


class StrikeDetails(Strike):
    configuration: Document


class Ingest(TypedDict):
    id: int
    file_name: str
    status: str
    reason: str | None
    strike: Strike
    file_size: int | None
    bytes_transferred: int
    transfer_started: str
    ingest_ended: str | None
    last_modified: str


class Node(TypedDict):
    id: int
    hostname: str
    port: int
    is_active: bool
    is_paused: bool
    pause_reason: str | None
    last_offer: str | None


class NodeStatus(TypedDict):
    node: Node
    is_online: bool
    job_exes_running: list[Execution]


class Workspace(TypedDict):
    id: int
    name: str
    title: str | None
    is_active: bool
    used_size: int | None
    total_size: int | None


class Queued(TypedDict):
    position: int
    job_id: int
    job_type: JobTypeName
    priority: int
    queued: str
    reason: str


class Amounts(TypedDict):
    cpus: float
    mem: float
    disk: float


class Usage(TypedDict):
    total: Amounts
    scheduled: Amounts
    used: Amounts


class Master(TypedDict):
    is_online: bool
    hostname: str
    port: int


class Scheduler(TypedDict):
    is_online: bool
    is_paused: bool
    hostname: str


class Status(TypedDict):
    master: Master
    scheduler: Scheduler
    queue_depth: int
    resources: Usage


class Token(TypedDict):
    id: int
    name: str
    account: Document
    hint: str
    role: str
    scope: list[str]
    expires: str
    revoked: str | None
    last_used: str | None


class NewToken(Token):
    token: str


class Configuration(TypedDict):
    version: str
    recipe_types: list[Document]
    job_types: list[Document]
    errors: list[Document]


class Warned(TypedDict):
    """What a validation or an import has to say; `warnings` have id and details."""

    warnings: list[Document]
