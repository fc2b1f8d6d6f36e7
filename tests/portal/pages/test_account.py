"""One's own account, without scripts: joining, the second factor, passwords, sessions and tokens."""

from __future__ import annotations

import html
import re

import pyotp
import pytest
import segno
import sqlalchemy as sa
from starlette.testclient import TestClient
from tests.office.conftest import Rows, TestClock
from tests.portal.conftest import PASSWORD, BrowserOf

from kiban.office.members import invitations
from kiban.office.members.models import ApiToken, Person
from kiban.office.members.schemas import InvitationIn
from kiban.office.members.sessions import cookie_name
from kiban.office.notices.models import Notice
from kiban.office.office import Office
from kiban.office.work import Role

NEW = "three small frogs cross a river"
HOSTILE = "<script>alert(1)</script> \u202eمها 𠮷 👩‍🔬"


def link_in_last_mail(office: Office) -> str:
    """Path and query of the first link of the newest mail."""
    with office.work() as work:
        body = work.session.scalars(sa.select(Notice.body).order_by(Notice.id.desc())).first()
    found = re.search(r"https?://[^/\s]+(/\S+)", body or "")
    assert found is not None, body
    return found[1]


def invite(office: Office, email: str, *roles: Role) -> str:
    with office.work() as work:
        invitations.invite(work, InvitationIn(email=email, roles=list(roles)))
    return link_in_last_mail(office)


def csrf(text: str) -> str:
    return re.search(r'name="csrf_token" value="([^"]+)"', text)[1]  # type: ignore[index]


def hidden(text: str, name: str) -> str:
    return html.unescape(re.search(rf'name="{name}" value="([^"]*)"', text)[1])  # type: ignore[index]


def follow(browser: TestClient, answer: object) -> str:
    location = answer.headers["location"]  # type: ignore[attr-defined]
    shown = browser.get(location)
    assert shown.status_code == 200, shown.text
    return str(shown.text)


def shown_qr_code(text: str) -> list[bytes]:
    """The modules of the page's QR code, drawn as an SVG path of horizontal strokes; without the quiet zone."""
    side = int(re.search(r'<svg viewBox="0 0 (\d+) \1"', text)[1])  # type: ignore[index]
    drawn = [bytearray(side) for _ in range(side)]
    x, y = 0.0, 0.0
    path = re.search(r'<path class="qrline" stroke="#000" d="([^"]+)"', text)[1]  # type: ignore[index]
    for command, numbers in re.findall(r"([Mmh])([^Mmh]+)", path):
        first, *rest = map(float, numbers.split())
        if command == "h":
            drawn[int(y)][int(x) : int(x + first)] = b"\1" * int(first)
        x = first if command == "M" else x + first
        y = rest[0] if command == "M" else y + (rest[0] if rest else 0)
    assert not any(b"".join(drawn[:4]) + b"".join(drawn[-4:])), "no quiet zone"
    return [bytes(row[4:-4]) for row in drawn[4:-4]]


