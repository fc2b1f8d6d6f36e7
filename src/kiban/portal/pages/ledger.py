"""The ledger: accounts, what moved into and out of them, and each posting down to its hash."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import Path, Query, Request
from starlette.responses import Response

from kiban.office.ledger import reading, service, verification
from kiban.office.ledger.accounts import JOULES, YEN
from kiban.office.ledger.models import AccountKind, CauseKind
from kiban.office.ledger.reading import NamedAccount, NamedPosting
from kiban.office.work import JST, Role
from kiban.portal.api.dependencies import Reading, actor_of, office_of
from kiban.portal.format import Formats
from kiban.portal.i18n import Text, _, current_language, pgettext
from kiban.portal.web import labels
from kiban.portal.web.routing import Pages
from kiban.portal.web.tables import Chosen, Column, Empty, Filter, ListQuery, Table
from kiban.portal.web.views import View, url, view

pages = Pages("ledger")
labels.register(
    "AccountKind",
    {
        "appropriations": _("Appropriations"),
        "supply": pgettext("ledger", "Supply"),
        "grid": _("Electricity drawn"),
        "budget": _("Budget not yet awarded"),
        "committed": pgettext("ledger", "Committed"),
        "available": pgettext("ledger", "Available"),
        "overrun": pgettext("ledger", "Overrun"),
        "used": pgettext("ledger", "Used"),
        "expired": pgettext("ledger", "Expired"),
    },
)
labels.register(
    "CauseKind",
    {
        "appropriation": _("Budget of a call"),
        "award": pgettext("ledger", "Award"),
        "tranche": _("Tranche"),
        "usage": _("Usage of a job"),
        "expiry": pgettext("ledger", "Expiry"),
        "refund": _("Refund"),
        "change_request": _("Change request"),
        "closing": _("Closing of a grant"),
        "correction": _("Correction"),
    },
)

Number = Annotated[int, Path(ge=1, lt=2**53)]
CauseId = Annotated[str, Path(max_length=128)]
Unit = Chosen[Annotated[str, Query(max_length=48)]]


@dataclass(frozen=True)
class AmountColumn(Column[Any]):
    """An amount in the unit of its row: yen, GPU-seconds of a pool, or joules."""

    def show(self, row: Any, fmt: Formats) -> str:
        account = row if isinstance(row, NamedAccount) else row.debit
        value = self.read(row)
        return "" if value is None else amount(value, account.unit, fmt)


def amount(value: int, unit: str, fmt: Formats) -> str:
    """An amount of the ledger in words of its unit."""
    if unit == YEN:
        return fmt.yen(value)
    return fmt.joules(value) if unit == JOULES else fmt.gpu_time(value)


def unit_name(unit: str, pool: str | None) -> Text:
    if unit == YEN:
        return _("Yen")
    return _("Energy (J)") if unit == JOULES else _("GPU-seconds of %(pool)s", pool=pool or unit)


def _owner(account: NamedAccount) -> str:
    """Whose account it is, in the page's language."""
    names = account.grant.organisation if account.grant is not None else account.call_title
    if names is None:
        return str(_("The programme"))
    name = names[0] if current_language() == "ja" else names[1]
    return f"{account.grant.code} {name}" if account.grant is not None else name


def account_name(account: NamedAccount) -> str:
    """`Used – 2026-a-001 Company` as people call an account."""
    return f"{labels.label(account.kind, 'AccountKind')} – {_owner(account)}"


ACCOUNTS: Table[NamedAccount] = Table(
    "accounts",
    [
        Column("number", _("Number"), kind="number", href=lambda row: url("ledger.account", number=row.number)),
        Column(
            "kind", pgettext("ledger", "Account"), lambda row: str(labels.label(row.kind, "AccountKind")), sort="kind"
        ),
        Column("owner", _("Whose"), _owner),
        Column("unit", pgettext("ledger", "Unit"), lambda row: str(unit_name(row.unit, row.pool)), sort="unit"),
        AmountColumn("balance", _("Balance"), kind="number"),
        Column("code", pgettext("ledger", "Code"), kind="code", sort="code"),
    ],
    caption=pgettext("ledger", "Accounts"),
)
POSTINGS: Table[NamedPosting] = Table(
    "postings",
    [
        Column(
            "number",
            _("Number"),
            lambda row: row.row.number,
            kind="number",
            href=lambda row: url("ledger.posting", number=row.row.number),
        ),
        Column("at", _("When"), lambda row: row.row.at, kind="datetime", sort="at"),
        Column(
            "cause",
            _("What for"),
            lambda row: str(labels.label(row.row.cause_kind)),
            href=lambda row: url("ledger.entry", kind=row.row.cause_kind.value, cause_id=row.row.cause_id),
        ),
        Column(
            "credit",
            pgettext("ledger", "From"),
            lambda row: account_name(row.credit),
            href=lambda row: url("ledger.account", number=row.credit.number),
        ),
        Column(
            "debit",
            pgettext("ledger", "To"),
            lambda row: account_name(row.debit),
            href=lambda row: url("ledger.account", number=row.debit.number),
        ),
        AmountColumn("amount", pgettext("ledger", "Amount"), lambda row: row.row.amount, kind="number", sort="amount"),
        Column("unit", pgettext("ledger", "Unit"), lambda row: str(unit_name(row.row.unit, row.pool)), sort="unit"),
        Column("memo", _("Memo"), lambda row: row.row.memo or None),
    ],
    caption=_("Postings"),
)


