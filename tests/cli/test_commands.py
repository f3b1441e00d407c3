"""The commands as a shell sees them: what they print, where, and how they end. Against the real API."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask
from sqlalchemy.orm import Session

from scale_cli import __main__ as command
from scale_cli import output
from scale_cli.commands.job import fresh
from tests import factories
from tests.api.world import World
from tests.client.served import served


@dataclass
class Ended:
    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def world(staged_world: World) -> World:
    return staged_world


@pytest.fixture
def scale(
    shared_app: Flask,
    sessions: Callable[[], Session],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Run]:
    shared_app.extensions["scale_sessions"] = sessions
    with served(shared_app) as address:
        monkeypatch.setenv("SCALE_URL", address)

        def run(*arguments: Any) -> Ended:
            monkeypatch.setattr("sys.argv", ["scale", *map(str, arguments)])
            code = command.main()
            return Ended(code, *capfd.readouterr())

        yield run


def commands(group: click.Group = command.scale, path: Sequence[str] = ()) -> Iterator[tuple[str, click.Command]]:
    for name, found in group.commands.items():
        if isinstance(found, click.Group):
            yield from commands(found, [*path, name])
        else:
            yield " ".join([*path, name]), found


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_every_command_has_help_with_an_example_that_it_understands(name: str, scale: Run) -> None:
    told = scale(*name.split(), "--help")
    assert told.code == 0
    example = re.search(r"Example:\n\s+(.*)", told.out)
    assert example, told.out
    line = example.group(1)
    assert f"scale {name}" in line
    found = dict(commands())[name]
    assert found.help
    arguments = re.findall(r'"[^"]*"|\S+', line.split(f"scale {name}")[1].rstrip('")'))
    found.make_context(name, [argument.strip('"') for argument in arguments])


def test_jobs_are_listed_for_people_for_programs_and_for_other_commands(scale: Run, world: World) -> None:
    table = scale("job", "list", "--type", world.job_type.name)
    assert table.code == 0
    assert "STATUS" in table.out
    assert re.search(rf"^{world.failed.id} .*FAILED .*unknown", table.out, re.MULTILINE)
    rows = json.loads(scale("job", "list", "--status", "failed", "-o", "json").out)
    assert world.failed.id in {row["id"] for row in rows}
    names = scale("job", "list", "--limit", 2, "-o", "name").out.split()
    assert len(names) == 2
    assert all(re.fullmatch(r"job/\d+", name) for name in names)
    nothing = scale("job", "list", "--type", "nobody")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "nothing found\n")


def test_one_job_tells_why(scale: Run, world: World) -> None:
    shown = scale("job", "show", world.queued.id)
    assert re.search(r"why +no offer handler is running", shown.out)
    assert re.search(r"attempt +1 of 3", shown.out)
    assert json.loads(scale("job", "show", world.queued.id, "-o", "json").out)["id"] == world.queued.id


def test_logs(scale: Run, world: World) -> None:
    assert scale("job", "logs", world.completed.id).out == "grüße\n"
    followed = scale("job", "logs", world.completed.id, "--follow")
    assert (followed.code, followed.out) == (0, "grüße\n")
    failed = scale("job", "logs", world.failed.id, "--follow")
    assert (failed.code, failed.err) == (1, f"scale: job {world.failed.id} is FAILED: it went wrong\n")
    waiting = scale("job", "logs", world.queued.id)
    assert waiting.code in (0, 2)


def test_what_of_a_log_is_new() -> None:
    assert fresh("one\n", "one\ntwo\n") == "two\n"
    assert fresh("", "one\n") == "one\n"
    head, tail = "h" * 500, "".join(f"line {number}\n" for number in range(100))
    assert fresh(head + tail, head + "[…]\n" + tail + "line 100\n") == "line 100\n"
    assert fresh("old", "quite another") == "quite another"


def test_cancel_and_refusals(scale: Run, world: World) -> None:
    canceled = scale("job", "cancel", world.queued.id)
    assert (canceled.code, canceled.out) == (0, f"job/{world.queued.id} canceled\n")
    refused = scale("job", "cancel", world.completed.id)
    assert refused.code == 2
    assert refused.err.startswith("scale: ")
    unknown = scale("job", "show", 999999)
    assert (unknown.code, unknown.err) == (2, "scale: There is no job with the id 999999.\n")


def test_run_asks_for_what_the_interface_wants(scale: Run, world: World, tmp_path: Path) -> None:
    kind = f"{world.job_type.name}:{world.job_type.version}"
    assert "--workspace" in scale("job", "run", kind, "-i", f"in={world.source.id}").err
    wrong = scale("job", "run", kind, "-i", "other=1", "-w", world.products.name)
    assert (wrong.code, wrong.err) == (2, "scale: -i other=1: there is no input other; it has in\n")
    assert "NAME=VALUE" in scale("job", "run", kind, "-i", "in", "-w", world.products.name).err
    missing = scale("job", "run", kind, "-i", "in=no-such-file.txt", "-w", world.products.name)
    assert (missing.code, missing.err) == (2, "scale: there is no file no-such-file.txt\n")
    done = scale("job", "run", kind, "-i", f"in={world.source.file_name}", "-w", world.products.name, "-o", "name")
    assert done.code == 0
    assert re.fullmatch(r"job/\d+\n", done.out)
    path = tmp_path / "data.json"
    path.write_text(json.dumps(factories.job_data(world.source, world.products)))
    assert scale("job", "run", kind, "--data", path).code == 0
    path.write_text("{")
    broken = scale("job", "run", kind, "--data", path)
    assert (broken.code, "is no JSON" in broken.err) == (2, True)
    late = scale("job", "run", kind, "-i", f"in={world.source.id}", "-w", world.products.name, "--wait", "--timeout", 0)
    assert (late.code, "QUEUED, and the time" in late.err) == (3, True)


def test_prioritise_changes_what_has_not_ended(scale: Run, world: World) -> None:
    changed = scale("job", "prioritise", world.queued.id, world.completed.id, "--priority", 3)
    assert (changed.code, changed.out) == (1, f"job/{world.queued.id} has the priority 3\n")
    assert str(world.completed.id) in changed.err
    assert json.loads(scale("job", "show", world.queued.id, "-o", "json").out)["priority"] == 3
    assert scale("job", "prioritise", world.queued.id).code == 2


def test_requeue_wants_to_know_which(scale: Run, world: World) -> None:
    assert (scale("job", "requeue").code, scale("job", "requeue", "--status", "DONE").code) == (2, 2)


def test_recipes(scale: Run, world: World) -> None:
    kind = world.recipe_type.name
    made = scale("recipe", "run", kind, "-i", f"file={world.source.id}", "-w", world.products.name, "-o", "json")
    recipe = json.loads(made.out)
    assert recipe["recipe_type"]["name"] == kind
    shown = scale("recipe", "show", recipe["id"])
    assert re.search(r"^one +\d+ .*QUEUED", shown.out, re.MULTILINE)
    assert f"recipe/{recipe['id']}" in scale("recipe", "list", "--type", kind, "-o", "name").out


def test_nodes_are_paused_by_name(scale: Run, world: World) -> None:
    name = world.node.hostname
    assert scale("node", "pause", name, "--reason", "new disk").out == f"node/{world.node.id} paused\n"
    assert re.search(rf"{name} .*new disk", scale("node", "list").out)
    assert scale("node", "resume", world.node.id).code == 0
    assert "new disk" not in scale("node", "list").out
    assert scale("node", "pause", "nobody").err == "scale: there is no node nobody\n"


def test_configuration_there_and_back(scale: Run, world: World, tmp_path: Path) -> None:
    path = tmp_path / "scale.json"
    assert scale("config", "export", "-f", path).code == 0
    same = scale("config", "diff", path)
    assert (same.code, same.err) == (0, "no difference\n")
    document = json.loads(path.read_text())
    (mine,) = [kind for kind in document["job_types"] if kind["name"] == world.job_type.name]
    mine["title"] = "Another title"
    path.write_text(json.dumps(document))
    other = scale("config", "diff", path)
    assert other.code == 1
    assert '+  "title": "Another title"' in other.out
    assert scale("config", "import", path, "--dry-run").err.endswith("nothing was changed\n")
    assert scale("config", "import", path).code == 0
    assert scale("config", "diff", path).code == 0
    path.write_text('{"version": "1.0", "job_types": [{"name": "x"}]}')
    assert scale("config", "import", path).code == 2


def test_strikes_and_ingests(scale: Run, world: World, tmp_path: Path) -> None:
    path = tmp_path / "strike.json"
    configuration = factories.strike_configuration(world.raw, f"localhost:{tmp_path}")
    path.write_text(json.dumps({"name": "by-command", "title": "T", "configuration": configuration}))
    assert scale("strike", "create", path, "--dry-run").err.endswith("nothing was created\n")
    assert re.fullmatch(r"strike/\d+\n", scale("strike", "create", path, "-o", "name").out)
    assert '"mount"' in scale("strike", "show", "by-command").out
    assert "by-command" in scale("strike", "list").out
    assert world.source.file_name in scale("ingest", "list", "--strike", world.strike.name).out
    assert world.source.file_name in scale("ingest", "list", "--part", world.source.file_name[1:]).out
    assert scale("ingest", "retry", world.ingest.id).code == 2


def made_of_json(world: World) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """By noun, what can be made of JSON: a document whose last field nobody reads, and one that is refused."""
    interface = {"version": "1.0", "command": "/bin/true", "command_arguments": ""}
    named = {"name": "by-command", "title": "T", "unheard_of": 1}
    definition = {"version": "1.0", "jobs": [{"name": "one", "job_type": {"name": "nobody", "version": "1.0"}}]}
    return {
        "job-type": ({"version": "1.0", "interface": interface, **named}, {"version": "1.0", **named}),
        "recipe-type": (
            {"version": "1.0", "definition": {"version": "1.0", "jobs": []}, **named},
            {"version": "1.0", "definition": definition, **named},
        ),
        "workspace": ({"json_config": {"broker": {"type": "host", "host_path": "/data/made"}}, **named}, named),
        "strike": ({"configuration": factories.strike_configuration(world.raw, "localhost:/tmp"), **named}, named),
    }


@pytest.mark.parametrize("noun", ["job-type", "recipe-type", "workspace", "strike"])
def test_the_catalogue_is_made_and_changed_by_json(
    noun: str, scale: Run, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = made_of_json(world)[noun]
    path = tmp_path / "made.json"
    path.write_text(json.dumps(good))

    tried = scale(noun, "create", path, "--dry-run")
    assert (tried.code, tried.out) == (0, "")
    assert re.search("warning: .*unheard_of", tried.err)
    assert tried.err.endswith("nothing was created\n")
    assert scale(noun, "show", "by-command").code == 2, "a dry run makes nothing"

    with path.open() as standard_input:
        monkeypatch.setattr("sys.stdin", standard_input)
        made = scale(noun, "create", "-", "-o", "name")
    assert re.fullmatch(rf"{noun}/\d+\n", made.out), made.err
    assert "unheard_of" in made.err, "warnings are told, and stop nothing"
    again = scale(noun, "create", path)
    assert (again.code, again.out) == (2, ""), "the name is taken"

    path.write_text('{"title": "Another"}')
    assert scale(noun, "edit", "by-command", path, "-o", "name").out == made.out
    assert re.search(r"title\W+Another", scale(noun, "show", "by-command").out)
    assert scale(noun, "edit", "nobody", path).code == 2

    wrong: list[Any] = [bad, [], {"name": 1}]
    for refused in wrong:
        path.write_text(json.dumps(refused))
        for arguments in ((noun, "create", path), (noun, "create", path, "--dry-run")):
            ended = scale(*arguments)
            assert (ended.code, ended.out) == (2, ""), refused
            assert ended.err.startswith("scale: "), ended.err
    assert (scale(noun, "create", tmp_path / "nothing.json").code, scale(noun, "create").code) == (2, 2)


def test_nothing_is_made_where_nobody_answers(scale: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scale_client.connection.PAUSE_S", 0.0)
    path = tmp_path / "made.json"
    path.write_text("{}")
    for noun in ("job-type", "recipe-type", "workspace", "strike"):
        assert scale("--url", "http://127.0.0.1:1", noun, "create", path).code == 3


def test_lists_to_look_things_up(scale: Run, world: World) -> None:
    assert world.job_type.name in scale("job-type", "list").out
    assert json.loads(scale("job-type", "show", world.job_type.name).out)["id"] == world.job_type.id
    assert world.recipe_type.name in scale("recipe-type", "list").out
    assert world.raw.name in scale("workspace", "list").out
    assert re.search(rf"{world.queued.id} .*no offer handler is running", scale("queue", "list").out)
    assert world.source.file_name in scale("file", "list", "--name", world.source.file_name).out
    assert world.source.file_name in scale("file", "list", "--part", world.source.file_name[2:].upper()).out
    assert world.source.file_name not in scale("file", "list", "--part", "nobody has this").out
    assert json.loads(scale("file", "show", world.source.id).out)["file_name"] == world.source.file_name


def test_status_and_pauses(scale: Run, world: World) -> None:
    assert scale("pause").out == "paused\n"
    told = scale("status").out
    assert re.search(r"scheduler +OFFLINE, paused", told)
    assert re.search(r"nodes +1 of 1 online", told)
    assert scale("resume").out == "resumed\n"
    assert json.loads(scale("status", "-o", "json").out)["scheduler"]["is_paused"] is False


def test_nobody_there_and_wrong_addresses(scale: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scale_client.connection.PAUSE_S", 0.0)
    away = scale("--url", "http://127.0.0.1:1", "status")
    assert (away.code, away.err) == (3, "scale: http://127.0.0.1:1: nobody answers there\n")
    assert scale("--url", "127.0.0.1", "status").code == 2
    monkeypatch.setenv("SCALE_TOKEN_FILE", "/no/such/file")
    assert "SCALE_TOKEN_FILE" in scale("status").err
    assert scale("nonsense").code == 2


def test_names_cannot_steer_a_terminal(scale: Run, world: World, session: Session) -> None:
    world.strike.last_error = "\x1b[2Jgone\r\nwrong"
    session.commit()
    shown = scale("strike", "list").out
    assert "\x1b" not in shown
    assert "gone" in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(scale: Run, shell: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert "_SCALE_COMPLETE" in scale("completion", shell).out
    monkeypatch.setenv("_SCALE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "scale jo")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit):
        scale()
    assert "plain,job" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (90000, "1 d 1 h"), (-5, "0 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert output.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**40, "1.0 TiB"), (2**60, "1048576.0 TiB"), (None, "")],
)
def test_sizes(count: float | None, text: str) -> None:
    assert output.size(count) == text
