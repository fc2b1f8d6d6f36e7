from __future__ import annotations

import itertools

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.office.reviews.assignment import Problem, assign


def problem(affinity, demand, at_most, at_least=0, kept=None) -> Problem:
    affinity = np.array(affinity, dtype=float)
    rows, columns = affinity.shape
    return Problem(
        affinity,
        np.broadcast_to(np.array(demand, dtype=np.int64), rows).copy(),
        np.broadcast_to(np.array(at_least, dtype=np.int64), columns).copy(),
        np.broadcast_to(np.array(at_most, dtype=np.int64), columns).copy(),
        np.zeros(affinity.shape, dtype=bool) if kept is None else np.array(kept, dtype=bool),
    )


def every(given: Problem):
    """All assignments, one by one."""
    rows, columns = given.affinity.shape
    choices = [
        [set(c) for c in itertools.combinations([r for r in range(columns) if given.open[p, r]], int(given.need[p]))]
        for p in range(rows)
    ]
    held = given.kept.sum(axis=0)
    for chosen in itertools.product(*choices):
        loads = np.array([held[r] + sum(r in own for own in chosen) for r in range(columns)])
        if (loads <= np.maximum(given.at_most, held)).all() and (loads >= given.at_least).all():
            yield [(p, r) for p in range(rows) for r in chosen[p]], loads


def value(given: Problem, pairs, loads, balance: float) -> float:
    return sum(given.affinity[pair] for pair in pairs) - balance * float((loads**2).sum())


@st.composite
def problems(draw, most: int = 4) -> Problem:
    rows, columns = draw(st.integers(1, most)), draw(st.integers(1, most))
    cells = st.one_of(st.none(), st.integers(0, 20))
    affinity = [[draw(cells) for _ in range(columns)] for _ in range(rows)]
    matrix = np.array([[np.nan if cell is None else cell / 20 for cell in line] for line in affinity])
    kept = np.array([[draw(st.integers(0, 9)) == 0 for _ in range(columns)] for _ in range(rows)])
    demand = [draw(st.integers(0, 3)) for _ in range(rows)]
    at_most = [draw(st.integers(0, 4)) for _ in range(columns)]
    at_least = [draw(st.integers(0, limit)) if draw(st.booleans()) else 0 for limit in at_most]
    return problem(matrix, demand, at_most, at_least, kept)


@settings(max_examples=120, deadline=None)
@given(problems(), st.sampled_from([0.0, 0.01, 0.3]))
def test_brute_force_finds_nothing_better_and_nothing_where_none_is_found(given: Problem, balance: float) -> None:
    best = max((value(given, pairs, loads, balance) for pairs, loads in every(given)), default=None)
    found = assign(given, balance=balance)
    assert found.is_complete == (best is not None)
    if best is not None:
        assert found.objective == pytest.approx(best, abs=1e-6)
        loads = given.kept.sum(axis=0) + np.bincount([r for _, r in found.pairs], minlength=given.kept.shape[1])
        assert value(given, found.pairs, loads, balance) == pytest.approx(best, abs=1e-6)


@settings(max_examples=80, deadline=None)
@given(problems())
def test_fair_makes_the_worst_pair_as_good_as_it_can_be(given: Problem) -> None:
    worst = [min(given.affinity[pair] for pair in pairs) for pairs, _ in every(given) if pairs]
    found = assign(given, fair=True)
    if worst and found.is_complete:
        floor = min(given.affinity[pair] for pair in found.pairs)
        assert floor == max(worst)
        best = max(
            value(given, pairs, loads, 0.01)
            for pairs, loads in every(given)
            if all(given.affinity[pair] >= floor for pair in pairs)
        )
        assert found.objective == pytest.approx(best, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(problems(most=7), st.booleans(), st.booleans())
def test_no_assignment_breaks_a_rule(given: Problem, fair: bool, partial: bool) -> None:
    found = assign(given, fair=fair, partial=partial)
    added = np.zeros(given.affinity.shape, dtype=int)
    for pair in found.pairs:
        added[pair] += 1
    assert (added[~given.open] == 0).all()
    assert (added <= 1).all()
    assert (added.sum(axis=0) <= given.room).all()
    if partial:
        assert (added.sum(axis=1) + found.missing == given.need).all()
    elif found.is_complete:
        assert (added.sum(axis=1) == given.need).all()
        assert (added.sum(axis=0) >= given.owed).all()
    else:
        assert not found.pairs


@settings(max_examples=60, deadline=None)
@given(problems(most=6))
def test_as_many_as_networkx_can_assign(given: Problem) -> None:
    graph = networkx.DiGraph()
    graph.add_nodes_from(["source", "sink"])
    for p, need in enumerate(given.need):
        graph.add_edge("source", ("p", p), capacity=int(need))
        for r in np.nonzero(given.open[p])[0]:
            graph.add_edge(("p", p), ("r", int(r)), capacity=1)
    for r, room in enumerate(given.room):
        graph.add_edge(("r", r), "sink", capacity=int(room))
    most = networkx.maximum_flow_value(graph, "source", "sink")
    assert int(assign(given).missing.sum()) == int(given.need.sum()) - most


def test_the_same_cost_as_networkx_on_a_larger_instance() -> None:
    random = np.random.default_rng(3)
    affinity = random.integers(0, 1000, size=(30, 14)) / 1000
    affinity[random.random(affinity.shape) < 0.2] = np.nan
    given = problem(affinity, 3, 8)
    graph = networkx.DiGraph()
    for p in range(30):
        graph.add_node(("p", p), demand=-3)
        for r in np.nonzero(given.open[p])[0]:
            graph.add_edge(("p", p), ("r", int(r)), capacity=1, weight=-round(affinity[p, r] * 1000))
    for r in range(14):
        graph.add_edge(("r", r), "sink", capacity=8, weight=0)
    graph.add_node("sink", demand=90)
    cost = networkx.min_cost_flow_cost(graph)
    assert assign(given, balance=0.0).objective == pytest.approx(-cost / 1000, abs=1e-6)


def test_balance_spreads_loads_where_affinities_are_equal() -> None:
    found = assign(problem(np.full((6, 3), 0.5), 1, 6), balance=0.01)
    assert sorted(np.bincount([r for _, r in found.pairs])) == [2, 2, 2]


def test_a_shortage_names_the_proposal_and_the_number() -> None:
    nan = np.nan
    found = assign(problem([[0.9, nan, nan], [0.5, 0.5, 0.5]], [3, 2], 5))
    assert found.missing.tolist() == [2, 0]
    assert not found.pairs
    partial = assign(problem([[0.9, nan, nan], [0.5, 0.5, 0.5]], [3, 2], 5), partial=True)
    assert (0, 0) in partial.pairs
    assert len(partial.pairs) == 3


def test_a_least_load_that_conflicts_forbid_names_the_reviewer() -> None:
    found = assign(problem([[0.9, np.nan], [0.9, np.nan]], 1, 2, at_least=[0, 1]))
    assert found.idle.tolist() == [0, 1]
