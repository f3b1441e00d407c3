"""Celery tasks, by subject. Importing this package registers them all."""

from scale_worker.tasks import clock, execution, housekeeping, ingest

__all__ = ["clock", "execution", "housekeeping", "ingest"]
