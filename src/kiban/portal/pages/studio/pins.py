"""Pins: what people decide on single proposals before the solver, each with its reason, none ever deleted."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import Response

from kiban.office.awards import reading, studies
from kiban.office.awards.reading import Desk
from kiban.office.awards.schemas import PinIn, PinRemoval
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.pages.studio.area import pages
from kiban.portal.pages.studio.reading import may_solve, outcome_of
from kiban.portal.web.forms import Form
from kiban.portal.web.notices import at_once, undo
from kiban.portal.web.tables import Chosen
from kiban.portal.web.views import View, see_other, view

SEPARATOR = "|"  # of an option's tier, pool and start month in one field


@pages.get("/studio/{call_id}/pins")
def pins(work: Reading, call_id: uuid.UUID, proposal_id: Chosen[uuid.UUID] = None) -> View | Response:
    """Pins that hold and those taken away, and the form for a new one.

    Args:
        proposal_id: chosen in the form.
    """
    desk = reading.desk(work, call_id)
    lines = reading.pins_of(work, desk)
    return view(
        "studio/pins.html",
        call=desk.call,
        desk=desk,
        lines=lines,
        options=_options(desk),
        chosen=proposal_id,
        option_key=option_key,
        outcome=outcome_of(desk, None),
        may_pin=may_solve(work, call_id) and desk.decision is None,
    )


@pages.post("/studio/{call_id}/pins", shows="pins")
def add_pin(work: Writing, call_id: uuid.UUID, form: Form) -> Response:
    option = form.text("option_key").split(SEPARATOR) if form.text("kind") == "option" else []
    names = ("tier", "pool_id", "start_month")
    more: dict[str, Any] = {"option": dict(zip(names, option, strict=False))} if any(option) else {}
    given = form.read(PinIn, **more)
    pin = studies.add_pin(work, call_id, given)
    back = undo("studio.remove_pin", call_id=call_id, pin_id=pin.id, fields={f"pin-{pin.id}.reason": at_once()})
    return see_other("studio.pins", call_id=call_id, notice="studio.pinned", undo=back)


@pages.post("/studio/{call_id}/pins/{pin_id}/remove", shows="pins")
def remove_pin(work: Writing, call_id: uuid.UUID, pin_id: uuid.UUID, form: Form) -> Response:
    pin = studies.remove_pin(work, call_id, pin_id, form.read(PinRemoval, under=f"pin-{pin_id}").reason)
    fields = {"proposal_id": pin.proposal_id, "kind": pin.kind, "reason": pin.reason}
    option = {"option_key": option_key(pin.option)} if pin.option else {}
    back = undo("studio.add_pin", call_id=call_id, fields=fields | option)
    return see_other("studio.pins", call_id=call_id, notice="studio.unpinned", undo=back)


def option_key(option: object) -> str:
    """An option as the form's field names it."""
    read = option.get if isinstance(option, dict) else lambda name: getattr(option, name)
    return SEPARATOR.join(str(read(name)) for name in ("tier", "pool_id", "start_month"))


def _options(desk: Desk) -> list[tuple[str, list[tuple[str, str]]]]:
    """What each proposal asked for, as the newest study read it, by receipt."""
    if desk.study is None:
        return []
    found = []
    for bloc in desk.problem.blocs.values():
        pools = {pool.id: pool.name for pool in bloc.pools}
        for candidate in bloc.candidates:
            entrant = desk.entrants.get(candidate.proposal_id)
            if entrant is not None:
                options = [
                    (option_key(option), f"{option.tier} / {pools[option.pool_id]} / {option.start_month}")
                    for option in candidate.options
                ]
                found.append((entrant.proposal.receipt or "", options))
    return sorted(found)
