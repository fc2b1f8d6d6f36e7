"""What Prometheus reads at /metrics."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
ROWS = (0, 1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one server; safe to change from any thread."""

    def __init__(self, model: str, digest: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per series, which nobody reads
        self.registry = CollectorRegistry()
        info = Gauge("kiban_model_info", "The served model", ["model", "digest"], registry=self.registry)
        info.labels(model, digest).set(1)
        self.requests = Counter(
            "kiban_requests",
            "Answers by route, method and status",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "kiban_request_seconds", "From request to the last byte", ["route"], buckets=SECONDS, registry=self.registry
        )
        self.first_token = Histogram(
            "kiban_time_to_first_token_seconds",
            "From request to the first generated token",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.prompt_tokens = Counter("kiban_prompt_tokens", "Tokens read", registry=self.registry)
        self.generated_tokens = Counter("kiban_generated_tokens", "Tokens generated", registry=self.registry)
        self.cancelled = Counter(
            "kiban_cancelled_sequences", "Given up: client gone, time out, shutdown", registry=self.registry
        )
        self.queue_depth = Gauge("kiban_queue_depth", "Sequences waiting for a row", registry=self.registry)
        self.batch_size = Gauge("kiban_batch_size", "Sequences running now", registry=self.registry)
        self.batch_sizes = Histogram(
            "kiban_step_batch_size", "Sequences running, per step", buckets=ROWS, registry=self.registry
        )

    def stepped(self, running: int, waiting: int) -> None:
        """Called by the batcher before every step."""
        self.batch_size.set(running)
        self.queue_depth.set(waiting)
        if running:
            self.batch_sizes.observe(running)

    def text(self) -> bytes:
        return generate_latest(self.registry)
