"""What may be given to sacctmgr: its language has no quoting that could be relied on, so names stay plain."""

from __future__ import annotations

import re

from kiban.kit.errors import BadInput

NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
TEXT = re.compile(r"[A-Za-z0-9 .:()/_-]{1,120}")


def check_name(name: str, kind: str) -> str:
    """Raises BadInput unless `name` is 1 to 31 of a-z, 0-9, _ and -, a letter first."""
    if not NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot be a Slurm {kind}", hint="1 to 31 of a-z, 0-9, _ and -, beginning with a letter"
        )
    return name


def check_text(text: str, kind: str) -> str:
    """Raises BadInput unless `text` survives slurmdbd, which keeps Latin letters only and in lower case."""
    if not TEXT.fullmatch(text) or text != text.strip():
        raise BadInput(
            f"{text!r} cannot be the {kind} of a Slurm account",
            hint="1 to 120 Latin letters, digits, spaces and .:()/_-; Slurm's database keeps no Japanese",
        )
    return text.lower()
