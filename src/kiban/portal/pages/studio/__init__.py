"""The award studio: a call solved for several objectives, pins, the lottery, and the decision with its letters."""

from kiban.portal.pages.studio import deciding, frontier, pins, reading, solving
from kiban.portal.pages.studio.area import pages

__all__ = ["deciding", "frontier", "pages", "pins", "reading", "solving"]
