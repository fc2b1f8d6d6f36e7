"""Where the office keeps its things and how it is reached; every setting is an environment variable with a default."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, field_validator

from kiban.kit.errors import BadInput
from kiban.office.schemas import Schema

_MAIL = re.compile(r"[^@\s<>\"']+@[^@\s<>\"']+")
_PAGE = re.compile(r"https?://[^\s<>\"']+")


class Settings(Schema):
    """Each field is read from the variable KIBAN_<FIELD IN CAPITALS>; one that is empty counts as not given."""

    home: Path = Path(".kiban")  # database, attachments and key, unless said otherwise
    database_url: str = ""  # default: SQLite in `home`
    store: Path = Path(".kiban")  # the artifacts that reports point to
    serving_url: str = ""  # an OpenAI-compatible server for the playground: http://127.0.0.1:8000; empty: none
    serving_key: str = ""  # what that server wants as a bearer token, if anything
    public_url: str = "http://127.0.0.1:8080"  # as people reach it, for links in letters and mail
    smtp_url: str = ""  # smtp://user:password@host:587; empty: notices wait in the outbox
    mail_from: str = "kiban@localhost"
    contact: str = Field("", max_length=200)  # of the office, for everybody: a mail address, or the URL of a page
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_name: str = ""  # on the sign-in button
    allow_private_webhooks: bool = False  # inside one network; otherwise only public addresses over https
    path_prefix: str = Field("", pattern=r"^(/[A-Za-z0-9._~-]+)*$")  # before every path, as callers see it: `/kiban`
    trusted_proxies: str = ""  # networks, separated by commas, whose X-Forwarded-For is believed
    cookie_secure: bool = True  # False only without TLS on one's own machine
    programme_name: str = Field("基盤モデル開発支援 / kiban", max_length=200)  # on reports and in the open data
    open_data_licence: str = "https://creativecommons.org/licenses/by/4.0/"  # of the open-data export, by its URL
    password_cost: int = 3  # argon2id passes over 64 MiB (RFC 9106, section 4, second choice)

    @field_validator("contact")
    @classmethod
    def _is_reachable(cls, contact: str) -> str:
        if contact and not _MAIL.fullmatch(contact) and not _PAGE.fullmatch(contact):
            raise ValueError("neither a mail address nor the URL of a page")
        return contact

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Raises: BadInput: a variable that does not hold what it must."""
        given = {name: environment.get(f"KIBAN_{name.upper()}", "") for name in cls.model_fields}
        try:
            return cls.model_validate({name: value for name, value in given.items() if value})
        except ValidationError as error:
            first = error.errors()[0]
            raise BadInput(first["msg"], where=f"KIBAN_{str(first['loc'][0]).upper()}") from None

    @property
    def url(self) -> str:
        return self.database_url or f"sqlite:///{(self.home / 'office.db').resolve()}"

    @property
    def contact_url(self) -> str:
        """Where `contact` leads from a page; empty without one."""
        return f"mailto:{self.contact}" if _MAIL.fullmatch(self.contact) else self.contact

    @property
    def attachments(self) -> Path:
        return self.home / "attachments"

    @property
    def key_file(self) -> Path:
        """The key that encrypts second factors and webhook secrets in the database, and signs links in mails."""
        return self.home / "office.key"
