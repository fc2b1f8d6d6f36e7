"""Where mails lead: pages of the portal, in the language of the text around the link.

The office does not know the portal. The few of its pages that mails name stand here, and the portal's tests hold them
against its routes.
"""

from __future__ import annotations

from enum import StrEnum
from string import Formatter
from urllib.parse import urlencode

from kiban.office.settings import Settings


class Place(StrEnum):
    """Paths of pages, without language."""

    ACCOUNT = "/account"
    CALL = "/calls/{call_id}"
    CHANGE_REQUEST = "/grants/changes/{change_id}"
    GRANT = "/grants/{grant_id}"
    INCIDENT = "/grants/incidents/{incident_id}"
    INVITATION = "/invitation"
    MAIL_SETTINGS = "/notices/preferences"
    NOTICES = "/notices"
    OUTBOX = "/notices/outbox"
    OUTCOME = "/proposals/{proposal_id}/outcome"
    PROPOSAL = "/proposals/{proposal_id}"
    REPORT = "/grants/reports/{report_id}"
    RESET_PASSWORD = "/reset-password"
    REVIEWERS_OF_CALL = "/reviews/calls/{call_id}/assignments"
    REVIEWS = "/reviews"
    UNSUBSCRIBE = "/notices/unsubscribe"
    WEBHOOKS = "/notices/webhooks"


class Link:
    """A page about something: `Link(Place.CALL, call_id=call.id)`. Values that the path has no place for: the query."""

    def __init__(self, place: Place, **values: object) -> None:
        in_path = {name for _, name, _, _ in Formatter().parse(place) if name}
        query = {name: value for name, value in values.items() if name not in in_path}
        self._path = place.format(**values) + (f"?{urlencode(query)}" if query else "")

    def url(self, settings: Settings, language: str) -> str:
        """As people reach it."""
        return f"{settings.public_url.rstrip('/')}/{'en' if language == 'en' else 'ja'}{self._path}"
