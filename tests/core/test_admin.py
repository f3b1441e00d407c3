from __future__ import annotations

import io

import pytest
from sqlalchemy.orm import Session

from scale_core import admin
from scale_core.domain.access import Role
from scale_core.errors import ConfigurationError
from scale_core.services import account
from scale_core.settings import Settings

PASSWORD = "correct horse battery"


@pytest.mark.parametrize(
    ("environ", "is_fine"),
    [
        ({}, True),
        ({"SCALE_HOST": "::1"}, True),
        ({"SCALE_HOST": "0.0.0.0"}, False),
        ({"SCALE_HOST": "scale.example"}, False),
        ({"SCALE_ACCESS_CONTROL": "on"}, False),
        ({"SCALE_HOST": "0.0.0.0", "SCALE_ACCESS_CONTROL": "off"}, True),
        ({"SCALE_HOST": "0.0.0.0", "SCALE_OIDC_ISSUER": "https://id.example"}, True),
    ],
)
def test_check(session: Session, environ: dict[str, str], is_fine: bool) -> None:
    settings = Settings.from_environ(environ)
    if is_fine:
        admin.check(session, settings)
    else:
        with pytest.raises(ConfigurationError, match="create-admin"):
            admin.check(session, settings)
    admin.create(session, "root", PASSWORD)
    admin.check(session, settings)


def test_a_disabled_administrator_comes_back(session: Session) -> None:
    admin.create(session, "first", PASSWORD)
    admin.create(session, "second", PASSWORD)
    second = account.by_name(session, "second")
    assert second is not None
    account.edit(session, second.id, {"is_active": False, "role": "viewer"}, second.created)
    admin.create(session, "second", "another horse battery")
    session.refresh(second)
    assert (second.is_active, second.role) == (True, Role.ADMIN)


def test_the_password_comes_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\nmore\n"))
    assert admin.read_password() == PASSWORD


@pytest.mark.parametrize("text", ["a", "x=boss", "=admin", "a=admin;b"])
def test_roles_of_claims(text: str) -> None:
    with pytest.raises(ConfigurationError, match="value=role"):
        Settings.from_environ({"SCALE_OIDC_ROLES": text})
    roles = Settings.from_environ({"SCALE_OIDC_ROLES": "cn=a,dc=b=admin; * = viewer;"}).oidc_roles
    assert roles == {"cn=a,dc=b": "admin", "*": "viewer"}


@pytest.mark.parametrize(
    "url", ["http://id.example", "id.example", "https://", "file:///etc", "http://127.0.0.1.evil.example/"]
)
def test_what_is_no_issuer(url: str) -> None:
    with pytest.raises(ConfigurationError, match="https"):
        Settings.from_environ({"SCALE_OIDC_ISSUER": url})


def test_a_wrong_choice() -> None:
    with pytest.raises(ConfigurationError, match="auto, on, off"):
        Settings.from_environ({"SCALE_ACCESS_CONTROL": "maybe"})