def test_who_is_invited_joins_sets_up_the_second_factor_and_has_the_role(
    browser: TestClient, office: Office, clock: TestClock
) -> None:
    link = invite(office, "operator@example.jp", Role.OPERATOR)
    offered = browser.get(f"/ja{link.removeprefix('/ja')}")
    assert offered.headers["referrer-policy"] == "no-referrer"
    assert offered.headers["cache-control"] == "no-store"
    token = hidden(offered.text, "token")
    answer = browser.post("/ja/invitation", data={"token": token, "account.name": HOSTILE, "account.password": "short"})
    assert answer.status_code == 422
    assert hidden(answer.text, "token") == token, "the link's secret is not lost with a mistake"
    assert "<script>alert" not in answer.text
    answer = browser.post("/ja/invitation", data={"token": token, "account.name": HOSTILE, "account.password": NEW})
    assert answer.status_code == 303, answer.text
    factor = follow(browser, answer)
    assert "<script>alert" not in factor
    assert browser.get("/ja/members/people").status_code in (403, 404), "not in force yet"

    answer = browser.post("/ja/account/second-factor", data={"csrf_token": csrf(factor)})
    begun = follow(browser, answer)
    secret = re.search(r"secret=([A-Z2-7]+)", begun)[1]  # type: ignore[index]
    uri = html.unescape(re.search(r'href="(otpauth://[^"]+)"', begun)[1])  # type: ignore[index]
    assert shown_qr_code(begun) == [bytes(row) for row in segno.make(uri, error="m", micro=False).matrix]
    assert browser.get("/ja/account/second-factor").headers["cache-control"] == "no-store", "it holds the secret"
    wrong = browser.post("/ja/account/second-factor/confirmation", data={"csrf_token": csrf(begun), "code": "000000"})
    assert wrong.status_code == 422
    assert secret in wrong.text, "the key stays the same after a mistyped code"
    code = pyotp.TOTP(secret).at(clock())
    done = browser.post("/ja/account/second-factor/confirmation", data={"csrf_token": csrf(begun), "code": code})
    assert done.status_code == 200
    assert done.headers["cache-control"] == "no-store"
    codes = re.findall(r"<li><code[^>]*>([^<]+)</code>", done.text)
    assert len(codes) == 10
    assert codes[0] not in browser.get("/ja/account/second-factor").text
    assert browser.get("/api/v1/members/people").status_code == 200

    clock.forward(minutes=20)
    late = browser.get("/ja/account/second-factor").text
    assert "/ja/sign-in?return_to=" in late, "changing it takes a recent sign-in"
    assert "account/recovery-codes" not in late


def test_an_invitation_is_for_its_address_alone(
    browser: TestClient, browser_of: BrowserOf, account: str, office: Office
) -> None:
    link = invite(office, account, Role.REVIEWER)
    token = link.partition("token=")[2]
    page = browser.get(f"/ja/invitation?token={token}").text
    assert 'name="account.password"' not in page, "there is an account: one signs in to it"
    other = browser_of(Role.APPLICANT)
    shown = other.get(f"/ja/invitation?token={token}").text
    assert f'action="{"/ja/invitation"}"' not in shown
    taken = other.post("/ja/invitation", data={"token": token, "csrf_token": other.csrf_token})  # type: ignore[attr-defined]
    assert taken.status_code == 403
    back = re.search(r'href="(/ja/sign-in[^"]+)" ?', page)
    assert back is not None
    given = {"email": account, "password": PASSWORD, "return_to": f"/ja/invitation?token={token}"}
    offer = follow(browser, browser.post("/ja/sign-in", data=given))
    done = browser.post("/ja/invitation", data={"token": token, "csrf_token": csrf(offer)})
    assert done.status_code == 303, done.text
    again = browser.get(f"/ja/invitation?token={token}")
    assert again.status_code == 409
    assert browser.get("/ja/invitation?token=unknown").status_code == 404


def test_a_forgotten_password_is_set_anew_once_and_nobody_learns_who_has_an_account(
    browser: TestClient, account: str, office: Office
) -> None:
    answers = [browser.post("/en/forgotten-password", data={"email": each}) for each in ("no@example.jp", account)]
    assert {(answer.status_code, answer.headers["location"], answer.text) for answer in answers} == {
        (303, "/en/forgotten-password/sent", "")
    }
    link = link_in_last_mail(office)
    token = link.partition("token=")[2]
    page = browser.get(f"/en/reset-password?token={token}")
    assert page.headers["referrer-policy"] == "no-referrer"
    easy = browser.post("/en/reset-password", data={"token": token, "new_password": "aaaaaaaaaaaaaaaaaaaa"})
    assert easy.status_code == 422
    assert hidden(easy.text, "token") == token
    assert "aaaaaaaaaaaaaaaaaaaa" not in easy.text
    done = browser.post("/en/reset-password", data={"token": token, "new_password": NEW})
    assert done.headers["location"].startswith("/en/sign-in")
    spent = browser.post("/en/reset-password", data={"token": token, "new_password": NEW + "s"})
    assert spent.status_code == 404
    assert browser.post("/en/sign-in", data={"email": account, "password": NEW}).status_code == 303
    browser.cookies.clear()
    tries = [browser.post("/en/forgotten-password", data={"email": account}).status_code for _ in range(4)]
    assert tries[-1] == 429, "as often as through the API"


