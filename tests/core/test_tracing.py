from __future__ import annotations

import io
import json
import logging

import pytest

from scale_core import logs, tracing

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        (f"00-{TRACE}-00f067aa0ba902b7-00", TRACE),
        (f"01-{TRACE}-00f067aa0ba902b7-01-what-may-come", TRACE),
        (f"00-{TRACE}-00f067aa0ba902b7-01-more", None),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", None),
        ("", None),
        (None, None),
        ("00-" + "a" * 100_000, None),
    ],
)
def test_traceparent(header: str | None, trace: str | None) -> None:
    assert tracing.read(header) == trace


def test_what_is_written_is_read_again() -> None:
    trace = tracing.new_id()
    assert tracing.read(tracing.header(trace, 17)) == trace
    assert tracing.header(TRACE, 17) == f"00-{TRACE}-0000000000000011-01"


def test_traces_nest() -> None:
    assert tracing.current() == ""
    with tracing.continued(TRACE):
        with tracing.continued(""):
            assert tracing.current() == ""
        assert tracing.current() == TRACE
    assert tracing.current() == ""


def test_records_carry_the_trace_as_a_line_and_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        for format in ("line", "json"):
            logs.configure("worker", "INFO", format)
            with logs.bound("task-1"), tracing.continued(TRACE):
                logging.getLogger("scale_core.tests").info("file %r", "a\nb")
            logging.getLogger("scale_core.tests").info("no trace")
    finally:
        root.handlers[:], root.level = before
    line, bare, *objects = stream.getvalue().splitlines()
    assert line.endswith(f"INFO    worker [task-1 {TRACE}] scale_core.tests: file 'a\\nb'")
    assert bare.endswith("worker [-] scale_core.tests: no trace")
    said = json.loads(objects[0])
    assert said.pop("time")
    assert said == {
        "level": "INFO",
        "logger": "scale_core.tests",
        "process": "worker",
        "message": "file 'a\\nb'",
        "context": "task-1",
        "trace_id": TRACE,
    }
