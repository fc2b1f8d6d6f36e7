"""Every page, once: what axe looks at, what screenshots are made of, whose queries are counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .season import Season

PathOf = Callable[[Season], str]


@dataclass(frozen=True)
class Listed:
    """A page, as somebody sees it who has something there to see."""

    name: str  # of the screenshot
    path: str | PathOf  # without language: `/calls`, or found in the season: `lambda season: f"/calls/{…}"`
    role: str | None = None  # in `Season.accounts`; None: nobody signed in
    status: int = 200

    def path_in(self, season: Season) -> str:
        return self.path if isinstance(self.path, str) else self.path(season)


OWN_REVIEW = (
    "SELECT a.id FROM assignments a JOIN people p ON p.id = a.reviewer_id "
    "WHERE p.email = :email AND a.status = 'done' ORDER BY a.id DESC LIMIT 1"
)
OPEN_REVIEW = OWN_REVIEW.replace("'done'", "'assigned'")
REVIEWED_CALL = "SELECT id FROM calls WHERE status = 'reviewing' ORDER BY closes_at DESC"
PEER_CALL = "SELECT call_id FROM peer_places LIMIT 1"
DISCUSSED = "SELECT proposal_id FROM discussions ORDER BY id DESC LIMIT 1"


def _reviewed(season: Season) -> object:
    return season.id_of(REVIEWED_CALL)


def _own_proposal(end: str) -> PathOf:
    """A page of a proposal of the applicant's."""
    query = (
        "SELECT proposals.id FROM proposals JOIN people ON people.organisation_id = proposals.organisation_id "
        "WHERE people.email = :email AND proposals.status = 'awarded'"
    )
    return lambda season: f"/proposals/{season.id_of(query, email=season.accounts['applicant'].email)}{end}"


_DECIDED = "SELECT id FROM calls WHERE status = 'decided'"


def _call(end: str = "") -> PathOf:
    return lambda season: f"/calls/{season.id_of(_DECIDED)}{end}"


_OWN_MAIL = "SELECT id FROM notices WHERE channel = 'mail' AND recipient = :email ORDER BY id DESC LIMIT 1"


def _row(before: str, query: str, role: str = "", *, end: str = "") -> PathOf:
    """A page of something that a query finds; `:email` in it is of somebody of this role."""

    def path_of(season: Season) -> str:
        values = {"email": season.accounts[role].email} if role else {}
        return f"{before}{season.id_of(query, **values)}{end}"

    return path_of


_POOL = "SELECT id FROM pools ORDER BY created_at DESC LIMIT 1"
_SURVEY = "SELECT id FROM surveys ORDER BY opens_at LIMIT 1"

_GRANT = "SELECT g.id FROM grants g JOIN people p ON p.organisation_id = g.organisation_id WHERE p.email = :email"
_CHANGE = "SELECT id FROM change_requests ORDER BY requested_at DESC LIMIT 1"
_ACCEPTED = f"SELECT r.id FROM milestone_reports r WHERE r.status = 'accepted' AND r.grant_id IN ({_GRANT})"
_REPORT = f"SELECT r.id FROM milestone_reports r WHERE r.status <> 'accepted' AND r.grant_id IN ({_GRANT})"


def _grant(end: str = "") -> PathOf:
    return lambda season: f"/grants/{season.id_of(_GRANT, email=season.accounts['applicant'].email)}{end}"


def _two_models(season: Season) -> str:
    one, other = (season.id_of(f"SELECT id FROM model_releases ORDER BY id LIMIT 1 OFFSET {n}") for n in (0, 1))
    return f"one={one}&other={other}"


_STUDIED = "SELECT call_id FROM selections ORDER BY number DESC, call_id LIMIT 1"
_STUDY = f"SELECT id FROM selections WHERE call_id = ({_STUDIED}) ORDER BY number DESC LIMIT 1"
_REJECTED = f"SELECT id FROM proposals WHERE status = 'rejected' AND call_id = ({_STUDIED}) ORDER BY id LIMIT 1"


def _studio(end: str = "") -> PathOf:
    return lambda season: f"/studio/{season.id_of(_STUDIED)}{end}"


def _study_page(end: str) -> PathOf:
    return lambda season: f"/studio/{season.id_of(_STUDIED)}/studies/{season.id_of(_STUDY)}{end}"


