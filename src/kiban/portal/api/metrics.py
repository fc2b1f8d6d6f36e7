"""Figures for Prometheus at /metrics: requests, and what waits in the office.

With several worker processes the counters live in files (PROMETHEUS_MULTIPROC_DIR, which the server sets), so that
any worker can tell them all.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.pool import QueuePool

from kiban.office import backlog
from kiban.office.office import Office

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REGISTRY = CollectorRegistry()
_REQUESTS = Counter("kiban_requests", "Requests answered.", ("method", "route", "status"), registry=_REGISTRY)
_SECONDS = Histogram(
    "kiban_request_seconds",
    "From the request's head to the end of its response.",
    ("route",),
    registry=_REGISTRY,
    buckets=(0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12),
)


@functools.lru_cache(maxsize=4096)
def _requests(method: str, route: str, status: int) -> Any:
    return _REQUESTS.labels(method, route, str(status))


@functools.lru_cache(maxsize=1024)
def _seconds(route: str) -> Any:
    return _SECONDS.labels(route)


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request under its route's template; a method nobody has heard of is `other`."""
    _requests(method if method in METHODS else "other", route, status).inc()
    _seconds(route).observe(seconds)


class _OfficeCollector(Collector):
    def __init__(self, office: Office) -> None:
        self.office = office

    def collect(self) -> Iterator[GaugeMetricFamily]:
        pool = self.office.database.engine.pool
        if isinstance(pool, QueuePool):
            yield GaugeMetricFamily("kiban_database_connections", "In use by this process.", value=pool.checkedout())
        with self.office.work(read_only=True) as work:
            found = backlog.read(work.session)
        yield GaugeMetricFamily("kiban_ledger_head", "Number of the last posting.", value=found.ledger_head)
        yield GaugeMetricFamily("kiban_notices_waiting", "Mail and webhooks not sent yet.", value=found.notices_waiting)
        yield GaugeMetricFamily(
            "kiban_cluster_tasks_waiting", "Changes the clusters do not know of yet.", value=found.cluster_tasks_waiting
        )


def exposition(office: Office) -> bytes:
    """All figures in Prometheus' text format."""
    now = CollectorRegistry()
    now.register(_OfficeCollector(office))
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        requests = CollectorRegistry()
        MultiProcessCollector(requests)  # type: ignore[no-untyped-call]
    else:
        requests = _REGISTRY
    return generate_latest(requests) + generate_latest(now)
