"""One form for each text: NFKC where it changes only how a character is drawn, and nowhere that it changes words.

Unicode's NFKC folds widths and ligatures, which is wanted, but also turns 10² into 102, 3½ into 31⁄2 and ①2020 into
12020. Which characters keep their form is derived from `unicodedata` by rule (`_kept`), not listed by hand, so that
a newer Unicode is covered too. Besides: half-width voiced katakana compose, wave dashes become one character,
invisible characters go without joining words, and blanks and line ends are put in order.

The result is stable: normalise(normalise(text)) == normalise(text), for every text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Drawing variants: the decomposition is the same character in another width, font, direction or position.
VARIANTS = {"<wide>", "<narrow>", "<font>", "<vertical>", "<small>", "<noBreak>"}
VARIANTS |= {"<initial>", "<medial>", "<final>", "<isolated>"}
VARIATION_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"


def _is_unified_ideograph(character: str) -> bool:
    return len(character) == 1 and unicodedata.name(character, "").startswith("CJK UNIFIED IDEOGRAPH")


def _kept(character: str, folded: str) -> bool:
    """Whether a character that NFKC would turn into `folded` keeps its form.

    - CJK compatibility ideographs (神 U+FA19, 﨑-like variants of names): NFKC loses which variant a name has.
    - Numbers in another shape (², ₂, ½, ①, ⑴, ⒈, Ⅳ) and raised or lowered letters (ª, ™): beside digits or words
      their plain form is read as part of them.
    - Enclosed characters (㊙, 🄰, 🈐): the frame carries meaning.
    - What NFKC spells with a blank or a leading mark (´ ゛ ￣ ำ) or with conjoining jamo (ㄱ): the pieces combine
      with their neighbours.
    - Signs whose spelling begins or ends with a letter, a digit or a decimal point (№ ℡ ℃ ㋀ ㏠ ㍘ ㎡ … ․): it
      would run into the neighbours. Not meant are drawing variants (Ａ, 𝐀), letters that are ligatures of letters
      (ﬁ, ǆ), radicals that stand for their ideograph (⽇), and units and words set in one square (㎏, ㍉, ㍿), which
      are written to be read so, except those that end in a digit.
    """
    tag = unicodedata.decomposition(character).split(" ")[0]
    category = unicodedata.category(character)
    if not tag.startswith("<") and len(folded) == 1 and _is_unified_ideograph(folded):
        return True
    if tag in ("<super>", "<sub>", "<fraction>", "<circle>") or category in ("No", "Nl"):
        return True
    if unicodedata.name(character, "").startswith("SQUARED "):
        return True
    if category != "Zs" and " " in folded:
        return True
    if unicodedata.category(folded[0])[0] == "M" or any("\u1100" <= each <= "\u11ff" for each in folded):
        return True
    if tag in VARIANTS and len(folded) == 1:
        return False
    if len(folded) > 1 and (_numeric(folded[0]) or _numeric(folded[-1])):
        return True
    if tag == "<compat>" and not (category[0] == "L" or _is_unified_ideograph(folded)):
        return _numeric(folded[0]) or folded[0].isalpha() or folded[-1].isalpha()
    return False


def _numeric(character: str) -> bool:
    return (character.isnumeric() and not _is_unified_ideograph(character)) or character in ".,"


def _foldings() -> dict[str, str]:
    """Every character that NFKC changes and `_kept` does not keep, with what it becomes."""
    foldings = {}
    for code in range(0x80, 0x30000):  # nothing beyond plane 2 decomposes
        character = chr(code)
        if unicodedata.decomposition(character):
            folded = unicodedata.normalize("NFKC", character)
            if folded != character and not _kept(character, folded):
                foldings[character] = folded
    del foldings[FULLWIDTH_TILDE]
    return foldings


def _character_class(characters: Iterable[str]) -> str:
    """The inside of a regular expression's [...] that matches `characters`, neighbours joined to ranges."""
    ranges: list[list[int]] = []
    for code in sorted(map(ord, characters)):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)


