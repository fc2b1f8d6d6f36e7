"""Every mail leads to the page that it is about, in each of its languages."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import sqlalchemy as sa
from tests.office.conftest import sqlite_template
from tests.portal.api.world import World

from kiban.office.calls.models import Call
from kiban.office.links import Link, Place
from kiban.office.members import passwords
from kiban.office.members.models import Person
from kiban.office.notices.models import Channel, Notice
from kiban.office.reviews import messages

from .everything import LANGUAGE, routes, silent, world

__all__ = ["silent", "sqlite_template", "world"]
LINK = re.compile(r"https?://\S+")


def test_every_place_of_mails_is_a_page(world: World) -> None:
    """With the same names in its path; a call of `Link` without one of them raises."""
    shown = [route.path.removeprefix(LANGUAGE) for route in routes(world.app) if "GET" in route.methods]
    pages = {re.sub(r":[a-z]+}", "}", path) for path in shown}
    assert {place.value for place in Place} - pages == set()


def test_mails_of_every_module_end_in_a_link_for_each_language(world: World) -> None:
    pages = [route for route in routes(world.app) if "GET" in route.methods]
    with world.office.work() as work:
        call, person = work.session.get_one(Call, world.ids["call_id"]), work.session.scalars(sa.select(Person)).first()
        assert person is not None
        messages.tell_assigned(work, call, person, 2, work.new_id(), None)
        messages.remind(work, call, person, 2, work.now)
        messages.tell_shortage(work, call, ["R-1"])
        passwords.tell_of_change(work, person)
        work.session.flush()
        mails = list(work.session.scalars(sa.select(Notice).where(Notice.channel == Channel.MAIL)))
        work.session.expunge_all()
        work.session.rollback()
    assert {mail.event.partition(".")[0] for mail in mails} >= {"awards", "grants", "members", "reviews"}
    for mail in mails:
        paths = [urlsplit(address).path for address in LINK.findall(mail.body)]
        assert sorted(path.split("/")[1] for path in paths) == ["en", "ja"], (mail.event, mail.body)
        for path in paths:
            assert any(route.path_regex.match(path) for route in pages), (mail.event, path)


def test_a_link_is_beneath_the_public_address_with_its_values_escaped(world: World) -> None:
    settings = world.office.settings.model_copy(update={"public_url": "https://kiban.example.jp/base/"})
    link = Link(Place.RESET_PASSWORD, token="a&b")
    assert link.url(settings, "ja") == "https://kiban.example.jp/base/ja/reset-password?token=a%26b"
