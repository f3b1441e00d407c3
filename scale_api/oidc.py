"""What an OpenID provider is asked, and whether to believe its answers (OpenID Connect Core 1.0, section 3.1).

Loaded where a provider is configured (sign_on.py): what it stands on takes a tenth of an API process's memory.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from scale_core import secret
from scale_core.domain.access import Role
from scale_core.errors import BrokerError, Forbidden, Unauthenticated
from scale_core.settings import Settings
from scale_core.timestamps import utcnow

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")  # never none or HS*
TIMEOUT_S = 10.0
KEPT_S = 3600.0  # what the provider says of itself
ASK_AGAIN_S = 10.0  # for keys that are not known
LEEWAY_S = 60


@dataclass
class _Known:
    """What the provider says of itself, as it was last read."""

    metadata: dict[str, Any]
    keys: KeySet
    read: float


class Provider:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: _Known | None = None

    def redirect_to(self, key: str, redirect_uri: str) -> str:
        """Where the browser shall go. Raises BrokerError when the provider does not answer."""
        client = self._client(redirect_uri)
        url, _ = client.create_authorization_url(
            self._read().metadata["authorization_endpoint"],
            state=secret.derive(key, "state"),
            nonce=secret.derive(key, "nonce"),
            code_verifier=secret.derive(key, "verifier"),
        )
        return str(url)

    def claims_of(self, key: str, code: str, redirect_uri: str) -> Mapping[str, Any]:
        """What the provider says of whoever brought the code. Raises Unauthenticated, BrokerError."""
        known = self._read()
        try:
            token = self._client(redirect_uri).fetch_token(
                known.metadata["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                code_verifier=secret.derive(key, "verifier"),
                timeout=TIMEOUT_S,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise BrokerError(f"The OpenID provider does not answer: {error}") from error
        except Exception as error:  # the library's own tree, and whatever is no JSON
            raise Unauthenticated(f"The OpenID provider refused the code: {str(error)[:200]}") from error
        if not isinstance(token.get("id_token"), str):
            raise Unauthenticated("The OpenID provider sent no id_token.")
        return self.check(token["id_token"], secret.derive(key, "nonce"))

    def check(self, id_token: str, nonce: str) -> Mapping[str, Any]:
        """The claims of a token that is the provider's, for us, of now, for this sign-on. Raises Unauthenticated."""
        client_id = self._settings.oidc_client_id
        try:
            claims = self._decode(id_token).claims
            registry = jwt.JWTClaimsRegistry(
                now=int(utcnow().timestamp()),
                leeway=LEEWAY_S,
                iss={"essential": True, "value": self._settings.oidc_issuer},
                aud={"essential": True, "value": client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            )
            registry.validate(claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise Unauthenticated(f"The token of the OpenID provider is not valid: {error}") from error
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != client_id:
            raise Unauthenticated("The token of the OpenID provider was made for somebody else.")
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
            raise Unauthenticated("The token of the OpenID provider names nobody.")
        return claims

    def role_of(self, claims: Mapping[str, Any]) -> Role:
        """The greatest of the roles that its values give. Raises Forbidden when none does."""
        roles, said = self._settings.oidc_roles, claims.get(self._settings.oidc_role_claim)
        values = said if isinstance(said, list) else [said]
        given = [Role(roles[value]) for value in values if isinstance(value, str) and value in roles]
        given += [Role(roles["*"])] if "*" in roles else []
        if not given:
            raise Forbidden("The OpenID provider says nothing that gives you a role in Scale (SCALE_OIDC_ROLES).")
        return next(role for role in reversed(Role) if role in given)

    def name_of(self, claims: Mapping[str, Any]) -> str:
        return str(claims.get(self._settings.oidc_name_claim) or claims["sub"])

    def subject_of(self, claims: Mapping[str, Any]) -> str:
        return f"{self._settings.oidc_issuer} {claims['sub']}"[:500]

    def _decode(self, id_token: str) -> jwt.Token:
        """Keys change: one that is not known is asked for once, but not each time somebody makes one up."""
        known = self._read()
        try:
            return jwt.decode(id_token, known.keys, algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            if time.monotonic() - known.read < ASK_AGAIN_S:
                raise
            return jwt.decode(id_token, self._read(again=True).keys, algorithms=ALGORITHMS)

    def _read(self, *, again: bool = False) -> _Known:
        known = self._known
        if known is None or again or time.monotonic() - known.read > KEPT_S:
            metadata = _get(f"{self._settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration")
            if metadata.get("issuer") != self._settings.oidc_issuer:
                raise BrokerError(f"The OpenID provider calls itself {metadata.get('issuer')!r}: set SCALE_OIDC_ISSUER")
            try:
                keys = KeySet.import_key_set(_get(metadata["jwks_uri"]))  # type: ignore[arg-type]
            except (JoseError, KeyError, ValueError, TypeError) as error:
                raise BrokerError(f"The OpenID provider's keys cannot be read: {error}") from error
            known = self._known = _Known(metadata, keys, time.monotonic())
        return known

    def _client(self, redirect_uri: str) -> OAuth2Session:
        settings = self._settings
        return OAuth2Session(
            settings.oidc_client_id,
            settings.oidc_client_secret or None,
            token_endpoint_auth_method="client_secret_basic" if settings.oidc_client_secret else "none",
            scope=settings.oidc_scope,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
        )


def _get(url: str) -> dict[str, Any]:
    """A JSON object. Raises BrokerError."""
    try:
        answer = requests.get(url, timeout=TIMEOUT_S, allow_redirects=False)
        answer.raise_for_status()
        found = answer.json()
    except (requests.RequestException, ValueError) as error:
        raise BrokerError(f"The OpenID provider does not answer: {error}") from error
    if not isinstance(found, dict):
        raise BrokerError("The OpenID provider does not answer with a JSON object.")
    return found
