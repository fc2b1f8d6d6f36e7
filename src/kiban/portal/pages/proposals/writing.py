"""Writing a proposal: starting a draft, the form with the plan beside it, saving, and two versions at once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from kiban.office.calls import service as calls
from kiban.office.calls.schemas import CallOut
from kiban.office.errors import Conflict
from kiban.office.members import service as members
from kiban.office.paging import LARGEST, PageRequest
from kiban.office.proposals import drafts, service
from kiban.office.proposals.outputs import ProposalWhole
from kiban.office.schemas import Schema
from kiban.office.work import Role, Work
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.pages.proposals.area import pages
from kiban.portal.pages.proposals.body_fields import BodyFields, body_of
from kiban.portal.pages.proposals.choices import choices_for
from kiban.portal.pages.proposals.comparing import compared, pool_names, shown
from kiban.portal.pages.proposals.panel import Panel, of_stored, panel_of
from kiban.portal.pages.proposals.places import SECTIONS, name_of
from kiban.portal.pages.proposals.reading import is_writable
from kiban.portal.web import page as current
from kiban.portal.web.forms import Form, PostedForm
from kiban.portal.web.views import View, see_other, view

MINE, THEIRS = "mine", "theirs"


class Base(Schema):
    """`expected_version`: the version that what was typed was made from."""

    expected_version: Annotated[int, Query(ge=0, lt=2**31)]


class Settled(Base):
    """`current_version`: the one that stood on the other side when the reader chose.

    `is_base_known`: whether changes could be told from what both had before, then.
    """

    current_version: Annotated[int, Query(ge=0, lt=2**31)]
    is_base_known: bool


@pages.get("/calls/{call_id}/apply")
def apply(work: Reading, call_id: uuid.UUID) -> View | Response:
    """The organisation's proposals in a call, and a new one."""
    call = calls.show_call(work, calls.get_call(work, call_id))
    work.person_id  # noqa: B018 - to the sign-in page
    mine = service.list_proposals(work, PageRequest(limit=LARGEST), call_id=call_id, mine=True).items
    may_apply = work.actor.has(Role.APPLICANT, call_id) and work.actor.organisation_id is not None
    return view("proposals/apply.html", call=call, mine=mine, may_apply=may_apply, is_over=work.now >= call.closes_at)


@pages.post("/calls/{call_id}/apply", shows="apply")
def start(work: Writing, call_id: uuid.UUID, form: Form) -> Response:
    """A draft with who starts it as its first member."""
    [person] = members.contacts(work, [work.person_id])
    team = [{"name": person.name, "email": person.email, "may_edit": True}]
    made = drafts.create(work, call_id, {"team": team})
    return see_other("proposals.edit", proposal_id=made.id, notice="proposals.started")


@pages.get("/proposals/{proposal_id}/edit")
def edit(work: Reading, proposal_id: uuid.UUID) -> View | Response:
    """The form; or both versions, where somebody saved while this was being typed."""
    page = current.current()
    proposal, call = _found(work, proposal_id)
    posted = page.posted
    if posted is None and not is_writable(work, proposal, call):
        return see_other("proposals.show", proposal_id=proposal_id)
    if posted is not None and page.failure is not None and page.failure.status == 409:
        base = _version_in(posted)
        if base is not None and base != proposal.version and is_writable(work, proposal, call):
            return _both(work, proposal, call, posted, base)
    panel = panel_of(proposal.plan, proposal.gaps, of_stored(proposal.body), call)
    return _editing(proposal, call, panel)


@pages.post("/proposals/{proposal_id}/edit", shows="edit")
def save(work: Writing, proposal_id: uuid.UUID, form: Form) -> Response:
    """Save by hand, and go on to handing in where that was asked for."""
    call = _call_of(work, proposal_id)
    body = body_of(form, call.questions).body
    drafts.save(work, proposal_id, body, expected_version=form.read(Base).expected_version)
    goes_on = form.text("_next") == "hand_in"
    return see_other(
        "proposals.hand_in" if goes_on else "proposals.edit", proposal_id=proposal_id, notice="proposals.saved"
    )


@pages.get("/proposals/{proposal_id}/state")
def state(work: Reading, proposal_id: uuid.UUID) -> View | Response:
    """The part of the form that follows what is typed: whether it is saved, what is missing, and the plan."""
    page = current.current()
    proposal, call = _found(work, proposal_id)
    drafts.require_writer(proposal)
    if page.posted is None or not page.posted.fields:
        read, plan, gaps = of_stored(proposal.body), proposal.plan, proposal.gaps
    else:
        read = body_of(page.posted, call.questions)
        plan, gaps = service.preview(work, call.id, read.body)
    return _state(proposal, call, panel_of(plan, gaps, read, call), is_saved=page.posted is None)


