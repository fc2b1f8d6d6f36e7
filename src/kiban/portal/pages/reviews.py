"""The reviewer's side: what one has to review, the declaration before reading, and the console to score at."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from pydantic import TypeAdapter
from starlette.responses import Response

from kiban.office.calls import service as calls
from kiban.office.errors import Invalid
from kiban.office.paging import LARGEST_DRAINED, PageRequest
from kiban.office.proposals import attachments
from kiban.office.proposals import service as proposals
from kiban.office.proposals.content import read_body
from kiban.office.proposals.outputs import ProposalOut, ProposalWhole
from kiban.office.reviews import conflicts, desk, discussion, reviewing
from kiban.office.reviews.desk import OwnReview, ReviewState
from kiban.office.reviews.schemas import ReasonIn, RemarkIn, ReviewIn
from kiban.office.work import Role, Work
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.i18n import _, pgettext
from kiban.portal.pages.proposals.places import name_of
from kiban.portal.web import labels, notices
from kiban.portal.web import page as current
from kiban.portal.web.diffs import shortened, text_diff
from kiban.portal.web.forms import Form, PostedForm
from kiban.portal.web.routing import Pages
from kiban.portal.web.tables import Column, Empty, ListQuery, Table
from kiban.portal.web.views import View, localised_text, see_other, url, view

pages = Pages("reviews")

labels.register(
    "ReviewState",
    {
        "undeclared": _("Conflicts of interest to be declared"),
        "not_started": _("Not started"),
        "started": _("Being written"),
        "complete": _("Ready to hand in"),
        "outdated": _("To be confirmed"),
        "submitted": _("Handed in"),
        "closed": _("Closed without it"),
    },
)
labels.register(
    "ConflictKind",
    {
        "declared": _("Declared"),
        "same_organisation": _("Same organisation"),
        "co_author": _("Co-author"),
        "funded_by": _("Funded by the proposer"),
        "team_member": _("Member of the team"),
    },
)
labels.register(
    "declaration",
    {"declared": pgettext("conflicts", "Declared"), "outstanding": pgettext("conflicts", "To be declared")},
)
notices.register(
    "reviews",
    {
        "declared": _("Your declaration is recorded."),
        "saved": _("The review is saved."),
        "handed-in": _("The review is handed in. Here is the next one."),
        "handed-in-last": _("The review is handed in. That was the last one: thank you."),
        "confirmed": _("Your review stands for the new version."),
        "revising": _("The review is a draft again. It counts once you hand it in."),
        "recused": _("You no longer review this proposal."),
        "posted": _("Your remark is in the discussion."),
    },
)


@dataclass(frozen=True)
class Line:
    """One assignment in the list."""

    mine: OwnReview
    head: ProposalOut

    @property
    def title(self) -> str:
        return self.head.title or self.head.receipt or ""

    @property
    def progress(self) -> str:
        return f"{self.mine.scored} / {len(self.mine.review.rubric)}"


def _console(line: Line) -> str:
    return url("reviews.show", assignment_id=line.mine.id)


LINES: Table[Line] = Table(
    "reviews",
    [
        Column("title", _("Proposal"), sort="title", href=_console),
        Column("receipt", _("Receipt number"), lambda line: line.head.receipt, kind="code", sort="receipt"),
        Column("call", _("Call"), lambda line: (line.mine.call.title_ja, line.mine.call.title_en), kind="localised"),
        Column("scored", _("Criteria scored"), lambda line: line.progress),
        Column("due_at", _("Due"), lambda line: line.mine.assignment.due_at, kind="datetime", sort="due_at"),
        Column(
            "declared",
            _("Conflicts declared"),
            lambda line: labels.label(
                "outstanding" if line.mine.state is ReviewState.UNDECLARED else "declared", "declaration"
            ),
            kind="enum",
        ),
        Column("state", _("State"), lambda line: line.mine.state, kind="enum", sort="state"),
    ],
    caption=_("My reviews"),
)


@pages.get("/reviews")
def index(work: Reading, query: ListQuery) -> View | Response:
    """My reviews; for panel and office, the calls with their desks."""
    mine = desk.own_reviews(work)
    heads = _heads(work, mine)
    empty = Empty(
        _("You have no proposals to review."), _("When the office assigns some to you, we will tell you by e-mail.")
    )
    lines = [Line(own, heads[own.proposal.id]) for own in mine if own.proposal.id in heads]
    to_do = [line for line in lines if line.mine.is_to_do]
    return view(
        "reviews/index.html",
        listing=LINES.of(query, lines, empty=empty),
        lines=[line for line in lines if line.mine.is_open],
        to_do=to_do,
        due_at=min((line.mine.assignment.due_at for line in to_do if line.mine.assignment.due_at), default=None),
        undeclared=sum(line.mine.state is ReviewState.UNDECLARED for line in lines),
        desks=_desks(work),
    )


@pages.get("/reviews/declaration")
def declaration(work: Reading, then: uuid.UUID | None = None) -> View | Response:
    """All proposals for which it is still to be said whether there is a conflict, on one page."""
    mine = [own for own in desk.own_reviews(work) if own.state is ReviewState.UNDECLARED]
    wholes = {each.id: each for each in proposals.present_whole(work, [own.proposal.id for own in mine])}
    asked = [(own, wholes[own.proposal.id]) for own in mine if own.proposal.id in wholes]
    return view(
        "reviews/declaration.html",
        asked=[(own, whole, read_body(whole.body)[0]) for own, whole in asked],
        on_record=desk.conflicts_on_record(work),
        then=then,
    )


@pages.post("/reviews/declaration", shows="declaration")
def declare(work: Writing, form: Form) -> Response:
    """Conflicts with the proposals that are ticked; none known with the others that were shown."""
    asked = _ids(form.texts("asked"))
    ticked = set(_ids(form.texts("conflicting[]")))
    reasons = {}
    for assignment_id in asked:
        name = f"reasons.{assignment_id}"
        if assignment_id in ticked:
            if not form.text(name):
                raise Invalid("say what the conflict is", where=name)
            reasons[assignment_id] = PostedForm((("reason", form.text(name)),)).read(ReasonIn).reason
    desk.declare(work, reasons, [each for each in asked if each not in reasons])
    then = _ids([form.text("then")])
    if then and then[0] not in reasons:
        return see_other("reviews.show", assignment_id=then[0], notice="reviews.declared")
    return see_other("reviews.index", notice="reviews.declared")


@pages.get("/reviews/{assignment_id}")
def show(work: Reading, assignment_id: uuid.UUID) -> View | Response:
    """The proposal, and the rubric beside it."""
    mine = desk.own_reviews(work)
    own = desk.own_review(mine, assignment_id)
    if own.state is ReviewState.UNDECLARED and current.current().posted is None:
        return _declare_first(own)
    return view("reviews/show.html", **_shown(work, own), **_neighbours(mine, own))


@pages.get("/reviews/{assignment_id}/sheet")
def sheet(work: Reading, assignment_id: uuid.UUID) -> View | Response:
    """The proposal with an empty score sheet, to be printed."""
    own = desk.own_review(desk.own_reviews(work), assignment_id)
    if own.state is ReviewState.UNDECLARED:
        return _declare_first(own)
    return view("reviews/sheet.html", **_shown(work, own))


@pages.post("/reviews/{assignment_id}", shows="show")
def save(work: Writing, assignment_id: uuid.UUID, form: Form) -> View | Response:
    """Save the draft. `part`: only what the page says about the draft is wanted back, as one goes on writing."""
    reviewing.save(work, assignment_id, _review_in(form))
    if form.has("part"):
        own = desk.own_review(desk.own_reviews(work), assignment_id)
        page = current.current()
        page.posted = None
        least = reviewing.least_words(own.review.scores, own.review.rubric)
        return view("reviews/status.html", mine=own, gaps=desk.gaps(own.review), least=least)
    if form.text("then") == "hand-in":
        return see_other("reviews.handing_in", assignment_id=assignment_id)
    return see_other("reviews.show", assignment_id=assignment_id, notice="reviews.saved")


@pages.get("/reviews/{assignment_id}/hand-in")
def handing_in(work: Reading, assignment_id: uuid.UUID) -> View | Response:
    """The review as it would be handed in, what it lacks, and the button."""
    own = desk.own_review(desk.own_reviews(work), assignment_id)
    if not own.is_written:
        return see_other("reviews.show", assignment_id=assignment_id)
    return view(
        "reviews/hand_in.html",
        mine=own,
        head=_heads(work, [own])[own.proposal.id],
        gaps=desk.gaps(own.review),
        least=reviewing.least_words(own.review.scores, own.review.rubric),
    )


@pages.post("/reviews/{assignment_id}/hand-in", shows="handing_in")
def hand_in(work: Writing, assignment_id: uuid.UUID, form: Form) -> Response:
    """Then on to the next one."""
    reviewing.submit(work, assignment_id, _number(form, "version"))
    mine = desk.own_reviews(work)
    done = desk.own_review(mine, assignment_id)
    near = _neighbours(mine, done)
    if near["to_do"] == 0:
        return see_other("reviews.index", notice="reviews.handed-in-last")
    following = next(own for own in near["from_here"] if own.is_to_do and own.id != assignment_id)
    return see_other("reviews.show", assignment_id=following.id, notice="reviews.handed-in")


@pages.get("/reviews/{assignment_id}/changes")
def changes(work: Reading, assignment_id: uuid.UUID) -> View | Response:
    """What was changed in the proposal since it was reviewed."""
    own = desk.own_review(desk.own_reviews(work), assignment_id)
    found = desk.changes(work, own)
    rows = [
        (name_of(change.path), shortened(text_diff(_plain(change.before), _plain(change.after)))) for change in found
    ]
    return view("reviews/changes.html", mine=own, head=_heads(work, [own])[own.proposal.id], rows=rows)


@pages.post("/reviews/{assignment_id}/confirm", shows="show")
def confirm(work: Writing, assignment_id: uuid.UUID, form: Form) -> Response:
    """The review stands for what was handed in since."""
    reviewing.confirm(work, assignment_id, _number(form, "submission"))
    return see_other("reviews.show", assignment_id=assignment_id, notice="reviews.confirmed")


@pages.post("/reviews/{assignment_id}/revise", shows="show")
def revise(work: Writing, assignment_id: uuid.UUID, form: Form) -> Response:
    """The review becomes a draft again."""
    reviewing.revise(work, assignment_id)
    return see_other("reviews.show", assignment_id=assignment_id, notice="reviews.revising")


@pages.get("/reviews/{assignment_id}/recuse")
def recusing(work: Reading, assignment_id: uuid.UUID) -> View | Response:
    """What stepping down means, and the form."""
    own = desk.own_review(desk.own_reviews(work), assignment_id)
    return view("reviews/recuse.html", mine=own, head=_heads(work, [own])[own.proposal.id])


@pages.post("/reviews/{assignment_id}/recuse", shows="recusing")
def recuse(work: Writing, assignment_id: uuid.UUID, form: Form) -> Response:
    """Step down; another reviewer is looked for."""
    conflicts.recuse(work, assignment_id, form.read(ReasonIn).reason)
    return see_other("reviews.index", notice="reviews.recused")


@pages.get("/reviews/{assignment_id}/compare")
def compare(
    work: Reading, assignment_id: uuid.UUID, other: Annotated[uuid.UUID | None, Query(alias="with")] = None
) -> View | Response:
    """Two proposals of a call side by side, with my scores under the same rubric."""
    mine = desk.own_reviews(work)
    own = desk.own_review(mine, assignment_id)
    if own.state is ReviewState.UNDECLARED:
        return _declare_first(own)
    others = [
        each
        for each in mine
        if each.call.id == own.call.id and each.id != own.id and each.state is not ReviewState.UNDECLARED
    ]
    second = desk.own_review(others, other) if other is not None else None
    chosen = [each for each in (own, second) if each is not None]
    wholes = {each.id: each for each in proposals.present_whole(work, [each.proposal.id for each in (own, *others)])}
    return view(
        "reviews/compare.html",
        mine=own,
        second=second,
        others=[(each.id, wholes[each.proposal.id].title) for each in others if each.proposal.id in wholes],
        sides=[_proposal(each, wholes[each.proposal.id]) for each in chosen],
    )


@pages.get("/reviews/proposals/{proposal_id}")
def deliberation(
    work: Reading, proposal_id: uuid.UUID, cursor: Annotated[str | None, Query(max_length=4000)] = None
) -> View | Response:
    """A proposal's reviews and discussion, for who may read them."""
    found = desk.deliberation(work, proposal_id, PageRequest(cursor, 50))
    ids = {each.reviewer_id for each in found.reviews} | {each.author_id for each in found.remarks.items}
    return view(
        "reviews/deliberation.html",
        found=found,
        head=next(iter(proposals.present(work, [proposal_id])), None),
        rubric=calls.rubric_of(found.call),
        names=desk.names(work, [each for each in ids if each is not None]),
    )


