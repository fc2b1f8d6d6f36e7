"""The officer's and the panel's side of reviews: who reviews what, conflicts, progress, severity and scores."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from kiban.office.calls import service as calls
from kiban.office.calls.models import Call, CallStatus
from kiban.office.errors import Invalid, NotFound
from kiban.office.paging import Page, PageRequest
from kiban.office.proposals import service as proposals
from kiban.office.reviews import assigning, conflicts, desk, detection, discussion, reviewing, service, workload
from kiban.office.reviews.models import (
    ENDED_BY_CONFLICT,
    Assignment,
    AssignmentStatus,
    ConflictKind,
    ConflictOfInterest,
)
from kiban.office.reviews.schemas import (
    AssignmentOptions,
    CalibratedOut,
    ConflictIn,
    CoverageOut,
    DiscussionIn,
    HandAssignmentIn,
    LoadOut,
    Reason,
    ReasonIn,
    RemindIn,
)
from kiban.office.reviews.scores import ProposalScore
from kiban.office.schemas import Schema
from kiban.office.work import Role, Work
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.charts import Chart, Interval, IntervalRow, intervals
from kiban.portal.charts.quantities import Quantity
from kiban.portal.format import PlainFormats
from kiban.portal.i18n import _, in_language
from kiban.portal.web import labels, notices
from kiban.portal.web import page as current
from kiban.portal.web.forms import Form
from kiban.portal.web.routing import Pages
from kiban.portal.web.tables import Column, Empty, ListQuery, Table
from kiban.portal.web.views import View, localised_text, see_other, url, view

pages = Pages("review_desk")

labels.register(
    "AssignmentStatus",
    {
        "assigned": _("Assigned"),
        "recused": _("Stepped down"),
        "removed": _("Taken away"),
        "done": _("Handed in"),
    },
)
labels.register("ended_reason", {ENDED_BY_CONFLICT: _("A conflict of interest")})
notices.register(
    "review_desk",
    {
        "reminded": _("The reminders are on their way."),
        "opened": _("The discussion is open."),
        "closed": _("The discussion is closed."),
        "assigned": _("The reviewers are assigned."),
        "added": _("The proposal is assigned to the reviewer."),
        "removed": _("The proposal is taken from the reviewer. Another one is looked for."),
        "detected": _("Conflicts were looked for by rule. What was found is in the list."),
        "declared": _("The conflict of interest is on record."),
        "lifted": _("The conflict of interest is lifted."),
        "reopened": _("The review is given back to its reviewer."),
    },
)

OFFICE = (Role.OPERATOR, Role.AUDITOR)
# What the rules look for.
FOUND = {
    ConflictKind.SAME_ORGANISATION: _("Belongs to the organisation that proposes, or to that of somebody in the team"),
    ConflictKind.TEAM_MEMBER: _("Is in the proposal's team"),
    ConflictKind.CO_AUTHOR: _("Wrote with somebody in the team"),
    ConflictKind.FUNDED_BY: _("Is paid by the organisation that proposes"),
}


class _Declared(Schema):
    """A conflict as the office puts it on record."""

    person_id: uuid.UUID
    receipt: str
    reason: Reason


@dataclass(frozen=True)
class ScoreLine:
    """A proposal's score under its title."""

    title: str
    receipt: str | None
    score: ProposalScore


@dataclass(frozen=True)
class CoverageLine:
    title: str
    receipt: str | None
    coverage: CoverageOut


@dataclass(frozen=True)
class AssignmentLine:
    title: str
    receipt: str | None
    reviewer: str
    row: Assignment


@dataclass(frozen=True)
class ConflictLine:
    person: str
    about: str
    row: ConflictOfInterest

    @property
    def evidence(self) -> str:
        """In the words of who declared it; what the rule found, and where it says so."""
        if self.row.kind not in FOUND:
            return self.row.reason
        found = in_language(FOUND[self.row.kind], current.current().language)
        return f"{found} ({self.row.reason})" if self.row.reason else found


