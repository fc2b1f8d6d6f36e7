"""Time of collectives under an alpha-beta model: a latency per hop and a rate per byte (Hockney, 1994)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kiban.plan.hardware.accelerators import Accelerator
from kiban.plan.training.constants import Constants
from kiban.plan.training.layout import Array


@dataclass(frozen=True)
class Network:
    """The two levels a rank sees: its fast domain (NVLink, xGMI, PCIe) and the network between domains.

    Rates are bytes per second per GPU and direction that collectives reach, not peaks.
    """

    domain: int
    up_rate: float
    up_latency_s: float
    out_rate: float
    out_latency_s: float

    @classmethod
    def of(cls, accelerator: Accelerator, constants: Constants) -> Network:
        return cls(
            domain=max(accelerator.scale_up.gpus, 1),
            up_rate=accelerator.scale_up.bandwidth_bytes_per_s * constants.scale_up_efficiency,
            up_latency_s=accelerator.scale_up.latency_s,
            out_rate=accelerator.scale_out.bandwidth_bytes_per_s * constants.scale_out_efficiency,
            out_latency_s=accelerator.scale_out.latency_s,
        )

    def gather_seconds(self, size_bytes: Array, ranks: Array, stride: Array) -> Array:
        """All-gather or reduce-scatter of `size_bytes` (the whole, not a shard) over `ranks` ranks `stride` apart.

        Ranks that share a domain each have a link of their own to the network, so a group with r ranks per domain
        moves r times a link's rate between domains, up to the domain's own rate. Latency is that of a tree.
        """
        local, seconds = self._gathered(size_bytes, ranks, stride)
        hops_out = np.log2(np.maximum(ranks / local, 1))
        return np.where(ranks > 1, seconds + self._inside(local) + hops_out * self.out_latency_s, 0.0)

    def ring_seconds(self, size_bytes: Array, ranks: Array, stride: Array, pieces: Array) -> Array:
        """The same in `pieces` messages, each around a ring of the domains: how sharded parameters travel."""
        local, seconds = self._gathered(size_bytes, ranks, stride)
        hops_out = np.maximum(ranks / local, 1) - 1
        latency = pieces * (self._inside(local) + hops_out * self.out_latency_s)
        return np.where(ranks > 1, seconds + latency, 0.0)

    def _gathered(self, size_bytes: Array, ranks: Array, stride: Array) -> tuple[Array, Array]:
        """Ranks per domain, and seconds without latency."""
        local = np.clip(self.domain // np.maximum(stride, 1), 1, ranks)
        rate = np.where(local >= ranks, self.up_rate, np.minimum(self.up_rate, self.out_rate * local))
        return local, size_bytes * (ranks - 1) / np.maximum(ranks, 1) / rate

    def _inside(self, local: Array) -> Array:
        latency: Array = np.log2(np.maximum(local, 1)) * self.up_latency_s
        return latency

    def exchange_seconds(self, size_bytes: Array, ranks: Array, stride: Array, copies: Array) -> Array:
        """All-to-all in which each rank sends `size_bytes` to `ranks` ranks, each item in `copies` copies.

        Copies for one remote domain travel there once and are spread inside it, as DeepSeek-V3's dispatch does
        (2024, section 3.2.2). Between domains the network's rate counts, inside them the domain's.
        """
        local = np.clip(self.domain // np.maximum(stride, 1), 1, ranks)
        domains = np.maximum(ranks / local, 1)
        reached = domains * (1 - (1 - 1 / domains) ** copies)  # domains that the copies of one item fall into
        remote = size_bytes / copies * reached * (domains - 1) / domains
        inside = size_bytes * (ranks - 1) / np.maximum(ranks, 1)
        latency = np.log2(np.maximum(ranks, 1)) * np.where(domains > 1, self.out_latency_s, self.up_latency_s)
        seconds = np.maximum(remote / self.out_rate, inside / self.up_rate) + latency
        return np.where(ranks > 1, seconds, 0.0)

    def send_seconds(self, size_bytes: Array, distance: Array) -> Array:
        """Point to point to the rank `distance` away."""
        inside = distance < self.domain
        rate = np.where(inside, self.up_rate, self.out_rate)
        return size_bytes / rate + np.where(inside, self.up_latency_s, self.out_latency_s)
