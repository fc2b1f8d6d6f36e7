"""A study's proposals as rows: what each is given by one objective, how sure that is, and why."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from kiban.office.awards.letters.feedback import excluded_why, sentences
from kiban.office.awards.models import PinKind, Selection
from kiban.office.awards.problem import Problem
from kiban.office.awards.reading import Desk, NamedEntrant
from kiban.office.awards.solver import AwardProblem, Candidate, Feedback, Option, Pin, Solution, Standing, Text
from kiban.office.awards.studies import solution_of
from kiban.office.calls.models import Call
from kiban.office.calls.service import theme_name
from kiban.portal.i18n import Language, _, in_language, pgettext
from kiban.portal.web.labels import label
from kiban.portal.web.tables import Column, Table
from kiban.portal.web.views import url

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Row:
    """A proposal in one objective's outcome.

    Attributes:
        rank: by score among those that compete with it; equal scores share one.
        option: what it is given; None: nothing.
        standing: how often it was funded under noise in the scores; None: not tried.
    """

    call: Call
    study_id: str
    entrant: NamedEntrant
    bloc: str
    candidate: Candidate
    rank: int
    option: Option | None
    pin: Pin | None
    stands: Standing | None
    state: str
    why: str
    pool: str | None

    @property
    def zone(self) -> str | None:
        return None if self.stands is None else self.stands.zone

    @property
    def organisation(self) -> tuple[str, str]:
        return self.entrant.organisation.name_ja, self.entrant.organisation.name_en

    @property
    def theme(self) -> tuple[str, str]:
        return theme_name(self.call, self.candidate.theme)

    @property
    def spread(self) -> float:
        """Half of the score's 95% interval."""
        return 1.96 * self.candidate.score_standard_error


class Outcome:
    """A study read for one objective."""

    def __init__(self, desk: Desk, study: Selection, objective: str, language: Language) -> None:
        self.desk, self.study, self.objective, self.language = desk, study, objective, language
        self.problem: Problem = desk.problem
        self.solutions: dict[str, Solution] = {name: solution_of(study, name, objective) for name in self.problem.blocs}

    @property
    def objectives(self) -> list[str]:
        return list(self.study.options["objectives"])

    @property
    def explained(self) -> bool:
        """What noise and changes would do was asked for the first objective alone."""
        return self.objective == self.objectives[0]

    @property
    def is_infeasible(self) -> bool:
        return any(solution.status == "infeasible" for solution in self.solutions.values())

    @cached_property
    def names(self) -> Mapping[str, str]:
        """What ids in the solver's texts stand for: receipts, organisations and pools."""
        found = {str(pool.id): pool.name for bloc in self.problem.blocs.values() for pool in bloc.pools}
        for key, entrant in self.desk.entrants.items():
            found[key] = entrant.proposal.receipt or key
            organisation = entrant.organisation
            found[str(organisation.id)] = organisation.name_ja if self.language == "ja" else organisation.name_en
        return found

    def named(self, text: Text) -> str:
        """A text of the solver's in the page's language, with names in place of ids."""
        written = text.ja if self.language == "ja" else text.en
        return _ID.sub(lambda found: self.names.get(found[0], found[0]), written)

    def pool_name(self, pool_id: str) -> str:
        return self.names.get(pool_id, pool_id)

    @cached_property
    def rows(self) -> list[Row]:
        return [row for name, bloc in self.problem.blocs.items() for row in self._rows_of(name, bloc)]

    def row(self, proposal_id: str) -> Row | None:
        return next((row for row in self.rows if row.candidate.proposal_id == proposal_id), None)

    def feedback(self, row: Row) -> Feedback | None:
        """What would have funded it; None: it is funded, or that was not asked."""
        found = self.study.explanations.get(row.candidate.proposal_id)
        if found is None or not self.explained or row.option is not None:
            return None
        return Feedback.model_validate_json(json.dumps(found))

    def answers(self, row: Row) -> list[str]:
        """`feedback` in sentences, as the letter has them."""
        found = self.feedback(row)
        return [] if found is None or found.pinned_out else sentences(found, self.language, self.pool_name)

    @property
    def grey(self) -> list[Row]:
        return [row for row in self.rows if row.zone == "grey"]

    def _rows_of(self, name: str, bloc: AwardProblem) -> list[Row]:
        standings = self.study.stability.get(name, {}).get("standings", []) if self.explained else []
        stands = {each["proposal_id"]: Standing.model_validate(each) for each in standings}
        pins = {pin.proposal_id: pin for pin in bloc.pins}
        chosen = self.solutions[name].chosen
        by_score = sorted(bloc.candidates, key=lambda each: (-each.score_mean, each.proposal_id))
        scores = [each.score_mean for each in by_score]
        rows = []
        for candidate in by_score:
            key = candidate.proposal_id
            entrant = self.desk.entrants.get(key)
            if entrant is None:  # ruled out since
                continue
            option = next((each for each in candidate.options if key in chosen and each.key == chosen[key]), None)
            row = Row(
                call=self.desk.call,
                study_id=str(self.study.id),
                entrant=entrant,
                bloc=name,
                candidate=candidate,
                rank=scores.index(candidate.score_mean) + 1,
                option=option,
                pin=pins.get(key),
                stands=stands.get(key),
                state=self._state(name, option, pins.get(key), entrant),
                why="",
                pool=None if option is None else self.pool_name(option.pool_id),
            )
            rows.append(_with_why(row, self._why(row)))
        return rows

    def _state(self, name: str, option: Option | None, pin: Pin | None, entrant: NamedEntrant) -> str:
        if self.solutions[name].status == "infeasible":
            return "undecided"
        if pin is None:
            return "funded" if option is not None else "not_funded"
        if pin.kind == "must_not":
            own = entrant.pin is not None and entrant.pin.kind is PinKind.MUST_NOT
            return "pinned_out" if own else "excluded"
        return "pinned_in"

    def _why(self, row: Row) -> str:
        if row.state == "excluded" and row.pin is not None:
            return excluded_why(row.pin.reason, self.language)
        if row.pin is not None:
            return row.pin.reason
        if row.option is not None or row.state == "undecided":
            return ""
        said = self.answers(row)
        return (
            said[0]
            if said
            else in_language(_("Another set of proposals is worth more within the rules."), self.language)
        )


