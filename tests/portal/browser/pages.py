"""Every page, once: what axe looks at, what screenshots are made of, whose queries are counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import furnishing
from .season import Season

PathOf = Callable[[Season], str]


@dataclass(frozen=True)
class Listed:
    """A page, as somebody sees it who has something there to see."""

    name: str  # of the screenshot
    path: str | PathOf  # without language: `/calls`, or found in the season: `lambda season: f"/calls/{…}"`
    # A role in `Season.accounts`, or found in the season: somebody's address; None: nobody signed in.
    role: str | PathOf | None = None
    status: int = 200

    def path_in(self, season: Season) -> str:
        return self.path if isinstance(self.path, str) else self.path(season)

    def who_in(self, season: Season) -> str | None:
        return self.role if self.role is None or isinstance(self.role, str) else self.role(season)


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

_GRANT = (  # the newest, which runs
    "SELECT g.id FROM grants g JOIN people p ON p.organisation_id = g.organisation_id "
    "WHERE p.email = :email ORDER BY g.id DESC"
)
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


_DRAFT = (
    "SELECT p.id, v.email FROM proposals p JOIN calls c ON c.id = p.call_id "
    "JOIN people v ON v.organisation_id = p.organisation_id "
    "WHERE p.status = 'draft' AND c.status = 'published' AND v.email LIKE 'lead@%' ORDER BY p.id"
)
_OPEN_CALL = "SELECT id FROM calls WHERE status = 'published'"
_UNDER_REVIEW = (
    f"SELECT id FROM proposals WHERE status = 'submitted' AND call_id = ({REVIEWED_CALL} LIMIT 1) ORDER BY id"
)
_OPEN_SURVEY = "SELECT id FROM surveys ORDER BY closes_at DESC LIMIT 1"
_UNDECIDED = "SELECT id FROM calls WHERE status = 'reviewing' ORDER BY closes_at LIMIT 1"


def _draft(end: str) -> PathOf:
    """A page of a proposal that is being written for the open call, by who writes it."""
    return lambda season: f"/proposals/{season.id_of(_DRAFT)}{end}"


def _writer(season: Season) -> str:
    return str(season.row_of(_DRAFT).email)


def _lead_of_reviewed(season: Season) -> str:
    query = (
        "SELECT v.email FROM proposals p JOIN people v ON v.organisation_id = p.organisation_id "
        f"WHERE p.id = ({_UNDER_REVIEW} LIMIT 1) AND v.email LIKE 'lead@%'"
    )
    return str(season.row_of(query).email)


def _applicants_token(season: Season) -> str:
    token = season.once(furnishing.token)
    person = season.id_of("SELECT person_id FROM api_tokens WHERE id = :id", id=token.hex)
    return f"/members/people/{person}/tokens/{token}/revoke"


def _draft_call(end: str) -> PathOf:
    return lambda season: f"/calls/{season.once(furnishing.draft_call)}{end}"


def _open_call(end: str) -> PathOf:
    return lambda season: f"/calls/{season.id_of(_OPEN_CALL)}{end}"


def _pair(before: str, query: str, between: str, end: str) -> PathOf:
    """A page of a thing within another: the query gives both ids, the outer first."""

    def path_of(season: Season) -> str:
        outer, inner = season.row_of(query)
        return f"{before}{outer}{between}{inner}{end}"

    return path_of


def _two_studies(season: Season) -> str:
    ids = [season.id_of(f"SELECT id FROM selections WHERE call_id = ({_STUDIED}) ORDER BY number LIMIT 1 OFFSET {n}")
           for n in (0, 1)]  # fmt: skip
    return f"/studio/{season.id_of(_STUDIED)}/compare?a={ids[0]}&b={ids[1]}"


def _runs(path: str) -> PathOf:
    """Args: path: with the digests of two models."""
    return lambda season: path.format(*season.once(furnishing.artifacts))


# Pages that cannot be listed: files, pieces of pages, and what is shown only while there is no operator.
UNLISTED = frozenset(
    {
        "/calls/{call_id}/file",
        "/open-data/files/{name}",
        "/open-data/reports/{year}",
        "/proposals/{proposal_id}/files/{file_id}",
        "/proposals/{proposal_id}/state",
        "/runs/{digest}/files/{path:path}",
        "/runs/{digest}/card",
        "/studio/{call_id}/studies/{study_id}/certificates",
        "/studio/{call_id}/letters/download",
        "/first-run",
    }
)

PAGES = (
    Listed("home", ""),
    Listed("about", "/about"),
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
    Listed("alerts", "/grants/alerts", "operator"),
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
    Listed("runs", _runs("/runs"), "operator"),
    Listed("runs-compare", "/runs/compare", "operator"),
    Listed("playground", "/playground", "applicant"),
    Listed("call-open", _open_call("")),
    Listed("call-draft", _draft_call(""), "operator"),
    Listed("call-edit", _draft_call("/edit"), "operator"),
    Listed("call-publication", _draft_call("/publication"), "operator"),
    Listed("call-amendment", _open_call("/amendment"), "operator"),
    Listed("call-closing", _open_call("/closing"), "operator"),
    Listed("call-archiving", _call("/archiving"), "operator"),
    Listed("proposal-apply", _open_call("/apply"), "applicant"),
    Listed("proposal-edit", _draft("/edit"), _writer),
    Listed("proposal-hand-in", _draft("/hand-in"), _writer),
    Listed("proposal-withdrawal", _row("/proposals/", _UNDER_REVIEW, end="/withdrawal"), _lead_of_reviewed),
    Listed("proposal-ruling", _row("/proposals/", _UNDER_REVIEW, end="/ruling"), "operator"),
    Listed("proposal-diff", _own_proposal("/diff?before=1&after=2"), "applicant"),
    Listed("invitation", lambda season: season.once(furnishing.invitation_link)),
    Listed("unsubscribe", lambda season: season.once(furnishing.unsubscribe_link)),
    Listed("account-token-revoke", lambda s: f"/account/tokens/{s.once(furnishing.token)}/revoke", "applicant"),
    Listed("member-token-revoke", _applicants_token, "operator"),
    Listed("webhook-remove", lambda s: f"/notices/webhooks/{s.once(furnishing.webhook)}/remove", "applicant"),
    Listed("demand-new", "/demand/new", "operator"),
    Listed("demand-closing", _row("/demand/", _OPEN_SURVEY, end="/closing"), "operator"),
    Listed(
        "grant-user-remove",
        _pair("/grants/", "SELECT grant_id, user_name FROM grant_users WHERE removed_at IS NULL", "/users/", "/remove"),
        "operator",
    ),
    Listed("report-hand-in", _row("/grants/reports/", _REPORT, "applicant", end="/hand-in"), "applicant"),
    Listed("report-judge", lambda s: f"/grants/reports/{s.once(furnishing.report_handed_in)}/judge", "operator"),
    Listed("ledger", "/ledger", "auditor"),
    Listed("ledger-own", "/ledger", "applicant"),
    Listed("ledger-postings", "/ledger/postings", "auditor"),
    Listed("ledger-account", "/ledger/accounts/1", "auditor"),
    Listed("ledger-posting", "/ledger/postings/40", "auditor"),
    Listed(
        "ledger-entry",
        _pair("/ledger/entries/", "SELECT cause_kind, cause_id FROM postings WHERE number = 40", "/", ""),
        "auditor",
    ),
    Listed("ledger-verification", "/ledger/verification", "auditor"),
    Listed(
        "review-desk-assignment-remove",
        _pair(
            "/reviews/calls/",
            "SELECT p.call_id, a.id FROM assignments a JOIN proposals p ON p.id = a.proposal_id "
            f"WHERE a.status = 'assigned' AND p.call_id = ({REVIEWED_CALL} LIMIT 1)",
            "/assignments/",
            "/remove",
        ),
        "operator",
    ),
    Listed(
        "review-desk-conflict-lift",
        _pair(
            "/reviews/calls/",
            "SELECT p.call_id, c.id FROM conflicts_of_interest c JOIN proposals p ON p.id = c.proposal_id "
            f"WHERE c.lifted_at IS NULL AND p.call_id = ({REVIEWED_CALL} LIMIT 1)",
            "/conflicts/",
            "/lift",
        ),
        "operator",
    ),
    Listed(
        "review-desk-reopen",
        _pair(
            "/reviews/proposals/",
            "SELECT a.proposal_id, r.id FROM reviews r JOIN assignments a ON a.id = r.assignment_id "
            "JOIN proposals p ON p.id = a.proposal_id "
            f"WHERE r.submitted_at IS NOT NULL AND p.call_id = ({_UNDECIDED})",
            "/reviews/",
            "/reopen",
        ),
        "operator",
    ),
    Listed("studio-compare", _two_studies, "panel"),
    Listed("run", _runs("/runs/{0}"), "operator"),
    Listed("runs-compare-two", _runs("/runs/compare?one={0}&other={1}"), "operator"),
    Listed("style", "/style"),
    Listed("supply-provider-new", "/supply/providers/new", "operator"),
    Listed("supply-provider-edit", _row("/supply/providers/", "SELECT id FROM providers", end="/edit"), "operator"),
    Listed("supply-pool-edit", _row("/supply/pools/", _POOL, end="/edit"), "operator"),
    Listed("supply-pool-closing", _row("/supply/pools/", _POOL, end="/closing"), "operator"),
    Listed("supply-lot-new", _row("/supply/pools/", _POOL, end="/lots/new"), "operator"),
    Listed(
        "supply-lot-edit",
        _pair("/supply/pools/", "SELECT pool_id, id FROM lots ORDER BY id DESC", "/lots/", "/edit"),
        "operator",
    ),
)
