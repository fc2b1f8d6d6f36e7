"""Texts that lost something on the way: wrong decodings, hard-wrapped lines, mixed punctuation, variant kanji."""
