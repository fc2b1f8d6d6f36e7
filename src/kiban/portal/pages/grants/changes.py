"""Change requests: asked for by a grant's people, decided by the office, each seen with what it would change."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import Response

from kiban.office.errors import Invalid
from kiban.office.grants import changes as office
from kiban.office.grants import repository
from kiban.office.grants.books import books_of
from kiban.office.grants.models import ChangeKind, ChangeRequest, ChangeStatus
from kiban.office.grants.preview import preview
from kiban.office.grants.schemas import (
    Because,
    ChangeIn,
    DecisionIn,
    Extension,
    Reduction,
    Scope,
    Supplement,
    Team,
    Transfer,
)
from kiban.office.members import repository as members
from kiban.office.paging import Page, PageRequest
from kiban.office.supply import service as supply
from kiban.office.work import Role, Work
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.i18n import _
from kiban.portal.pages.grants.area import Head, head_of, head_to_act, pages
from kiban.portal.pages.grants.fields import kept_as
from kiban.portal.web.forms import Form, PostedForm
from kiban.portal.web.tables import Chosen, Column, Empty, Filter, ListQuery, Table
from kiban.portal.web.views import View, see_other, url, view

SCHEMAS: dict[ChangeKind, type[Extension | Supplement | Transfer | Reduction | Team | Scope]] = {
    ChangeKind.EXTENSION: Extension,
    ChangeKind.SUPPLEMENT: Supplement,
    ChangeKind.TRANSFER: Transfer,
    ChangeKind.REDUCTION: Reduction,
    ChangeKind.TEAM: Team,
    ChangeKind.SCOPE: Scope,
}


def _columns(codes: dict[uuid.UUID, str] | None) -> list[Column[ChangeRequest]]:
    columns: list[Column[ChangeRequest]] = [
        Column(
            "requested_at",
            _("Asked on"),
            kind="datetime",
            sort="requested_at",
            href=lambda row: url("grants.change", change_id=row.id),
        ),
        Column("kind", _("What for"), kind="enum", sort="kind"),
        Column("status", _("State"), kind="enum", sort="status"),
        Column("reason", _("Reason")),
        Column("decided_at", _("Decided on"), kind="datetime", sort="decided_at"),
        Column("decided_reason", _("Reason of the decision"), lambda row: row.decided_reason or None),
    ]
    if codes is not None:
        columns.insert(1, Column("grant", _("Grant"), lambda row: codes.get(row.grant_id)))
    return columns


@pages.get("/grants/changes")
def all_changes(work: Reading, query: ListQuery, status: Chosen[ChangeStatus] = None) -> View | Response:
    """Change requests of all grants that one may see."""
    table = Table("changes", _columns(repository.codes(work.session, work.actor)), caption=_("Change requests"))
    listing = table.list(
        query,
        lambda page: office.list_changes(work, page, status=status),
        filters=[Filter.one_of("status", _("State"), status, ChangeStatus)],
        empty=Empty(_("No change requests"), _("They are asked for on the page of a grant.")),
    )
    return view("grants/all_changes.html", listing=listing)


@pages.get("/grants/{grant_id:uuid}/changes")
def changes(work: Reading, query: ListQuery, grant_id: uuid.UUID) -> View | Response:
    """The change requests of one grant."""
    head = head_of(work, grant_id)
    table = Table("changes", _columns(None), caption=_("Change requests"))

    def read(page: PageRequest) -> Page[ChangeRequest]:
        return office.list_changes(work, page, grant_id=grant_id)

    empty = Empty(_("No change requests"), _("Time, GPU time, pool, team and scope can be changed while it lasts."))
    return view("grants/changes.html", head=head, listing=table.list(query, read, empty=empty))


@pages.get("/grants/{grant_id:uuid}/changes/new")
def asking(work: Reading, grant_id: uuid.UUID, kind: Chosen[ChangeKind] = None) -> View | Response:
    """The form for one kind of change; without a kind, what can be asked for."""
    return view("grants/asking.html", **_asking(work, head_to_act(work, grant_id), kind))


def _asking(work: Work, head: Head, kind: ChangeKind | None) -> dict[str, Any]:
    pools = []
    if kind is ChangeKind.TRANSFER:
        found = supply.list_pools(work, PageRequest(limit=200)).items
        pools = [pool for pool in found if pool.closed_at is None and pool.id != head.grant.pool_id]
    return {"head": head, "kind": kind, "kinds": list(ChangeKind), "pools": pools, "sides": None}


@pages.post("/grants/{grant_id:uuid}/changes/check", shows="asking")
def check(work: Writing, grant_id: uuid.UUID, form: Form) -> View | Response:
    """The form again, with what the change would change. Nothing is asked for yet."""
    head = head_of(work, grant_id)
    details = _details(form)
    books = books_of(work, [head.grant])[grant_id]
    sides = preview(work, books, head.names, details)
    return view("grants/asking.html", **_asking(work, head, details.kind) | {"sides": sides})


@pages.post("/grants/{grant_id:uuid}/changes", shows="asking")
def ask(work: Writing, grant_id: uuid.UUID, form: Form) -> Response:
    """Asks for a change."""
    given = ChangeIn(details=_details(form), reason=form.read(Because).reason)
    row = office.request_change(work, grant_id, given)
    return see_other("grants.change", change_id=row.id, notice="grants.change-requested")


def _details(form: PostedForm) -> Extension | Supplement | Transfer | Reduction | Team | Scope:
    try:
        kind = ChangeKind(form.text("details.kind"))
    except ValueError:
        raise Invalid("say what is to be changed", where="details.kind") from None
    kept = kept_as(form, hours=("details.gpu_seconds",), lists=("details.add_users[]", "details.remove_users[]"))
    return kept.read(SCHEMAS[kind], under="details")


@pages.get("/grants/changes/{change_id:uuid}")
def change(work: Reading, change_id: uuid.UUID) -> View | Response:
    """One request: what it changes, and the decision on it."""
    row = office.get_change(work, change_id)
    head = head_of(work, row.grant_id)
    details = office.DETAILS.validate_python(
        {name: value for name, value in row.details.items() if name in SCHEMAS[row.kind].model_fields}
    )
    sides = None
    if row.status is ChangeStatus.REQUESTED and head.is_open:
        sides = preview(work, books_of(work, [head.grant])[row.grant_id], head.names, details)
    asker = members.person_by_id(work.session, row.requested_by)
    return view(
        "grants/change.html",
        head=head,
        change=row,
        details=details,
        sides=sides,
        asked_by=asker.name if asker is not None and (work.actor.sees_everything or head.may_act) else None,
        may_decide=work.actor.has(Role.OPERATOR)
        and row.requested_by != work.actor.person_id
        and head.grant.organisation_id != work.actor.organisation_id,
        may_withdraw=head.may_act,
    )


@pages.post("/grants/changes/{change_id:uuid}/decide", shows="change")
def decide(work: Writing, change_id: uuid.UUID, form: Form) -> Response:
    """Approves, with all effects, or refuses."""
    given = form.read(DecisionIn)
    office.decide_change(work, change_id, approve=given.approve, reason=given.reason)
    return see_other("grants.change", change_id=change_id, notice="grants.change-decided")


@pages.post("/grants/changes/{change_id:uuid}/withdraw", shows="change")
def withdraw(work: Writing, change_id: uuid.UUID, form: Form) -> Response:
    """Takes a request back."""
    office.withdraw_change(work, change_id)
    return see_other("grants.change", change_id=change_id, notice="grants.change-withdrawn")
