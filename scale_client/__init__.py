"""A Python client of Scale's REST API, and of nothing else of Scale.

    from scale_client import Scale

    scale = Scale("http://127.0.0.1:8000", token="…")
    job = scale.jobs.run(7, {"version": "1.0", "input_data": [], "output_data": []})
    job = scale.jobs.wait(job["id"], timeout_s=600)
    print(job["status"], scale.executions.logs(job["job_exes"][0]["id"])["stdout"])

Answers are dictionaries with the fields of the REST reference; their types are in `scale_client.models`.
"""

from scale_client.client import Scale
from scale_client.errors import (
    ApiError,
    ClientError,
    Conflict,
    Invalid,
    NotAllowed,
    NotFound,
    ServerError,
    TimedOut,
    Unreachable,
)

__all__ = [
    "ApiError",
    "ClientError",
    "Conflict",
    "Invalid",
    "NotAllowed",
    "NotFound",
    "Scale",
    "ServerError",
    "TimedOut",
    "Unreachable",
]
