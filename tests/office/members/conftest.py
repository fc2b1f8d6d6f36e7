"""People with passwords, signed in as browsers would be, and the mail that they were sent."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from urllib.parse import unquote

import pyotp
import pytest
import sqlalchemy as sa

from kiban.office.audit.models import AuditEvent
from kiban.office.guards.passwords import PasswordHashing
from kiban.office.members import authentication, passwords, second_factor, sessions, sign_in
from kiban.office.members.models import Person
from kiban.office.members.sessions import Opened
from kiban.office.members.sign_in import Browser
from kiban.office.notices.models import Notice
from kiban.office.office import Office
from kiban.office.work import Actor, Role

from ..conftest import Rows

PASSWORD = "paper lantern river stone"
ADDRESS = "198.51.100.7"


class Accounts:
    def __init__(self, office: Office, rows: Rows) -> None:
        self.office, self.rows = office, rows
        self.hash = passwords.hashing(office.settings).hash(PASSWORD)

    def person(self, *roles: Role, **given: object) -> Person:
        """Somebody who can sign in with PASSWORD."""
        return self.rows.person(*roles, **({"password_hash": self.hash} | given))

    def open(self, person: Person, *, is_strong: bool = True) -> Opened:
        """A session as a sign-in leaves it."""
        with self.office.work(Actor(person_id=person.id), address=ADDRESS) as work:
            return sessions.open_session(work, person, is_strong=is_strong, replaces=None, user_agent="Firefox")

    def actor(self, person: Person, *, is_strong: bool = True) -> Actor:
        return authentication.authenticate(self.office, None, self.open(person, is_strong=is_strong).cookie)

    def enrol(self, person: Person) -> tuple[pyotp.TOTP, list[str]]:
        """Gives a person a second factor: the device, and the recovery codes."""
        actor = self.actor(person)
        with self.office.work(actor) as work:
            device = pyotp.TOTP(second_factor.begin(work).secret)
        with self.office.work(actor) as work:
            return device, second_factor.confirm(work, device.at(self.office.clock()))

    def sign_in(
        self,
        person: Person | str,
        password: str = PASSWORD,
        code: str | None = None,
        *,
        address: str = ADDRESS,
        cookie: str | None = None,
    ) -> Opened:
        email = person if isinstance(person, str) else person.email
        return sign_in.with_password(self.office, email, password, code, Browser(address, "Firefox", cookie, "r-1"))

    def mails(self, email: str) -> Sequence[Notice]:
        with self.office.work(read_only=True) as work:
            return work.session.scalars(sa.select(Notice).where(Notice.recipient == email).order_by(Notice.id)).all()

    def token_mailed(self, email: str) -> str:
        found = re.search(r"token=([^\s]+)", self.mails(email)[-1].body)
        assert found
        return unquote(found[1])

    def actions(self) -> list[str]:
        with self.office.work(read_only=True) as work:
            return list(work.session.scalars(sa.select(AuditEvent.action).order_by(AuditEvent.number)))

    def stored(self, person_id: uuid.UUID) -> Person:
        with self.office.work(read_only=True) as work:
            return work.session.get_one(Person, person_id)


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """argon2id over 64 KiB: the same code, a thousandth of the work."""
    hashing = PasswordHashing(passes=1, memory_kib=64, lanes=1)
    monkeypatch.setattr(passwords, "_hashing", lambda passes: hashing)


@pytest.fixture
def accounts(office: Office, rows: Rows) -> Accounts:
    return Accounts(office, rows)
