"""What common licences ask of those who pass a work on, as data.

Read from the licences' own texts and their stewards' statements on compatibility: Creative Commons (compatible
licences of BY-SA; later versions of ShareAlike), FSF ("Various Licenses and Comments about Them"; LGPL-2.1 section 3;
GPL-3.0 and AGPL-3.0 section 13), Mozilla (MPL-2.0 section 3.3), the Digital Agency (公共データ利用規約 第1.0版,
政府標準利用規約 第2.0版: both may be followed as CC BY 4.0). A summary for sorting documents, and no legal advice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kiban.make.corpus.rights.config import Category

Obligation = Literal[
    "attribution", "notice", "share-alike", "network-copyleft", "non-commercial", "no-derivatives", "by-agreement"
]
# The order in which they are listed, lightest first; also how heavily one weighs where a licence may be chosen.
OBLIGATIONS: tuple[Obligation, ...] = (
    "notice", "attribution", "share-alike", "network-copyleft", "non-commercial", "no-derivatives", "by-agreement",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Terms:
    """A licence's terms.

    Attributes:
        passes_to: for one that must be kept when the work is adapted: others that an adaptation may carry instead.
            One step; followed transitively.
    """

    category: Category
    obligations: tuple[Obligation, ...] = ()
    passes_to: tuple[str, ...] = ()

    @property
    def binds_whole(self) -> bool:
        """Whether an adaptation that holds the work must carry its licence. Weak copyleft asks it of the part only."""
        return "share-alike" in self.obligations and self.category != "weak-copyleft"


PUBLIC_DOMAIN = "LicenseRef-public-domain"
PROPRIETARY = "LicenseRef-proprietary"
PDL = "LicenseRef-PDL-1.0"
GJSTU = "LicenseRef-GJSTU-2.0"

# Incompatible although neither is share-alike in the other's sense.
INCOMPATIBLE: Mapping[tuple[str, str], str] = {
    ("Apache-2.0", "GPL-2.0-only"): "Apache-2.0's patent terms are restrictions that GPL-2.0-only does not allow (FSF)",
}


def _table() -> dict[str, Terms]:
    table: dict[str, Terms] = {}
    for name in ("CC0-1.0", "PDDL-1.0", "Unlicense", "CC-PDDC", PUBLIC_DOMAIN):
        table[name] = Terms("public-domain")
    for name in ("MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "PSF-2.0", "Artistic-2.0", "0BSD"):
        table[name] = Terms("permissive", () if name in ("MIT-0", "0BSD") else ("notice",))
    table["Apache-2.0"] = Terms("permissive", ("notice", "attribution"))
    for name in ("ODC-By-1.0", PDL, GJSTU):
        table[name] = Terms("permissive", ("attribution",))
    table[PROPRIETARY] = Terms("proprietary", ("by-agreement",))

    for version in ("1.0", "2.0", "2.5", "3.0", "4.0"):
        table[f"CC-BY-{version}"] = Terms("permissive", ("attribution",))
        table[f"CC-BY-NC-{version}"] = Terms("non-commercial", ("attribution", "non-commercial"))
        table[f"CC-BY-ND-{version}"] = Terms("no-derivatives", ("attribution", "no-derivatives"))
        both: tuple[Obligation, ...] = ("attribution", "non-commercial", "no-derivatives")
        table[f"CC-BY-NC-ND-{version}"] = Terms("no-derivatives", both)
    later = {
        "1.0": (), "2.0": ("2.5", "3.0", "4.0"), "2.1-JP": ("2.5", "3.0", "4.0"), "2.5": ("3.0", "4.0"),
        "3.0": ("4.0",), "4.0": (),
    }  # fmt: skip
    for version, versions in later.items():
        onwards = tuple(f"CC-BY-SA-{each}" for each in versions) + (("GPL-3.0-only",) if version == "4.0" else ())
        table[f"CC-BY-SA-{version}"] = Terms("share-alike", ("attribution", "share-alike"), onwards)
        if version != "2.1-JP":
            onwards = tuple(f"CC-BY-NC-SA-{each}" for each in versions)
            heavy: tuple[Obligation, ...] = ("attribution", "share-alike", "non-commercial")
            table[f"CC-BY-NC-SA-{version}"] = Terms("non-commercial", heavy, onwards)
    table["ODbL-1.0"] = Terms("share-alike", ("attribution", "notice", "share-alike"))
    documentation: tuple[Obligation, ...] = ("notice", "attribution", "share-alike")
    for index, version in enumerate(("1.1", "1.2", "1.3")):
        versions = tuple(f"GFDL-{each}-only" for each in ("1.1", "1.2", "1.3")[index:])
        table[f"GFDL-{version}-only"] = Terms("share-alike", documentation)
        table[f"GFDL-{version}-or-later"] = Terms("share-alike", documentation, versions)

    software: tuple[Obligation, ...] = ("notice", "share-alike")
    table["GPL-2.0-only"] = Terms("copyleft", software)
    table["GPL-2.0-or-later"] = Terms("copyleft", software, ("GPL-2.0-only", "GPL-3.0-only"))
    table["GPL-3.0-only"] = Terms("copyleft", software, ("AGPL-3.0-only",))
    table["GPL-3.0-or-later"] = Terms("copyleft", software, ("GPL-3.0-only",))
    network: tuple[Obligation, ...] = ("notice", "share-alike", "network-copyleft")
    table["AGPL-3.0-only"] = Terms("network-copyleft", network)
    table["AGPL-3.0-or-later"] = Terms("network-copyleft", network, ("AGPL-3.0-only",))
    for version in ("2.0", "2.1", "3.0"):
        for suffix in ("only", "or-later"):
            table[f"LGPL-{version}-{suffix}"] = Terms("weak-copyleft", software)
    for name in ("MPL-1.1", "MPL-2.0", "EPL-2.0"):
        table[name] = Terms("weak-copyleft", software)
    return table


TERMS: Mapping[str, Terms] = _table()


def terms_of(licence: str) -> Terms | None:
    """Terms of one licence identifier; None where the table does not have it. Invariant sections are still GFDL."""
    return TERMS.get(licence.replace("-no-invariants", "").replace("-invariants", ""))


def carried_by(licence: str) -> frozenset[str]:
    """Every licence that an adaptation of a work under `licence` may carry, itself included."""
    reached, waiting = {licence}, [licence]
    while waiting:
        terms = terms_of(waiting.pop())
        for onwards in terms.passes_to if terms else ():
            if onwards not in reached:
                reached.add(onwards)
                waiting.append(onwards)
    return frozenset(reached)
