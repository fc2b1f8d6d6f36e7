"""Mail as each reader wants it: at once, once a day, or not at all; and the link that ends a kind."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from kiban.office.errors import NotFound
from kiban.office.members.models import Person
from kiban.office.notices import digests, preferences, service
from kiban.office.notices.delivery import Sent, deliver_waiting
from kiban.office.notices.models import MailKind, Notice, NoticeStatus, Timing
from kiban.office.notices.schemas import MailPreferences
from kiban.office.office import Office
from kiban.office.paging import PageRequest
from kiban.office.work import Actor, Role

from ..conftest import Rows, TestClock
from .conftest import Mailbox, tell

EMAIL = "sato@example.jp"


@pytest.fixture
def sato(rows: Rows) -> Actor:
    person = rows.person(Role.APPLICANT, email=EMAIL)
    return Actor(person.id, roles=frozenset({Role.APPLICANT}))


def choose(office: Office, who: Actor, **given: Timing) -> None:
    with office.work(who) as work:
        preferences.change_own(work, MailPreferences(**given))


def states(office: Office) -> dict[str, NoticeStatus]:
    with office.work(read_only=True) as work:
        return {row.cause: row.status for row in work.session.scalars(sa.select(Notice))}


def write_digests(office: Office) -> int:
    with office.work() as work:
        return digests.write_due(work)


def test_a_day_of_mails_in_one_which_is_written_once(
    connected: Office, mailbox: Mailbox, clock: TestClock, sato: Actor
) -> None:
    choose(connected, sato, grants=Timing.DAILY)
    clock.now = datetime(2026, 6, 1, 22, 0, tzinfo=UTC)  # 7:00 on the next day in Japan
    for name in ("一", "二"):
        tell(connected, EMAIL, "tanaka@example.jp", cause=name, subject=f"お知らせ{name}")
    assert write_digests(connected) == 0
    assert deliver_waiting(connected) == Sent(2, 0)
    clock.forward(hours=2)
    tell(connected, EMAIL, cause="三", subject="お知らせ三")

    def die() -> None:
        with connected.work() as work:
            assert digests.write_due(work) == 1
            raise SystemExit

    with pytest.raises(SystemExit):
        die()
    assert set(states(connected)) == {"一", "二", "三"}

    assert [write_digests(connected), write_digests(connected)] == [1, 0]
    assert deliver_waiting(connected) == Sent(1, 0)
    mail = mailbox.mails[-1]
    text = mail.get_content()
    assert mail["To"] == EMAIL
    assert [name in text for name in ("お知らせ一", "お知らせ二", "お知らせ三")] == [True, True, False]
    clock.forward(days=1)
    assert [write_digests(connected), write_digests(connected)] == [1, 0]
    assert deliver_waiting(connected) == Sent(1, 0)
    assert "お知らせ三" in mailbox.mails[-1].get_content()
    assert set(states(connected).values()) == {NoticeStatus.SENT, NoticeStatus.IN_DIGEST}


def test_what_waits_follows_its_kind_and_what_was_turned_off_can_still_be_read(
    connected: Office, mailbox: Mailbox, sato: Actor
) -> None:
    choose(connected, sato, grants=Timing.DAILY, reports=Timing.DAILY, reviews=Timing.OFF)
    for event in ("grants.refunded", "reports.returned", "reviews.assigned", "awards.announced", "members.invited"):
        tell(connected, EMAIL, cause=event, event=event)
    assert deliver_waiting(connected) == Sent(2, 0), "decisions and the account's affairs go at once"
    choose(connected, sato, grants=Timing.AT_ONCE, reports=Timing.OFF)
    assert deliver_waiting(connected) == Sent(1, 0)
    assert states(connected) == {
        "grants.refunded": NoticeStatus.SENT,
        "reports.returned": NoticeStatus.NOT_WANTED,
        "reviews.assigned": NoticeStatus.NOT_WANTED,
        "awards.announced": NoticeStatus.SENT,
        "members.invited": NoticeStatus.SENT,
    }
    with connected.work(sato) as work:
        assert len(service.own(work, PageRequest()).items) == 5
    tell(connected, EMAIL, cause="later", event="reviews.assigned")
    assert deliver_waiting(connected) == Sent(1, 0)


def test_the_link_of_a_mail_ends_its_kind_for_its_reader_alone(
    connected: Office, mailbox: Mailbox, rows: Rows, sato: Actor
) -> None:
    other = rows.person(Role.APPLICANT)
    tell(connected, EMAIL)
    tell(connected, EMAIL, cause="decision", event="awards.announced")
    tell(connected, "stranger@example.jp", cause="stranger")
    deliver_waiting(connected)
    mail, *others = mailbox.mails
    assert [each["List-Unsubscribe"] for each in others] == [None, None]
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["List-Unsubscribe"].encode() in mailbox.raw[0], "on one line, as it is"
    address = mail["List-Unsubscribe"].strip("<>")
    assert address in mail.get_content()
    (token,) = parse_qs(urlsplit(address).query)["token"]
    with connected.work() as work:
        for wrong in (
            "",
            "x",
            token[:-1],
            token.replace("grants", "reviews"),
            token.replace(token[:32], other.id.hex),
        ):
            with pytest.raises(NotFound):
                preferences.choose_by(work, wrong, {})
        assert preferences.named_by(work, token) == {MailKind.GRANTS: Timing.AT_ONCE}
        for _ in range(2):
            preferences.choose_by(work, token, {MailKind.REVIEWS: Timing.OFF})
    with connected.work(sato) as work:
        assert preferences.own(work) == MailPreferences(grants=Timing.OFF)
    with connected.work(Actor(other.id)) as work:
        assert preferences.own(work) == MailPreferences()
        work.session.get_one(Person, sato.person_id).disabled_at = work.now
    with connected.work() as work, pytest.raises(NotFound):
        preferences.named_by(work, token)


def test_the_link_of_a_digest_ends_the_kinds_in_it(
    connected: Office, mailbox: Mailbox, clock: TestClock, sato: Actor
) -> None:
    choose(connected, sato, grants=Timing.DAILY, reports=Timing.DAILY, deadlines=Timing.DAILY)
    for event in ("grants.refunded", "reports.returned"):
        tell(connected, EMAIL, cause=event, event=event)
    clock.forward(days=1)
    write_digests(connected)
    deliver_waiting(connected)
    (mail,) = mailbox.mails
    (token,) = parse_qs(urlsplit(mail["List-Unsubscribe"].strip("<>")).query)["token"]
    with connected.work() as work:
        preferences.choose_by(work, token, {})
    with connected.work(sato) as work:
        assert preferences.own(work) == MailPreferences(grants=Timing.OFF, reports=Timing.OFF, deadlines=Timing.DAILY)
