"""Licences as SPDX expressions, and the licence of a whole from those of its parts.

What is written as a licence is read as an SPDX expression where it is one, or says the same in words that are common
(CC BY-SA 4.0, a Creative Commons address, 公共データ利用規約, GPL-2+ as Debian writes it). Anything else becomes
`LicenseRef-…` and counts as unknown; its text is kept beside.

The licence of a whole is an AND of its parts' licences, with the union of what they ask. Where they contradict one
another, or what is wanted of the result, the conflict is named with both sides. It is a sorting aid: whether a corpus
is an adaptation of its documents, and whether training needs a licence at all, are questions for a lawyer.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kiban.make.corpus.rights.licence_terms import (
    GJSTU,
    INCOMPATIBLE,
    OBLIGATIONS,
    PDL,
    PROPRIETARY,
    PUBLIC_DOMAIN,
    TERMS,
    Obligation,
    carried_by,
    terms_of,
)

LONGEST_EXPRESSION = 400
KEPT_CHARACTERS = 2_000
OPERATOR = re.compile(r"(\(|\)|(?<![^\s)])(?:AND|OR|WITH)(?![^\s(]))", re.IGNORECASE)
REFERENCE = re.compile(r"(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
CC_ADDRESS = re.compile(
    r"creativecommons\.org/(?:licenses/(by(?:-nc)?(?:-sa|-nd)?)/(\d\.\d)|publicdomain/(zero|mark)/1\.0)"
)
# Words of long names, as they stand after blanks and signs are gone: what they are in the short one.
LONG_WORDS = (
    ("creativecommons", "cc"), ("クリエイティブコモンズ", "cc"), ("attribution", "by"), ("表示", "by"),
    ("noncommercial", "nc"), ("非営利", "nc"), ("sharealike", "sa"), ("継承", "sa"), ("noderivatives", "nd"),
    ("noderivs", "nd"), ("改変禁止", "nd"), ("international", ""), ("unported", ""), ("universal", ""),
    ("国際", ""), ("ライセンス", ""),
    ("licence", ""), ("license", ""), ("the", ""), ("バージョン", ""), ("version", ""),
)  # fmt: skip
ALIASES = {
    "cc0": "CC0-1.0", "cczero": "CC0-1.0", "pddl": "PDDL-1.0", "odcby": "ODC-By-1.0", "odbl": "ODbL-1.0",
    "publicdomain": PUBLIC_DOMAIN, "pd": PUBLIC_DOMAIN, "pdm": PUBLIC_DOMAIN, "パブリックドメイン": PUBLIC_DOMAIN,
    "publicdomainaozorabunko": PUBLIC_DOMAIN, "著作権保護期間満了": PUBLIC_DOMAIN, "著作権消滅": PUBLIC_DOMAIN,
    "proprietary": PROPRIETARY, "allrightsreserved": PROPRIETARY, "commercial": PROPRIETARY,
    "pdl10": PDL, "公共データ利用規約": PDL, "公共データ利用規約第10版": PDL, "publicdata10": PDL,
    "公共データ利用規約第10版pdl10": PDL, "公共データ利用規約pdl10": PDL,
    "政府標準利用規約第20版": GJSTU, "政府標準利用規約20": GJSTU, "gjstu20": GJSTU, "gjstu": GJSTU,
    "apache": "Apache-2.0", "apache2": "Apache-2.0", "apache20": "Apache-2.0", "apachev2": "Apache-2.0",
    "apachev20": "Apache-2.0", "expat": "MIT", "mitexpat": "MIT", "bsd2": "BSD-2-Clause", "bsd3": "BSD-3-Clause",
    "gpl2": "GPL-2.0-only", "gplv2": "GPL-2.0-only", "gpl2+": "GPL-2.0-or-later", "gplv2+": "GPL-2.0-or-later",
    "gpl20": "GPL-2.0-only", "gpl20+": "GPL-2.0-or-later", "gpl3": "GPL-3.0-only", "gplv3": "GPL-3.0-only",
    "gpl3+": "GPL-3.0-or-later", "gplv3+": "GPL-3.0-or-later", "gpl30": "GPL-3.0-only", "gpl30+": "GPL-3.0-or-later",
    "lgpl2+": "LGPL-2.0-or-later", "lgpl21": "LGPL-2.1-only", "lgpl21+": "LGPL-2.1-or-later", "lgpl3": "LGPL-3.0-only",
    "lgpl3+": "LGPL-3.0-or-later", "agpl3": "AGPL-3.0-only", "agpl3+": "AGPL-3.0-or-later", "mpl2": "MPL-2.0",
    "gfdl11+": "GFDL-1.1-or-later", "gfdl12": "GFDL-1.2-only", "gfdl12+": "GFDL-1.2-or-later",
    "gfdl13": "GFDL-1.3-only", "gfdl13+": "GFDL-1.3-or-later", "ccbysa21jp": "CC-BY-SA-2.1-JP",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence as an SPDX expression, and as it was written."""

    expression: str
    text: str