def _deliberation(line: ScoreLine | CoverageLine) -> str:
    about = line.score if isinstance(line, ScoreLine) else line.coverage
    return url("reviews.deliberation", proposal_id=about.proposal_id)


SCORES: Table[ScoreLine] = Table(
    "scores",
    [
        Column("title", _("Proposal"), sort="title", href=_deliberation),
        Column("receipt", _("Receipt number"), kind="code", sort="receipt"),
        Column("n", _("Reviews that count"), lambda line: line.score.n, kind="number", sort="n"),
        Column("mean", _("Mean"), lambda line: line.score.mean, kind="percent", sort="mean"),
        Column("low", _("Lower end (95%%)"), lambda line: line.score.low, kind="percent"),
        Column("high", _("Upper end (95%%)"), lambda line: line.score.high, kind="percent"),
        Column(
            "calibrated_mean",
            _("Without severity"),
            lambda line: line.score.calibrated_mean,
            kind="percent",
            sort="calibrated_mean",
        ),
        Column("spread", _("Spread"), lambda line: line.score.score_range, kind="percent", sort="spread"),
        Column("disagreement", _("Disputed"), lambda line: line.score.disagreement, kind="bool", sort="disagreement"),
        Column("outdated", _("Older version"), lambda line: line.score.outdated, kind="number"),
        Column("tainted", _("Void"), lambda line: line.score.tainted, kind="number"),
        Column("peer_group", _("Peer group"), lambda line: line.score.peer_group, kind="number"),
        Column("duties_missing", _("Own reviews owed"), lambda line: line.score.duties_missing, kind="number"),
    ],
    caption=_("Scores"),
)
LOADS: Table[LoadOut] = Table(
    "loads",
    [
        Column("name", _("Reviewer"), sort="name"),
        Column("assigned", _("Assigned"), kind="number", sort="assigned"),
        Column("submitted", _("Handed in"), kind="number", sort="submitted"),
        Column("overdue", _("Overdue"), kind="number", sort="overdue"),
        Column("outdated", _("To be confirmed"), kind="number", sort="outdated"),
        Column("late", _("Handed in late"), kind="number", sort="late"),
        Column("next_due_at", _("Next due"), kind="datetime", sort="next_due_at"),
    ],
    caption=_("Reviewers"),
)
COVERAGE: Table[CoverageLine] = Table(
    "coverage",
    [
        Column("title", _("Proposal"), sort="title", href=_deliberation),
        Column("receipt", _("Receipt number"), kind="code", sort="receipt"),
        Column("wanted", _("Reviews wanted"), lambda line: line.coverage.wanted, kind="number"),
        Column("assigned", _("Assigned"), lambda line: line.coverage.assigned, kind="number", sort="assigned"),
        Column("submitted", _("Handed in"), lambda line: line.coverage.submitted, kind="number", sort="submitted"),
        Column("missing", _("Reviewers missing"), lambda line: line.coverage.missing, kind="number", sort="missing"),
        Column("recused", _("Stepped down"), lambda line: line.coverage.recused, kind="number"),
        Column("outdated", _("To be confirmed"), lambda line: line.coverage.outdated, kind="number"),
    ],
    caption=_("Proposals"),
)
ASSIGNMENTS: Table[AssignmentLine] = Table(
    "assignments",
    [
        Column("title", _("Proposal")),
        Column("receipt", _("Receipt number"), kind="code"),
        Column("reviewer", _("Reviewer")),
        Column("status", _("State"), lambda line: line.row.status, kind="enum", sort="status"),
        Column("affinity", _("Affinity"), lambda line: round(line.row.affinity, 2), kind="decimal"),
        Column("assigned_at", _("Assigned on"), lambda line: line.row.assigned_at, kind="datetime", sort="assigned_at"),
        Column("due_at", _("Due"), lambda line: line.row.due_at, kind="datetime", sort="due_at"),
        Column(
            "ended_reason",
            _("Why it ended"),
            lambda line: str(labels.label(line.row.ended_reason, "ended_reason")) or None,
        ),
    ],
    caption=_("Assignments"),
)
CONFLICTS: Table[ConflictLine] = Table(
    "conflicts",
    [
        Column("person", _("Person")),
        Column("about", _("Proposal or organisation")),
        Column("kind", _("Kind"), lambda line: line.row.kind, kind="enum", sort="kind"),
        Column("reason", _("Evidence"), lambda line: line.evidence),
        Column(
            "declared_at", _("On record since"), lambda line: line.row.declared_at, kind="datetime", sort="declared_at"
        ),
        Column("lifted_at", _("Lifted"), lambda line: line.row.lifted_at, kind="datetime", sort="lifted_at"),
        Column("lifted_reason", _("Why it was lifted"), lambda line: line.row.lifted_reason or None),
    ],
    caption=_("Conflicts of interest"),
)