@pages.post("/proposals/{proposal_id}/state", shows="state")
def autosave(work: Writing, proposal_id: uuid.UUID, form: Form) -> View:
    """Save what is typed, and answer with what follows from it."""
    call = _call_of(work, proposal_id)
    read = body_of(form, call.questions)
    expected = form.read(Base).expected_version
    saved = drafts.save(work, proposal_id, read.body, expected_version=expected, is_autosave=True)
    return _state(saved, call, panel_of(saved.plan, saved.gaps, read, call), is_saved=True)


@pages.post("/proposals/{proposal_id}/plan", shows="edit")
def plan(work: Reading, proposal_id: uuid.UUID, form: Form) -> View:
    """The form as it was typed, with the plan computed; nothing is stored."""
    proposal, call = _found(work, proposal_id)
    drafts.require_writer(proposal)
    read = body_of(form, call.questions)
    answer, gaps = service.preview(work, call.id, read.body)
    return _editing(proposal, call, panel_of(answer, gaps, read, call), is_computed=True)


@pages.post("/proposals/{proposal_id}/merge", shows="edit")
def merge(work: Writing, proposal_id: uuid.UUID, form: Form) -> Response:
    """Save both sides' changes, and of each clash the side that was chosen."""
    call = _call_of(work, proposal_id)
    versions = form.read(Settled)
    body = body_of(form, call.questions).body
    own_paths = {
        value
        for name, value in form.fields
        if name.startswith("_clash.") and form.text(f"_choice.{name.partition('.')[2]}") == MINE
    }
    merged = drafts.merge(work, proposal_id, body, base_version=versions.expected_version, own_paths=own_paths)
    is_base_known = merged.base_version is not None
    if merged.current_version != versions.current_version or is_base_known != versions.is_base_known:
        raise Conflict(
            "it was changed once more meanwhile", where="current_version", hint="look at both versions again"
        )
    drafts.save(work, proposal_id, merged.body, expected_version=merged.current_version)
    return see_other("proposals.edit", proposal_id=proposal_id, notice="proposals.merged")


def _found(work: Work, proposal_id: uuid.UUID) -> tuple[ProposalWhole, CallOut]:
    proposal = service.get_proposal(work, proposal_id)
    return proposal, calls.show_call(work, calls.get_call(work, proposal.call_id))


def _call_of(work: Work, proposal_id: uuid.UUID) -> CallOut:
    return calls.show_call(work, service.see(work, proposal_id).call)


def _version_in(posted: PostedForm) -> int | None:
    given = posted.text("expected_version")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None


def _editing(proposal: ProposalWhole, call: CallOut, panel: Panel, *, is_computed: bool = False) -> View:
    posted = current.current().posted
    return View(
        "proposals/edit.html",
        {
            "proposal": proposal,
            "call": call,
            "panel": panel,
            "fields": BodyFields(proposal.body, call.questions),
            "choices": choices_for(call),
            "sections": SECTIONS,
            "is_computed": is_computed,
            "is_saved": posted is None,
        },
    )


def _state(proposal: ProposalWhole, call: CallOut, panel: Panel, *, is_saved: bool) -> View:
    return View("proposals/state.html", {"proposal": proposal, "call": call, "panel": panel, "is_saved": is_saved})


@dataclass(frozen=True)
class Clash:
    """A part that both sides changed."""

    path: str
    theirs: Any
    mine: Any


def _both(work: Work, proposal: ProposalWhole, call: CallOut, posted: PostedForm, base: int) -> View:
    own = body_of(posted, call.questions).body
    merged = drafts.merge(work, proposal.id, own, base_version=base)
    clashes = [Clash(each.path, each.before, each.after) for each in merged.clashes]
    paths = {each.path for each in clashes}
    theirs = [each for each in compared(own, merged.body, call) if each.path not in paths]
    context: Mapping[str, Any] = {
        "proposal": proposal,
        "call": call,
        "clashes": clashes,
        "theirs": theirs,
        "current_version": merged.current_version,
        "base_version": base,
        "is_base_known": merged.base_version is not None,
        "posted": [(name, value) for name, value in posted.fields if not _steers(name)],
        "name_of": name_of,
        "shown": partial(shown, pools=pool_names(call)),
    }
    return View("proposals/merge.html", context)


def _steers(name: str) -> bool:
    """Whether a field says what to do with the others, and is none of the proposal's."""
    return name in ("csrf_token", "expected_version", "current_version", "is_base_known", "_next") or name.startswith(
        "_c"
    )
