"""What an announcement tells applicants: one notice each, with the way to their letter."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kiban.office.calls.models import Call
from kiban.office.links import Link, Place
from kiban.office.members.service import contacts_in, contacts_with
from kiban.office.notices.service import Message, notify
from kiban.office.proposals.models import Proposal
from kiban.office.work import Role, Work


def tell_applicants(work: Work, call: Call, proposals: Sequence[Proposal], funded: Collection[object]) -> None:
    """The mail does not say how it came out: it may be read over a shoulder, or forwarded."""
    applicants = {contact.person_id for contact in contacts_with(work, Role.APPLICANT)}
    for proposal in proposals:
        people = [each for each in contacts_in(work, proposal.organisation_id) if each.person_id in applicants]
        for language in ("ja", "en"):
            notify(
                work,
                cause=f"decision:{call.id}:{proposal.id}",
                event="awards.announced",
                emails=[each.email for each in people if (each.language == "en") == (language == "en")],
                ja=Message(
                    f"[{proposal.receipt}] 選考結果のお知らせ",
                    f"「{proposal.title}」の選考結果が出ました。次のページで通知書をご覧ください。",
                ),
                en=Message(
                    f"[{proposal.receipt}] The outcome of your application",
                    f"The decision on “{proposal.title}” is announced. Please read your letter on this page.",
                ),
                link=Link(Place.OUTCOME, proposal_id=proposal.id),
                payload={
                    "call_id": str(call.id),
                    "proposal_id": str(proposal.id),
                    "awarded": proposal.id in funded,
                },
                language=language,
                organisation_id=proposal.organisation_id,
            )