@pages.get("/reviews/calls/{call_id}/scores")
def scores(work: Reading, call_id: uuid.UUID, query: ListQuery) -> View | Response:
    """What reviewers say of each proposal, the most disputed first."""
    call, rows = service.scores_with_call(work, call_id)
    heads = _heads(work, [row.proposal_id for row in rows])
    lines = [ScoreLine(*heads[row.proposal_id], row) for row in rows if row.proposal_id in heads]
    lines.sort(key=lambda line: (not line.score.disagreement, -(line.score.score_range or 0.0), line.receipt or ""))
    empty = Empty(_("There are no proposals to score yet."))
    return _desk(work, call, "scores", listing=SCORES.of(query, lines, empty=empty))


@pages.get("/reviews/calls/{call_id}/severity")
def severity(work: Reading, call_id: uuid.UUID) -> View | Response:
    """By how much each reviewer scores above or below the others."""
    call, rows = service.calibration_with_call(work, call_id)
    names = desk.names(work, {row.reviewer_id for row in rows})
    return _desk(work, call, "severity", chart=_severity(rows, names))


@pages.get("/reviews/calls/{call_id}/progress")
def progress(work: Reading, call_id: uuid.UUID, query: ListQuery) -> View | Response:
    """Reviews by reviewer and by proposal, reminders, and the discussions."""
    call, found = workload.workload_with_call(work, call_id)
    heads = _heads(work, [each.proposal_id for each in found.proposals])
    lines = [CoverageLine(*heads[each.proposal_id], each) for each in found.proposals if each.proposal_id in heads]
    empty = Empty(_("Nobody is assigned yet."), _("Find reviewers first."), _("Assignment"),
                  url("review_desk.assignment", call_id=call_id))  # fmt: skip
    return _desk(
        work,
        call,
        "progress",
        found=found,
        discussed=workload.discussed(work, call_id),
        listing=LOADS.of(query, found.reviewers, empty=empty),
        coverage=COVERAGE.of(query, lines, is_main=False, sort="-missing"),
        panels=[track for track in calls.tracks_of(call) if track.kind == "panel"],
    )


@pages.post("/reviews/calls/{call_id}/remind", shows="progress")
def remind(work: Writing, call_id: uuid.UUID, form: Form) -> Response:
    """Of reviews overdue or due soon; nobody is told the same twice."""
    workload.remind(work, call_id, form.read(RemindIn).within_days)
    return see_other("review_desk.progress", call_id=call_id, notice="review_desk.reminded")


@pages.post("/reviews/calls/{call_id}/discussion", shows="progress")
def set_discussion(work: Writing, call_id: uuid.UUID, form: Form) -> Response:
    """Open or close a track's discussion."""
    given = form.read(DiscussionIn)
    discussion.set_open(work, call_id, given.track, given.is_open)
    said = "opened" if given.is_open else "closed"
    fields = {"track": given.track, "is_open": str(not given.is_open).lower()}
    back = notices.undo("review_desk.set_discussion", call_id=call_id, fields=fields)
    return see_other("review_desk.progress", call_id=call_id, notice=f"review_desk.{said}", undo=back)


