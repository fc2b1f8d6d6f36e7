"""The draw can be repeated by hand and keeps every rule."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from kiban.kit.errors import BadInput
from kiban.office.awards.solver import Pin, Share, ThemeMinimum, lottery, solve, ticket_sha256, violations

from .conftest import candidate, option, problem

SEED = "支援2027 2027-03-01 beacon 9f3c"


def test_tickets_are_what_sha256sum_prints() -> None:
    if not shutil.which("sha256sum"):
        pytest.skip("no sha256sum here")
    command = 'printf \'%s\\n%s\' "$SEED" "$ID" | sha256sum'
    shell = ["/bin/sh", "-c", command]
    printed = subprocess.run(shell, env={"SEED": SEED, "ID": "P-7"}, capture_output=True, check=True).stdout.decode()
    assert printed.split()[0] == ticket_sha256(SEED, "P-7")


def test_what_is_left_is_filled_in_the_order_drawn() -> None:
    asked = problem(candidate("sure", 95.0), *(candidate(f"g{at}", 50.0 + at) for at in range(5)),
                    gpus=(100, 100, 100), budget_yen=300)  # fmt: skip
    grey = [f"g{at}" for at in range(5)]
    found = solve(asked, "merit")
    drawn = lottery(asked, found, grey, SEED)
    order = sorted(grey, key=lambda who: ticket_sha256(SEED, who))
    assert [ticket.proposal_id for ticket in drawn.tickets] == order
    assert {award.proposal_id for award in drawn.awards} == {"sure", *order[:2]}
    assert lottery(asked, found, set(grey), SEED) == drawn
    assert len({lottery(asked, found, grey, f"{SEED}{n}").digest for n in range(12)}) > 3


def test_a_rule_that_needs_others_is_kept_to_the_end() -> None:
    """However the draw falls, the one medicine proposal that the share and the theme need is not crowded out."""
    asked = problem(
        *(candidate(f"g{at}", 60.0) for at in range(4)),
        candidate("m", 10.0, option("small", yen=60, share=0.6), option(yen=90), domain="medicine", theme="agents"),
        gpus=(100, 100, 100),
        budget_yen=290,
        shares=(Share(by="domain", group="medicine", of="spent_yen", min_basis_points=2000),),
        theme_minimums=(ThemeMinimum(theme="agents", awards=1),),
    )
    found = solve(asked, "merit")
    for n in range(6):
        drawn = lottery(asked, found, [c.proposal_id for c in asked.candidates], f"{SEED}{n}")
        chosen = {award.proposal_id: award.option for award in drawn.awards}
        assert not violations(asked, chosen)
        assert chosen["m"].tier == "preferred"
        assert len(chosen) == 3


def test_pins_and_strangers_are_not_drawn() -> None:
    asked = problem(candidate("p")).pinned(Pin(proposal_id="p", kind="must", reason="x"))
    found = solve(asked, "merit")
    for grey, seed in ((["p"], SEED), (["nobody"], SEED), ([], " ")):
        with pytest.raises(BadInput):
            lottery(asked, found, grey, seed)
