"""A plan as one HTML page for people: what it takes, how sure that is, what would change it. Japanese and English."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kiban.plan.estimate import TrainingEstimate


def write_report(estimate: TrainingEstimate, path: Path) -> None:
    """Write `estimate` as one self-contained HTML file to `path`; it appears whole or not at all.

    Further layouts are searched for the cost curve, which takes a few seconds.

    Raises:
        OSError: `path` cannot be written.
    """
    from kiban.kit.files import write_atomically
    from kiban.plan.report.render import to_html

    write_atomically(path, to_html(estimate))