def _with_why(row: Row, why: str) -> Row:
    return Row(**{**row.__dict__, "why": why})


CANDIDATES: Table[Row] = Table(
    "candidates",
    [
        Column(
            "receipt",
            _("Receipt"),
            lambda row: row.entrant.proposal.receipt,
            kind="code",
            sort="receipt",
            href=lambda row: url(
                "studio.proposal",
                call_id=row.call.id,
                study_id=row.study_id,
                proposal_id=row.candidate.proposal_id,
            ),
        ),
        Column("title", _("Title"), lambda row: row.entrant.proposal.title),
        Column("organisation", _("Organisation"), kind="localised", sort="organisation"),
        Column("rank", _("Rank by score"), kind="number", sort="rank"),
        Column(
            "score", pgettext("proposal", "Score"), lambda row: row.candidate.score_mean, kind="decimal", sort="score"
        ),
        Column("score_spread", _("± (95%%)"), lambda row: row.spread, kind="decimal"),
        Column("state", pgettext("award", "Outcome"), lambda row: str(label(row.state, "standing")), sort="state"),
        Column(
            "tier",
            _("Tier"),
            lambda row: None if row.option is None else label(row.option.tier, "tier"),
            kind="enum",
        ),
        Column("pool", _("Pool"), lambda row: row.pool, sort="pool"),
        Column("yen", _("Amount"), lambda row: None if row.option is None else row.option.yen, kind="yen", sort="yen"),
        Column(
            "gpu_time",
            _("GPU time"),
            lambda row: None if row.option is None else row.option.gpu_seconds,
            kind="gpu_time",
            sort="gpu_time",
        ),
        Column(
            "probability",
            _("Funded under noise"),
            lambda row: None if row.stands is None else row.stands.probability,
            kind="percent",
            sort="probability",
            none=_("not tried"),
        ),
        Column("theme", _("Theme"), lambda row: row.theme, kind="localised", sort="theme"),
        Column("why", _("Why"), lambda row: row.why or None),
    ],
    caption=pgettext("award", "Proposals"),
)
