"""Signing on at a small OpenID provider that speaks real HTTP and signs real tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import RSAKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_api import create_app
from scale_core.db.account import Account, Audit
from scale_core.settings import Settings
from tests.api.guarded import make_account

KEY, OTHER_KEY = (RSAKey.generate_key(2048, {"kid": kid, "use": "sig"}) for kid in ("one", "two"))


class Provider(ThreadingHTTPServer):
    """It remembers what it was asked for, and says `claims` in a token that `sign` makes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.claims: dict[str, Any] = {}
        self.sign: Callable[[dict[str, Any]], str] = lambda claims: jwt.encode(
            {"alg": "RS256", "kid": "one"}, claims, KEY
        )
        self.keys = [KEY]
        self.asked: dict[str, str] = {}
        self.nonce = self.challenge = ""

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if form.get("code") != "good" or base64.urlsafe_b64encode(verifier).decode().rstrip("=") != self.challenge:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": "scale", "sub": "u-1", "exp": now + 300, "iat": now, "nonce": self.nonce,
            "preferred_username": "ann", "roles": ["ops"], **self.claims,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": self.sign(claims)}


class Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        issuer = self.server.issuer
        if self.path == "/.well-known/openid-configuration":
            self._send(200, {
                "issuer": issuer, "jwks_uri": f"{issuer}/keys", "token_endpoint": f"{issuer}/token",
                "authorization_endpoint": f"{issuer}/authorize",
            })  # fmt: skip
        else:
            self._send(200, {"keys": [key.as_dict(private=False) for key in self.server.keys]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked = {name: values[0] for name, values in parse_qs(body).items()}
        self._send(*self.server.token(self.server.asked))

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[Provider]:
    server = Provider()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def browser(provider: Provider, database_url: str, sessions: Callable[[], Session]) -> FlaskClient:
    environ = {
        "SCALE_DATABASE_URL": database_url,
        "SCALE_OIDC_ISSUER": provider.issuer,
        "SCALE_OIDC_CLIENT_ID": "scale",
        "SCALE_OIDC_CLIENT_SECRET": "hush",
        "SCALE_OIDC_ROLES": "ops=operator;boss=admin",
    }
    app = create_app(Settings.from_environ(environ), sessions)
    app.testing = False
    return app.test_client()


def begin(browser: FlaskClient, provider: Provider, following: str = "/ui/") -> str:
    """The state."""
    answer = browser.get("/sign-on/?" + urlencode({"next": following}))
    assert answer.status_code == 302, answer.text
    url = urlsplit(answer.headers["Location"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{provider.issuer}/authorize"
    asked = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", "scale", "S256")
    assert asked["redirect_uri"] == "http://localhost/sign-on/callback/"
    provider.nonce, provider.challenge = asked["nonce"], asked["code_challenge"]
    return asked["state"]


def finish(browser: FlaskClient, state: str, code: str = "good") -> Any:
    return browser.get("/sign-on/callback/?" + urlencode({"state": state, "code": code}))


def test_signing_on(browser: FlaskClient, provider: Provider, session: Session) -> None:
    assert browser.get("/jobs/").status_code == 401
    assert browser.get("/session/").get_json()["access_control"]["sign_on"] == "/sign-on/"
    answer = finish(browser, begin(browser, provider, "/ui/#/jobs?a=b"))
    assert (answer.status_code, answer.headers["Location"]) == (302, "/ui/#/jobs?a=b")
    assert browser.get_cookie("scale-sign-on") is None
    shown = browser.get("/session/").get_json()["account"]
    assert (shown["name"], shown["role"]) == ("ann", "operator")
    assert browser.get("/jobs/").status_code == 200
    rows = session.scalars(select(Audit)).all()
    assert {(row.account_name, row.via, row.operation) for row in rows} == {
        ("ann", "sign-on", "GET /sign-on/callback/")
    }
    provider.claims = {"roles": "boss", "preferred_username": "other"}
    finish(browser, begin(browser, provider))
    account = session.scalars(select(Account)).one()
    session.refresh(account)
    assert (account.name, account.role.value) == ("ann", "admin"), "the role is what the provider says now"


def test_a_name_opens_nobody_elses_account(browser: FlaskClient, provider: Provider, session: Session) -> None:
    make_account(session, "admin", "ann")
    assert finish(browser, begin(browser, provider)).status_code == 302
    shown = browser.get("/session/").get_json()["account"]
    assert (shown["name"], shown["role"]) == ("ann-2", "operator")


def test_who_has_no_role_or_is_disabled_stays_out(browser: FlaskClient, provider: Provider, session: Session) -> None:
    for roles in (["none"], [], None, "*", [["ops"]], {"ops": 1}):
        provider.claims = {"roles": roles}
        assert finish(browser, begin(browser, provider)).status_code == 403, roles
    assert session.scalars(select(Account)).all() == []
    provider.claims = {}
    finish(browser, begin(browser, provider))
    account = session.scalars(select(Account)).one()
    account.is_active = False
    session.commit()
    assert browser.get("/jobs/").status_code == 401
    assert finish(browser, begin(browser, provider)).status_code == 403


def encoded(*parts: Any) -> str:
    return ".".join(base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts)


def unsigned(claims: dict[str, Any]) -> str:
    return encoded({"alg": "none"}, claims) + "."


def by_public_key(claims: dict[str, Any]) -> str:
    """The classic: the provider's public key taken for a shared secret."""
    signed = encoded({"alg": "HS256", "kid": "one"}, claims)
    signature = hmac.new(KEY.as_pem(private=False), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "another nonce": {"nonce": "x"},
    "no nonce": {"nonce": None},
    "another audience": {"aud": "others"},
    "another audience, too": {"aud": ["scale", "others"]},
    "no audience": {"aud": None},
    "another issuer": {"iss": "https://evil.example"},
    "expired": {"exp": 1000},
    "never expires": {"exp": None},
    "of the future": {"iat": 99999999999},
    "nobody": {"sub": None},
    "a number": {"sub": 5},
}
WRONG_TOKENS: dict[str, Callable[[dict[str, Any]], str]] = {
    "not signed": unsigned,
    "another key": lambda claims: jwt.encode({"alg": "RS256", "kid": "one"}, claims, OTHER_KEY),
    "an unknown key": lambda claims: jwt.encode({"alg": "RS256", "kid": "two"}, claims, OTHER_KEY),
    "a shared secret": by_public_key,
    "nonsense": lambda claims: "a.b.c",
    "nothing": lambda claims: "",
}


@pytest.mark.parametrize("wrong", [*WRONG_CLAIMS, *WRONG_TOKENS])
def test_tokens_that_are_not_for_us(browser: FlaskClient, provider: Provider, session: Session, wrong: str) -> None:
    provider.claims = WRONG_CLAIMS.get(wrong, {})
    provider.sign = WRONG_TOKENS.get(wrong, provider.sign)
    answer = finish(browser, begin(browser, provider))
    assert answer.status_code == 401, answer.text
    assert browser.get_cookie("scale") is None
    assert session.scalars(select(Account)).all() == []


def test_a_sign_on_belongs_to_its_browser(browser: FlaskClient, provider: Provider) -> None:
    state = begin(browser, provider)
    other = browser.application.test_client()
    assert finish(other, state).status_code == 401, "an address that an attacker sent"
    assert finish(browser, "x" + state).status_code == 401
    assert finish(browser, state, "bad").status_code == 401
    begin(browser, provider)
    assert finish(browser, state).status_code == 401, "of an earlier try"
    denied = browser.get("/sign-on/callback/?error=access_denied&state=" + begin(browser, provider))
    assert (denied.status_code, "access_denied" in denied.text) == (401, True)


@pytest.mark.parametrize(
    "following", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_it_leads_to_own_paths_only(browser: FlaskClient, provider: Provider, following: str) -> None:
    assert finish(browser, begin(browser, provider, following)).headers["Location"] == "/"
    state = begin(browser, provider)
    cookie = browser.get_cookie("scale-sign-on")
    assert cookie is not None
    planted = base64.urlsafe_b64encode(following.encode()).decode()
    browser.set_cookie("scale-sign-on", f"{cookie.value.partition('.')[0]}.{planted}")
    assert finish(browser, state).headers["Location"] == "/"


def test_a_provider_that_is_away(browser: FlaskClient, provider: Provider) -> None:
    provider.shutdown()
    provider.server_close()
    assert browser.get("/sign-on/").status_code == 503


def test_without_a_provider(client: FlaskClient) -> None:
    assert client.get("/sign-on/").status_code == 404
