"""Tables, sessions and named SQL. Importing this package registers every table on Base.metadata."""

from scale_core.db import account, file, idempotency, ingest, job, metrics, node, queue, recipe, trigger
from scale_core.db.base import Base

__all__ = ["Base", "account", "file", "idempotency", "ingest", "job", "metrics", "node", "queue", "recipe", "trigger"]
