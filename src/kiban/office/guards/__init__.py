"""Checks at the border: files, addresses, text and secrets that come from or go to the outside. No database."""