@functools.lru_cache(maxsize=4_096)
def parse_licence(text: str) -> Licence:
    """The SPDX expression that `text` is or says; `LicenseRef-…` where it says nothing that is known.

    Whatever is given, time is linear in its length: what is longer than an expression is not read as one.
    """
    written = " ".join(unicodedata.normalize("NFKC", text).split())
    kept = text if len(text) <= KEPT_CHARACTERS else text[: KEPT_CHARACTERS - 1] + "…"
    if len(written) <= LONGEST_EXPRESSION:
        if whole := _identifier(written):
            return Licence(whole, kept)
        if expression := _expression(written):
            return Licence(expression, kept)
    return Licence(_reference(written), kept)


def _expression(written: str) -> str | None:
    """An expression of identifiers that are known, or None."""
    from license_expression import ExpressionError, ExpressionParseError

    parts = []
    for part in OPERATOR.split(written):
        part = part.strip()
        if part.upper() in ("AND", "OR", "WITH", "(", ")"):
            parts.append(part.upper())
        elif part:
            known = _identifier(part) or (part if parts[-1:] == ["WITH"] else None)
            if known is None:
                return None
            parts.append(known)
    try:
        parsed = _licensing().parse(" ".join(parts))
    except (ExpressionError, ExpressionParseError, AttributeError, TypeError, RecursionError):
        return None  # the parser answers some malformed input with errors of its own making
    if parsed is None:
        return None
    exceptions = {symbol.exception_symbol.key for symbol in parsed.symbols if hasattr(symbol, "exception_symbol")}
    return None if exceptions - _licensing().known_symbols.keys() else str(parsed)


def _identifier(written: str) -> str | None:
    """The identifier of one licence, or None."""
    if REFERENCE.fullmatch(written):
        return written
    if address := CC_ADDRESS.search(written.casefold()):
        kind, version, public = address.groups()
        if public:
            return "CC0-1.0" if public == "zero" else PUBLIC_DOMAIN
        return _known().get(f"cc{kind}{version}".replace("-", "").replace(".", ""))
    if len(written) > 120:
        return None
    compact = "".join(each for each in written.casefold() if each.isalnum() or each == "+")
    if found := _known().get(compact):
        return found
    for word, short in LONG_WORDS:
        compact = compact.replace(word, short)
    return _known().get(compact)


@functools.cache
def _known() -> dict[str, str]:
    """Compact spelling -> identifier, of all of SPDX and of the aliases, which have the last word."""
    found = {}
    for key, symbol in _licensing().known_symbols.items():
        if not (symbol.is_exception or key.startswith("LicenseRef-")):
            found["".join(each for each in key.casefold() if each.isalnum() or each == "+")] = key
    found.update({"".join(each for each in key.casefold() if each.isalnum() or each == "+"): key for key in TERMS})
    return found | ALIASES


@functools.cache
def _licensing() -> Any:
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


