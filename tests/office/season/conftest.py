"""A season that was interrupted in its second month: small, and with everything that comes before the first awards."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from kiban.office.season.clock import jst
from kiban.office.season.play import fill
from kiban.office.season.programme import REFERENCE
from kiban.office.settings import Settings


class Interrupted(Exception):
    pass


def settings_in(home: Path) -> Settings:
    return Settings(home=home, store=home, cookie_secure=False, password_cost=1)


def play_until(home: Path, month: str, *, force: bool = False) -> None:
    def tell(at: datetime) -> None:
        if at >= jst(f"{month}-01 00:00"):
            raise Interrupted

    with pytest.raises(Interrupted):
        fill(settings_in(home), until=REFERENCE, force=force, tell=tell)


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of an office in which the first call is published and nobody has applied yet."""
    home = tmp_path_factory.mktemp("season")
    play_until(home, "2025-04")
    return home
