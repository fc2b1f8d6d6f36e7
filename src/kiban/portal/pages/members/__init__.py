"""Members: people with their roles, organisations, and invitations."""

from kiban.portal.pages.members import inviting, organisations, people, person
from kiban.portal.pages.members.area import pages

__all__ = ["inviting", "organisations", "pages", "people", "person"]
