from __future__ import annotations

import pytest

from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from kiban.office.members import service
from kiban.office.members.models import OrganisationKind, OrganisationSize
from kiban.office.members.schemas import OrganisationIn, PersonChange, PersonIn
from kiban.office.office import Office
from kiban.office.paging import PageRequest
from kiban.office.work import ANONYMOUS, SYSTEM, Role

from ..conftest import Rows
from .conftest import Accounts

PAGE = PageRequest()


def _organisation(**given: object) -> OrganisationIn:
    values: dict[str, object] = {
        "name_ja": "株式会社例",
        "name_en": "Example",
        "kind": OrganisationKind.STARTUP,
        "size": OrganisationSize.SMALL,
        "domain": "language",
    }
    return OrganisationIn.model_validate(values | given)


def test_people_see_their_organisation_and_operators_and_auditors_everybody(office: Office, rows: Rows) -> None:
    ours, theirs = rows.organisation(), rows.organisation()
    me = rows.actor(Role.APPLICANT, organisation=ours)
    colleague, other = rows.person(organisation=ours), rows.person(organisation=theirs)
    lonely, lonely_too = rows.actor(Role.REVIEWER), rows.actor(Role.REVIEWER)
    with office.work(me) as work:
        assert {row.id for row in service.people(work, PAGE).items} == {me.person_id, colleague.id}
        assert [row.id for row in service.organisations(work, PAGE).items] == [ours.id]
        assert service.people(work, PAGE, organisation_id=theirs.id).items == []
        for look in (lambda: service.person(work, other.id), lambda: service.organisation(work, theirs.id)):
            with pytest.raises(NotFound):
                look()
    with office.work(lonely) as work:  # belonging to no organisation is nothing in common
        assert [row.id for row in service.people(work, PAGE).items] == [lonely.person_id]
        assert service.organisations(work, PAGE).items == []
    for role in (Role.OPERATOR, Role.AUDITOR):
        with office.work(rows.actor(role)) as work:
            seen = {row.id for row in service.people(work, PAGE).items}
            assert {colleague.id, other.id, lonely_too.person_id} <= seen
    with office.work(ANONYMOUS) as work:
        for ask in (service.people, service.organisations):
            with pytest.raises(Unauthenticated):
                ask(work, PAGE)


def test_a_filter_by_role_tells_nothing_of_colleagues(office: Office, rows: Rows) -> None:
    ours, call = rows.organisation(), rows.call()
    me, panellist = rows.actor(Role.APPLICANT, organisation=ours), rows.person(Role.PANEL, organisation=ours)
    with office.work(me) as work:
        assert service.people(work, PAGE, role=Role.PANEL).items == []
        assert [row.id for row in service.people(work, PAGE, role=Role.APPLICANT).items] == [me.person_id]
    with office.work(rows.actor(Role.OPERATOR)) as work:
        assert [row.id for row in service.people(work, PAGE, role=Role.PANEL, call_id=call.id).items] == [panellist.id]


def test_only_operators_change_members(office: Office, rows: Rows) -> None:
    organisation = rows.organisation()
    person = rows.person(organisation=organisation)
    for actor in (rows.actor(Role.APPLICANT, organisation=organisation), rows.actor(Role.AUDITOR)):
        with office.work(actor) as work:
            for act in (
                lambda: service.add_organisation(work, _organisation()),
                lambda: service.change_organisation(work, organisation.id, _organisation()),
                lambda: service.close_organisation(work, organisation.id, "x"),
                lambda: service.add_person(work, PersonIn(email="new@example.jp", name="新")),
                lambda: service.change_person(work, person.id, PersonChange(name="他人")),
                lambda: service.move(work, person.id, None, "x"),
                lambda: service.disable(work, person.id, "x"),
                lambda: service.enable(work, person.id, "x"),
            ):
                with pytest.raises(Forbidden):
                    act()


