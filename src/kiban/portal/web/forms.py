"""What a form sent: read into the office's schemas, and shown again with what is wrong with it.

Names of fields are paths: `title_ja`, `pools.0.gpus`, and `themes[]` for a list of equal things. A field left empty was
not given. People type numbers with full-width digits and yen as 1億2,000万; such text is understood where a number is
wanted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, HTTPException, Request
from markupsafe import Markup
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile

from kiban.kit.errors import KibanError
from kiban.office.errors import Invalid
from kiban.office.work import JST
from kiban.portal.api.body import FORM_BYTES
from kiban.portal.format import parse_number, parse_yen

M = TypeVar("M", bound=BaseModel)
CSRF_FIELD = "csrf_token"
ADD, REMOVE = "_add", "_remove"  # buttons that change how many rows a form has, and send nothing
OWN = frozenset({CSRF_FIELD, ADD, REMOVE})
ROWS = "_rows"  # `team._rows`: a hidden field beside repeated rows, which says that there may be none
ROW = "_row"  # `team.2._row`: a row that was added and has nothing yet
MOST_FIELDS, MOST_FILES = 5000, 20
LARGEST_FIELD_BYTES = FORM_BYTES  # the whole form's limit is the only one
MOST_ROWS, DEEPEST = 1000, 8
ROW_DIGITS = 9
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


class Wrong(Invalid):
    """What a form sent cannot be read; `errors` are pydantic's, one for each field."""

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("please correct the fields below")
        self.errors = errors


@dataclass(frozen=True)
class PostedForm:
    """Fields in the order in which they came."""

    fields: tuple[tuple[str, str], ...] = ()
    files: Mapping[str, UploadFile] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        """The last value of a field: a checkbox follows the hidden field that says what unchecked means."""
        return next((value for given, value in reversed(self.fields) if given == name), default)

    def texts(self, name: str) -> list[str]:
        return [value for given, value in self.fields if given == name and value]

    def has(self, name: str) -> bool:
        return any(given == name for given, _ in self.fields)

    def file(self, name: str) -> UploadFile:
        """Raises: Wrong: no file was chosen."""
        if name not in self.files:
            raise Wrong([{"type": "missing", "loc": (name,), "msg": "choose a file", "ctx": {}}])
        return self.files[name]

    def tree(self) -> dict[str, Any]:
        """The fields as nested objects and lists, without those left empty and this module's own.

        Raises:
            Wrong: names that contradict one another, as only hand-made requests have.
        """
        tree: dict[str, Any] = {}
        for name, value in self.fields:
            if name in OWN:
                continue
            steps = name.removesuffix("[]").split(".")
            if len(steps) > DEEPEST:
                raise _odd(name)
            holder = tree
            for step in steps[:-1]:
                holder = holder.setdefault(step, {})
                if not isinstance(holder, dict):
                    raise _odd(name)
            if steps[-1] in (ROWS, ROW):
                holder[steps[-1]] = True
            elif name.endswith("[]"):
                listed = holder.setdefault(steps[-1], [])
                if not isinstance(listed, list):
                    raise _odd(name)
                if value:
                    listed.append(value)
            elif value:
                if isinstance(holder.get(steps[-1]), dict | list):
                    raise _odd(name)
                holder[steps[-1]] = value
            elif isinstance(holder.get(steps[-1]), str):
                del holder[steps[-1]]
        return {name: _lists(value) for name, value in tree.items() if name not in (ROWS, ROW)}

    def read(self, schema: type[M], under: str = "", **more: Any) -> M:
        """The fields as one of the office's schemas.

        Args:
            under: only the fields whose names begin so, such as `grant`; without it, all that the schema knows.
            more: values that the page knows by itself.

        Raises:
            Wrong: something is missing, or not what it must be.
        """
        tree = self.tree()
        if under:
            tree = tree.get(under, {})
            if not isinstance(tree, dict):
                raise _odd(under)
        known = {key: value for key, value in tree.items() if under or key in schema.model_fields}
        return self.read_schema(schema, known | more, under)

    def read_schema(self, schema: type[M], value: Any, under: str = "") -> M:
        """As `read`, from a value that was made of `tree`."""
        return cast(M, self.read_as(TypeAdapter(schema), value, under))

    @staticmethod
    def read_as(adapter: TypeAdapter[Any], value: Any, under: str = "") -> Any:
        """As `read`, for any type and a value from `tree`."""
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            mended = _mend(value, error)
        try:
            return adapter.validate_python(mended)
        except ValidationError as error:
            prefix = (under,) if under else ()
            raise Wrong([{**each, "loc": (*prefix, *each["loc"])} for each in error.errors()]) from None

    def rearranged(self) -> PostedForm | None:
        """The form with a row more or less, when that is what was asked for."""
        added, removed = self.text(ADD), self.text(REMOVE)
        kept = [(name, value) for name, value in self.fields if name not in (ADD, REMOVE)]
        if added:
            kept.append((f"{added}.{self.rows(added) or 0}.{ROW}", ""))
            return PostedForm(tuple(kept), self.files)
        if removed:
            return PostedForm(tuple(_without(kept, removed)), self.files)
        return None

    def rows(self, name: str) -> int | None:
        """How many rows the form had of something; None when it had no such part."""
        if not any(given.startswith(f"{name}.") for given, _ in self.fields):
            return None
        return max((row + 1 for row in _row_numbers(self.fields, name)), default=0)


def _row_numbers(fields: Sequence[tuple[str, str]], name: str) -> Iterator[int]:
    for given, _ in fields:
        if given.startswith(f"{name}."):
            row = _row_number(given[len(name) + 1 :].split(".", 1)[0])
            if row is not None and row < MOST_ROWS:
                yield row


