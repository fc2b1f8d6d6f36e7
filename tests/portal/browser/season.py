"""The demonstration season for tests: filled once for each state of the code, copied for each use."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pyotp
import sqlalchemy as sa
from filelock import FileLock

from kiban.office.members import sessions
from kiban.office.members.models import Person
from kiban.office.notices.models import Notice
from kiban.office.office import Office
from kiban.office.settings import Settings

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[3]
KEPT = ROOT / ".seasons"
OFFICE = ROOT / "src" / "kiban" / "office"
# Always the same, so that the same pages are shown whenever they are looked at.
UNTIL = "2026-11-16"
NOW = datetime.fromisoformat(f"{UNTIL}T10:00+09:00")


class SeasonClock:
    """The morning of the season's last day, and from then on as time goes by; every process heeds `forward`."""

    def __init__(self, folder: Path) -> None:
        self._behind = folder / "clock"  # seconds from the season's time to now

    @classmethod
    def start(cls, folder: Path) -> SeasonClock:
        clock = cls(folder)
        clock._write((datetime.now(UTC) - NOW).total_seconds())
        return clock

    def __call__(self) -> datetime:
        return datetime.now(UTC) - timedelta(seconds=float(self._behind.read_text()))

    def forward(self, **given: float) -> None:
        """Args: given: as for `timedelta`."""
        self._write(float(self._behind.read_text()) - timedelta(**given).total_seconds())

    def _write(self, seconds: float) -> None:
        new = self._behind.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._behind)


@dataclass(frozen=True)
class Account:
    role: str
    email: str
    password: str
    totp: str  # the second factor's secret; empty without one

    def code(self, clock: SeasonClock) -> str:
        """The second factor at the season's time; the same one is taken only once."""
        return pyotp.TOTP(self.totp).at(clock())


class Season:
    """A copy of the season in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(_filled(), folder, dirs_exist_ok=True)
        self.folder = folder
        told = json.loads((folder / "season.json").read_text(encoding="utf-8"))["accounts"]
        fields = Account.__dataclass_fields__
        found = [Account(**{name: account[name] for name in fields}) for account in told]
        self.accounts = {account.role: account for account in reversed(found)}  # the first of each role
        self.clock = SeasonClock.start(folder)
        self.office = office_in(folder)
        self._made: dict[Callable[[Season], object], Any] = {}

    def once(self, make: Callable[[Season], T]) -> T:
        """What `make` gave the first time: for what the season has none of."""
        if make not in self._made:
            self._made[make] = make(self)
        made: T = self._made[make]
        return made

    def email_of(self, who: str) -> str:
        """Args: who: a role in `accounts`, or an e-mail address."""
        return who if "@" in who else self.accounts[who].email

    def session_cookie(self, who: str) -> str:
        """What a browser of somebody who has just signed in sends. Args: who: as for `email_of`."""
        with self.office.work() as work:
            person = work.session.scalars(sa.select(Person).where(Person.email == self.email_of(who))).one()
            opened = sessions.open_session(work, person, is_strong=True, replaces=None, user_agent="test")
        return opened.cookie

    def row_of(self, statement: str, **values: object) -> sa.Row[Any]:
        """The row that a query finds first. Raises: LookupError: it finds none."""
        with self.office.database.engine.connect() as connection:
            found = connection.execute(sa.text(statement), values).first()
        if found is None:
            raise LookupError(f"the season has none: {statement} {values}")
        return found

    def id_of(self, statement: str, **values: object) -> uuid.UUID:
        """The id that a query finds first: for addresses of pages. Raises: as `row_of`."""
        found = self.row_of(statement, **values)[0]
        return found if isinstance(found, uuid.UUID) else uuid.UUID(str(found))

    def mailed_link(self, who: str, path: str) -> str:
        """Path and query of a link in the newest mail to somebody that leads to `path`.

        Args:
            who: as for `email_of`.
        """
        newest = sa.select(Notice.body).where(Notice.recipient == self.email_of(who)).order_by(Notice.id.desc())
        with self.office.work(read_only=True) as work:
            for body in work.session.scalars(newest):
                for link in map(urlsplit, re.findall(r"https?://\S+", body)):
                    if link.path == path:
                        return link._replace(scheme="", netloc="").geturl()
        raise LookupError(f"no mail to {who} has a link to {path}")

    def close(self) -> None:
        self.office.close()


def office_in(folder: Path) -> Office:
    """The office of a season's copy, at the season's time."""
    serving_url = os.environ.get("KIBAN_SERVING_URL", "")
    settings = Settings(home=folder, store=folder, cookie_secure=False, serving_url=serving_url)
    return Office(settings, clock=SeasonClock(folder))


def _filled() -> Path:
    """The season's folder, filled now if the office's code has changed since; other processes wait for it.

    KIBAN_TEST_SEASON names one to use as it is.
    """
    if given := os.environ.get("KIBAN_TEST_SEASON"):
        return Path(given)
    digest = hashlib.sha256()
    for path in sorted(path for path in OFFICE.rglob("*") if path.suffix in (".py", ".yaml", ".txt", ".json")):
        digest.update(path.relative_to(OFFICE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    KEPT.mkdir(exist_ok=True)
    folder = KEPT / digest.hexdigest()[:16]
    with FileLock(KEPT / "lock"):
        if not folder.exists():
            for other in KEPT.glob("[0-9a-f]*"):
                shutil.rmtree(other)
            _fill(folder)
    return folder


def _fill(folder: Path) -> None:
    making = folder.with_name("making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    environment = os.environ | {"KIBAN_HOME": str(making), "KIBAN_STORE": str(making), "KIBAN_DATABASE_URL": ""}
    command = [sys.executable, "-m", "kiban", "office", "demo", "--until", UNTIL, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"the season could not be filled:\n{done.stderr[-3000:]}")
    (making / "season.json").write_text(done.stdout, encoding="utf-8")
    making.rename(folder)
