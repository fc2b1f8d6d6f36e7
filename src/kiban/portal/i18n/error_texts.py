"""What the office's errors can say, read from the code that raises them.

The services say what is wrong in English, often with values in it. Every such text becomes a template with numbered
placeholders, `the call is {0}`, to be translated in `ja/errors.po`; `errors.explain` finds a text's template again.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import TypeAlias

import kiban
from kiban.portal.i18n.catalogue import Key
from kiban.portal.i18n.validation import ENGLISH as VALIDATION

ROOT = Path(kiban.__file__).parent
# What a request to a page can make speak. The terminal alone meets the rest: backups, migrations, settings, the demo.
SPEAKING = ("office", "plan", "kit/quantities.py", "kit/store.py", "engines/slurm/names.py", "portal")
SILENT = (
    "office/backup.py",
    "office/database.py",
    "office/hash_chain.py",
    "office/migrations",
    "office/notices/mail.py",
    "office/rows.py",
    "office/schema.py",
    "office/season",
    "office/settings.py",
    "plan/evidence",
    "portal/api/middleware.py",
    "portal/api/openapi.py",
    "portal/frontend",
    "portal/i18n",
    "portal/server.py",
    "portal/standalone.py",
    "portal/web/assets.py",
)
_VALUE_ERROR = "ValueError"
# Pydantic shows the ValueErrors of validators; others are mistakes in the program.
_VALIDATING = ("schemas.py", "quantities.py", "shape.py", "planfile.py", "outputs.py", "problem.py", "prices.py")
# Functions that say what is wrong without raising it, and which of their arguments is the text.
_SAYING = {"refusal": 0, "_error": 1, "_warning": 1, "Trouble": 1, "HTTPException": 1, "problem": 2}
# Words that stand where a template has a placeholder.
WORD = "word"
_WORDS_OF = ("Status", "Role", "AccountKind")

# A text in pieces: literals, and None for a value.
Pieces: TypeAlias = tuple[str | None, ...]


def templates() -> dict[Key, set[str]]:
    """Every template, with the files that say it."""
    found: dict[Key, set[str]] = defaultdict(set)
    for text in VALIDATION.values():
        found[None, text].add("portal/i18n/validation.py")
    for path in _files():
        place = path.relative_to(ROOT).as_posix()
        module = _Module(path)
        for pieces in module.texts():
            if _says_enough(pieces):
                found[None, numbered(pieces)].add(place)
        for word in module.words():
            found[WORD, word].add(place)
    return found


def numbered(pieces: Pieces) -> str:
    """With `{0}`, `{1}` and so on where values stand."""
    numbers = iter(range(len(pieces)))
    return "".join(f"{{{next(numbers)}}}" if piece is None else piece for piece in pieces)


def _files() -> list[Path]:
    found = (
        path
        for each in SPEAKING
        for path in ([ROOT / each] if each.endswith(".py") else sorted((ROOT / each).rglob("*.py")))
    )
    silent = tuple(ROOT / each for each in SILENT)
    return [path for path in found if not any(path == each or each in path.parents for each in silent)]


_Node: TypeAlias = ast.Assign | ast.Call | ast.ClassDef | ast.Dict | ast.FunctionDef


@cache
def nodes(path: Path) -> tuple[_Node, ...]:
    """What of a module is looked at here."""
    return tuple(node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, _Node))


class _Module:
    """One module's texts: what its errors are made with, seen through names, conditions and concatenation."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: dict[str, list[ast.expr]] = defaultdict(list)
        for node in nodes(self._path):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                self._names[node.targets[0].id].append(node.value)

    def texts(self) -> Iterator[Pieces]:
        for node in nodes(self._path):
            if isinstance(node, ast.Call) and self._is_error(node):
                at = _SAYING.get(_last_name(node.func), 0)
                texts = [*node.args[at : at + 1], *(each.value for each in node.keywords if each.arg == "hint")]
                for text in texts:
                    yield from self._pieces(text)
            if isinstance(node, ast.Dict):  # an error as pydantic gives it
                yield from (
                    self._pieces(value)[0]
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant) and key.value == "msg" and isinstance(value, ast.Constant)
                )

    def words(self) -> Iterator[str]:
        for node in nodes(self._path):
            if isinstance(node, ast.ClassDef) and node.name.endswith(_WORDS_OF):
                for each in node.body:
                    if isinstance(each, ast.Assign) and isinstance(each.value, ast.Constant):
                        yield str(each.value.value)

    def _is_error(self, call: ast.Call) -> bool:
        name = _last_name(call.func)
        if name == _VALUE_ERROR:
            return self._path.name in _VALIDATING
        if name == "__init__":  # an error class that words its own message
            return any(isinstance(each, ast.JoinedStr) for each in (*call.args, *(k.value for k in call.keywords)))
        return name in _SAYING or name in errors_of_kiban()

    def _inserted(self, node: ast.expr) -> list[Pieces]:
        """What an f-string inserts: a value, or one of a few phrases chosen beside it."""
        choices: list[ast.expr] = [node]
        if isinstance(node, ast.Name):
            choices = self._names.get(node.id, [])
        if isinstance(node, ast.Name) and any(isinstance(each, ast.Call) for each in choices):
            choices = [phrase for each in choices for phrase in phrases().get(_called(each), [])]
        if choices and all(_is_phrase(each) for each in choices):
            return [pieces for each in choices for pieces in self._pieces(each)]
        return [(None,)]

    def _pieces(self, node: ast.expr, depth: int = 0) -> list[Pieces]:
        """All texts that an expression can be; one value where that is not to be seen."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return [(node.value,)]
        if isinstance(node, ast.JoinedStr):
            parts = [self._pieces(each, depth) for each in node.values]
            return [_joined(each) for each in product(*parts)]
        if isinstance(node, ast.FormattedValue):
            return self._inserted(node.value)
        if isinstance(node, ast.IfExp):
            return [*self._pieces(node.body, depth), *self._pieces(node.orelse, depth)]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return [_joined(each) for each in product(self._pieces(node.left, depth), self._pieces(node.right, depth))]
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Dict)
        ):
            return [pieces for each in node.func.value.values for pieces in self._pieces(each, depth)]
        name = _last_name(node)
        if name and depth < 2:
            values = self._names.get(name) or constants().get(name, [])
            found = [pieces for value in values for pieces in self._pieces(value, depth + 1)]
            return found or [(None,)]
        return [(None,)]


def _says_enough(pieces: Pieces) -> bool:
    """Whether a text can be told by its own words: `{0} is {1}` fits too much."""
    letters = sum(character.isalpha() for piece in pieces if piece for character in piece)
    return letters > (4 if pieces[:1] == (None,) else 0)


def _options(node: ast.expr) -> list[ast.expr]:
    return [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]


def _is_phrase(node: ast.expr) -> bool:
    return all(
        isinstance(each, ast.JoinedStr) or (isinstance(each, ast.Constant) and isinstance(each.value, str))
        for each in _options(node)
    )


def _called(node: ast.expr) -> str:
    return _last_name(node.func) if isinstance(node, ast.Call) else ""


def _joined(parts: tuple[Pieces, ...]) -> Pieces:
    joined: list[str | None] = []
    for piece in (piece for part in parts for piece in part if piece != ""):
        if piece is not None and joined and joined[-1] is not None:
            joined[-1] += piece
        else:
            joined.append(piece)
    return tuple(joined)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


@cache
def phrases() -> dict[str, list[ast.expr]]:
    """The functions that answer with one of several fixed phrases, by name."""
    found: dict[str, list[ast.expr]] = {}
    for path in _files():
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef) and node.returns and "str" in ast.unparse(node.returns):
                answers = [each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value]
                options = [part for each in answers for part in _options(each)]
                texts = [each for each in options if isinstance(each, ast.Constant) and isinstance(each.value, str)]
                if len(texts) > 1:
                    found[node.name] = list(texts)
    return found


@cache
def constants() -> dict[str, list[ast.expr]]:
    """The constants of all modules by name, for texts that are raised in another module than they stand in."""
    found: dict[str, list[ast.expr]] = defaultdict(list)
    for path in _files():
        for node in nodes(path):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if name.isupper() and isinstance(node.value, ast.Constant | ast.JoinedStr):
                    found[name].append(node.value)
    return found


@cache
def errors_of_kiban() -> frozenset[str]:
    """The names of all classes that descend from KibanError, found in the code alone."""
    bases: dict[str, set[str]] = {}
    for path in [ROOT / "kit/errors.py", *_files()]:
        for node in nodes(path):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = {_last_name(base) for base in node.bases}
    known = {"KibanError"}
    while more := {name for name, parents in bases.items() if parents & known} - known:
        known |= more
    return frozenset(known)
