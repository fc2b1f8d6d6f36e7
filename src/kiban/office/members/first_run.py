"""The first operator of a new programme, made from a browser with a link that the terminal printed.

Whoever starts the portal on a machine is the one who may set it up; whoever merely reaches its port is not. The link's
secret lives for an hour. Its digest lies in a file beside the database, for there is nobody yet whose row it could be,
and it is worth nothing as soon as there is an operator.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from kiban.kit.files import write_atomically
from kiban.office.errors import Conflict, Forbidden
from kiban.office.guards.tokens import RANDOM_BYTES, Secret, new_token, same_digest, token_digest
from kiban.office.members import repository, service
from kiban.office.members.models import Person
from kiban.office.settings import Settings
from kiban.office.work import SYSTEM, Work

VALID = timedelta(hours=1)


def is_wanted(work: Work) -> bool:
    """Whether there is no operator yet."""
    return not repository.has_operator(work.session)


def new_link_token(settings: Settings, now: datetime) -> str:
    """The secret for a new link; an earlier one stops working."""
    token = new_token(secrets.token_bytes(RANDOM_BYTES), Secret.FIRST_RUN)
    kept = {"digest": token_digest(token), "expires_at": (now + VALID).isoformat()}
    settings.home.mkdir(parents=True, exist_ok=True)
    write_atomically(_file(settings), json.dumps(kept) + "\n")
    return token


def check_token(work: Work, token: str) -> None:
    """Go on only with the link's secret, while there is no operator: before the form is shown, and again at its end.

    Raises:
        Conflict: there is an operator.
        Forbidden: another secret than the last link's, or one that has expired.
    """
    if not is_wanted(work):
        raise Conflict("the programme is set up already", hint="sign in; operators invite others")
    try:
        kept = json.loads(_file(work.settings).read_text())
        is_right = same_digest(kept["digest"], token_digest(token))
        is_late = datetime.fromisoformat(kept["expires_at"]) <= work.now
    except (OSError, ValueError, KeyError, TypeError):
        is_right = is_late = False
    if not is_right or is_late:
        raise Forbidden(
            "this link has expired" if is_right else "this is not the link that the portal printed last",
            where="token",
            hint="start `kiban portal` again: it prints a new one",
        )


def first_run(work: Work, token: str, email: str, name: str, password: str) -> Person:
    """Make the first operator, once.

    Raises:
        Conflict, Forbidden: as `check_token`.
        Invalid: no e-mail address, no name, or a password that is easily guessed.
    """
    check_token(work, token)
    # The link stands for the terminal. Two who use it at once take turns here, and the second finds an operator.
    person = service.first_operator(replace(work, actor=SYSTEM), email, name, password)
    _file(work.settings).unlink(missing_ok=True)
    return person


def _file(settings: Settings) -> Path:
    return settings.home / "first-run.json"