@pages.get("/ledger")
def index(
    work: Reading,
    query: ListQuery,
    kind: Chosen[AccountKind] = None,
    unit: Unit = None,
    call_id: Chosen[uuid.UUID] = None,
    grant_id: Chosen[uuid.UUID] = None,
) -> View | Response:
    """Accounts with their balances, as far as the reader may see them."""
    filters = service.AccountFilter(kind, unit, call_id, grant_id)
    listing = ACCOUNTS.list(
        query,
        lambda page: reading.accounts(work, page, filters),
        filters=[
            Filter.one_of("kind", pgettext("ledger", "Account"), kind, AccountKind),
            Filter.select("unit", pgettext("ledger", "Unit"), unit, {YEN: _("Yen"), JOULES: _("Energy (J)")}),
        ],
        keep=_kept(call_id=call_id, grant_id=grant_id),
        empty=Empty(
            _("No accounts to see"),
            _("An account is opened with the first posting to it: when a call gets its budget, or a grant begins."),
        ),
    )
    return view("ledger/index.html", listing=listing)


@pages.get("/ledger/postings")
def postings(
    work: Reading,
    query: ListQuery,
    cause: Chosen[CauseKind] = None,
    unit: Unit = None,
    since: Chosen[date] = None,
    until: Chosen[date] = None,
) -> View | Response:
    """All postings that the reader may see, the newest first."""
    filters = service.PostingFilter(None, cause, None, unit, _day(since), _day(until, days=1))
    listing = POSTINGS.list(
        query,
        lambda page: reading.postings(work, page, filters),
        filters=[*_posting_filters(cause, since, until)],
        keep=_kept(unit=unit),
    )
    return view("ledger/postings.html", listing=listing)


@pages.get("/ledger/accounts/{number}")
def account(
    work: Reading,
    query: ListQuery,
    number: Number,
    cause: Chosen[CauseKind] = None,
    since: Chosen[date] = None,
    until: Chosen[date] = None,
) -> View | Response:
    """One account: its balance and what moved into and out of it."""
    shown = reading.account(work, number)
    filters = service.PostingFilter(number, cause, None, None, _day(since), _day(until, days=1))
    listing = POSTINGS.list(
        query,
        lambda page: reading.postings(work, page, filters),
        filters=[*_posting_filters(cause, since, until)],
    )
    return view(
        "ledger/account.html",
        account=shown,
        name=account_name(shown),
        unit=unit_name(shown.unit, shown.pool),
        amount=amount,
        listing=listing,
    )


@pages.get("/ledger/entries/{kind}/{cause_id:path}")
def entry(work: Reading, query: ListQuery, kind: CauseKind, cause_id: CauseId) -> View | Response:
    """Everything that one cause has posted."""
    rows = reading.entry(work, kind, cause_id)
    listing = POSTINGS.of(query, rows)
    return view("ledger/entry.html", kind=kind, cause_id=cause_id, rows=rows, listing=listing)


@pages.get("/ledger/postings/{number}")
def posting(work: Reading, number: Number) -> View | Response:
    """One posting: between which accounts, why, by whom, and its place in the chain of hashes."""
    shown = reading.posting(work, number)
    return view("ledger/posting.html", posting=shown, name=account_name, amount=amount, unit_name=unit_name)


@pages.get("/ledger/verification")
def verify(request: Request, work: Reading) -> View | Response:
    """Every hash and balance computed again; for operators and auditors."""
    work.require(Role.AUDITOR, Role.OPERATOR)
    # Postings are streamed, which takes a transaction.
    with office_of(request).work(actor_of(request), read_only=True) as streaming:
        result = verification.verify(streaming)
    return view("ledger/verification.html", result=result)


def _posting_filters(cause: CauseKind | None, since: date | None, until: date | None) -> list[Filter]:
    return [
        Filter.one_of("cause", _("What for"), cause, CauseKind),
        Filter.date("since", _("From this day"), since),
        Filter.date("until", _("To this day"), until),
    ]


def _day(day: date | None, days: int = 0) -> datetime | None:
    """Midnight in Japan at which a day begins, or one `days` later."""
    return None if day is None else datetime.combine(day + timedelta(days=days), time(), JST)


def _kept(**given: Any) -> dict[str, str]:
    return {name: str(value) for name, value in given.items() if value is not None}
