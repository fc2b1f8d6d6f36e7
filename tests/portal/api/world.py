"""A programme in full swing: two organisations, three calls, and everybody who might look at a proposal.

A call that is open (drafts), one that is being judged blind (submitted proposals, reviews, a study, a drafted decision)
and one that was decided and announced (awards, grants and all that hangs on them). Whatever somebody must not see
carries a word of its own that occurs nowhere else.
"""

from __future__ import annotations

import io
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from fastapi import FastAPI
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.office.awards.conftest import Judged, make_judged
from tests.office.conftest import Rows
from tests.office.proposals.conftest import complete_body

from kiban.office.awards import decisions
from kiban.office.awards.models import DecisionStatus, PinKind
from kiban.office.awards.schemas import DecisionIn, PinIn, StudyRequest
from kiban.office.awards.studies import add_pin
from kiban.office.calls.models import Call
from kiban.office.grants import changes, incidents
from kiban.office.grants import service as grants
from kiban.office.grants.models import Alert, Grant
from kiban.office.grants.schemas import ChangeIn, IncidentIn
from kiban.office.guards.tokens import RANDOM_BYTES, Secret, new_token, token_digest
from kiban.office.members import invitations
from kiban.office.members.models import ApiToken, BrowserSession, Organisation, Person, RoleGrant
from kiban.office.members.policy import SCOPES
from kiban.office.members.schemas import InvitationIn
from kiban.office.members.sessions import cookie_name, csrf_token
from kiban.office.notices import webhooks
from kiban.office.notices.models import Notice
from kiban.office.notices.schemas import WebhookIn
from kiban.office.office import Office
from kiban.office.proposals import attachments, drafts
from kiban.office.proposals.models import Proposal, Submission, TeamMember
from kiban.office.reports.models import Event, MilestoneReport, ModelRelease
from kiban.office.reviews import conflicts
from kiban.office.reviews.models import (
    Assignment,
    AssignmentStatus,
    ConflictKind,
    ConflictOfInterest,
    Discussion,
    Review,
)
from kiban.office.reviews.schemas import ConflictIn
from kiban.office.supply import demand
from kiban.office.supply.models import Lot, Survey
from kiban.office.supply.schemas import AnswerIn
from kiban.office.usage.models import Difference, UsageRecord
from kiban.office.work import Actor, Role, Work
from kiban.portal.api.identity import CSRF_HEADER
from kiban.portal.app import create_app

# Everybody by what they are to the proposals of organisation A.
PEOPLE = {
    "anonymous": "nobody signed in",
    "owner": "applicant of organisation A",
    "other": "applicant of organisation B",
    "member": "applicant of a third organisation, in the team of A's proposals, may edit",
    "reviewer": "reviewer who was assigned A's submitted proposal",
    "unassigned": "reviewer of nothing",
    "reviewer_c": "reviewer who had A's submitted proposal before a conflict came to light",
    "panel_c": "panel member with a conflict with A's proposals",
    "operator_c": "operator with that conflict",
    "auditor_c": "auditor with that conflict",
    "panel": "panel member of the call that is being judged, alone",
    "panel_other": "panel member of the decided call, alone",
    "operator": "operator",
    "auditor": "auditor",
    "observer": "observer",
}
CONFLICTED = ("reviewer_c", "panel_c", "operator_c", "auditor_c")
QUICK = StudyRequest(objectives=("merit",), draws=5, explain=True)


