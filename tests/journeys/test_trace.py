"""One trace, from a file's arrival to the product of the last job, in whatever says anything about it."""

from __future__ import annotations

from typing import Any

from tests.journeys.scale_process import Scale
from tests.patience import wait_for

GIVEN = "4bf92f3577b34da6a3ce929d0e0e4736"


def lines(scale: Scale, trace_id: str) -> list[str]:
    """What all logs say of a trace: those of the processes, and those of executors in their sandboxes."""
    paths = [*(scale.home / "logs").glob("*.log"), *(scale.home / "devcluster").rglob("stderr")]
    return [line for path in paths for line in path.read_text(errors="replace").splitlines() if trace_id in line]


def test_a_file_has_one_trace_down_to_its_product(scale: Scale) -> None:
    scale.make_workspace("trace-in")
    scale.make_workspace("trace-out")
    words = 'echo $TRACEPARENT; cp "$1" "$SCALE_OUTPUT_DIR/copy.txt"; echo ARTIFACT:copy:copy.txt'
    rule = {
        "type": "INGEST",
        "configuration": {
            "version": "1.0",
            "condition": {"media_type": "text/plain", "data_types": ["traced"]},
            "data": {"input_data_name": "in", "workspace_name": "trace-out"},
        },
    }
    scale.make_job_type(
        "traced",
        "/bin/sh -c",
        f"'{words}' x ${{in}}",
        inputs=[{"name": "in", "type": "file"}],
        outputs=[{"name": "copy", "type": "file"}],
        trigger_rule=rule,
    )
    strike_rule = {
        "filename_regex": ".*",
        "data_types": ["traced"],
        "workspace_path": "t",
        "workspace_name": "trace-in",
    }
    scale.ingest_file(scale.make_strike("traced", [strike_rule])[1], "traced.txt", b"given\n")

    def ended() -> dict[str, Any] | None:
        found = scale.results("jobs/", job_type_name="traced", status="COMPLETED")
        return found[0] if found else None

    job = scale.job((wait_for("the triggered job", ended) or {})["id"])
    trace_id = job["event"]["trace_id"]
    (ingest,) = scale.results("ingests/", file_name="traced.txt")
    assert scale.get(f"ingests/{ingest['id']}/")["trace_id"] == trace_id
    (execution,) = job["job_exes"]
    traceparent = f"00-{trace_id}-{execution['id']:016x}-01"
    assert scale.logs(job)["stdout"].splitlines()[0] == traceparent
    shown = scale.get(f"job-executions/{execution['id']}/")["environment"]["variables"]
    assert shown["TRACEPARENT"] == traceparent
    told = lines(scale, trace_id)
    for what in (
        "traced.txt' is INGESTED",
        f"execution {execution['id']} of job {job['id']}, traced",
        "made 1 products",
    ):
        assert [line for line in told if what in line], (what, told)


def test_a_request_s_own_trace_goes_on(scale: Scale) -> None:
    kind = scale.make_job_type("requested", "/bin/sh -c", "'echo $TRACEPARENT'")
    asked = scale.request(
        "POST",
        "queue/new-job/",
        json={"job_type_id": kind["id"], "job_data": {"version": "1.0", "input_data": [], "output_data": []}},
        headers={"traceparent": f"00-{GIVEN}-00f067aa0ba902b7-01"},
    )
    assert asked.headers["traceparent"].startswith(f"00-{GIVEN}-")
    job = scale.until(asked.json()["id"], "COMPLETED", "FAILED")
    assert job["event"]["trace_id"] == GIVEN
    assert GIVEN in scale.logs(job)["stdout"]
