"""One JSON line per optimizer step, and the curve that is drawn from them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

# Fonts with Japanese glyphs first: what a system lacks is skipped.
FONT = "Noto Sans CJK JP, Noto Sans JP, Hiragino Sans, Yu Gothic, IPAexGothic, sans-serif"
DRAWN_POINTS = 2_000
SMOOTHING_SHARE = 0.02


@dataclass(frozen=True)
class StepMetrics:
    """What one optimizer step was.

    Attributes:
        step: from 1.
        tokens: trained on so far, this step included.
        loss: mean cross-entropy of the step's tokens, nats.
        grad_norm: global 2-norm before clipping.
        mfu: model FLOP utilisation; see `flops_per_token` and `Peak`.
        elapsed_s: training time of all attempts up to here.
        tokens_by_source: of `tokens`, where the recipe mixes sources.
    """

    step: int
    tokens: int
    loss: float
    lr: float
    grad_norm: float
    tokens_per_s: float
    mfu: float
    elapsed_s: float
    tokens_by_source: dict[str, int] | None = None


class MetricsLog:
    """Appends to `path`; what an earlier attempt wrote after its last checkpoint is cut off first.

    Args:
        keep_bytes: what the checkpoint that is gone on from says of the file.
    """

    def __init__(self, path: Path, keep_bytes: int = 0) -> None:
        self._file = path.open("ab")
        self._file.truncate(keep_bytes)
        self._file.seek(0, os.SEEK_END)

    def write(self, metrics: StepMetrics) -> None:
        rounded = {
            key: float(f"{value:.6g}") if isinstance(value, float) else value
            for key, value in asdict(metrics).items()
            if value is not None
        }
        self._file.write(json.dumps(rounded).encode() + b"\n")
        self._file.flush()  # people follow it while training runs

    def sync(self) -> int:
        """Make all lines durable and return the file's bytes."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


def read_metrics(path: Path) -> list[StepMetrics]:
    with path.open(encoding="utf-8") as lines:
        return [StepMetrics(**json.loads(line)) for line in lines]


def draw_loss(metrics: Sequence[StepMetrics], title: str, svg: Path, png: Path) -> None:
    """Loss over tokens, raw and smoothed (mean over 2% of the steps around)."""
    import altair as alt

    colour = "#1f5fa8"
    every = max(1, len(metrics) // DRAWN_POINTS)
    smoothed = smooth([each.loss for each in metrics], max(1, round(SMOOTHING_SHARE * len(metrics))))
    rows: list[dict[str, Any]] = [
        {"tokens": each.tokens, "loss": each.loss, "smoothed": value}
        for index, (each, value) in enumerate(zip(metrics, smoothed, strict=True))
        if index % every == 0 or index == len(metrics) - 1
    ]
    losses = [row["loss"] for row in rows]
    x = alt.X("tokens:Q", title="training tokens", axis=alt.Axis(format="~s", tickCount=8))
    domain = alt.Scale(zero=False, nice=True, domain=[min(losses), max(losses)])
    y = alt.Y("loss:Q", title="loss (nats per token)", scale=domain)
    base = alt.Chart(alt.Data(values=rows))
    marks: dict[str, Any] = {"point": True} if len(rows) == 1 else {}
    raw = base.mark_line(color=colour, opacity=0.3, strokeWidth=1, **marks).encode(x=x, y=y)
    curve = base.mark_line(color=colour, strokeWidth=2).encode(x=x, y=alt.Y("smoothed:Q", scale=domain))
    subtitle = "thin: each step; bold: mean over 2% of the steps"
    chart = (
        alt.layer(raw, curve)
        .properties(width=640, height=320, title=alt.Title(title, subtitle=subtitle, anchor="start"))
        .configure(font=FONT, padding=16)
        .configure_axis(labelFontSize=12, titleFontSize=13)
    )
    chart.save(svg)
    chart.save(png, scale_factor=2)


def smooth(values: Sequence[float], window: int) -> list[float]:
    """Mean over the `window` values around each, fewer at the ends, so that the curve does not lag behind."""
    sums = [0.0, *accumulate(values)]
    half = window // 2
    smoothed = []
    for index in range(len(values)):
        first, end = max(0, index - half), min(len(values), index + half + 1)
        smoothed.append((sums[end] - sums[first]) / (end - first))
    return smoothed
