"""`kiban office calls`: from a YAML file to a published call and its close."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kiban.cli.office.common import as_json_option, opened, print_result
from kiban.cli.office.tables import find_call, gather, limit_option, print_table, reason_option
from kiban.cli.paths import INPUT
from kiban.kit.errors import BadInput

if TYPE_CHECKING:
    from kiban.office.calls.models import Call

STATUSES = ("draft", "published", "reviewing", "decided", "archived")
call_argument = click.argument("call")


@click.group()
def calls() -> None:
    """Write calls, publish them, amend and close them."""


def _summary(row: Call) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "code": row.code,
        "status": str(row.status),
        "title_ja": row.title_ja,
        "title_en": row.title_en,
        "budget_yen": row.budget_yen,
        "opens_at": row.opens_at.isoformat(),
        "closes_at": row.closes_at.isoformat(),
        "receipts": row.receipts,
        "withdrawn": row.withdrawn,
        "proposals": row.places_taken,
    }


@calls.command("list")
@click.option("--status", type=click.Choice(STATUSES))
@limit_option
@as_json_option
def list_(status: str | None, limit: int, as_json: bool) -> None:
    """List calls, the newest first."""
    from kiban.office.calls import service
    from kiban.office.calls.models import CallStatus

    with opened() as office, office.work(read_only=True) as work:
        wanted = CallStatus(status) if status else None
        rows = [_summary(row) for row in gather(lambda page: service.list_calls(work, page, wanted), limit)]
    columns = {"code": "code", "status": "status", "title_ja": "title", "budget_yen": "yen", "closes_at": "closes",
               "proposals": "submitted"}  # fmt: skip
    print_table(as_json, "calls", columns, rows)


@calls.command()
@call_argument
@as_json_option
def show(call: str, as_json: bool) -> None:
    """Show CALL (code or id)."""
    from kiban.office.calls import service
    from kiban.office.calls.times import left_en, left_ja

    with opened() as office, office.work(read_only=True) as work:
        out = service.show_call(work, find_call(work, call), counts_down=True)
    left = f"  {left_ja(out.seconds_left)} / {left_en(out.seconds_left)}" if out.seconds_left is not None else ""
    places = "" if out.cut_off_count is None else f" of {out.cut_off_count:,} places"
    most = out.constraints.most_proposals_per_organisation
    lines = [
        f"{out.code}  {out.title_ja} / {out.title_en}",
        f"status      {out.status}{left}",
        f"open        {out.opens_at_ja} - {out.closes_at_ja}",
        f"budget      {out.budget_yen:,} yen",
        f"awards      {out.months} months from {out.first_month}",
        f"pools       {', '.join(f'{offer.name} {offer.gpus}' for offer in out.pools)}",
        f"tracks      {', '.join(track.key for track in out.tracks)}",
        f"submitted   {out.proposals_submitted}{places}",
    ]
    if most is not None:
        lines.append(f"limit       {most:,} proposals per organisation")
    print_result(as_json, out.model_dump(mode="json"), *lines)


@calls.command()
@click.argument("file", type=INPUT)
@as_json_option
def create(file: Path, as_json: bool) -> None:
    """Begin a draft from a YAML FILE, in which pools go by their names."""
    from kiban.office.calls import drafting

    with opened() as office, office.work() as work:
        row = drafting.create_call(work, drafting.read_call(work, file))
        value = _summary(row)
    print_result(as_json, value, f"{row.code} is a draft", f"Next: kiban office calls check {row.code}")


@calls.command()
@call_argument
@as_json_option
def check(call: str, as_json: bool) -> int:
    """Say what is wrong with the draft CALL. Exits 3 where something keeps it from being published."""
    from kiban.office.calls import lifecycle

    with opened() as office, office.work(read_only=True) as work:
        found = lifecycle.problems_of(work, find_call(work, call))
    lines = [f"{each.severity}: {each.where}: {each.message}" for each in found] or ["nothing is wrong with it"]
    ok = all(each.severity != "error" for each in found)
    print_result(as_json, {"ok": ok, "problems": [each.model_dump() for each in found]}, *lines)
    return 0 if ok else 3


@calls.command()
@call_argument
@as_json_option
def publish(call: str, as_json: bool) -> None:
    """Make the draft CALL public."""
    from kiban.office.calls import lifecycle

    with opened() as office, office.work() as work:
        row = lifecycle.publish_call(work, find_call(work, call).id)
        value = _summary(row)
    print_result(as_json, value, f"{row.code} is published: open from {value['opens_at']} until {value['closes_at']}")


@calls.command()
@call_argument
@reason_option
@as_json_option
def close(call: str, reason: str, as_json: bool) -> None:
    """Close CALL before its date. It does not open again."""
    from kiban.office.calls import lifecycle

    with opened() as office, office.work() as work:
        row = lifecycle.close_call(work, find_call(work, call).id, reason)
        value = _summary(row)
    print_result(as_json, value, f"{row.code} is closed with {row.places_taken:,} proposals")


@calls.command()
@call_argument
@click.option("--opens-at", metavar="TIME", help="With its zone: 2026-05-01T10:00:00+09:00")
@click.option("--closes-at", metavar="TIME")
@click.option("--title-ja")
@click.option("--title-en")
@click.option("--text-ja", type=INPUT, help="A file.")
@click.option("--text-en", type=INPUT, help="A file.")
@reason_option
@as_json_option
def amend(
    call: str,
    opens_at: str | None,
    closes_at: str | None,
    title_ja: str | None,
    title_en: str | None,
    text_ja: Path | None,
    text_en: Path | None,
    reason: str,
    as_json: bool,
) -> None:
    """Change the published CALL: dates to later ones, texts in both languages. Those who apply are told."""
    from pydantic import ValidationError

    from kiban.office.calls import lifecycle
    from kiban.office.calls.schemas import Amendment

    given: dict[str, object] = {
        "opens_at": _time(opens_at, "--opens-at"),
        "closes_at": _time(closes_at, "--closes-at"),
        "title_ja": title_ja,
        "title_en": title_en,
        "text_ja": _text(text_ja, "--text-ja"),
        "text_en": _text(text_en, "--text-en"),
    }
    try:
        amendment = Amendment.model_validate({key: each for key, each in given.items() if each} | {"reason": reason})
    except ValidationError as error:
        raise BadInput(error.errors()[0]["msg"], where="amend") from None
    with opened() as office, office.work() as work:
        row = lifecycle.amend_call(work, find_call(work, call).id, amendment)
        value = _summary(row)
    print_result(as_json, value, f"{row.code} is amended; it closes at {value['closes_at']}")


def _time(text: str | None, where: str) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{text!r} is no time", where=where, hint="2026-05-01T10:00:00+09:00") from None
    if found.tzinfo is None:
        raise BadInput("a time needs its zone", where=where, hint="2026-05-01T10:00:00+09:00")
    return found


def _text(path: Path | None, where: str) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"cannot read {path} as UTF-8 text", where=where) from None
