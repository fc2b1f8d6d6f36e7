"""Accounts to sign in with when the season is over, kept in a file beside the database to be told again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from pyotp import TOTP

from kiban.kit.files import write_atomically
from kiban.office.members import second_factor, sign_in
from kiban.office.members.passwords import set_password
from kiban.office.members.repository import person_by_id
from kiban.office.season.busiest import busiest_applicant, busiest_judge
from kiban.office.season.cast import Season
from kiban.office.settings import Settings
from kiban.office.work import SYSTEM, Actor

# A sentence that everybody may know: for a demonstration on one's own machine and for nothing else.
PASSWORD = "demo only: rain over the harbour in March"


@dataclass(frozen=True)
class Account:
    """Somebody to sign in as. `totp`: the second factor's secret, for the roles that take one; `uri`: as a QR code."""

    role: str
    email: str
    password: str
    totp: str
    uri: str


def keep_accounts(settings: Settings, accounts: list[Account]) -> None:
    file = _file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps([asdict(each) for each in accounts], ensure_ascii=False, indent=1) + "\n")
    file.chmod(0o600)


def kept_accounts(settings: Settings) -> tuple[Account, ...]:
    """The accounts of the season in this home; none where it was played elsewhere."""
    try:
        found = json.loads(_file(settings).read_text(encoding="utf-8"))
    except OSError:
        return ()
    return tuple(Account(**each) for each in found)


def code_now(account: Account, at: datetime) -> str:
    """The second factor's code, as an authenticator would show it; empty for an account without."""
    return _code(account.totp, at) if account.totp else ""


def make_accounts(season: Season) -> list[Account]:
    """Passwords for one account of each kind, and second factors where the role is in force only with one.

    The reviewer and the applicant are those with most to do when the season ends.
    """
    applicant, judge = busiest_applicant(season), busiest_judge(season)
    wanted = [
        ("operator", season.operator, season.emails["operator"], True),
        ("auditor", season.staff["auditor"], season.emails["auditor"], True),
        ("panel", season.staff["panel_chair"], season.emails["panel_chair"], True),
        ("reviewer", judge.actor, judge.email, False),
        ("applicant", applicant.actor, applicant.email, False),
    ]
    return [_account(season, *each) for each in wanted]


def _account(season: Season, role: str, actor: Actor, email: str, strong: bool) -> Account:
    assert actor.person_id is not None
    with season.work(SYSTEM) as work:
        person = person_by_id(work.session, actor.person_id, lock=True)
        assert person is not None
        set_password(work, person, PASSWORD)
    if not strong:
        return Account(role, email, PASSWORD, "", "")
    season.clock.now += timedelta(seconds=1)
    opened = sign_in.with_password(season.office, email, PASSWORD, None, sign_in.Browser(user_agent="kiban demo"))
    signed_in = replace(actor, session_id=opened.session.id)
    with season.work(signed_in) as work:
        enrolment = second_factor.begin(work)
    with season.work(signed_in) as work:
        second_factor.confirm(work, _code(enrolment.secret, season.clock.now))
    return Account(role, email, PASSWORD, enrolment.secret, enrolment.uri)


def _code(secret: str, at: datetime) -> str:
    return TOTP(secret).at(at)


def _file(settings: Settings) -> Path:
    return settings.home / "demo-accounts.json"