def test_profile_and_password_are_changed_by_their_owner(browser: TestClient, account: str, office: Office) -> None:
    browser.post("/ja/sign-in", data={"email": account, "password": PASSWORD})
    page = browser.get("/ja/account")
    given = {"csrf_token": csrf(page.text), "name": HOSTILE, "language": "en", "expertise": "音声\r\n\r\n創薬\r\n"}
    assert browser.post("/ja/account", data=given | {"orcid": "0000-0002-1825-0098"}).status_code == 422
    given |= {"orcid": "0000-0002-1825-0097"}
    assert browser.post("/ja/account", data=given | {"email": "x@example.jp"}).status_code == 403
    assert browser.post("/ja/account", data=given).status_code == 303
    with office.work() as work:
        person = work.session.scalars(sa.select(Person)).one()
        assert (person.language, person.expertise, person.orcid) == ("en", ["音声", "創薬"], "0000-0002-1825-0097")
        assert person.email == account
    assert "<script>alert" not in browser.get("/ja/account").text
    token = csrf(browser.get("/ja/account/password").text)
    wrong = {"csrf_token": token, "current_password": "not this one at all", "new_password": NEW}
    refused = browser.post("/ja/account/password", data=wrong)
    assert refused.status_code == 403
    assert 'id="field-current_password-error"' in refused.text
    assert browser.post("/ja/account/password", data=wrong | {"current_password": PASSWORD}).status_code == 303


def test_sessions_end_when_their_owner_says_so(browser: TestClient, account: str, app: object, office: Office) -> None:
    other = TestClient(app, follow_redirects=False)  # type: ignore[arg-type]
    for each in (other, browser):
        each.post("/ja/sign-in", data={"email": account, "password": PASSWORD}, headers={"User-Agent": HOSTILE[:20]})
    page = browser.get("/ja/account/sessions").text
    assert "<script>alert" not in page
    ends = re.findall(r'action="(/ja/account/sessions/[0-9a-f-]{36}/end)"', page)
    assert len(ends) == 1, "the present one has no such button"
    assert browser.post(ends[0], data={"csrf_token": csrf(page)}).status_code == 303
    assert other.get("/ja/account").status_code == 303
    assert browser.get("/ja/account").status_code == 200


@pytest.mark.parametrize("language", ["ja", "en"])
def test_a_token_is_shown_once_and_revoked(browser_of: BrowserOf, office: Office, language: str) -> None:
    browser = browser_of(Role.APPLICANT)
    page = browser.get(f"/{language}/account/tokens").text
    given = {"csrf_token": csrf(page), "name": HOSTILE[:90], "expires_in_days": "30"}
    assert browser.post(f"/{language}/account/tokens", data=given).status_code == 422, "no scope was chosen"
    made = browser.post(f"/{language}/account/tokens", data=given | {"scopes[]": ["members:read", "ledger:read"]})
    assert made.status_code == 200, made.text
    text = re.search(r"<code[^>]*>(kbn_[^<]+)</code>", made.text)[1]  # type: ignore[index]
    assert "<script>alert" not in made.text
    me = TestClient(browser.app).get("/api/v1/members/me", headers={"Authorization": f"Bearer {text}"})
    assert me.json()["scopes"] == ["ledger:read", "members:read"]
    page = browser.get(f"/{language}/account/tokens").text
    assert text not in page
    with office.work() as work:
        token_id = work.session.scalars(sa.select(ApiToken.id)).one()
    assert browser.post(f"/{language}/account/tokens/{token_id}/revoke", data={"csrf_token": csrf(page)}).is_redirect
    with office.work() as work:
        assert work.session.scalars(sa.select(ApiToken.revoked_at)).one() is not None


def test_pages_of_the_account_are_for_who_is_signed_in(browser: TestClient, rows: Rows, office: Office) -> None:
    browser.cookies.set(cookie_name(office.settings), "nobody's")
    for path in ("", "/password", "/second-factor", "/sessions", "/tokens"):
        answer = browser.get(f"/ja/account{path}")
        assert (path, answer.status_code) == (path, 303)
        assert answer.headers["location"].startswith("/ja/sign-in?return_to=%2Fja%2Faccount")
