"""The office's desk: what is to be set up, what waits, and whether the machinery runs."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.responses import Response

import kiban
from kiban.office import desk, timed, timed_runs
from kiban.office.desk import DeclaredConflicts, Desk
from kiban.office.notices import service as notices
from kiban.office.work import Role, Work
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.i18n import Text, _
from kiban.portal.pages.office.area import pages
from kiban.portal.web.views import ADDRESSES, View, see_other, url, view


@dataclass(frozen=True)
class Step:
    """Of setting the programme up. `href` is empty where its page is not there."""

    text: Text
    hint: Text
    is_done: bool
    href: str


@dataclass(frozen=True)
class Waiting:
    text: Text
    count: int
    href: str


@dataclass(frozen=True)
class Timed:
    """A timed task with its last run; `ran_at` None: none is known."""

    name: str
    ran_at: datetime | None
    is_late: bool
    error: str


@pages.get("/office")
def index(work: Reading) -> View | Response:
    """What an operator looks at first in the morning."""
    work.require(Role.OPERATOR)
    found = desk.desk(work)
    steps = _steps(found)
    dialect = work.session.get_bind().dialect.name
    return view(
        "office/index.html",
        desk=found,
        steps=steps,
        is_set_up=all(step.is_done for step in steps),
        waiting=_waiting(found, desk.declared_conflicts(work)),
        timed=_timed(work),
        database={"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(dialect, dialect),
        versions=f"kiban {kiban.__version__}, Python {platform.python_version()}",
    )


@pages.post("/office/test-mail", shows="index")
def send_test_mail(work: Writing) -> Response:
    """To one's own address; the outbox tells what became of it."""
    notices.send_test(work)
    return see_other("office.index", notice="office.test-mail")


def _steps(found: Desk) -> list[Step]:
    return [
        Step(
            _("Mail"),
            _("Set KIBAN_SMTP_URL and restart. Until then invitations and reminders wait in the outbox."),
            found.has_mail_server,
            "",
        ),
        Step(
            _("A second operator"),
            _("So that the office can go on when one person is ill or has lost the phone."),
            found.operators > 1,
            _href("members.invited"),
        ),
        Step(
            _("Compute"),
            _("Add the pools of GPUs that calls give away."),
            found.pools > 0,
            _href("supply.index"),
        ),
        Step(
            _("Organisations"),
            _("Those whose people apply, and their first person by invitation."),
            found.organisations > 0,
            _href("members.organisations"),
        ),
        Step(
            _("Reviewers"),
            _("Invite them with the role of reviewer before the call closes."),
            found.reviewers > 0,
            _href("members.invited"),
        ),
        Step(
            _("The first call"),
            _("Write it as a draft, look at it, then publish it."),
            found.calls_published > 0,
            _href("calls.index"),
        ),
    ]


def _waiting(found: Desk, declared: list[DeclaredConflicts]) -> list[Waiting]:
    """What waits for somebody, without what does not."""
    lines = [
        Waiting(_("Change requests to decide"), found.change_requests, _href("grants.all_changes", status="requested")),
        Waiting(_("Reports to accept or return"), found.reports, _href("milestones.index", status="submitted")),
        *(
            Waiting(
                _("Declared conflicts of interest to look at (%(call)s)", call=each.code),
                each.count,
                url("review_desk.conflicts_of", call_id=each.call_id),
            )
            for each in declared
        ),
        Waiting(_("Alerts about grants in the last 7 days"), found.alerts, _href("grants.all_alerts")),
        Waiting(_("Open incidents"), found.incidents, _href("grants.all_incidents", open="true")),
        Waiting(_("Differences of records to explain"), found.differences, _href("usage.index")),
        Waiting(
            _("Notices that could not be delivered"), found.notices_failed, _href("notices.outbox", status="failed")
        ),
        Waiting(_("Webhooks that were disabled"), found.webhooks_disabled, _href("notices.webhooks_page")),
    ]
    return [line for line in lines if line.count]


def _timed(work: Work) -> list[Timed]:
    runs = timed_runs.last_runs(work)
    lines = []
    for task in timed.TASKS:
        run = runs.get(task.name)
        allowed = timedelta(seconds=task.every_seconds + 2 * timed.NOTED_EVERY_SECONDS)
        is_late = run is not None and work.now - run.at > allowed
        lines.append(Timed(task.name, run.at if run else None, is_late, run.error if run else ""))
    return lines


def _href(name: str, **values: str) -> str:
    return url(name, **values) if ADDRESSES.knows(name) else ""