@pages.get("/reviews/calls/{call_id}/assignment")
def assignment(work: Reading, call_id: uuid.UUID) -> View | Response:
    """Reviewers to be found: by calculation, or by hand."""
    return _assignment(work, call_id, None)


@pages.post("/reviews/calls/{call_id}/assignment/preview", shows="assignment")
def preview(work: Reading, call_id: uuid.UUID, form: Form) -> View | Response:
    """What an assignment with these options would do; nothing is written."""
    return _assignment(work, call_id, assigning.preview(work, call_id, form.read(AssignmentOptions)))


@pages.post("/reviews/calls/{call_id}/assignment", shows="assignment")
def run(work: Writing, call_id: uuid.UUID, form: Form) -> Response:
    """Finds conflicts, then the best assignment; what stands stays."""
    assigning.run(work, call_id, form.read(AssignmentOptions))
    return see_other("review_desk.progress", call_id=call_id, notice="review_desk.assigned")


@pages.post("/reviews/calls/{call_id}/assignment/by-hand", shows="assignment")
def add(work: Writing, call_id: uuid.UUID, form: Form) -> Response:
    """One proposal for one reviewer, with a reason."""
    made = assigning.add(work, call_id, form.read(HandAssignmentIn, under="hand"))
    fields = {"reason": notices.at_once()}
    back = notices.undo("review_desk.remove", call_id=call_id, assignment_id=made.id, fields=fields)
    return see_other("review_desk.assignments", call_id=call_id, notice="review_desk.added", undo=back)


@pages.get("/reviews/calls/{call_id}/assignments")
def assignments(work: Reading, call_id: uuid.UUID, query: ListQuery) -> View | Response:
    """Who was asked to review what, ended assignments too."""
    call = calls.get_call(work, call_id)

    def read(page: PageRequest) -> Page[AssignmentLine]:
        rows = workload.assignments(work, call_id, page)
        heads = _heads(work, [row.proposal_id for row in rows.items])
        names = desk.names(work, {row.reviewer_id for row in rows.items})
        lines = [
            AssignmentLine(*heads.get(row.proposal_id, ("", None)), names.get(row.reviewer_id, ""), row)
            for row in rows.items
        ]
        return Page(lines, rows.next_cursor)

    return _desk(work, call, "assignments", listing=ASSIGNMENTS.list(query, read), waiting=AssignmentStatus.ASSIGNED)


@pages.get("/reviews/calls/{call_id}/assignments/{assignment_id}/remove")
def removing(work: Reading, call_id: uuid.UUID, assignment_id: uuid.UUID) -> View | Response:
    """What taking a proposal from a reviewer means, and the form."""
    work.require(Role.OPERATOR, call_id=call_id)
    return _desk(work, calls.get_call(work, call_id), "removing", assignment_id=assignment_id)


@pages.post("/reviews/calls/{call_id}/assignments/{assignment_id}/remove", shows="removing")
def remove(work: Writing, call_id: uuid.UUID, assignment_id: uuid.UUID, form: Form) -> Response:
    """Before the review is handed in."""
    conflicts.remove(work, assignment_id, form.read(ReasonIn).reason)
    return see_other("review_desk.assignments", call_id=call_id, notice="review_desk.removed")