def _reference(written: str) -> str:
    """A `LicenseRef-…` that only this text gets: readable where it can be."""
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", written[:60]).strip("-.")
    if slug and slug == written:
        return f"LicenseRef-{slug}"
    digest = hashlib.sha256(written.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return f"LicenseRef-{slug}-{digest}" if len(slug) >= 3 else f"LicenseRef-{digest}"


# -- looking into an expression -----------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4_096)
def _tree(expression: str) -> Any:
    return _licensing().parse(expression)


def permitted(expression: str, permits: Callable[[str], bool]) -> bool:
    """Whether what one may choose of an expression is all permitted: any side of an OR, both of an AND."""
    return _holds(_tree(expression), permits)


def _holds(node: Any, permits: Callable[[str], bool]) -> bool:
    operator = getattr(node, "operator", "").strip()
    if operator == "OR":
        return any(_holds(each, permits) for each in node.args)
    if operator == "AND":
        return all(_holds(each, permits) for each in node.args)
    return permits(_key(node))


def _key(node: Any) -> str:
    """The licence of a leaf; an exception (WITH) only adds permissions."""
    return str(getattr(node, "license_symbol", node).key)


def chosen(expression: str) -> frozenset[str]:
    """The licences that apply: all of them, and of alternatives the one that asks least."""
    return frozenset(_chosen(_tree(expression))[1])


def _chosen(node: Any) -> tuple[tuple[int, int], list[str]]:
    operator = getattr(node, "operator", "").strip()
    if operator == "OR":
        return min(map(_chosen, node.args))
    if operator == "AND":
        parts = [_chosen(each) for each in node.args]
        cost = (sum(part[0][0] for part in parts), sum(part[0][1] for part in parts))
        return cost, sorted({key for part in parts for key in part[1]})
    key = _key(node)
    terms = terms_of(key)
    if terms is None:
        return (1, 0), [key]
    return (0, sum(1 << OBLIGATIONS.index(each) for each in terms.obligations)), [key]


# -- the licence of a whole ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Conflict:
    """Terms that cannot all be kept.

    Attributes:
        rule: "share-alike", "non-commercial", "no-derivatives", "incompatible" or "commercial-use".
        between: the licences, in order of their names; for commercial use the one that forbids it.
    """

    rule: str
    between: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Combined:
    """The licence of something made of parts.

    Attributes:
        expression: AND of the parts' licences, alternatives chosen.
        obligations: the union of what they ask.
        unknown: licences whose terms kiban does not know, and which may ask more.
        adaptation: licences that an adaptation of all parts may carry; empty where none is prescribed or none fits.
    """

    expression: str
    obligations: tuple[Obligation, ...]
    conflicts: tuple[Conflict, ...]
    unknown: tuple[str, ...]
    adaptation: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        return {
            "licence": self.expression,
            "obligations": list(self.obligations),
            "conflicts": [
                {"rule": each.rule, "between": list(each.between), "why": each.why} for each in self.conflicts
            ],
            "unknown": list(self.unknown),
            "adaptation_may_carry": list(self.adaptation),
        }


def combine(expressions: Iterable[str], *, commercial_use: bool = False) -> Combined:
    """The licence of a whole made of parts under `expressions`. No legal advice."""
    licences = sorted({key for expression in expressions for key in chosen(expression)})
    terms = {key: found for key in licences if (found := terms_of(key))}
    obligations = {each for found in terms.values() for each in found.obligations}
    binding = [key for key, found in terms.items() if found.binds_whole]
    common = frozenset.intersection(*map(carried_by, binding)) if binding else frozenset[str]()
    return Combined(
        expression=" AND ".join(licences),
        obligations=tuple(each for each in OBLIGATIONS if each in obligations),
        conflicts=tuple(_conflicts(terms, binding, commercial_use)),
        unknown=tuple(key for key in licences if key not in terms),
        adaptation=tuple(sorted(common)),
    )


def _conflicts(terms: dict[str, Any], binding: list[str], commercial_use: bool) -> Iterable[Conflict]:
    for index, one in enumerate(binding):
        for other in binding[index + 1 :]:
            if not carried_by(one) & carried_by(other):
                why = f"an adaptation would have to carry {one} and {other} at once, and neither allows the other"
                yield Conflict("share-alike", (one, other), why)
    if len(binding) > 2 and not frozenset.intersection(*map(carried_by, binding)):
        yield Conflict("share-alike", tuple(binding), "no one licence may be carried by an adaptation of all of them")
    for (one, other), why in INCOMPATIBLE.items():
        if one in terms and other in terms:
            yield Conflict("incompatible", (one, other), why)
    for key, found in terms.items():
        restricted = [rule for rule in ("non-commercial", "by-agreement") if rule in found.obligations]
        for rule in restricted:
            for other in binding:
                if other != key and "non-commercial" not in terms[other].obligations:
                    why = f"{other} allows no further restriction, and {key} is {_SAID[rule]}"
                    yield Conflict("share-alike", tuple(sorted((key, other))), why)
        if "no-derivatives" in found.obligations:
            yield Conflict("no-derivatives", (key,), f"{key} allows only whole, unchanged copies to be passed on")
        if commercial_use and "non-commercial" in found.obligations:
            yield Conflict("commercial-use", (key,), f"{key} does not allow commercial use")


_SAID = {"non-commercial": "for non-commercial use only", "by-agreement": "passed on only as its owner agrees"}
