"""Collectives against their closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.plan.training.communication import Network

FLAT = Network(domain=8, up_rate=100e9, up_latency_s=0.0, out_rate=10e9, out_latency_s=0.0)


def gather(size: float, ranks: int, stride: int = 1, network: Network = FLAT) -> float:
    return float(network.gather_seconds(np.array([size]), np.array([ranks]), np.array([stride]))[0])


def exchange(size: float, ranks: int, copies: int, network: Network = FLAT) -> float:
    return float(network.exchange_seconds(np.array([size]), np.array([ranks]), np.array([1]), np.array([copies]))[0])


def test_a_gather_moves_all_but_the_own_share() -> None:
    # Ring all-gather (Thakur et al., 2005): (n - 1) / n of the whole over the link.
    assert gather(8e9, 8) == pytest.approx(8e9 * 7 / 8 / 100e9)
    assert gather(8e9, 1) == 0


def test_ranks_of_one_domain_use_all_their_links_between_domains() -> None:
    # 16 neighbours: 8 links of 10 GB/s each; 16 ranks one per domain: one link each.
    assert gather(8e9, 16) == pytest.approx(8e9 * 15 / 16 / 80e9)
    assert gather(8e9, 16, stride=8) == pytest.approx(8e9 * 15 / 16 / 10e9)


def test_latency_grows_with_the_logarithm_of_the_ranks() -> None:
    slow = Network(domain=8, up_rate=1e12, up_latency_s=1e-6, out_rate=1e12, out_latency_s=1e-5)
    assert gather(0.0, 64, network=slow) == pytest.approx(3 * 1e-6 + 3 * 1e-5)


def test_a_ring_pays_a_hop_per_domain_and_message() -> None:
    slow = Network(domain=8, up_rate=1e12, up_latency_s=1e-6, out_rate=1e12, out_latency_s=1e-5)
    arguments = (np.array([0.0]), np.array([64]), np.array([1]), np.array([80]))
    assert float(slow.ring_seconds(*arguments)[0]) == pytest.approx(80 * (3 * 1e-6 + 7 * 1e-5))
    assert float(FLAT.ring_seconds(np.array([8e9]), *arguments[1:])[0]) == pytest.approx(gather(8e9, 64))


def test_an_exchange_inside_a_domain_sends_all_but_its_own_share() -> None:
    assert exchange(8e9, 8, 4) == pytest.approx(8e9 * 7 / 8 / 100e9)


def test_copies_for_one_remote_domain_travel_once() -> None:
    # 8 copies over two domains: an item is wanted by a given domain with probability 1 - 2^-8, and half are remote.
    size = 8e9
    wanted = 2 * (1 - 0.5**8)
    assert exchange(size, 16, 8) == pytest.approx(size / 8 * wanted / 2 / 10e9)
    assert exchange(size, 16, 1) == pytest.approx(size / 2 / 10e9)


@given(ranks=st.sampled_from([2, 4, 8, 16, 64, 512]), size=st.floats(1e3, 1e11), copies=st.integers(1, 8))
def test_more_ranks_or_bytes_never_take_less(ranks: int, size: float, copies: int) -> None:
    assert gather(size, 2 * ranks, stride=8) >= gather(size, ranks, stride=8)
    assert gather(2 * size, ranks) >= gather(size, ranks)
    assert exchange(size, 2 * ranks, copies) >= exchange(size, ranks, copies) * (1 - 1e-9)
