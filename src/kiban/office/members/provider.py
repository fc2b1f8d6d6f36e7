"""An OpenID Connect provider as it is talked to: its metadata and keys, kept a while, and codes made into claims."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_token_request
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from kiban.kit.errors import Refused
from kiban.office.errors import Unauthenticated

METADATA_KEPT = timedelta(hours=1)
# A token with an unknown key may mean that the provider has new ones; asked for at most this often.
KEYS_AGAIN = timedelta(minutes=1)
TIMEOUT_SECONDS = 10.0
MAX_BYTES = 1 << 20
LEEWAY_SECONDS = 60  # between the provider's clock and ours
# Signatures with a public key: with HS256 anybody who knew the client's secret could sign, and `none` is none.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


class Unavailable(Refused):
    """The provider cannot be asked at the moment."""

    status = 503
    code = "unavailable"


@dataclass(frozen=True)
class Metadata:
    """What the provider says of itself (OpenID Connect Discovery 1.0)."""

    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str | None
    jwks_uri: str
    algorithms: tuple[str, ...]
    auth_method: str
    names_itself: bool  # in its answers (RFC 9207)


class Provider:
    """Safe to share between threads."""

    def __init__(self, issuer: str, client_id: str, client_secret: str) -> None:
        self.issuer, self.client_id, self._client_secret = issuer, client_id, client_secret
        self._lock = threading.Lock()
        self._metadata: tuple[datetime, Metadata] | None = None
        self._keys: tuple[datetime, KeySet] | None = None

    def metadata(self, now: datetime) -> Metadata:
        """Fetched at first use and then once an hour.

        Raises:
            Unavailable: the provider does not answer, or its answer is not its own metadata.
        """
        with self._lock:
            if self._metadata is None or now - self._metadata[0] >= METADATA_KEPT:
                self._metadata = (now, self._discover())
            return self._metadata[1]

    def exchange(
        self,
        code: str,
        *,
        verifier: str,
        nonce: str,
        redirect_uri: str,
        response_issuer: str | None,
        now: datetime,
    ) -> dict[str, Any]:
        """The claims about the person for whom the provider gave out `code`.

        Raises:
            Unauthenticated: the code or the ID token does not hold.
            Unavailable: the provider does not answer.
        """
        metadata = self.metadata(now)
        # One provider's code must not be brought to another (RFC 9700, section 4.4).
        if response_issuer != self.issuer and (response_issuer is not None or metadata.names_itself):
            raise Unauthenticated("the answer is another provider's")
        tokens = self._tokens(metadata, code, verifier, redirect_uri)
        claims = self._verified(metadata, tokens, nonce, now)
        if "email" not in claims and metadata.userinfo_endpoint and isinstance(tokens.get("access_token"), str):
            more = self._json("GET", metadata.userinfo_endpoint, {"Authorization": f"Bearer {tokens['access_token']}"})
            if more.get("sub") == claims["sub"]:  # OpenID Connect Core, section 5.3.2
                claims = more | claims
        return claims

    def _discover(self) -> Metadata:
        found = self._json("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration", {})
        if found.get("issuer") != self.issuer:
            raise Unavailable("the provider's metadata names another issuer", where="KIBAN_OIDC_ISSUER")
        offered = found.get("id_token_signing_alg_values_supported") or ["RS256"]
        methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if not self._client_secret:
            method = "none"
        else:
            method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        userinfo = found.get("userinfo_endpoint")
        return Metadata(
            authorization_endpoint=_checked(found.get("authorization_endpoint")),
            token_endpoint=_checked(found.get("token_endpoint")),
            userinfo_endpoint=None if userinfo is None else _checked(userinfo),
            jwks_uri=_checked(found.get("jwks_uri")),
            algorithms=tuple(name for name in ALGORITHMS if name in offered),
            auth_method=method,
            names_itself=found.get("authorization_response_iss_parameter_supported") is True,
        )

    def _tokens(self, metadata: Metadata, code: str, verifier: str, redirect_uri: str) -> dict[str, Any]:
        body = prepare_token_request("authorization_code", code=code, redirect_uri=redirect_uri, code_verifier=verifier)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        auth = ClientAuth(self.client_id, self._client_secret, metadata.auth_method)
        url, headers, body = auth.prepare("POST", metadata.token_endpoint, headers, body)
        return self._json("POST", url, headers, body)

    def _verified(self, metadata: Metadata, tokens: Mapping[str, Any], nonce: str, now: datetime) -> dict[str, Any]:
        raw = tokens.get("id_token")
        if not isinstance(raw, str) or len(raw) > 64_000:
            raise Unauthenticated("the provider sent no ID token")
        try:
            token = self._decoded(raw, metadata, now)
            claims = CodeIDToken(
                token.claims,
                token.header,
                options={
                    "iss": {"essential": True, "value": self.issuer},
                    "aud": {"essential": True, "value": self.client_id},
                },
                params={"nonce": nonce, "client_id": self.client_id, "access_token": tokens.get("access_token")},
            )
            claims.validate(now=int(now.timestamp()), leeway=LEEWAY_SECONDS)
        except (JoseError, ValueError, TypeError, AttributeError):
            raise Unauthenticated("the provider's ID token does not hold", hint="begin again") from None
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise Unauthenticated("the provider's ID token names no subject")
        return dict(claims)

    def _decoded(self, raw: str, metadata: Metadata, now: datetime) -> jwt.Token:
        keys = self._key_set(metadata, now, again=False)
        try:
            return jwt.decode(raw, keys, algorithms=metadata.algorithms)
        except (JoseError, ValueError):
            renewed = self._key_set(metadata, now, again=True)
            if renewed is keys:
                raise
            return jwt.decode(raw, renewed, algorithms=metadata.algorithms)

    def _key_set(self, metadata: Metadata, now: datetime, *, again: bool) -> KeySet:
        with self._lock:
            age = METADATA_KEPT if self._keys is None else now - self._keys[0]
            if self._keys is None or age >= (KEYS_AGAIN if again else METADATA_KEPT):
                found = self._json("GET", metadata.jwks_uri, {})
                try:
                    self._keys = (now, KeySet.import_key_set({"keys": list(found["keys"])}))
                except (JoseError, KeyError, TypeError, ValueError):
                    raise Unavailable("the provider's keys cannot be read") from None
            return self._keys[1]

    def _json(self, method: str, url: str, headers: Mapping[str, str], body: str | None = None) -> dict[str, Any]:
        """Raises: Unauthenticated: the provider refuses (4xx). Unavailable: it gives no proper answer."""
        _checked(url)
        try:
            with (
                httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False) as client,
                client.stream(method, url, headers=dict(headers), content=body) as response,
            ):
                received = bytearray()
                for chunk in response.iter_bytes():
                    received += chunk
                    if len(received) > MAX_BYTES:
                        raise Unavailable("the provider's answer is too long", where=url)
            if method == "POST" and 400 <= response.status_code < 500:
                raise Unauthenticated("the provider refused the code", hint="begin again")
            if response.status_code != 200:
                raise Unavailable(f"the provider answered {response.status_code}", where=url)
            found = httpx.Response(200, content=bytes(received)).json()
        except (httpx.HTTPError, ValueError):
            raise Unavailable("the provider does not answer properly", where=url) from None
        if not isinstance(found, dict):
            raise Unavailable("the provider does not answer properly", where=url)
        return found


def _checked(url: object) -> str:
    """https; http only on this machine.

    Raises:
        Unavailable: anything else.
    """
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is not None and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))):
        return str(url)
    raise Unavailable(f"the provider is not reached over https: {url}", where="KIBAN_OIDC_ISSUER")


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
