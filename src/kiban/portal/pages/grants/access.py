"""Who runs jobs on a grant and how they get to the cluster; what is to be done at its beginning and its end."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from kiban.office.grants import checklist, repository, service
from kiban.office.grants.schemas import Because, StepDone, UserIn
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.pages.grants.area import head_of, head_to_act, is_grantee, pages
from kiban.portal.web.forms import Form
from kiban.portal.web.notices import at_once, undo
from kiban.portal.web.views import View, see_other, view

UserName = Annotated[str, Path(max_length=31)]
Key = Annotated[str, Path(max_length=64)]


@pages.get("/grants/{grant_id:uuid}/access")
def access(work: Reading, grant_id: uuid.UUID) -> View | Response:
    """People with their names on the cluster, and how to run a first job."""
    head = head_of(work, grant_id)
    users = service.users_of(work, head.grant)
    return view(
        "grants/access.html",
        head=head,
        pool=repository.pool(work.session, head.grant.pool_id),
        users=[user for user in users if user.removed_at is None],
        former=[user for user in users if user.removed_at is not None],
        task=repository.last_task(work.session, grant_id),
        is_running=service.is_running(work, head.grant),
        last_day=service.last_day(head.grant),
    )


@pages.post("/grants/{grant_id:uuid}/users", shows="access")
def add_user(work: Writing, grant_id: uuid.UUID, form: Form) -> Response:
    """Lets somebody run jobs; also takes a removal back."""
    given = form.read(UserIn)
    service.add_user(work, grant_id, given.user_name, given.person_id)
    back = undo("grants.remove_user", grant_id=grant_id, user_name=given.user_name)
    return see_other("grants.access", grant_id=grant_id, notice="grants.user-added", undo=back)


@pages.get("/grants/{grant_id:uuid}/users/{user_name}/remove")
def removing(work: Reading, grant_id: uuid.UUID, user_name: UserName) -> View | Response:
    """What removing somebody does."""
    return view("grants/removing.html", head=head_to_act(work, grant_id), user_name=user_name)


@pages.post("/grants/{grant_id:uuid}/users/{user_name}/remove", shows="removing")
def remove_user(work: Writing, grant_id: uuid.UUID, user_name: UserName, form: Form) -> Response:
    """Lets somebody run jobs no more."""
    service.remove_user(work, grant_id, user_name)
    back = undo("grants.add_user", grant_id=grant_id, fields={"user_name": user_name})
    return see_other("grants.access", grant_id=grant_id, notice="grants.user-removed", undo=back)


@pages.get("/grants/{grant_id:uuid}/checklist")
def steps(work: Reading, grant_id: uuid.UUID) -> View | Response:
    """Every step of handing the grant over and of closing it."""
    head = head_of(work, grant_id)
    return view(
        "grants/checklist.html",
        head=head,
        steps=checklist.list_steps(work, grant_id),
        is_grantee=is_grantee(work, head.grant),
    )


@pages.post("/grants/{grant_id:uuid}/checklist/{key}/done", shows="steps")
def do_step(work: Writing, grant_id: uuid.UUID, key: Key, form: Form) -> Response:
    """Ticks a step off."""
    checklist.do_step(work, grant_id, key, form.read(StepDone).note)
    back = undo("grants.undo_step", grant_id=grant_id, key=key, fields={"reason": at_once()})
    return see_other("grants.steps", grant_id=grant_id, notice="grants.step-done", undo=back)


@pages.post("/grants/{grant_id:uuid}/checklist/{key}/undone", shows="steps")
def undo_step(work: Writing, grant_id: uuid.UUID, key: Key, form: Form) -> Response:
    """Says that a step is not done after all."""
    given = form.read(Because)
    before = next((each for each in checklist.list_steps(work, grant_id) if each.key == key), None)
    checklist.undo_step(work, grant_id, key, given.reason)
    back = undo("grants.do_step", grant_id=grant_id, key=key, fields={"note": before.note if before else None})
    return see_other("grants.steps", grant_id=grant_id, notice="grants.step-undone", undo=back)