def test_an_organisation_is_added_changed_and_closed(office: Office, rows: Rows, accounts: Accounts) -> None:
    with office.work(SYSTEM) as work:
        row = service.add_organisation(work, _organisation(corporate_number="７０００-０１２０-５０００２"))
        assert row.corporate_number == "7000012050002"
        with pytest.raises(Conflict):
            service.add_organisation(work, _organisation(corporate_number="7000012050002"))
        with pytest.raises(Invalid):
            service.add_organisation(work, _organisation(corporate_number="7000012050003"))
    with office.work(SYSTEM) as work:
        service.change_organisation(
            work, row.id, _organisation(corporate_number="7000012050002", size=OrganisationSize.MEDIUM)
        )
    with office.work(SYSTEM) as work:
        service.close_organisation(work, row.id, "merged")
    person = rows.person()
    with office.work(SYSTEM) as work:
        for act in (
            lambda: service.close_organisation(work, row.id, "merged"),
            lambda: service.add_person(work, PersonIn(email="late@example.jp", name="遅", organisation_id=row.id)),
            lambda: service.move(work, person.id, row.id, "x"),
        ):
            with pytest.raises(Conflict):
                act()
    assert accounts.actions() == [
        "members.organisation_added",
        "members.organisation_changed",
        "members.organisation_closed",
    ]


def test_one_account_per_address_however_it_is_written(office: Office) -> None:
    with office.work(SYSTEM) as work:
        service.add_person(work, PersonIn(email="Hanako@Example.JP", name="花子"))
        with pytest.raises(Conflict):
            service.add_person(work, PersonIn(email="ｈａｎａｋｏ@example.jp", name="花子"))


def test_one_changes_ones_own_particulars_but_not_the_address(office: Office, rows: Rows, accounts: Accounts) -> None:
    me = rows.actor()
    assert me.person_id is not None
    change = PersonChange(
        name=" 山田  花子 ", expertise=["音声", "音声", "llm"], orcid="https://orcid.org/0000-0002-1825-0097"
    )
    with office.work(me) as work:
        row = service.change_person(work, me.person_id, change)
        assert (row.name, row.expertise, row.orcid) == ("山田 花子", ["音声", "llm"], "0000-0002-1825-0097")
        service.change_person(work, me.person_id, PersonChange(language="en"))
        assert row.orcid is not None  # what is left out stays
        with pytest.raises(Forbidden):
            service.change_person(work, me.person_id, PersonChange(email="mine@example.jp"))
    assert accounts.actions() == []
    other, operator = rows.person(), rows.actor(Role.OPERATOR)
    with office.work(operator) as work:
        service.change_person(work, me.person_id, PersonChange(email="MINE@example.jp"))
        with pytest.raises(Conflict):
            service.change_person(work, other.id, PersonChange(email="mine@example.jp"))
    assert accounts.stored(me.person_id).email == "mine@example.jp"
    assert accounts.actions() == ["members.email_changed", "members.person_changed"]


def test_disabling_and_moving_are_recorded_with_their_reasons(office: Office, rows: Rows, accounts: Accounts) -> None:
    person = rows.person()
    with office.work(SYSTEM) as work:
        service.disable(work, person.id, "left")
        with pytest.raises(Conflict):
            service.disable(work, person.id, "left")
        with pytest.raises(Invalid):
            service.enable(work, person.id, " ")
    with office.work(SYSTEM) as work:
        service.enable(work, person.id, "came back")
        with pytest.raises(Conflict):
            service.enable(work, person.id, "came back")
        with pytest.raises(Invalid):
            service.move(work, person.id, person.id, "no such organisation")
    organisation = rows.organisation()
    with office.work(SYSTEM) as work:
        service.move(work, person.id, organisation.id, "hired")
    assert accounts.actions() == ["members.person_disabled", "members.person_enabled", "members.person_moved"]


def test_contacts_are_enabled_people(office: Office, rows: Rows) -> None:
    ours, call = rows.organisation(), rows.call()
    here = rows.person(Role.OPERATOR, organisation=ours, language="en")
    rows.person(Role.OPERATOR, organisation=ours, disabled_at=office.clock())
    with office.work(ANONYMOUS) as work:
        expected = [service.Contact(here.id, here.email, here.name, "en")]
        assert service.contacts_in(work, ours.id) == expected
        assert service.contacts_with(work, Role.OPERATOR, call.id) == expected
        assert service.contacts(work, [here.id]) == expected
        assert service.contacts_with(work, Role.AUDITOR) == []