PAGES = (
    Listed("home", ""),
    Listed("sign-in", "/sign-in"),
    Listed("preferences", "/preferences"),
    Listed("home-applicant", "", "applicant"),
    Listed("reviews", "/reviews", "reviewer"),
    Listed("reviews-declaration", "/reviews/declaration", "reviewer"),
    Listed("review", _row("/reviews/", OWN_REVIEW, "reviewer"), "reviewer"),
    Listed("review-sheet", _row("/reviews/", OWN_REVIEW, "reviewer", end="/sheet"), "reviewer"),
    Listed("review-desk-progress", lambda season: f"/reviews/calls/{_reviewed(season)}/progress", "operator"),
    Listed("review-desk-assignment", lambda season: f"/reviews/calls/{_reviewed(season)}/assignment", "operator"),
    Listed("review-desk-conflicts", lambda season: f"/reviews/calls/{_reviewed(season)}/conflicts", "operator"),
    Listed("review-desk-scores", lambda season: f"/reviews/calls/{_reviewed(season)}/scores", "panel"),
    Listed("review-desk-severity", lambda season: f"/reviews/calls/{_reviewed(season)}/severity", "panel"),
    Listed("review-desk-assignments", lambda season: f"/reviews/calls/{_reviewed(season)}/assignments", "operator"),
    Listed("review-desk-peer-scores", _row("/reviews/calls/", PEER_CALL, end="/scores"), "operator"),
    Listed("review-desk-peer-severity", _row("/reviews/calls/", PEER_CALL, end="/severity"), "panel"),
    Listed("review-desk-peer-groups", _row("/reviews/calls/", PEER_CALL, end="/peer-groups"), "operator"),
    Listed("review-hand-in", _row("/reviews/", OPEN_REVIEW, "reviewer", end="/hand-in"), "reviewer"),
    Listed("review-recuse", _row("/reviews/", OPEN_REVIEW, "reviewer", end="/recuse"), "reviewer"),
    Listed("review-compare", _row("/reviews/", OWN_REVIEW, "reviewer", end="/compare"), "reviewer"),
    Listed("review-changes", _row("/reviews/", OWN_REVIEW, "reviewer", end="/changes"), "reviewer"),
    Listed("review-deliberation", _row("/reviews/proposals/", DISCUSSED), "panel"),
    Listed("not-found", "/there-is-no-such-page", status=404),
    Listed("calls", "/calls"),
    Listed("call", _call()),
    Listed("call-new", "/calls/new", "operator"),
    Listed("call-figures", _call("/figures"), "operator"),
    Listed("proposals", "/proposals", "applicant"),
    Listed("proposal", _own_proposal(""), "applicant"),
    Listed("proposal-receipt", _own_proposal("/receipt"), "applicant"),
    Listed("proposal-outcome", _own_proposal("/outcome"), "applicant"),
    Listed("proposal-versions", _own_proposal("/versions"), "applicant"),
    Listed("proposal-files", _own_proposal("/files"), "applicant"),
    Listed("forgotten-password", "/forgotten-password"),
    Listed("forgotten-password-sent", "/forgotten-password/sent"),
    Listed("reset-password", "/reset-password?token=any"),
    Listed("account", "/account", "applicant"),
    Listed("account-password", "/account/password", "applicant"),
    Listed("account-second-factor", "/account/second-factor", "operator"),
    Listed("account-sessions", "/account/sessions", "applicant"),
    Listed("account-tokens", "/account/tokens", "applicant"),
    Listed("members", "/members", "operator"),
    Listed("member", _row("/members/people/", "SELECT id FROM people ORDER BY id LIMIT 1"), "operator"),
    Listed("organisations", "/members/organisations", "operator"),
    Listed("organisation", _row("/members/organisations/", "SELECT id FROM organisations LIMIT 1"), "operator"),
    Listed("invitations", "/members/invitations", "operator"),
    Listed("audit", "/audit", "auditor"),
    Listed("audit-act", "/audit/5", "auditor"),
    Listed("audit-verification", "/audit/verification", "auditor"),
    Listed("notices", "/notices", "applicant"),
    Listed("notice", _row("/notices/mails/", _OWN_MAIL, "applicant"), "applicant"),
    Listed("mail-settings", "/notices/preferences", "applicant"),
    Listed("outbox", "/notices/outbox", "operator"),
    Listed("webhooks", "/notices/webhooks", "applicant"),
    Listed("office", "/office", "operator"),
    Listed("home-operator", "", "operator"),
    Listed("figures", "/figures"),
    Listed("figure", "/figures/used.yen"),
    Listed("figure-auditor", "/figures/used.yen", "auditor"),
    Listed("supply", "/supply"),
    Listed("supply-pool", lambda season: f"/supply/pools/{season.id_of(_POOL)}", "operator"),
    Listed("supply-pool-new", "/supply/new-pool", "operator"),
    Listed("supply-shortfall", "/supply/shortfall", "operator"),
    Listed("supply-calendar", "/supply/calendar", "operator"),
    Listed("supply-providers", "/supply/providers", "operator"),
    Listed("demand", "/demand", "applicant"),
    Listed("demand-survey", lambda season: f"/demand/{season.id_of(_SURVEY)}", "operator"),
    Listed("open-data", "/open-data"),
    Listed("search", "/search?q=%E3%83%A2%E3%83%87%E3%83%AB", "operator"),
    Listed("grants", "/grants", "operator"),
    Listed("grants-own", "/grants", "applicant"),
    Listed("grant", _grant(), "applicant"),
    Listed("grant-access", _grant("/access"), "applicant"),
    Listed("grant-checklist", _grant("/checklist"), "applicant"),
    Listed("grant-changes", _grant("/changes"), "applicant"),
    Listed("grant-asking", _grant("/changes/new"), "applicant"),
    Listed("grant-asking-supplement", _grant("/changes/new?kind=supplement"), "applicant"),
    Listed("grant-asking-transfer", _grant("/changes/new?kind=transfer"), "applicant"),
    Listed("grant-incidents", _grant("/incidents"), "applicant"),
    Listed("grant-results", _grant("/results"), "applicant"),
    Listed("grant-model-new", _grant("/results/model"), "applicant"),
    Listed("grant-event-new", _grant("/results/event"), "applicant"),
    Listed("grant-close", _grant("/state/close"), "operator"),
    Listed("changes", "/grants/changes", "operator"),
    Listed(
        "change",
        _row("/grants/changes/", "SELECT id FROM change_requests ORDER BY requested_at DESC LIMIT 1"),
        "operator",
    ),
    Listed("incidents", "/grants/incidents", "operator"),
    Listed("incident", _row("/grants/incidents/", "SELECT id FROM incidents ORDER BY id LIMIT 1"), "operator"),
    Listed("model-release", _row("/grants/models/", "SELECT id FROM model_releases ORDER BY id LIMIT 1"), "operator"),
    Listed("reports", "/grants/reports", "operator"),
    Listed("reports-of-grant", _grant("/reports"), "applicant"),
    Listed("report", _row("/grants/reports/", _REPORT, "applicant"), "applicant"),
    Listed("report-read", _row("/grants/reports/", _REPORT, "applicant"), "auditor"),
    Listed(
        "report-figure",
        lambda season: f"{_row('/grants/reports/', _ACCEPTED, 'applicant')(season)}/figures?key=used.yen",
        "applicant",
    ),
    Listed("awards", "/awards"),
    Listed("awards-record", lambda season: f"/awards/calls/{season.id_of(_STUDIED)}/record"),
    Listed("awards-letter", lambda season: f"/awards/proposals/{season.id_of(_REJECTED)}/letter", "operator"),
    Listed("studios", "/studio", "panel"),
    Listed("studio", _studio(), "panel"),
    Listed("studio-unsolved", lambda season: f"/studio/{season.id_of(REVIEWED_CALL)}", "operator"),
    Listed("studio-frontier", _studio("/frontier"), "operator"),
    Listed("studio-studies", _studio("/studies"), "panel"),
    Listed("studio-check", _study_page("/check"), "auditor"),
    Listed("studio-proposal", lambda s: f"{_study_page('/proposals/')(s)}{s.id_of(_REJECTED)}", "panel"),
    Listed("studio-pins", _studio("/pins"), "operator"),
    Listed("studio-pins-new", lambda season: f"/studio/{season.id_of(REVIEWED_CALL)}/pins", "operator"),
    Listed("studio-decision", _studio("/decision"), "operator"),
    Listed("studio-letters", _studio("/letters"), "operator"),
    Listed("usage", "/usage", "operator"),
    Listed("usage-own", "/usage", "applicant"),
    Listed("differences", "/usage/differences", "operator"),
    Listed("difference", _row("/usage/differences/", "SELECT id FROM differences ORDER BY id LIMIT 1"), "operator"),
    Listed("usage-import", "/usage/import", "operator"),
    Listed("models", "/models"),
    Listed("model", _row("/models/", "SELECT id FROM model_releases ORDER BY id LIMIT 1")),
    Listed("models-compare", lambda season: f"/models/compare?{_two_models(season)}"),
    Listed("runs", "/runs", "operator"),
    Listed("runs-compare", "/runs/compare", "operator"),
    Listed("playground", "/playground", "applicant"),
)
