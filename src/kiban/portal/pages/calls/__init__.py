"""Calls for proposals: what the public reads, and how officers write, publish, amend and close them."""

from kiban.portal.pages.calls import drafting, lifecycle, reading
from kiban.portal.pages.calls.area import pages

__all__ = ["drafting", "lifecycle", "pages", "reading"]
