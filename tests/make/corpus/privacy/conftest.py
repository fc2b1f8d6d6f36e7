from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiban.make.corpus.letters import letters
from kiban.make.corpus.privacy.config import PrivacyConfig
from kiban.make.corpus.privacy.find import Finder
from kiban.make.corpus.privacy.finding import Finding

Find = Callable[[str], list[Finding]]
Seen = Callable[[str], list[tuple[str, str]]]


@pytest.fixture(scope="session")
def find() -> Find:
    finder = Finder(PrivacyConfig(actions={"corporate_number": "report"}), Path())
    return lambda text: finder.find([text], letters([text]))[0]


@pytest.fixture(scope="session")
def seen(find: Find) -> Seen:
    """(kind, what it is) of everything found in a text."""
    return lambda text: [(one.kind, text[one.start : one.end]) for one in find(text)]


@pytest.fixture(scope="session")
def records() -> Callable[[str, int, int], list[Any]]:
    """The made-up documents that the benchmark measures with."""
    import importlib
    import sys

    folder = str(Path(__file__).resolve().parents[4] / "benchmarks")
    sys.path.insert(0, folder)
    try:
        made: Callable[[str, int, int], list[Any]] = importlib.import_module("shared.japanese_records").records
    finally:
        sys.path.remove(folder)
    return made
