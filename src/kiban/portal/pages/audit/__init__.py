"""The record of acts: lists, one act, and whether its chain holds."""

from kiban.portal.pages.audit import acts, record
from kiban.portal.pages.audit.record import pages

__all__ = ["acts", "pages", "record"]
