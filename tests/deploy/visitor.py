"""Whoever looks at a Scale that was just deployed: by its address only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import requests

from scale_core import VERSION
from scale_core.settings import CHECKOUT
from tests.patience import wait_for

START_S = 180.0
GUIDE = (CHECKOUT / "docs" / "deployment.md").read_text()
MAKER = {
    "name": "maker",
    "version": "1.0.0",
    "cpus_required": 0.1,
    "mem_required": 64,
    "timeout": 600,
    "interface": {
        "version": "1.0",
        "command": "/bin/sh -c",
        "command_arguments": "'echo made in the image > made.txt; echo ARTIFACT:made:made.txt'",
        "input_data": [],
        "output_data": [{"name": "made", "type": "file", "media_type": "text/plain"}],
    },
}


def documented_executor(image: str, workspace: Path) -> str:
    """The command of docs/deployment.md by which an agent starts the executor's image."""
    (command,) = re.findall(r"^SCALE_EXECUTOR_COMMAND='(exec docker run .*?)'$", GUIDE, re.MULTILINE | re.DOTALL)
    assert f"scale:{VERSION}" in command
    assert "/mnt/scale:/mnt/scale" in command
    return str(command.replace(f"scale:{VERSION}", image).replace("/mnt/scale", str(workspace)).replace("\\\n", " "))


class Visitor:
    """`verify` is the certificate that the address must show, where it is one of TLS."""

    def __init__(self, address: str, verify: Path | None = None) -> None:
        self.address, self.session = address, requests.Session()
        self.session.trust_env = False
        self.session.verify = str(verify) if verify else True

    def ask(self, method: str, path: str, **options: Any) -> Any:
        response = self.session.request(method, f"{self.address}{path}", timeout=120, **options)
        assert response.ok, response.text
        return response.json()

    def finds(self, path: str) -> bool:
        try:
            return self.session.get(f"{self.address}{path}", timeout=10).ok
        except requests.ConnectionError:
            return False

    def is_ready(self) -> bool:
        try:
            return bool(self.ask("GET", "/status/")["scheduler"]["is_online"] and self.ask("GET", "/nodes/")["count"])
        except (requests.RequestException, AssertionError):  # it is just starting, on a busy machine
            return False

    def run_a_job(self, workspace: Path) -> None:
        """Wait for Scale, look at it, and have a job run that leaves a product in that directory."""
        wait_for("Scale to be ready", self.is_ready, START_S)
        assert self.session.get(f"{self.address}/ui/", timeout=120).text.startswith("<!doctype html>")
        kept = {"version": "1.0", "broker": {"type": "host", "host_path": str(workspace)}}
        results = self.ask("POST", "/workspaces/", json={"name": "results", "json_config": kept})["id"]
        kind = self.ask("POST", "/job-types/", json=MAKER)["id"]
        data = {"version": "1.0", "input_data": [], "output_data": [{"name": "made", "workspace_id": results}]}
        job = self.ask("POST", "/queue/new-job/", json={"job_type_id": kind, "job_data": data})["id"]
        ended = ("COMPLETED", "FAILED", "CANCELED")
        wait_for("the job to end", lambda: self.ask("GET", f"/jobs/{job}/")["status"] in ended, START_S, 0.2)
        found = self.ask("GET", f"/jobs/{job}/")
        assert found["status"] == "COMPLETED", found
        (product,) = wait_for("its product", lambda: self.ask("GET", "/products/")["results"])
        content = self.session.get(f"{self.address}/files/{product['id']}/content/", timeout=120)
        assert content.text == "made in the image\n"
