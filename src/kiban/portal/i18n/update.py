"""`python -m kiban.portal.i18n.update [AREA …] [--check]`: keep `ja/<area>.po` in step with what the pages say.

Translations are kept, texts that are gone are dropped, new ones are empty or what another area says for the same
English. Nothing is guessed. Files change only where a text does, and one area's file is written whole or not at all,
so people can work on different areas of one tree at once.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterable, Iterator, Mapping

from babel.messages.catalog import Catalog
from babel.messages.pofile import PoFileError, write_po
from jinja2 import TemplateSyntaxError

from kiban.kit.files import write_atomically
from kiban.portal.i18n.catalogue import ERRORS, Key, key_of, path_of, read, translated, translated_areas
from kiban.portal.i18n.checks import faults
from kiban.portal.i18n.extraction import Message, areas, messages

_HEADER = """\
msgid ""
msgstr ""
"Language: ja\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"

"""


def update(area: str) -> bool:
    """Bring an area's catalogue up to date; whether the file changed.

    Raises:
        jinja2.TemplateSyntaxError: one of its templates cannot be read.
        babel.messages.pofile.PoFileError: its catalogue cannot be read.
    """
    path = path_of(area)
    said = messages(area)
    new = _as_text(said, translated(read(area, strict=True)), _said_elsewhere(area))
    if new == (path.read_text("utf-8") if path.exists() else ""):
        return False
    if not new:
        path.unlink()
        return True
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, new)
    return True


def problems(wanted: Iterable[str] | None = None) -> Iterator[str]:
    """What keeps these areas (all, if none are named) from being complete, one line each."""
    wanted = list(areas() if wanted is None else wanted)
    for area in wanted:
        try:
            yield from _problems_of(area)
        except (TemplateSyntaxError, PoFileError, ValueError) as error:
            yield f"{area}: {type(error).__name__}: {error}"
    yield from _disagreements(wanted)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m kiban.portal.i18n.update", description=__doc__)
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"{', '.join(areas())}; all, if none is named")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where something is not complete")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.areas) - set(areas())):
        parser.error(f"no such area: {', '.join(unknown)}; there are {', '.join(areas())}")
    wanted = given.areas or areas()
    if not given.check:
        for area in wanted:
            try:
                if update(area):
                    print(f"{path_of(area).name}: updated")
            except (TemplateSyntaxError, PoFileError, ValueError) as error:
                print(f"{area}: {type(error).__name__}: {error}", file=sys.stderr)
    found = list(problems(wanted))
    for line in found:
        print(line)
    print(f"{len(found)} to do" if found else "complete")
    return 1 if found and given.check else 0


def _as_text(said: Mapping[Key, Message], known: Mapping[Key, str], elsewhere: Mapping[Key, str]) -> str:
    catalogue = Catalog(locale="ja")
    for key, message in sorted(said.items(), key=lambda item: (item[1].singular, item[1].context or "")):
        text = known.get(key) or elsewhere.get(key, "")
        catalogue.add(
            message.id,
            text if message.plural is None else (text,),
            locations=[(place, 0) for place in sorted(message.places)],
            context=message.context,
        )
    if not said:
        return ""
    file = io.BytesIO()
    write_po(file, catalogue, width=0, omit_header=True, include_lineno=False)
    return _HEADER + file.getvalue().decode("utf-8").strip("\n") + "\n"


def _said_elsewhere(area: str) -> dict[Key, str]:
    """What other areas say; the errors' placeholders are written in another way."""
    found: dict[Key, str] = {}
    for other in translated_areas():
        if ERRORS not in (area, other) and area != other:
            found.update(translated(read(other, strict=False)))
    return found


def _problems_of(area: str) -> Iterator[str]:
    said, catalogue = messages(area), read(area, strict=True)
    known = translated(catalogue)
    for message in catalogue:
        if not message.id:
            continue
        key = key_of(message)
        if key not in said:
            yield f"{area}: obsolete: {key[1]!r}"
        elif message.fuzzy:
            yield f"{area}: fuzzy: {key[1]!r}"
    for key, each in said.items():
        if key not in known:
            yield f"{area}: missing: {each.singular!r} ({', '.join(sorted(each.places))})"
            continue
        texts = (each.singular,) if each.plural is None else (each.singular, each.plural)
        for fault in faults(texts, known[key], braces=area == ERRORS):
            yield f"{area}: {fault}: {each.singular!r} → {known[key]!r}"


def _disagreements(wanted: Iterable[str]) -> Iterator[str]:
    """Texts that two areas translate in two ways; they are merged, so one of them would not be seen."""
    first: dict[Key, tuple[str, str]] = {}
    chosen = set(wanted)
    for area in translated_areas():
        if area == ERRORS:
            continue
        for key, text in translated(read(area, strict=False)).items():
            where, other = first.setdefault(key, (area, text))
            if other != text and chosen & {where, area}:
                yield (
                    f"{area}: {key[1]!r} is {text!r} here and {other!r} in {where}; "
                    "agree, or tell them apart with pgettext"
                )


if __name__ == "__main__":
    sys.exit(main())
