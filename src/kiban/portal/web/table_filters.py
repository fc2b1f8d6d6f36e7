"""What a list is narrowed down by: a form whose state is in the address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field

from kiban.portal.i18n import Text
from kiban.portal.web.labels import label

T = TypeVar("T")

FilterKind = Literal["select", "search", "month", "date", "checkbox"]


def _or_none(given: object) -> object:
    return None if given == "" else given


# What a form without a choice sends is no choice: `status: Chosen[CallStatus] = None`, `q: ChosenText = None`. Limits
# stand within (`Chosen[Annotated[str, Field(max_length=64)]]`): around it they would be asked of None.
Chosen = Annotated[T | None, BeforeValidator(_or_none)]
ChosenText = Chosen[Annotated[str, Field(max_length=200)]]


@dataclass(frozen=True)
class Filter:
    """One field of the form.

    Attributes:
        name: of the query parameter.
        value: what is chosen now, as it stands in the address; empty: nothing is.
        options: what can be chosen, by its value in the address.
    """

    kind: FilterKind
    name: str
    label: Text
    value: str = ""
    options: Mapping[str, Text] = field(default_factory=dict)

    @classmethod
    def select(cls, name: str, label: Text, value: Any, options: Mapping[Any, Text]) -> Filter:
        return cls("select", name, label, _plain(value), {_plain(key): text for key, text in options.items()})

    @classmethod
    def one_of(cls, name: str, label: Text, value: Enum | None, options: Iterable[Enum]) -> Filter:
        """A choice of an enumeration's values, as `kiban.portal.web.labels` names them."""
        return cls.select(name, label, value, named(options))

    @classmethod
    def search(cls, name: str, label: Text, value: str | None) -> Filter:
        return cls("search", name, label, value or "")

    @classmethod
    def month(cls, name: str, label: Text, value: str | None) -> Filter:
        """`YYYY-MM`."""
        return cls("month", name, label, value or "")

    @classmethod
    def date(cls, name: str, label: Text, value: date | None) -> Filter:
        return cls("date", name, label, _plain(value))

    @classmethod
    def checkbox(cls, name: str, label: Text, value: bool) -> Filter:
        return cls("checkbox", name, label, "1" if value else "")


def named(values: Iterable[Enum]) -> dict[Enum, Text]:
    return {each: label(each) for each in values}


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return str(value.value if isinstance(value, Enum) else value)
