"""Relations that make conflicts by rule, imported as CSV: who wrote with whom, and whom an organisation pays."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from kiban.office.audit.service import record
from kiban.office.errors import Invalid
from kiban.office.guards.csv_cells import BOM
from kiban.office.guards.text import clean_line, corporate_number, normalise_email, orcid
from kiban.office.reviews import conflict_repository, repository
from kiban.office.reviews.models import ConflictKind, Relation
from kiban.office.reviews.schemas import RelationsIn, RelationsOut
from kiban.office.work import JST, Role, Work

COLUMNS = ("kind", "person_email", "other_email", "other_orcid", "corporate_number", "date", "source")
MOST_ROWS = 50_000


@dataclass(frozen=True)
class RelationRow:
    """A line of the file. `on`: when they published, or were last paid; None: it never ceases to count."""

    kind: ConflictKind
    person_email: str
    other_email: str | None
    other_orcid: str | None
    corporate_number: str | None
    on: date | None
    source: str


def parse(text: str) -> list[RelationRow]:
    """Read the CSV: a header with some or all of `COLUMNS`, then a relation a line.

    `co_author` needs `other_email` or `other_orcid`, `funded_by` the organisation's `corporate_number`; `date` is
    YYYY-MM-DD, YYYY-MM or YYYY, the last two meaning their last day.

    Raises:
        Invalid: naming the line.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix(BOM), newline=""), strict=True)
    found: list[RelationRow] = []
    try:
        header = reader.fieldnames or ()
        unknown = [name for name in header if name not in COLUMNS]
        if unknown or not {"kind", "person_email"} <= set(header):
            raise Invalid(
                f"unknown columns {', '.join(map(repr, unknown))}" if unknown else "a header is missing",
                where="csv, line 1",
                hint=f"the columns are {','.join(COLUMNS)}",
            )
        for cells in reader:
            if None in cells:
                raise Invalid("more cells than the header has", where=f"csv, line {reader.line_num}")
            found.append(_row({key: (value or "").strip() for key, value in cells.items()}, reader.line_num))
            if len(found) > MOST_ROWS:
                raise Invalid(f"a file has at most {MOST_ROWS:,} lines", where="csv", hint="import it in parts")
    except csv.Error as error:
        raise Invalid(f"not CSV: {error}", where=f"csv, line {reader.line_num}") from None
    return found


def _row(cells: dict[str, str], line: int) -> RelationRow:
    where = f"csv, line {line}"
    try:
        kind = ConflictKind(cells["kind"])
    except ValueError:
        kind = ConflictKind.DECLARED
    if kind not in (ConflictKind.CO_AUTHOR, ConflictKind.FUNDED_BY):
        raise Invalid("`kind` is co_author or funded_by", where=where)
    email, identifier, number = (cells.get(key, "") for key in ("other_email", "other_orcid", "corporate_number"))
    if kind is ConflictKind.CO_AUTHOR and not (email or identifier):
        raise Invalid("a co-author needs `other_email` or `other_orcid`", where=where)
    if kind is ConflictKind.FUNDED_BY and not number:
        raise Invalid("a payment needs the organisation's `corporate_number`", where=where)
    return RelationRow(
        kind,
        normalise_email(cells["person_email"], where=where),
        normalise_email(email, where=where) if email else None,
        orcid(identifier, where=where) if identifier else None,
        corporate_number(number, where=where) if number else None,
        _date(cells.get("date", ""), where),
        clean_line(cells.get("source", ""), max_chars=300, where=where, required=False),
    )


def _date(text: str, where: str) -> date | None:
    if not text:
        return None
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
        first = date.fromisoformat(f"{text}-01" if len(text) == 7 else f"{text}-12-01")
        return (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    except ValueError:
        raise Invalid("a date is YYYY-MM-DD, YYYY-MM or YYYY", where=where) from None


def counts_until(on: date, years: int) -> datetime:
    """The end of the day, in Japan, `years` after."""
    try:
        last = on.replace(year=on.year + years)
    except ValueError:  # 29 February, or a year beyond the calendar
        last = on.replace(year=on.year + years, day=28) if on.year + years <= date.max.year else date.max
    return datetime.combine(last, time.max, tzinfo=JST).astimezone(UTC)


def import_relations(work: Work, given: RelationsIn) -> RelationsOut:
    """Add what is new; importing a file twice adds nothing. Conflicts come of it with the next detection.

    Raises:
        Forbidden: not an operator.
        Invalid: a line that does not hold what it must; nothing is imported.
    """
    work.require(Role.OPERATOR)
    parsed = parse(given.csv)
    people = repository.people_by_email(work.session, {row.person_email for row in parsed})
    numbers = {row.corporate_number for row in parsed if row.corporate_number}
    organisations = repository.organisations_by_number(work.session, numbers)
    known = {_key(relation) for relation in conflict_repository.relations_of(work.session, set(people.values()))}
    added = before = 0
    strangers: set[str] = set()
    for row in parsed:
        person_id = people.get(row.person_email)
        organisation_id = organisations.get(row.corporate_number or "")
        if person_id is None:
            strangers.add(row.person_email)
            continue
        if row.corporate_number and organisation_id is None:
            strangers.add(row.corporate_number)
            continue
        relation = Relation(
            id=work.new_id(),
            person_id=person_id,
            kind=row.kind,
            other_email=row.other_email,
            other_orcid=row.other_orcid,
            organisation_id=organisation_id,
            source=row.source,
            until=counts_until(row.on, given.years) if row.on else None,
            recorded_at=work.now,
        )
        if _key(relation) in known:
            before += 1
            continue
        known.add(_key(relation))
        work.session.add(relation)
        added += 1
    record(work, "reviews.relations_imported", "relations", str(work.now.date()), added=added, known=before)
    return RelationsOut(added=added, known=before, unknown=tuple(sorted(strangers)))


def _key(relation: Relation) -> tuple[object, ...]:
    return (
        relation.person_id,
        relation.kind,
        relation.other_email,
        relation.other_orcid,
        relation.organisation_id,
        relation.source,
        relation.until,
    )
