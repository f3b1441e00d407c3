"""Celery tasks, by subject. Importing this package registers them all."""

from scale_worker.tasks import execution, ingest

__all__ = ["execution", "ingest"]
