"""Arguments and options that name files: what no file can be called, and what no report may replace, is bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kiban.kit.errors import BadInput
from kiban.kit.files import check_writable

SHOWN_CHARACTERS = 60


class PathType(click.ParamType[Path]):
    """A path that the system can look up; whether something is there is for the reader or writer to say."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        text = str(value)
        shown = ascii(text)[1:-1] if "\0" in text else text
        if len(shown) > SHOWN_CHARACTERS:
            shown = f"{shown[:SHOWN_CHARACTERS]}…"
        where = param.opts[0] if isinstance(param, click.Option) else shown or None
        if not text:
            raise BadInput("the name of the file is empty", where=where)
        if "\0" in text:
            raise BadInput("a file's name has no NUL character", where=where)
        path = Path(text)
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            pass  # an output has yet to be written, and of an input its reader says so
        except OSError as error:
            raise BadInput(f"no file can be found by this name: {error.strerror}", where=where) from None
        return path


class OutputType(PathType):
    """A file to write: nothing, or a regular file, is there now."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = super().convert(value, param, ctx)
        check_writable(path, param.opts[0] if param else None)
        return path


INPUT = PathType()
OUTPUT = OutputType()
