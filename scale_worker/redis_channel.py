"""kombu's channel to Redis, made to outlive Redis."""

from __future__ import annotations

from typing import Any

from kombu.transport import redis as transport
from redis.exceptions import ConnectionError as RedisConnectionError


class Channel(transport.Channel):
    """Says that its connection is gone by an error that Celery knows as one.

    What is acknowledged or put back after the connection was closed raises AttributeError in kombu 5.7, and that ends
    the worker just when it should connect again.
    """

    def _connparams(self, asynchronous: bool = False) -> Any:
        if self.connection is None or self.connection.client is None:
            raise RedisConnectionError("the connection to Redis is closed")
        return super()._connparams(asynchronous)
