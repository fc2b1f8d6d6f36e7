"""Text from outside, made fit to show: control characters as their pictures instead of as commands."""

from __future__ import annotations

# C0 controls and DEL as the Unicode pictures of them (U+2400 block), and the two code points that XML refuses.
_PICTURES = {code: 0x2400 + code for code in range(32)} | {127: 0x2421, 0xFFFE: 0xFFFD, 0xFFFF: 0xFFFD}
_PICTURES_IN_TEXT = {code: picture for code, picture in _PICTURES.items() if chr(code) not in "\n\t"}


def visible_line(text: str) -> str:
    """One line; a line break is shown as its picture."""
    return text.translate(_PICTURES)


def visible_text(text: str) -> str:
    """Any number of lines; line breaks and tabs stay."""
    return text.translate(_PICTURES_IN_TEXT)
