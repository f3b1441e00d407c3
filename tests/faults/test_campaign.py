"""`script/faults` in short: some faults of each part under load, and every promise kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from faults import __main__ as program
from faults import campaign
from faults.acts import ACTS, possible
from faults.load import Load
from faults.schedule import plan
from faults.visitor import Visitor
from scale_core.domain import history
from tests import prepared

SEED = 4
# One of each part: what a change breaks most easily. Others have tests of their own beside this one.
SHORT = (
    "scheduler-killed-before-launch",
    "executor-killed-after-storing",
    "worker-killed",
    "master-killed",
    "stream-cut",
    "agent-partitioned-and-lost",
)
# What Scale stands on: disks, mounts, locks, its database and its broker.
SURROUNDINGS = ("disk-full", "mount-hung", "rows-locked", "postgres-away", "redis-lost")


def test_the_same_seed_gives_the_same_faults() -> None:
    kinds = sorted(ACTS)
    assert plan(60, 1, kinds) == plan(60, 1, list(reversed(kinds)))
    assert plan(60, 1, kinds) != plan(60, 2, kinds)


def test_each_kind_comes_before_any_comes_again() -> None:
    faults = plan(2 * len(ACTS), 3, sorted(ACTS))
    first, second = faults[: len(ACTS)], faults[len(ACTS) :]
    assert {fault.kind for fault in first} == {fault.kind for fault in second} == set(ACTS)


@pytest.mark.journey
@pytest.mark.timeout(900)
def test_a_short_campaign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = [*SHORT, *(kind for kind in SURROUNDINGS if kind in possible())]
    options = ["--count", str(len(kinds)), "--seed", str(SEED), "--patience", "60", "--keep", str(tmp_path)]
    status = program.main([*options, "--only", *kinds], prepared.system)

    said = capsys.readouterr()
    assert status == 0, said.out[-5000:] + said.err[-5000:]
    summary = json.loads(said.out.splitlines()[-1])
    assert set(summary["faults"]) == set(kinds)
    assert summary["violations"] == 0
    assert min(summary[name] for name in ("jobs", "files")) > 0


@pytest.mark.journey
def test_the_campaign_notices_what_is_missing() -> None:
    """A checker that never finds anything proves nothing: here a product's file is gone, and a job is lost."""
    with prepared.system() as system:
        load = Load(system, SEED)
        kept, lost = load.probe(), load.probe()
        campaign.until_quiet(system, load, 60.0)
        assert history.check(system.events(), campaign.ends_of(system, load)) == []

        next(path for path in load.root.rglob("made.txt") if path.read_text() == f"{kept}\n").unlink()
        load.jobs.append(lost + 1000)
        if Visitor.is_possible():
            visitor = Visitor(system.address)
            visitor.start()
            assert visitor.sees(kept, 60.0)
            assert not visitor.sees(lost + 1000, 2.0)
            visitor.finish()
        broken = history.check(system.events(), campaign.ends_of(system, load))

    assert {(violation.rule, violation.message) for violation in broken} == {
        ("products", "is catalogued and not there"),
        ("lost", "is not in the database"),
    }
