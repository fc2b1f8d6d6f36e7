"""The button that takes back what was just done."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from starlette.testclient import TestClient
from tests.office.conftest import Rows

from kiban.office.work import Role
from kiban.portal.web.notices import offered, undo

from ..conftest import BrowserOf
from ..pages.forms import SeenForm, form_of, forms_of

HOSTILE = "<script>alert(1)</script>"


def test_only_what_this_session_sealed_is_offered() -> None:
    meant = undo("grants.add_user", grant_id="1", fields={"user_name": HOSTILE, "person_id": None})
    assert meant.fields == {"user_name": HOSTILE}
    text = meant.sealed("token")
    assert text is not None
    assert offered(text, "token") == meant
    other = undo("grants.turn", grant_id="1", turn="close", fields={"reason": "r"}).sealed("theirs")
    assert other is not None
    forged = f"{other.partition('.')[0]}.{text.partition('.')[2]}"
    for wrong in (other, forged, text[:-1], f"{text}0", text.replace(".", ""), "", ".", "é.é", "x" * 10_000):
        assert offered(wrong, "token") is None, wrong[:40]
    assert offered(undo("a").sealed("") or "", "") is None, "nobody has signed in"
    assert undo("a", fields={"reason": "".join(map(chr, range(0x4E00, 0x6000)))}).sealed("token") is None


def pressed(browser: TestClient, form: SeenForm) -> str:
    """Where the act leads to, with its undo."""
    answer = form.send(browser)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_a_role_that_was_taken_away_by_mistake_comes_back_by_one_button(browser_of: BrowserOf, rows: Rows) -> None:
    browser, person = browser_of(Role.OPERATOR), rows.person(Role.REVIEWER)
    page = f"/ja/members/people/{person.id}"
    taken = pressed(browser, form_of(browser.get(page), "/revoke"))
    assert not any(form.action.endswith("/revoke") for form in forms_of(browser.get(page)))
    shown = browser.get(taken)
    assert "data-notice" in shown.text
    given = pressed(browser, form_of(shown, "/roles"))
    assert any(form.action.endswith("/revoke") for form in forms_of(browser.get(page))), "the reviewer is one again"
    pressed(browser, form_of(browser.get(given), "/revoke"))
    # The address in another's hands offers nothing.
    query = parse_qs(urlsplit(taken).query)
    assert query["undo"]
    assert 'class="undo"' not in browser_of(Role.OPERATOR).get(taken).text
