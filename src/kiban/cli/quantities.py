"""Options that take quantities as people write them: 15T, 15兆, 2,048, ¥2億, 90 days."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from kiban.kit.errors import BadInput
from kiban.kit.quantities import parse_count, parse_number, parse_seconds


class QuantityType(click.ParamType[Any]):
    """Reads an option with one of kit.quantities' parsers; above 0, else bad input that names the option."""

    def __init__(self, name: str, parse: Callable[[object], float]) -> None:
        self.name, self.parse = name, parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        where = param.opts[0] if param else None
        try:
            read = self.parse(value)
        except ValueError as error:
            raise BadInput(str(error), where=where) from None
        if read <= 0:
            raise BadInput(f"{value!r} is not above 0", where=where)
        return read


TOKENS = QuantityType("tokens", lambda given: parse_count(given, "tokens"))
PARAMETERS = QuantityType("parameters", lambda given: parse_count(given, "parameters"))
GPUS = QuantityType("gpus", lambda given: parse_count(given, "gpus"))
YEN = QuantityType("yen", lambda given: parse_count(given, "yen"))
GPU_HOURS = QuantityType("gpu-hours", lambda given: float(parse_number(given, "gpu-hours")))
NUMBER = QuantityType("number", lambda given: float(parse_number(given)))
DURATION = QuantityType("duration", parse_seconds)
