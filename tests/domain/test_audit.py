from __future__ import annotations

import pytest

from scale_core.domain.audit import HIDDEN, MAX_TEXT, without_secrets


@pytest.mark.parametrize(
    "name",
    ["password", "PASSWORD", "db_password", "secret", "client_secret", "token", "access_token", "accessToken", "apiKey",
     "api_key", "secret_access_key", "secretAccessKey", "access_key", "private_key", "credentials", "passphrase",
     "password_hash"],
)  # fmt: skip
def test_secrets_are_hidden_wherever_they_are(name: str) -> None:
    assert without_secrets({"a": [{name: "x", "other": 1}]}) == {"a": [{name: HIDDEN, "other": 1}]}
    assert without_secrets({name: {"deep": "x"}}) == {name: HIDDEN}
    assert without_secrets({name: None}) == {name: None}


@pytest.mark.parametrize("name", ["secret_ref", "credentials_file", "token_name", "keyboard", "passenger", "compass"])
def test_references_are_none(name: str) -> None:
    assert without_secrets({name: "x"}) == {name: "x"}


def test_passwords_in_urls() -> None:
    assert without_secrets("s3://user:pw@host/a b http://x@y/ c:d@e") == f"s3://{HIDDEN}@host/a b http://x@y/ c:d@e"


def test_long_texts_are_cut() -> None:
    kept = without_secrets("a" * (MAX_TEXT + 1))
    assert len(kept) < MAX_TEXT + 50
    assert kept.endswith("(2001 characters)")
