"""Mail and webhooks about a grant: to its organisation's applicants, to the office's operators, or to both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kiban.office.grants.models import Grant
from kiban.office.links import Link, Place
from kiban.office.members.service import Contact, contacts_in, contacts_with
from kiban.office.notices.service import Message, notify
from kiban.office.work import Role, Work


def tell(
    work: Work,
    grant: Grant,
    *,
    cause: str,
    event: str,
    ja: Message,
    en: Message,
    payload: Mapping[str, Any],
    link: Link | None = None,
    to_grantee: bool = True,
    to_operators: bool = True,
) -> None:
    """Each person in their language first; the grant's id and code are added to the payload.

    Args:
        link: None: to the grant.
    """
    people: dict[str, Contact] = {}
    if to_grantee:
        applicants = {contact.person_id for contact in contacts_with(work, Role.APPLICANT)}
        own = contacts_in(work, grant.organisation_id)
        people |= {contact.email: contact for contact in own if contact.person_id in applicants}
    if to_operators:
        people |= {contact.email: contact for contact in contacts_with(work, Role.OPERATOR)}
    for language in ("ja", "en"):
        notify(
            work,
            cause=cause,
            event=event,
            emails=[email for email, contact in people.items() if (contact.language == "en") == (language == "en")],
            ja=Message(f"[{grant.code}] {ja.subject}", ja.body),
            en=Message(f"[{grant.code}] {en.subject}", en.body),
            link=link or Link(Place.GRANT, grant_id=grant.id),
            payload={"grant_id": str(grant.id), "code": grant.code, **payload},
            language=language,
            organisation_id=grant.organisation_id,
        )
