"""What requests cost, for Prometheus: how many, and how long they took, by route.

With PROMETHEUS_MULTIPROC_DIR set (script/server does it), all processes of the API on a machine count together, each in
files of its own in that directory; without it each counts for itself.
"""

from __future__ import annotations

import time

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, multiprocess, values

REQUESTS = Counter("scale_http_requests", "Requests answered", ["method", "route", "status"], registry=None)
SECONDS = Histogram(
    "scale_http_request_seconds",
    "Time until the answer began",
    ["method", "route"],
    registry=None,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def init_app(app: Flask) -> None:
    app.before_request(_begin)
    app.after_request(_count)


def register(registry: CollectorRegistry) -> None:
    """Show these figures as part of `registry`."""
    if values.ValueClass is values.MutexValue:
        for metric in (REQUESTS, SECONDS):
            registry.register(metric)
    else:
        multiprocess.MultiProcessCollector(registry)


def _begin() -> None:
    g.began = time.perf_counter()


def _count(response: Response) -> Response:
    # routes and methods that exist only: what strangers think up must not become labels
    route = request.url_rule.rule if request.url_rule else "(none)"
    method = request.method if request.method in METHODS else "(other)"
    REQUESTS.labels(method, route, response.status_code).inc()
    if "began" in g:
        SECONDS.labels(method, route).observe(time.perf_counter() - g.began)
    return response
