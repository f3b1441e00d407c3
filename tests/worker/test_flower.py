"""Flower as the Procfile starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests

from scale_core.errors import ConfigurationError
from scale_core.settings import CHECKOUT, Settings
from scale_server import ports
from scale_worker import flower

PAIR = {"SCALE_FLOWER_USER": "operator", "SCALE_FLOWER_PASSWORD": "s3cret"}


@contextmanager
def started(broker_url: str, **more: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port = ports.free_port()
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SCALE_")},
        "SCALE_BROKER_URL": broker_url,
        "SCALE_FLOWER_PORT": str(port),
        **more,
    }
    process = subprocess.Popen([sys.executable, "-m", "scale_worker.flower"], cwd=CHECKOUT, env=environ)
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(20)


def answer(address: str, auth: tuple[str, str] | None = None) -> requests.Response:
    deadline = time.monotonic() + 60
    while True:
        try:
            return requests.get(f"{address}/workers", auth=auth, timeout=10)
        except requests.ConnectionError:
            assert time.monotonic() < deadline, "Flower does not answer"
            time.sleep(0.2)


def test_with_a_password_it_asks_for_it_and_shows_it_to_nobody(broker_url: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    with started(broker_url, SCALE_FLOWER_USER="operator", SCALE_FLOWER_PASSWORD_FILE=str(secret)) as (
        address,
        process,
    ):
        assert answer(address).status_code == 401
        assert answer(address, ("operator", "wrong")).status_code == 401
        assert answer(address, ("operator", "s3cret")).status_code == 200
        assert "s3cret" not in " ".join(psutil.Process(process.pid).cmdline())


def test_on_the_loopback_it_needs_none() -> None:
    line, more = flower.command(Settings.from_environ({"SCALE_FLOWER_PORT": "5555"}))
    assert line[-4:] == ["--address=127.0.0.1", "--port=5555", "--logging=warning", "--enable-events=false"]
    assert more == {}


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"SCALE_FLOWER_HOST": "0.0.0.0"}, "SCALE_FLOWER_USER"),
        ({"SCALE_FLOWER_USER": "a"}, "belong together"),
        ({**PAIR, "SCALE_FLOWER_PASSWORD": "a,b"}, "comma"),
    ],
)
def test_what_it_refuses(environ: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        flower.command(Settings.from_environ(environ))
    assert flower.command(Settings.from_environ({**PAIR, "SCALE_FLOWER_HOST": "0.0.0.0"}))[1] == {
        "FLOWER_BASIC_AUTH": "operator:s3cret"
    }


def test_a_wrong_setting_ends_it_with_one_sentence() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "scale_worker.flower"],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], "SCALE_FLOWER_HOST": "0.0.0.0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
