"""Proposals: writing one with the plan beside it, its versions and files, handing it in, and what becomes of it."""

from kiban.portal.pages.proposals import files, handing_in, reading, ruling, versions, writing
from kiban.portal.pages.proposals.area import pages

__all__ = ["files", "handing_in", "pages", "reading", "ruling", "versions", "writing"]
