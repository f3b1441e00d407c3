"""Tokens by command, against an API that asks who one is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from scale_api import create_app
from scale_cli import __main__ as command
from scale_core.settings import Settings
from tests.api.guarded import make_account, make_token
from tests.client.served import served


@pytest.fixture
def guarded_app(tmp_path: Path, database_url: str, sessions: Callable[[], Session]) -> Flask:
    environ = {"SCALE_HOME": str(tmp_path), "SCALE_DATABASE_URL": database_url, "SCALE_ACCESS_CONTROL": "on"}
    return create_app(Settings.from_environ(environ), sessions)


def test_a_token_is_made_used_listed_and_revoked(
    guarded_app: Flask,
    session: Session,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    _, secret = make_token(session, make_account(session, "admin"))
    path = tmp_path / "token"
    path.write_text(secret + "\n")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["scale", *arguments])
        code = command.main()
        return code, *capfd.readouterr()

    with served(guarded_app) as address:
        monkeypatch.setenv("SCALE_URL", address)
        code, _, said = run("job", "list")
        assert (code, "sign in" in said.lower() or "token" in said.lower()) == (3, True), said
        monkeypatch.setenv("SCALE_TOKEN_FILE", str(path))
        code, made, said = run("token", "create", "nightly", "--role", "viewer", "--days", "3")
        assert (code, len(made.split())) == (0, 1)
        assert made.strip() not in run("token", "list")[1]
        token_id = re.search(r"token (\d+) for ", said)
        assert token_id
        monkeypatch.setenv("SCALE_TOKEN", made.strip())
        assert run("job", "list")[0] == 0
        assert run("pause")[0] == 3, "a viewer may not"
        monkeypatch.delenv("SCALE_TOKEN")
        assert run("token", "revoke", token_id[1])[1] == f"token/{token_id[1]} revoked\n"
        monkeypatch.setenv("SCALE_TOKEN", made.strip())
        assert run("job", "list")[0] == 3
