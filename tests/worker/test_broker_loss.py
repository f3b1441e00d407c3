"""Redis goes away while a worker is at work: the same process goes on when it is back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scale_core.settings import CHECKOUT, Settings
from scale_server import redis
from scale_worker.celery_config import make_app
from tests.patience import wait_for

TASKS = """
import time
from pathlib import Path
from scale_core.settings import Settings
from scale_worker.celery_config import make_app

app = make_app(Settings.from_environ())
app.conf.imports = ()

@app.task(name="touch")
def touch(path):
    Path(path).touch()

@app.task(name="work")
def work(begun, end):
    Path(begun).touch()
    while not Path(end).exists():
        time.sleep(0.05)
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    home.mkdir()
    redis.start(home)
    yield home
    redis.stop(home)


@pytest.fixture
def worker(tmp_path: Path, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    (tmp_path / "tasks_of_test.py").write_text(TASKS)
    env = {**os.environ, "SCALE_BROKER_URL": redis.url(home), "PYTHONPATH": f"{tmp_path}:{CHECKOUT}"}
    line = [sys.executable, "-m", "celery", "-A", "tasks_of_test", "worker", "--concurrency", "1"]
    with (tmp_path / "worker.log").open("wb") as out:
        process = subprocess.Popen(
            [*line, "--without-gossip", "--without-mingle"], env=env, cwd=tmp_path, stdout=out, stderr=out
        )
        yield process
        process.send_signal(signal.SIGQUIT)
        process.wait(30)


def test_what_comes_after_a_connection_is_closed_is_an_error_of_the_connection(home: Path) -> None:
    """Celery tries again after those, and ends the worker after any other."""
    app = make_app(Settings.from_environ({"SCALE_BROKER_URL": redis.url(home)}))
    with app.connection_for_read() as connection:
        channel = connection.channel()
        channel.close()
        with pytest.raises(connection.connection_errors, match="is closed"), channel.conn_or_acquire() as client:
            client.ping()


def test_a_worker_outlives_its_broker(tmp_path: Path, home: Path, worker: subprocess.Popen[bytes]) -> None:
    begun, end, after = (tmp_path / name for name in ("begun", "end", "after"))
    app = make_app(Settings.from_environ({"SCALE_BROKER_URL": redis.url(home)}))
    app.send_task("work", (str(begun), str(end)))
    wait_for("a message that is taken and not acknowledged", begun.exists)
    redis.stop(home)
    log = tmp_path / "worker.log"
    wait_for("the worker to notice", lambda: "Connection to broker lost" in log.read_text())
    redis.start(home)
    app.send_task("touch", (str(after),))
    end.touch()
    wait_for("the next message to be done", lambda: after.exists() or worker.poll() is not None)
    assert worker.poll() is None, log.read_text()[-3000:]
