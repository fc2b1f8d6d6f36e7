"""Grants: what each has, who runs jobs on it, what has to be done for it, and what is asked and told of it."""

# What has a path of its own below /grants comes before the grants themselves.
from kiban.portal.pages.grants import access, alerts, changes, incidents, lifecycle, reading, results
from kiban.portal.pages.grants.area import pages

__all__ = ["access", "alerts", "changes", "incidents", "lifecycle", "pages", "reading", "results"]