@pages.get("/reviews/calls/{call_id}/conflicts")
def conflicts_of(work: Reading, call_id: uuid.UUID, query: ListQuery) -> View | Response:
    """Declared and found, with the evidence."""
    call = calls.get_call(work, call_id)
    work.require(*OFFICE, call_id=call_id)

    def read(page: PageRequest) -> Page[ConflictLine]:
        rows = conflicts.list_conflicts(work, page, call_id)
        heads = _heads(work, [row.proposal_id for row in rows.items if row.proposal_id])
        names = desk.names(work, {row.person_id for row in rows.items})
        organisations = desk.organisation_names(
            work, {row.organisation_id for row in rows.items if row.organisation_id and not row.proposal_id}
        )

        def about(row: ConflictOfInterest) -> str:
            if row.proposal_id is not None:
                return heads.get(row.proposal_id, ("", None))[0]
            name_ja, name_en = organisations[row.organisation_id] if row.organisation_id else ("", "")
            name = name_en if current.current().language == "en" else name_ja
            return in_language(_("All proposals of %(organisation)s", organisation=name), current.current().language)

        lines = [ConflictLine(names.get(row.person_id, ""), about(row), row) for row in rows.items]
        return Page(lines, rows.next_cursor)

    empty = Empty(_("No conflict of interest is on record."), _("Look for them by rule before reviewers are assigned."))
    may_act = work.actor.has(Role.OPERATOR, call_id)
    return _desk(
        work,
        call,
        "conflicts",
        listing=CONFLICTS.list(query, read, empty=empty),
        may_act=may_act,
        people=assigning.candidates(work, call_id) if may_act else [],
        facts=detection.FACTS,
    )


@pages.post("/reviews/calls/{call_id}/conflicts/detect", shows="conflicts_of")
def detect(work: Writing, call_id: uuid.UUID, form: Form) -> Response:
    """Same organisation, team, co-authors and payments."""
    detection.detect(work, call_id)
    return see_other("review_desk.conflicts_of", call_id=call_id, notice="review_desk.detected")


@pages.post("/reviews/calls/{call_id}/conflicts", shows="conflicts_of")
def declare(work: Writing, call_id: uuid.UUID, form: Form) -> Response:
    """Somebody's conflict, by the receipt number of the proposal."""
    given = form.read(_Declared)
    try:
        proposal_id = proposals.find_receipt(work, given.receipt)
    except NotFound:  # a slip of the pen: the form again, not a page that is not there
        raise Invalid("there is no proposal with this receipt number", where="receipt") from None
    conflicts.declare(work, ConflictIn(person_id=given.person_id, proposal_id=proposal_id, reason=given.reason))
    return see_other("review_desk.conflicts_of", call_id=call_id, notice="review_desk.declared")


@pages.get("/reviews/calls/{call_id}/conflicts/{conflict_id}/lift")
def lifting(work: Reading, call_id: uuid.UUID, conflict_id: uuid.UUID) -> View | Response:
    """What lifting means, and the form."""
    work.require(Role.OPERATOR, call_id=call_id)
    return _desk(work, calls.get_call(work, call_id), "lifting", conflict_id=conflict_id)


@pages.post("/reviews/calls/{call_id}/conflicts/{conflict_id}/lift", shows="lifting")
def lift(work: Writing, call_id: uuid.UUID, conflict_id: uuid.UUID, form: Form) -> Response:
    """A conflict that proved to be none."""
    conflicts.lift(work, conflict_id, form.read(ReasonIn).reason)
    return see_other("review_desk.conflicts_of", call_id=call_id, notice="review_desk.lifted")


@pages.get("/reviews/calls/{call_id}/peer-groups")
def peer_groups(work: Reading, call_id: uuid.UUID) -> View | Response:
    """Groups of distributed peer review, and their shares."""
    call, groups = service.peer_groups_with_call(work, call_id)
    heads = _heads(work, [each for group in groups for each in group.proposal_ids])
    return _desk(work, call, "peer_groups", groups=groups, heads=heads)


@pages.get("/reviews/proposals/{proposal_id}/reviews/{review_id}/reopen")
def reopening(work: Reading, proposal_id: uuid.UUID, review_id: uuid.UUID) -> View | Response:
    """What giving a review back means, and the form."""
    work.require(Role.OPERATOR, call_id=proposals.see(work, proposal_id).call.id)
    return view("review_desk/reopening.html", proposal_id=proposal_id, review_id=review_id)


