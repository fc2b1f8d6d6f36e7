"""The office's desk, and the first run of a new programme."""

from kiban.portal.pages.office import beginning, desk
from kiban.portal.pages.office.area import pages

__all__ = ["beginning", "desk", "pages"]
