"""`kiban office proposals`: what was handed in to a call, and who of it competes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kiban.cli.office.common import as_json_option, opened, print_result
from kiban.cli.office.tables import find_call, gather, limit_option, print_table, reason_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from kiban.office.proposals.outputs import ProposalOut

STATUSES = ("draft", "submitted", "withdrawn", "ineligible", "awarded", "rejected")
receipt_argument = click.argument("receipt")


@click.group()
def proposals() -> None:
    """List a call's proposals, and say after its close which of them do not compete."""


def _summary(row: ProposalOut) -> dict[str, Any]:
    keys = ("id", "receipt", "status", "track", "title", "submitted_at", "status_reason")
    return {key: value for key, value in row.model_dump(mode="json").items() if key in keys}


@proposals.command("list")
@click.argument("call")
@click.option("--status", type=click.Choice(STATUSES))
@limit_option
@as_json_option
def list_(call: str, status: str | None, limit: int, as_json: bool) -> None:
    """List the proposals of CALL (code or id), the newest first."""
    from kiban.office.proposals import service
    from kiban.office.proposals.models import ProposalStatus

    wanted = ProposalStatus(status) if status else None
    with opened() as office, office.work(read_only=True) as work:
        call_id = find_call(work, call).id
        found = gather(lambda page: service.list_proposals(work, page, call_id=call_id, status=wanted), limit)
    columns = {"receipt": "receipt", "status": "status", "track": "track", "title": "title", "status_reason": "reason"}
    print_table(as_json, "proposals", columns, [_summary(row) for row in found])


@proposals.command("mark-ineligible")
@receipt_argument
@reason_option
@as_json_option
def mark_ineligible(receipt: str, reason: str, as_json: bool) -> None:
    """Rule out the proposal RECEIPT: it is not judged and not awarded. After the close, before the decision."""
    from kiban.office.proposals import eligibility

    _act(eligibility.mark_ineligible, receipt, reason, as_json)


@proposals.command("mark-eligible")
@receipt_argument
@reason_option
@as_json_option
def mark_eligible(receipt: str, reason: str, as_json: bool) -> None:
    """Undo that the proposal RECEIPT was ruled out, before the decision."""
    from kiban.office.proposals import eligibility

    _act(eligibility.mark_eligible, receipt, reason, as_json)


@proposals.command("take-out")
@receipt_argument
@reason_option
@as_json_option
def take_out(receipt: str, reason: str, as_json: bool) -> None:
    """Withdraw the proposal RECEIPT, whose applicant asked for it after the close. Final; before the decision."""
    from kiban.office.proposals import eligibility

    _act(eligibility.take_out, receipt, reason, as_json)


def _act(act: Callable[..., ProposalOut], receipt: str, reason: str, as_json: bool) -> None:
    from kiban.office.proposals import service

    with opened() as office, office.work() as work:
        value = _summary(act(work, service.find_receipt(work, receipt), reason))
    print_result(as_json, value, f"{value['receipt']} is {value['status']}; its applicants are told")
