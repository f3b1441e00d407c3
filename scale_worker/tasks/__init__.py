"""Celery tasks, by subject. Importing this package registers them all."""

from scale_worker.tasks import execution, housekeeping, ingest

__all__ = ["execution", "housekeeping", "ingest"]