def _without(fields: Sequence[tuple[str, str]], row: str) -> Iterator[tuple[str, str]]:
    """Fields without one row (`team.2`); the rows after it move up."""
    name, _, number = row.rpartition(".")
    gone = _row_number(number)
    for given, value in fields:
        rest = given.removeprefix(f"{name}.")
        step, dot, tail = rest.partition(".")
        at = _row_number(step)
        if rest == given or at is None or gone is None:
            yield given, value
        elif at != gone:
            yield f"{name}.{at - (at > gone)}{dot}{tail}", value


def _row_number(step: str) -> int | None:
    """Of a step such as `2`; hand-made requests have others, with more digits than Python reads, or `²`."""
    return int(step) if step.isascii() and step.isdigit() and len(step) <= ROW_DIGITS else None


def _lists(value: Any) -> Any:
    """Objects whose keys are all numbers, as the lists that they stand for."""
    if not isinstance(value, dict):
        return value
    items = {key: _lists(each) for key, each in value.items() if key not in (ROWS, ROW)}
    are_rows = bool(items) and all(_row_number(key) is not None for key in items)
    if are_rows:
        return [items[key] for key in sorted(items, key=int)]
    return [] if ROWS in value else items


def _odd(name: str) -> Wrong:
    return Wrong([{"type": "value_error", "loc": (name,), "msg": "this field does not fit the others", "ctx": {}}])


def _mend(value: Any, error: ValidationError) -> Any:
    """The value with what people write for numbers and times replaced by what schemas read."""
    for each in error.errors():
        mend = _MENDERS.get(each["type"])
        if mend is None or not isinstance(each["input"], str):
            continue
        is_yen = any(str(step).endswith("_yen") for step in each["loc"])
        try:
            mended = parse_yen(each["input"]) if is_yen else mend(each["input"])
        except (KibanError, ValueError):
            continue
        value = _replaced(value, list(each["loc"]), mended)
    return value


def _replaced(value: Any, path: list[Any], new: Any) -> Any:
    if not path:
        return new
    step, *rest = path
    if isinstance(value, dict) and step in value:
        return value | {step: _replaced(value[step], rest, new)}
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return [*value[:step], _replaced(value[step], rest, new), *value[step + 1 :]]
    return _replaced(value, rest, new)  # a step into a union's member, which names no part of the value


def _read_time(text: str) -> datetime:
    """`2026-11-30T17:00`, as browsers send it: the programme's time zone."""
    found = datetime.fromisoformat(unicodedata.normalize("NFKC", text))
    return found if found.tzinfo else found.replace(tzinfo=JST)


_MENDERS: dict[str, Callable[[str], Any]] = {
    "int_parsing": parse_number,
    "int_from_float": parse_number,
    "float_parsing": parse_number,
    "decimal_parsing": parse_number,
    "timezone_aware": _read_time,
    "datetime_from_date_parsing": _read_time,
    "datetime_parsing": _read_time,
    "date_from_datetime_parsing": lambda text: unicodedata.normalize("NFKC", text),
}


async def read_form(request: Request) -> PostedForm:
    """The fields and files of a request.

    Raises:
        HTTPException: 415, no form; 400, more fields than any form has, or broken; 413 from the body's reader.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in FORM_TYPES:
        raise HTTPException(415, "a form is sent as application/x-www-form-urlencoded or multipart/form-data")
    data: FormData = await request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=LARGEST_FIELD_BYTES)
    fields, files = [], {}
    for name, value in data.multi_items():
        if isinstance(value, UploadFile):
            if value.filename:  # a file field left empty sends one without a name
                value.filename = _file_name(value.filename)
                files[name] = value
        else:
            fields.append((_clean(name), _clean(value).replace("\r\n", "\n").strip()))
    if len(fields) > MOST_FIELDS:
        raise HTTPException(400, "the form has more fields than any of these pages")
    return PostedForm(tuple(fields), files)


def _clean(text: str) -> str:
    """Text that can be stored: bytes that are no UTF-8 become the replacement character, NUL goes."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def _file_name(sent: str) -> str:
    """A file's name with what browsers escape in it (HTML Living Standard, section 4.10.21.8): no other %-sequence."""
    return sent.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


async def _posted(request: Request) -> PostedForm:
    return cast(PostedForm, request.state.posted)


Form = Annotated[PostedForm, Depends(_posted)]


class BoundForm:
    """What a form's fields show: what was posted, or else what the page has."""

    def __init__(self, posted: PostedForm | None, messages: Mapping[str, Markup]) -> None:
        """Args: messages: what is wrong, by field's name."""
        # A form that could not be read holds nothing, not even which boxes were ticked.
        self._posted = posted if posted is not None and posted.fields else None
        self.messages = messages

    @property
    def is_posted(self) -> bool:
        return self._posted is not None

    def value(self, name: str, default: Any = "") -> Any:
        if self._posted is not None and self._posted.has(name):
            return self._posted.text(name)
        return "" if default is None else default

    def values(self, name: str, default: Sequence[Any] = ()) -> list[str]:
        """Of a field `name[]`."""
        if self._posted is None:
            return [str(each) for each in default]
        return self._posted.texts(name)

    def checked(self, name: str, default: bool = False) -> bool:
        if self._posted is None:
            return default
        return self._posted.text(name) in ("true", "on", "1")

    def rows(self, name: str, default: int = 0) -> range:
        """The numbers of a repeated part's rows."""
        found = None if self._posted is None else self._posted.rows(name)
        return range(default if found is None else found)

    def error(self, name: str) -> Markup | None:
        return self.messages.get(name) or self.messages.get(name.removesuffix("[]"))

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """All that was posted, to be carried on where the form cannot be taken yet."""
        if self._posted is None:
            return ()
        return tuple(item for item in self._posted.fields if item[0] != CSRF_FIELD)