@pages.post("/reviews/proposals/{proposal_id}/reviews/{review_id}/reopen", shows="reopening")
def reopen(work: Writing, proposal_id: uuid.UUID, review_id: uuid.UUID, form: Form) -> Response:
    """Give a review back to its reviewer, so that a score can be changed for a reason."""
    reviewing.reopen(work, review_id, form.read(ReasonIn).reason)
    return see_other("reviews.deliberation", proposal_id=proposal_id, notice="review_desk.reopened")


def _assignment(work: Work, call_id: uuid.UUID, plan: Any) -> View | Response:
    call, found = workload.workload_with_call(work, call_id)
    waiting = [each.proposal_id for each in found.proposals]
    heads = _heads(work, waiting)
    people = {person.id: person for person in assigning.candidates(work, call_id)}
    loads = {each.reviewer_id: each for each in found.reviewers}
    return _desk(
        work,
        call,
        "assignment",
        runs=workload.runs(work, call_id),
        plan=plan,
        heads=heads,
        people=people,
        loads=loads,
        idle=[person for person in people.values() if person.id not in loads],
        short=[each for each in found.proposals if each.missing],
        tracks=[track for track in calls.tracks_of(call) if track.kind != "automatic"],
        is_reviewing=call.status in (CallStatus.PUBLISHED, CallStatus.REVIEWING),
    )


def _desk(work: Work, call: Call, name: str, **context: Any) -> View | Response:
    """A page of a call's desk, with the ways to the others that this person has."""
    is_office = any(work.actor.has(role, call.id) for role in OFFICE)
    has_peers = any(track.kind == "peer" for track in calls.tracks_of(call))
    shown = [
        ("progress", _("Progress"), is_office),
        ("assignment", _("Assignment"), work.actor.has(Role.OPERATOR, call.id)),
        ("assignments", _("Assignments"), is_office),
        ("conflicts_of", _("Conflicts of interest"), is_office),
        ("scores", _("Scores"), True),
        ("severity", _("Severity of reviewers"), True),
        ("peer_groups", _("Peer groups"), has_peers),
    ]
    tabs = [
        {
            "text": text,
            "href": url(f"review_desk.{route}", call_id=call.id),
            "current": route.removesuffix("_of") == name,
        }
        for route, text, is_shown in shown
        if is_shown
    ]
    return view(f"review_desk/{name}.html", call=call, tabs=tabs, call_title=localised_text(call, "title"), **context)


def _heads(work: Work, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, tuple[str, str | None]]:
    """Titles and receipt numbers of proposals."""
    found = proposals.present(work, list(dict.fromkeys(ids)))
    return {each.id: (each.title or each.receipt or "", each.receipt) for each in found}


def _severity(rows: list[CalibratedOut], names: dict[uuid.UUID, str]) -> Chart:
    language = current.current().language
    several = len({row.peer_group for row in rows}) > 1
    ordered = sorted(rows, key=lambda row: (row.peer_group or 0, row.offset))

    def label(row: CalibratedOut) -> str:
        name = names.get(row.reviewer_id, "")
        return f"{name} ({row.peer_group})" if several and row.peer_group is not None else name

    def interval(row: CalibratedOut) -> Interval:
        return Interval(round(row.offset, 4), round(row.low, 4), round(row.high, 4), n=row.n)

    return intervals(
        "severity",
        in_language(_("Severity of reviewers"), language),
        [
            IntervalRow(label(row), (Interval(round(row.offset, 4), round(row.low, 4), round(row.high, 4), n=row.n),))
            for row in ordered
        ],
        Quantity(in_language(_("Offset from the other reviewers"), language), PlainFormats(language), "share"),
        heading=in_language(_("Reviewer"), language),
        spread=in_language(_("95%% confidence interval"), language),
        reference=(0.0, in_language(_("as the others"), language)),
    )