FULLWIDTH_TILDE = "\uff5e"
WAVE_DASH = "\u301c"
KANA = "\u3041-\u30ff\uff66-\uff9d"
JAPANESE = re.compile("[\u3001-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff61-\uff9f\U00020000-\U0003134f]")
FOLDINGS = _foldings()
TRANSLATION = str.maketrans(FOLDINGS)
# Python's `re` looks up the characters of the first plane in a bitmap, those beyond it in a list, one by one: one
# class for all is 20 times slower. Beyond the first plane every character is looked up in FOLDINGS instead.
FOLDABLE = _character_class(character for character in FOLDINGS if character < "\U00010000")
BEYOND = re.compile(f"[\U00010000-\U0010ffff](?![{VARIATION_SELECTORS}])")
# Zero-width space, word joiner and byte-order mark; soft hyphen; controls other than tab and line ends.
SOFT_HYPHEN = "\u00ad"
INVISIBLE = SOFT_HYPHEN + "\u200b\u2060\ufeff\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"
LINE_ENDS = "\x0b\x0c\x85\u2028\u2029"
SURROGATES = "\ud800-\udfff"

TO_DO = re.compile(f"[{FOLDABLE}{INVISIBLE}{LINE_ENDS}\r{SURROGATES}\uff9e\uff9f{FULLWIDTH_TILDE}]")
RARE = re.compile(f"[{INVISIBLE}{LINE_ENDS}\r{SURROGATES}]")
FOLD = re.compile(f"[{FOLDABLE}]+(?![{VARIATION_SELECTORS}])")
INVISIBLES = re.compile(f"[{INVISIBLE}]+")
LINE_END = re.compile(f"\r\n?|[{LINE_ENDS}]")
SURROGATE = re.compile(f"[{SURROGATES}]")
HALF_WIDTH_MARK = re.compile(f"([{KANA}]?)([\uff9e\uff9f])")
SPACING = {"\uff9e": "\u309b", "\uff9f": "\u309c"}
# In a path (~/docs, ~user) it is a tilde; everywhere else what Japanese keyboards and CP932 mean is a wave dash.
PATH_TILDE = re.compile(f"{FULLWIDTH_TILDE}(?=/)|(?<!\\S){FULLWIDTH_TILDE}(?=[A-Za-z])")
COMPATIBILITY_IDEOGRAPHS = re.compile("([\uf900-\ufaff\U0002f800-\U0002fa1f]+)")
MANY_LINE_ENDS = re.compile("\n{3,}")


def normalise(text: str) -> str:
    """The one form of `text`. Lone surrogates become U+FFFD, so that the result always encodes."""
    if TO_DO.search(text):
        text = _fold(text)
    if BEYOND.search(text):
        text = BEYOND.sub(lambda match: FOLDINGS.get(match[0], match[0]), text)
    if not unicodedata.is_normalized("NFC", text):
        parts = COMPATIBILITY_IDEOGRAPHS.split(text)
        parts[::2] = [unicodedata.normalize("NFC", part) for part in parts[::2]]
        text = "".join(parts)
    if " \n" in text or "\t\n" in text:
        text = "\n".join(line.rstrip(" \t") for line in text.split("\n"))
    if "\n\n\n" in text:
        text = MANY_LINE_ENDS.sub("\n\n", text)
    return text.strip()


def _fold(text: str) -> str:
    if RARE.search(text):
        text = SURROGATE.sub("\ufffd", text)
        text = LINE_END.sub("\n", text)
        text = INVISIBLES.sub(_gap, text)
    if "\uff9e" in text or "\uff9f" in text:
        text = HALF_WIDTH_MARK.sub(_voiced, text)
    text = FOLD.sub(lambda match: match[0].translate(TRANSLATION), text)
    if FULLWIDTH_TILDE in text:
        text = PATH_TILDE.sub("~", text).replace(FULLWIDTH_TILDE, WAVE_DASH)
    return text


def _gap(match: re.Match[str]) -> str:
    """Nothing, or the blank that keeps two words apart; Japanese has none, and a soft hyphen lies inside a word."""
    text, start, end = match.string, match.start(), match.end()
    before, after = text[max(0, start - 1) : start], text[end : end + 1]
    if not (before.isalnum() and after.isalnum()) or JAPANESE.match(before) or JAPANESE.match(after):
        return ""
    inside_word = set(match[0]) == {SOFT_HYPHEN} and before.isalpha() and after.isalpha()
    return "" if inside_word else " "


def _voiced(match: re.Match[str]) -> str:
    """Half-width kana and mark as one character where there is one; else the mark that stands alone."""
    base, mark = match[1], match[2]
    composed = unicodedata.normalize("NFKC", base + mark)
    return composed if base and len(composed) == 1 else base + SPACING[mark]