@pages.post("/reviews/proposals/{proposal_id}", shows="deliberation")
def post_remark(work: Writing, proposal_id: uuid.UUID, form: Form) -> Response:
    """Remarks are never changed or taken back."""
    discussion.post(work, proposal_id, form.read(RemarkIn).text)
    return see_other("reviews.deliberation", proposal_id=proposal_id, notice="reviews.posted")


def _declare_first(own: OwnReview) -> Response:
    return see_other("reviews.declaration", then=own.id)


def _heads(work: Work, mine: Sequence[OwnReview]) -> dict[uuid.UUID, ProposalOut]:
    return {each.id: each for each in proposals.present(work, [own.proposal.id for own in mine])}


def _desks(work: Work) -> list[Any]:
    """Calls of which this person sees the panel's or the office's desk."""
    seats = (Role.PANEL, Role.OPERATOR, Role.AUDITOR)
    actor = work.actor
    if not any(role in actor.roles or actor.calls_with(role) for role in seats):
        return []
    listed = calls.list_calls(work, PageRequest(limit=LARGEST_DRAINED)).items
    return [
        call for call in listed if call.published_at is not None and any(actor.has(role, call.id) for role in seats)
    ]


def _shown(work: Work, own: OwnReview) -> dict[str, Any]:
    whole = proposals.get_proposal(work, own.proposal.id)
    return {
        **_proposal(own, whole),
        "files": attachments.list_attachments(work, own.proposal.id),
        "gaps": desk.gaps(own.review),
        "least": reviewing.least_words(own.review.scores, own.review.rubric),
    }


