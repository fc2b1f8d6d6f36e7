"""Members' pages: whom one sees, and what operators do about accounts."""

from __future__ import annotations

import re

import sqlalchemy as sa
from tests.office.conftest import Rows
from tests.portal.conftest import BrowserOf

from kiban.office.members.models import Invitation, Person, RoleGrant
from kiban.office.office import Office
from kiban.office.work import Role

HOSTILE = "<img src=x onerror=alert(1)> \u202eمها 𠮷"


def test_an_operator_gives_and_takes_roles_and_disables_with_a_reason(
    browser_of: BrowserOf, office: Office, rows: Rows
) -> None:
    operator = browser_of(Role.OPERATOR)
    csrf = {"csrf_token": operator.csrf_token}  # type: ignore[attr-defined]
    person, call = rows.person(Role.APPLICANT, name=HOSTILE), rows.call()
    path = f"/ja/members/people/{person.id}"
    listed = operator.get("/ja/members")
    assert path in listed.text
    assert "<img src=x" not in listed.text
    assert "<img src=x" not in operator.get(path).text
    given = {"role": "panel", "call_id": str(call.id)}
    assert operator.post(f"{path}/roles", data=csrf | given).status_code == 303
    again = operator.post(f"{path}/roles", data=csrf | given)
    assert again.status_code == 409, "held already"
    with office.work() as work:
        held = work.session.scalars(sa.select(RoleGrant).where(RoleGrant.role == Role.PANEL)).one()
    assert held.call_id == call.id
    assert operator.post(f"{path}/roles/{held.id}/revoke", data=csrf).status_code == 303
    assert operator.post(f"{path}/disable", data=csrf | {"disable.reason": ""}).status_code == 422
    assert operator.post(f"{path}/disable", data=csrf | {"disable.reason": "left"}).status_code == 303
    with office.work() as work:
        assert work.session.get_one(Person, person.id).disabled_at is not None
    assert operator.post(f"{path}/enable", data=csrf | {"enable.reason": "back"}).status_code == 303
    own = rows.organisation()
    moved = operator.post(f"{path}/move", data=csrf | {"move.organisation_id": str(own.id), "move.reason": "new job"})
    assert moved.status_code == 303, moved.text
    with office.work() as work:
        assert work.session.get_one(Person, person.id).organisation_id == own.id


def test_invitations_are_sent_again_and_withdrawn(browser_of: BrowserOf, office: Office, rows: Rows) -> None:
    operator = browser_of(Role.OPERATOR)
    csrf = {"csrf_token": operator.csrf_token}  # type: ignore[attr-defined]
    organisation = rows.organisation()
    given = {"email": "new@example.jp", "organisation_id": str(organisation.id), "roles[]": ["applicant", "reviewer"]}
    assert operator.post("/ja/members/invitations", data=csrf | given | {"email": "no address"}).status_code == 422
    assert operator.post("/ja/members/invitations", data=csrf | given).status_code == 303
    with office.work() as work:
        first = work.session.scalars(sa.select(Invitation)).one()
    assert operator.post(f"/ja/members/invitations/{first.id}/again", data=csrf).status_code == 303
    with office.work() as work:
        old, new = work.session.scalars(sa.select(Invitation).order_by(Invitation.id)).all()
        assert old.revoked_at is not None
        assert (new.email, new.roles, new.organisation_id) == (first.email, first.roles, organisation.id)
    assert operator.post(f"/ja/members/invitations/{new.id}/withdraw", data=csrf).status_code == 303
    with office.work() as work:
        assert work.session.get_one(Invitation, new.id).revoked_at is not None


def test_applicants_see_and_invite_their_own_colleagues_only(browser_of: BrowserOf, office: Office, rows: Rows) -> None:
    applicant = browser_of(Role.APPLICANT)
    csrf = {"csrf_token": applicant.csrf_token}  # type: ignore[attr-defined]
    organisation = rows.organisation()
    with office.work() as work:
        work.session.scalars(sa.select(Person)).one().organisation_id = organisation.id
    stranger = rows.person(Role.REVIEWER, name="見知らぬ人")
    colleague = rows.person(Role.PANEL, organisation=organisation, name="同僚")
    page = applicant.get("/ja/members").text
    assert "同僚" in page
    assert "見知らぬ人" not in page
    assert applicant.get(f"/ja/members/people/{stranger.id}").status_code == 404
    shown = applicant.get(f"/ja/members/people/{colleague.id}").text
    assert "審査会の委員" not in shown, "a seat on a panel is no affair of the organisation's"
    assert not re.search(r'action="[^"]*/members/people/', shown)
    given = {"email": "c@example.jp", "roles[]": ["operator"]}
    assert applicant.post("/ja/members/invitations", data=csrf | given).status_code == 303
    with office.work() as work:
        invited = work.session.scalars(sa.select(Invitation)).one()
    assert (invited.roles, invited.organisation_id) == (["applicant"], organisation.id)
    refused = applicant.post(f"/ja/members/people/{colleague.id}/disable", data=csrf | {"disable.reason": "envy"})
    assert refused.status_code == 403
