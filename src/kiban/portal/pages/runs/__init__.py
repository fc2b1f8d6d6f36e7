"""Artifacts of the programme's store: what each is, what it was made from, and how its training went."""

# What has a path of its own below /runs comes before the artifacts themselves.
from kiban.portal.pages.runs import comparing, listing, reading
from kiban.portal.pages.runs.area import pages

__all__ = ["comparing", "listing", "pages", "reading"]