def _proposal(own: OwnReview, whole: ProposalWhole) -> dict[str, Any]:
    body = read_body(whole.body)[0]
    themes = {theme.key: localised_text(theme, "name") for theme in calls.themes_of(own.call)}
    tracks = {track.key: localised_text(track, "name") for track in calls.tracks_of(own.call)}
    return {
        "mine": own,
        "whole": whole,
        "body": body,
        "theme": themes.get(body.theme, body.theme),
        "track": tracks.get(whole.track or "", whole.track),
        "questions": {each.key: localised_text(each, "label") for each in calls.questions_for(own.call, body)},
        "accelerators": {pool.pool_id: pool.accelerator for tier in whole.plan.tiers for pool in tier.pools},
    }


def _neighbours(mine: Sequence[OwnReview], own: OwnReview) -> dict[str, Any]:
    """Those of the same call, in the list's order; `from_here`: beginning with this one."""
    same = [each for each in mine if each.call.id == own.call.id]
    place = next(number for number, each in enumerate(same) if each.id == own.id)
    return {
        "before": same[place - 1] if place else None,
        "after": same[place + 1] if place + 1 < len(same) else None,
        "place": place + 1,
        "count": len(same),
        "to_do": sum(each.is_to_do for each in same),
        "from_here": same[place:] + same[:place],
    }