@dataclass
class World:
    office: Office
    app: FastAPI
    ids: dict[str, Any] = field(default_factory=dict)  # path parameters by name, and other objects
    people: dict[str, Actor] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)  # proposal -> the word that gives it away

    def client(self, who: str, *, csrf: bool = True) -> TestClient:
        """A browser that is signed in, or nobody's."""
        headers = {}
        client = TestClient(self.app, raise_server_exceptions=False, client=("192.0.2.9", 40_000))
        if who in self.cookies:
            headers["Cookie"] = f"{cookie_name(self.office.settings)}={self.cookies[who]}"
            if csrf:
                headers[CSRF_HEADER] = csrf_token(self.cookies[who])
        client.headers.update(headers)
        return client

    def token_client(self, who: str, *scopes: str) -> TestClient:
        """A program with a token of these scopes."""
        token = new_token(secrets.token_bytes(RANDOM_BYTES))
        now = self.office.clock()
        with self.office.work() as work:
            work.session.add(
                ApiToken(
                    id=work.new_id(),
                    person_id=self.people[who].person_id,
                    name="test",
                    digest=token_digest(token),
                    start=token[:8],
                    scopes=list(scopes),
                    is_strong=True,
                    created_at=now,
                    expires_at=now + timedelta(days=1),
                    last_used_at=now,
                )
            )
        headers = {"Authorization": f"Bearer {token}"}
        return TestClient(self.app, raise_server_exceptions=False, headers=headers, client=("192.0.2.9", 40_000))

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Whatever is asked meanwhile is answered as if it were done, and is not."""
        database, begin = self.office.database, self.office.database.transaction

        @contextmanager
        def undone(*, read_only: bool = False) -> Iterator[Session]:
            with begin(read_only=read_only) as session:
                yield session
                session.flush()
                session.expunge_all()
                session.rollback()

        database.transaction = undone  # type: ignore[method-assign]
        try:
            yield
        finally:
            del database.transaction  # the class's own again


class Builder:
    """Makes a `World`, by the services where they matter and straight into the tables elsewhere."""

    def __init__(self, office: Office) -> None:
        self.office, self.rows = office, Rows(office)
        self.world = World(office, create_app(office))
        self.ids = self.world.ids

    def build(self) -> World:
        self._people()
        self._open_call()
        self._judged_call()
        self._decided_call()
        self._grant()
        self._programme()
        self._credentials()
        return self.world

    def _person(self, who: str, *roles: Role, organisation: Organisation | None = None) -> Actor:
        organisation = organisation or self.rows.organisation(name_ja=f"所属{who}", name_en=f"Home of {who}")
        actor = self.rows.actor(*roles, organisation=organisation, name=f"名前{who}", email=f"{who}@example.jp")
        self.world.people[who] = actor
        return actor

    def _people(self) -> None:
        rows = self.rows
        self.a = rows.organisation(name_ja="甲機構アルファ", name_en="Alphakiko")
        self.b = rows.organisation(name_ja="乙機構ベータ", name_en="Betakiko")
        self.owner = self._person("owner", Role.APPLICANT, organisation=self.a)
        self.other = self._person("other", Role.APPLICANT, organisation=self.b)
        self._person("member", Role.APPLICANT)
        for who in ("reviewer", "unassigned", "reviewer_c", "second"):
            self._person(who, Role.REVIEWER)
        self._person("panel_c", Role.PANEL)
        self._person("operator_c", Role.OPERATOR)
        self._person("auditor_c", Role.AUDITOR)
        self._person("panel")
        self._person("panel_other")
        self._person("operator", Role.OPERATOR)
        self._person("auditor", Role.AUDITOR)
        self._person("observer", Role.OBSERVER)
        # Of an organisation that competes in every call.
        for role in (Role.PANEL, Role.OPERATOR, Role.AUDITOR):
            self._person(f"{role}_b", role, organisation=self.b)
        self.ids |= {"organisation_id": self.a.id, "person_id": self.owner.person_id}

    def _open_call(self) -> None:
        pool = self.rows.pool()
        call = self.rows.call(pool)
        self.ids |= {"open": call.id, "pool_id": pool.id, "provider_id": pool.provider_id}
        for name, by in (("a_draft", self.owner), ("b_draft", self.other)):
            with self.office.work(by) as work:
                body = complete_body(pool.id, title=f"題名{name}", summary=f"要約{name}")
                self.ids[name] = drafts.create(work, call.id, body).id
                if name == "a_draft":
                    with attachments.received(self.office.settings, "計画.txt", io.BytesIO("本文".encode())) as given:
                        self.ids["attachment_id"] = attachments.attach(work, self.ids[name], given).id
            self.world.titles[name] = name
        self._joins("a_draft")
        for who in ("panel_c", "operator_c", "auditor_c"):
            self.rows._add(
                ConflictOfInterest(
                    id=self.rows._id(),
                    person_id=self.world.people[who].person_id,
                    proposal_id=self.ids["a_draft"],
                    kind=ConflictKind.DECLARED,
                    reason="共同研究者",
                    declared_at=self.office.clock(),
                )
            )
        with self.office.work() as work:
            self.ids["lot_id"] = work.session.query(Lot.id).filter_by(pool_id=pool.id).scalar()

    def _judged_call(self) -> None:
        judged = make_judged(self.office, self.rows)
        call = judged.call
        self.ids["call_id"] = call.id
        with self.office.work() as work:
            row = work.session.get_one(Call, call.id)
            row.is_blind, row.receipts = True, 2
            self._role(work, "panel", call.id)
        a = self._submitted(judged, "a_sub", self.a, self.owner)
        b = self._submitted(judged, "b_sub", self.b, self.other)
        self._joins("a_sub")
        for who, proposal, score in (("reviewer", a, 5), ("second", a, 4), ("reviewer_c", b, 4), ("second", b, 3)):
            judged.judge(proposal, self.world.people[who], score)
        with self.office.work() as work:
            done = {row.reviewer_id: row for row in work.session.query(Assignment).filter_by(proposal_id=a.id)}
            mine = done[self.world.people["reviewer"].person_id]
            self.ids |= {"assignment_id": mine.id}
            self.ids["review_id"] = work.session.query(Review.id).filter_by(assignment_id=mine.id).scalar()
            for row in work.session.query(Review):
                row.text_to_panel, row.text_to_applicant = "審査会への所見", "応募者への所見"
            # What the conflicted reviewer had in hand before the conflict came to light.
            work.session.add(
                Assignment(
                    id=work.new_id(),
                    proposal_id=a.id,
                    reviewer_id=self.world.people["reviewer_c"].person_id,
                    is_peer=False,
                    status=AssignmentStatus.ASSIGNED,
                    affinity=0.5,
                    assigned_at=work.now,
                    ended_reason="",
                )
            )
            work.session.add(
                Discussion(
                    id=work.new_id(),
                    proposal_id=a.id,
                    author_id=self.world.people["second"].person_id,
                    text="議論a_sub",
                    at=work.now,
                )
            )
        for who in CONFLICTED:
            self._conflict(who, "a_sub")
        with self.office.work(judged.panel) as work:
            pinned = PinIn(proposal_id=a.id, kind=PinKind.MUST, reason="理由はa_subにある")
            self.ids["pin_id"] = add_pin(work, call.id, pinned).id
        study = judged.study(QUICK, actor=self.world.people["operator"])
        with self.office.work(judged.panel) as work:
            given = DecisionIn(study_id=study.id, objective="merit", reason="審査会の案")
            decisions.draft_decision(work, call.id, given)
        self.ids["study_id"] = study.id

    def _decided_call(self) -> None:
        judged = make_judged(self.office, self.rows)
        self.ids["decided"] = judged.call.id
        awarded = self._submitted(judged, "a_awarded", self.a, self.owner)
        for name, organisation, by, score in (
            ("b_awarded", self.b, self.other, 5),
            ("c_awarded", self.rows.organisation(name_ja="丙", name_en="C"), self.world.people["member"], 4),
            ("a_rejected", self.a, self.owner, 1),
        ):
            judged.judge(self._submitted(judged, name, organisation, by), self.world.people["second"], score)
        judged.judge(awarded, self.world.people["second"], 5)
        for who in CONFLICTED:
            self._conflict(who, "a_rejected")
        with self.office.work() as work:
            self._role(work, "panel_other", judged.call.id)
        study = judged.study(StudyRequest(objectives=("merit",), draws=0, explain=True))
        given = DecisionIn(study_id=study.id, objective="merit", reason="審査会の決定")
        with self.office.work(judged.panel) as work:
            decisions.draft_decision(work, judged.call.id, given)
        with self.office.work(judged.operator) as work:
            decisions.approve_decision(work, judged.call.id)
        with self.office.work(judged.operator) as work:
            assert decisions.announce_decision(work, judged.call.id).status is DecisionStatus.ANNOUNCED
        self.ids["announced_study"] = study.id
        with self.office.work() as work:
            self.grant = work.session.query(Grant).filter_by(proposal_id=self.ids["a_awarded"]).one()
            self.ids["b_grant"] = work.session.query(Grant.id).filter_by(proposal_id=self.ids["b_awarded"]).scalar()
        self.ids["grant_id"] = self.grant.id

    def _grant(self) -> None:
        grant_id, pool_id = self.grant.id, self.grant.pool_id
        with self.office.work(self.owner) as work:
            wanted = {"details": {"kind": "extension", "months": 2}, "reason": "延長a_grant"}
            self.ids["change_id"] = changes.request_change(work, grant_id, ChangeIn.model_validate(wanted)).id
            incident = {"grant_id": grant_id, "severity": "low", "title": "障害a_grant", "text": "停止した"}
            self.ids["incident_id"] = incidents.open_incident(work, IncidentIn.model_validate(incident)).id
            hook = WebhookIn(url="https://hooks.example.co.jp/a", events=("*",))
            self.ids["webhook_id"] = webhooks.create_webhook(work, hook).webhook.id
            grants.add_user(work, grant_id, "sato", None)
            invited = InvitationIn(email="new@example.jp", organisation_id=self.a.id)
            self.ids["invitation_id"] = invitations.invite(work, invited).id
        with self.office.work() as work:
            report = work.session.query(MilestoneReport).filter_by(grant_id=grant_id).first()
            notice = work.session.query(Notice).first()
            assert report is not None
            assert notice is not None
            self.ids |= {"report_id": report.id, "notice_id": notice.id}
            record, difference, release, event = (work.new_id() for _ in range(4))
            now = work.now
            job: dict[str, Any] = {"cluster": "test", "account": self.grant.code, "partition": "gpu", "gpus": 8}
            work.session.add_all(
                [
                    UsageRecord(
                        id=record,
                        pool_id=pool_id,
                        grant_id=grant_id,
                        job_key="1@1",
                        job_name="学習a_grant",
                        user_name="sato",
                        state="COMPLETED",
                        started_at=now,
                        ended_at=now,
                        gpu_seconds=0,
                        energy_joules=None,
                        energy_source="unknown",
                        first_read_at=now,
                        last_read_at=now,
                        **job,
                    ),
                    Difference(
                        id=difference,
                        kind="scheduler_and_ledger",
                        subject="1@1",
                        grant_id=grant_id,
                        expected=1,
                        found=2,
                        unit="yen",
                        found_at=now,
                        last_seen_at=now,
                    ),
                    Alert(id=work.new_id(), grant_id=grant_id, key="spent:80:1", figures={}, raised_at=now),
                    ModelRelease(
                        id=release,
                        grant_id=grant_id,
                        name="公開モデル",
                        artifact_digest=f"stated-{release.hex}",
                        licence="Apache-2.0",
                        scores=[],
                        card={"source": "stated by the grantee"},
                        released_on=now.date(),
                        recorded_by=self.owner.person_id,
                        recorded_at=now,
                    ),
                    Event(
                        id=event,
                        grant_id=grant_id,
                        kind="course",
                        title_ja="講座",
                        title_en="Course",
                        held_on=now.date(),
                        people=10,
                        recorded_at=now,
                    ),
                ]
            )
        self.ids |= {"record_id": record, "difference_id": difference, "release_id": release}
        self.ids |= {"grant_code": self.grant.code, "grant_pool": pool_id}

    def _programme(self) -> None:
        now = self.office.clock()
        survey = Survey(
            id=self.rows._id(),
            title_ja="調査",
            title_en="Survey",
            opens_at=now - timedelta(days=1),
            closes_at=now + timedelta(days=9),
            created_at=now,
        )
        self.rows._add(survey)
        given = AnswerIn(accelerator="H100", gpus=8, start_month="2026-09", months=3, can_procure_itself=False)
        for by, purpose in ((self.owner, "用途a_answer"), (self.other, "用途b_answer")):
            with self.office.work(by) as work:
                demand.answer_survey(work, survey.id, given.model_copy(update={"purpose": purpose}))
        self.ids |= {"survey_id": survey.id, "accelerator": "H100", "number": 1, "year": 2026}
        self.ids |= {"user_name": "sato", "key": "contract"}

    def _credentials(self) -> None:
        now = self.office.clock()
        for who, actor in self.world.people.items():
            cookie = new_token(secrets.token_bytes(RANDOM_BYTES), Secret.SESSION)
            row_id = self.rows._id()
            self.rows._add(
                BrowserSession(
                    id=row_id,
                    person_id=actor.person_id,
                    digest=token_digest(cookie),
                    is_strong=True,
                    created_at=now,
                    last_seen_at=now,
                    expires_at=now + timedelta(hours=24),
                    user_agent="test",
                    address="192.0.2.9",
                )
            )
            self.world.cookies[who] = cookie
            if who == "owner":
                self.ids["session_id"] = row_id
        self.world.token_client("owner", *SCOPES)
        with self.office.work() as work:
            self.ids["token_id"] = work.session.query(ApiToken.id).filter_by(person_id=self.owner.person_id).scalar()
            self.ids["role_grant"] = work.session.query(RoleGrant.id).filter_by(person_id=self.owner.person_id).scalar()
            conflict = work.session.query(ConflictOfInterest)
            panel_c = self.world.people["panel_c"].person_id
            self.ids["conflict_id"] = conflict.filter_by(person_id=panel_c, proposal_id=self.ids["a_sub"]).one().id

    def _role(self, work: Work, who: str, call_id: uuid.UUID) -> None:
        person_id = self.world.people[who].person_id
        grant = RoleGrant(id=work.new_id(), person_id=person_id, role=Role.PANEL, call_id=call_id, granted_at=work.now)
        work.session.add(grant)

    def _joins(self, name: str) -> None:
        member = self.world.people["member"]
        with self.office.work() as work:
            person = work.session.get_one(Person, member.person_id)
            work.session.add(
                TeamMember(
                    id=work.new_id(),
                    proposal_id=self.ids[name],
                    name=person.name,
                    email=person.email,
                    organisation_name="",
                    role="",
                    may_edit=True,
                )
            )

    def _conflict(self, who: str, name: str) -> None:
        """Found out by an operator, as the service does it: reviews are tainted, assignments end."""
        given = ConflictIn(person_id=self.world.people[who].person_id, proposal_id=self.ids[name], reason="共同研究者")
        with self.office.work() as work:
            conflicts.declare(work, given)

    def _submitted(self, judged: Judged, name: str, organisation: Organisation, by: Actor) -> Proposal:
        body = {"title": f"題名{name}", "summary": f"要約{name}"}
        proposal = self.rows.proposal(judged.call, organisation, by, pool=judged.pool, body=body)
        judged.proposals.append(proposal)
        self.ids[name] = proposal.id
        self.world.titles[name] = name
        self.rows._add(
            Submission(
                id=self.rows._id(),
                proposal_id=proposal.id,
                number=1,
                version=1,
                digest="0" * 64,
                attachments=[],
                submitted_by=by.person_id,
                submitted_at=self.office.clock(),
            )
        )
        return proposal
