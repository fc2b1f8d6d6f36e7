"""Notices: what one was told, what the office sends, and webhooks."""

from kiban.portal.pages.notices import outbox, own, preferences, webhooks
from kiban.portal.pages.notices.area import pages

__all__ = ["outbox", "own", "pages", "preferences", "webhooks"]
