"""Switches of the administrator hold within a second, under load; and a cancel that others wait for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from scale_server import postgres
from tests.journeys import scale_process
from tests.journeys.scale_process import Scale
from tests.patience import wait_for

pytestmark = pytest.mark.journey
SECOND = timedelta(seconds=1)
WATCH_S = 3.0
BACKLOG = 40
MORE = 20  # queued after the switch
LIMIT = 2


@dataclass
class Backlog:
    """More short jobs than the node can hold at once, and some that come after the switch."""

    scale: Scale
    job_type: dict[str, Any]

    def queue(self, count: int) -> None:
        for _ in range(count):
            self.scale.queue(self.job_type)

    def count(self, status: str) -> int:
        kind = self.job_type["id"]
        ((count,),) = self.scale.run_sql(f"SELECT count(*) FROM job WHERE job_type_id = {kind} AND status = '{status}'")
        return int(count)

    def executions(self) -> list[tuple[datetime, datetime | None]]:
        """When each was launched and ended."""
        kind = self.job_type["id"]
        return self.scale.run_sql(  # type: ignore[return-value]
            "SELECT e.started, e.ended FROM job_exe e JOIN job j ON j.id = e.job_id "
            f"WHERE j.job_type_id = {kind} AND e.started IS NOT NULL"
        )

    def until_over(self) -> None:
        wait_for("the rest to run", lambda: self.count("COMPLETED") == BACKLOG + MORE)


@pytest.fixture(scope="module")
def scale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scale]:
    home = tmp_path_factory.mktemp("switches")
    try:
        with scale_process.scale(home, SCALE_DEVCLUSTER_CPUS="2") as running:
            yield running
    finally:
        postgres.destroy(home)


@pytest.fixture
def backlog(scale: Scale) -> Backlog:
    name = f"short-{time.monotonic_ns()}"
    made = Backlog(scale, scale.make_job_type(name, "/bin/sleep", "0.8", cpus_required=0.4))
    made.queue(BACKLOG)
    wait_for("some to have been launched", made.executions)
    return made


def answered_at(scale: Scale, path: str, body: dict[str, Any]) -> datetime:
    """By the clock by which launches are noted: when the switch was answered for."""
    scale.patch(path, body)
    ((now,),) = scale.run_sql("SELECT clock_timestamp()")
    return now  # type: ignore[no-any-return]


def switch(scale: Scale, name: str, job_type: int) -> tuple[str, str]:
    """The resource, and the field that pauses it."""
    if name == "node":
        (node,) = scale.results("nodes/")
        return f"nodes/{node['id']}/", "is_paused"
    return {"job type": f"job-types/{job_type}/", "scheduler": "scheduler/"}[name], "is_paused"


@pytest.mark.parametrize("name", ["job type", "node", "scheduler"])
def test_what_is_paused_starts_nothing_a_second_later(scale: Scale, backlog: Backlog, name: str) -> None:
    path, field = switch(scale, name, backlog.job_type["id"])
    paused = answered_at(scale, path, {field: True})
    backlog.queue(MORE)
    time.sleep(WATCH_S)
    waiting, launched = backlog.count("QUEUED"), backlog.executions()
    assert waiting > 0, "there was something to launch"
    assert [started for started, _ in launched if started > paused + SECOND] == []
    assert min(started for started, _ in launched) < paused, "it was launching"

    scale.patch(path, {field: False})
    backlog.until_over()


def test_a_limit_of_a_job_type_holds_a_second_later(scale: Scale, backlog: Backlog) -> None:
    wait_for("more to run than will be allowed", lambda: backlog.count("RUNNING") > LIMIT, pause_s=0.05)
    limited = answered_at(scale, f"job-types/{backlog.job_type['id']}/", {"max_scheduled": LIMIT})
    backlog.queue(MORE)
    time.sleep(WATCH_S)
    assert backlog.count("QUEUED") > 0, "there was something to launch"
    launched = backlog.executions()
    late = [started for started, _ in launched if started > limited + SECOND]
    assert late, "within the limit it goes on"
    for moment in late:
        running = [begin for begin, end in launched if begin <= moment and (end is None or end > moment)]
        assert len(running) <= LIMIT

    scale.patch(f"job-types/{backlog.job_type['id']}/", {"max_scheduled": 0})
    backlog.until_over()


def test_a_canceled_job_blocks_those_that_wait_for_it(scale: Scale) -> None:
    """What it was running ends, what it had said is kept; what depends on it is BLOCKED, what does not goes on."""
    outputs = [{"name": "made", "type": "file", "media_type": "text/plain"}]
    inputs = [{"name": "read", "type": "file", "media_types": ["text/plain"]}]
    script = "-c 'echo $$ > {pid}; echo up; exec sleep 300'".format(pid=scale.home / "pid")
    first = scale.make_job_type("first", "/bin/sh", script, outputs=outputs)
    second = scale.make_job_type("second", "/bin/true", "${read}", inputs=inputs)
    other = scale.make_job_type("other", "/bin/true")
    workspace, _ = scale.make_workspace("made")
    names = {job_type["name"]: {"name": job_type["name"], "version": "1.0"} for job_type in (first, second, other)}
    link = {"name": "first", "connections": [{"output": "made", "input": "read"}]}
    recipe_type = scale.make_recipe_type(
        "chain",
        input_data=[],
        jobs=[
            {"name": "first", "job_type": names["first"]},
            {"name": "second", "job_type": names["second"], "dependencies": [link]},
            {"name": "other", "job_type": names["other"]},
        ],
    )
    data = {"version": "1.0", "input_data": [], "workspace_id": workspace}
    recipe = scale.post("queue/new-recipe/", {"recipe_type_id": recipe_type, "recipe_data": data})["id"]
    jobs = {row["job_name"]: row["job"]["id"] for row in scale.get(f"recipes/{recipe}/")["jobs"]}
    wait_for("it to be up", (scale.home / "pid").exists)
    scale.until(jobs["other"], "COMPLETED")

    scale.patch(f"jobs/{jobs['first']}/", {"status": "CANCELED"})

    assert scale.until(jobs["second"], "BLOCKED")["num_exes"] == 0
    wait_for("its process to end", lambda: not is_alive(int((scale.home / "pid").read_text())))
    wait_for("its logs", lambda: scale.logs(scale.job(jobs["first"]))["stdout"] == "up\n")
    assert scale.job(jobs["first"])["status"] == "CANCELED"


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
