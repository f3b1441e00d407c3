"""What stands in deploy/ beside the image: it names processes, settings and figures that there are."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update
from sqlalchemy.orm import Session

from scale_cli.__main__ import scale
from scale_core.db.node import Scheduler
from scale_core.settings import CHECKOUT, Settings
from scale_core.timestamps import utcnow
from scale_server.supervisor import read_procfile
from tests.test_documentation import DOCUMENTS, anchors, documented_settings
from tests.test_runbook import parse

DEPLOY = CHECKOUT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
PROCESSES = {*read_procfile(CHECKOUT / "Procfile", without=["devcluster"])}
# what compose alone fills in
OWN = {"SCALE_IMAGE", "SCALE_WORKSPACES", "SCALE_POSTGIS_IMAGE", "SCALE_REDIS_IMAGE", "SCALE_POSTGRES_PORT",
       "SCALE_REDIS_PORT"}  # fmt: skip
FIGURE = re.compile(r"\bscale_\w+")


def settings_named(text: str) -> set[str]:
    return set(re.findall(r"\bSCALE_[A-Z_]+", text))


def test_compose_runs_the_processes_of_the_procfile() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    document = yaml.safe_load(text)
    ours = {name: each for name, each in document["services"].items() if each["image"].startswith("${SCALE_IMAGE")}
    assert {name: each["command"] for name, each in ours.items()} == {name: [name] for name in {*PROCESSES, "migrate"}}
    assert settings_named(text) - {*documented_settings(), *OWN} == set()
    volumes = {source.partition(":")[0] for each in document["services"].values() for source in each.get("volumes", ())}
    assert {name for name in volumes if name.isalpha()} == set(document["volumes"])
    for each in document["services"].values():
        assert set(each.get("depends_on", {})) <= set(document["services"])


def test_the_example_of_settings_is_read_as_it_stands() -> None:
    lines = [line for line in (DEPLOY / "scale.env.example").read_text().splitlines() if line and line[0] != "#"]
    given = dict(line.split("=", 1) for line in lines)
    assert set(given) - set(documented_settings()) == set()
    assert Settings.from_environ(given).mesos_master.startswith("zk://")


def test_units_are_valid(tmp_path: Path) -> None:
    copies = []
    for unit in UNITS:
        copy = tmp_path / unit.name
        copy.write_text(unit.read_text().replace("/opt/scale", str(CHECKOUT)))
        copies.append(str(copy))
    try:
        checked = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *copies], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("systemd-analyze is not installed")
    complaints = [line for line in checked.stderr.splitlines() if "scale" in line]
    assert checked.returncode == 0, checked.stderr
    assert complaints == []


def test_units_run_the_processes_of_the_procfile() -> None:
    line = re.compile(r"^ExecStart(?:Pre)?=/opt/scale/deploy/run (\S+)$", re.MULTILINE)
    commands = {
        unit.stem.removeprefix("scale-"): line.findall(unit.read_text()) for unit in UNITS if unit.suffix == ".service"
    }
    assert {name: found[-1] for name, found in commands.items()} == {name: name for name in PROCESSES}
    assert {found[0] for found in commands.values() if len(found) > 1} == {"migrate"}
    wanted = re.findall(r"scale-(\w+)\.service", (DEPLOY / "systemd" / "scale.target").read_text())
    assert set(wanted) == PROCESSES - {"flower"}
    for unit in UNITS:
        assert settings_named(unit.read_text()) <= set(documented_settings())


@pytest.fixture
def served(client: FlaskClient, session: Session) -> set[str]:
    """The names of all figures that /metrics-prometheus/ serves, those of histograms as Prometheus stores them."""
    names = ("rounds", "launches", "updates", "offers", "declined", "rescinded", "calls_failed", "offers_held")
    stats = {**dict.fromkeys(names, 1), "round_s": {"p99": 0.1}}
    session.execute(update(Scheduler).values(stats=stats, heartbeat=utcnow()))
    session.commit()
    client.get("/status/")
    found: set[str] = set()
    for family in text_string_to_metric_families(client.get("/metrics-prometheus/").text):
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(family.type, ("",))
        found |= {family.name + end for end in ends}
    return found


def test_alerts_watch_figures_that_are_served(served: set[str]) -> None:
    document = yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text())
    rules = [rule for group in document["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 5
    for rule in rules:
        assert FIGURE.findall(rule["expr"]), rule["alert"]
        assert set(FIGURE.findall(rule["expr"])) <= served, rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")


def test_alerts_lead_to_the_runbook_and_are_documented() -> None:
    document = yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text())
    monitoring = (CHECKOUT / "docs" / "monitoring.md").read_text()
    for rule in document["groups"][0]["rules"]:
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert CHECKOUT / page in DOCUMENTS
        assert anchor in anchors(CHECKOUT / page), rule["alert"]
        assert f"`{rule['alert']}`" in monitoring


def test_the_dashboard_shows_figures_that_are_served(served: set[str]) -> None:
    document = json.loads((DEPLOY / "grafana" / "scale.json").read_text())
    expressions = [target["expr"] for panel in document["panels"] for target in panel["targets"]]
    shown = {name for expression in expressions for name in FIGURE.findall(expression)}
    assert shown <= served
    parts = ("_sum", "_count", "_created")  # of histograms, whose buckets are shown
    assert {name for name in served if name.startswith("scale_") and not name.endswith(parts)} <= shown
    places = [panel["gridPos"] for panel in document["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert len({(place["x"], place["y"]) for place in places}) == len(places)


def test_every_figure_of_the_monitoring_guide_is_served(served: set[str]) -> None:
    named = set(re.findall(r"`(scale_\w+)", (CHECKOUT / "docs" / "monitoring.md").read_text()))
    missing = {name for name in named if not any(each.startswith(name) for each in served)}
    assert missing == set()


def commands_of(page: str) -> list[list[str]]:
    """Of the shell blocks of a page, one for each line."""
    text = (CHECKOUT / "docs" / page).read_text().replace("\\\n", " ")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if not line.startswith("SCALE_")]
    parts = [part for line in lines for part in line.split(" && ")]
    words = [shlex.split(re.sub(r"^([A-Z]+=\S+ )+", "", part), comments=True) for part in parts]
    return [each for each in words if each]


@pytest.mark.parametrize("page", ["deployment.md", "backup.md", "monitoring.md"])
def test_commands_of_the_guides_exist(page: str) -> None:
    offered = re.findall(r"^ {4}([a-z-]+)(?: \| -h)?\)", (DEPLOY / "run").read_text(), re.MULTILINE)
    for program, *arguments in commands_of(page):
        if program == "script/scale":
            parse(scale, "scale", arguments)
        elif program == "deploy/run":
            assert arguments[0] in {*offered, *PROCESSES}, arguments
        elif program == "systemctl":
            units = {each for each in arguments if each.startswith("scale")}
            assert units <= {f"scale-{name}" for name in PROCESSES} | {"scale.target"}
        elif "/" in program:
            assert (CHECKOUT / program).stat().st_mode & 0o100, f"{program} is no program"
        for argument in arguments:
            if argument.startswith(("deploy/", "script/", "docs/")):
                assert [*CHECKOUT.glob(argument)], f"{page} names {argument}"