def _review_in(form: PostedForm) -> ReviewIn:
    """The form's fields; scores come as text, which the schema does not take for numbers."""
    tree = form.tree()
    scores = tree.get("scores", {})
    given = {
        "version": _figure(tree.get("over") or tree.get("version", "")),
        "submission": _figure(tree.get("submission", "")),
        "scores": {key: _figure(value) for key, value in scores.items()} if isinstance(scores, dict) else scores,
        "confidence": _figure(tree.get("confidence")),
        "text_to_applicant": tree.get("text_to_applicant", ""),
        "text_to_panel": tree.get("text_to_panel", ""),
    }
    read: ReviewIn = form.read_as(TypeAdapter(ReviewIn), given)
    return read


def _figure(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 9 else value


def _number(form: PostedForm, name: str) -> int:
    """Raises: Invalid: a hidden field that somebody has changed."""
    value = _figure(form.text(name))
    if not isinstance(value, int):
        raise Invalid("this field does not fit the others", where=name)
    return value


def _ids(given: Sequence[str]) -> list[uuid.UUID]:
    found = []
    for text in given:
        try:
            found.append(uuid.UUID(text))
        except ValueError:
            continue
    return found


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_plain(each)}" for key, each in value.items())
    if isinstance(value, list):
        return "\n".join(_plain(each) for each in value)
    return str(value)
