"""Writing a call: by form, from another call, or by its file."""

from __future__ import annotations

import io
import tempfile
import uuid
from pathlib import Path
from typing import Annotated, Any

from fastapi import Query
from pydantic import TypeAdapter
from ruamel.yaml import YAML
from starlette.responses import Response

from kiban.office.calls import drafting, service
from kiban.office.calls.models import CallStatus, CutOff
from kiban.office.calls.schemas import CallFile, CallIn, CallOut, CallRevision
from kiban.office.errors import Invalid
from kiban.office.members.models import OrganisationKind
from kiban.office.paging import LARGEST, PageRequest
from kiban.office.supply import service as supply
from kiban.office.work import JST, Role, Work
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.pages.calls.area import pages
from kiban.portal.pages.proposals.body_fields import BodyFields
from kiban.portal.web import page as current
from kiban.portal.web.forms import Form, PostedForm
from kiban.portal.web.labels import label
from kiban.portal.web.views import View, see_other

MOST_FILE_BYTES = 2**20
# Left empty, these limit nothing; what is not given at all would be the schema's default.
NO_LIMIT = (
    "most_proposals_per_organisation",
    "per_organisation_yen",
    "per_organisation_gpu_hours",
    "per_organisation_awards",
    "most_awards",
    "expiry_months",
)
_new: TypeAdapter[CallIn] = TypeAdapter(CallIn)
_revision: TypeAdapter[CallRevision] = TypeAdapter(CallRevision)


@pages.get("/calls/new")
def new(work: Reading, like: Annotated[uuid.UUID | None, Query()] = None) -> View | Response:
    """An empty form, or one with what another call has.

    Args:
        like: the call to begin from.
    """
    work.require(Role.OPERATOR)
    source = service.show_call(work, service.get_call(work, like)) if like is not None else None
    return _form(work, source, None)


@pages.post("/calls/new", shows="new")
def create(work: Writing, form: Form) -> Response:
    """A draft; what it lacks for publication is told on its page."""
    given = form.read_as(_new, _tree(form, CallIn))
    call = drafting.create_call(work, given)
    return see_other("calls.show", call_id=call.id, notice="calls.created")


@pages.post("/calls/file", shows="new")
def create_from_file(work: Writing, form: Form) -> Response:
    """A draft from a call's YAML file."""
    work.require(Role.OPERATOR)
    content = form.file("file").file.read(MOST_FILE_BYTES + 1)
    if len(content) > MOST_FILE_BYTES:
        raise Invalid("a call's file has at most 1 MiB", where="file")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "call.yaml"
        path.write_bytes(content)
        given = drafting.read_call(work, path)
    call = drafting.create_call(work, given)
    return see_other("calls.show", call_id=call.id, notice="calls.created")


@pages.get("/calls/{call_id}/edit")
def edit(work: Reading, call_id: uuid.UUID) -> View | Response:
    """The form of a draft."""
    call = service.show_call(work, service.get_call(work, call_id))
    work.require(Role.OPERATOR, call_id=call_id)
    if call.status is not CallStatus.DRAFT and current.current().posted is None:
        return see_other("calls.amendment", call_id=call_id)
    return _form(work, call, call)


@pages.post("/calls/{call_id}/edit", shows="edit")
def update(work: Writing, call_id: uuid.UUID, form: Form) -> Response:
    """Replace the draft as a whole."""
    given = form.read_as(_revision, _tree(form, CallRevision))
    drafting.update_call(work, call_id, given, given.version)
    return see_other("calls.show", call_id=call_id, notice="calls.saved")


@pages.get("/calls/{call_id}/file")
def download(work: Reading, call_id: uuid.UUID) -> Response:
    """The call as the YAML file that makes another like it."""
    work.require(Role.OPERATOR, Role.AUDITOR, call_id=call_id)
    call = service.show_call(work, service.get_call(work, call_id))
    content = call.model_dump(mode="json", include=set(CallFile.model_fields) - {"pools"})
    content |= {"pools": [{"pool": offer.name, "gpus": offer.gpus} for offer in call.pools]}
    text = io.StringIO()
    writer = YAML()
    writer.width = 120
    writer.dump(content, text)
    disposition = f'attachment; filename="call-{call.code}.yaml"'
    return Response(text.getvalue(), media_type="application/yaml", headers={"Content-Disposition": disposition})


def _tree(form: PostedForm, schema: type[CallIn]) -> dict[str, Any]:
    """The fields as the schema has them: choices one a line, answers of a condition in their own type."""
    tree = {name: value for name, value in form.tree().items() if name in schema.model_fields}
    constraints = tree.setdefault("constraints", {})
    if isinstance(constraints, dict):
        for name in NO_LIMIT:
            constraints.setdefault(name, None)
        shares = constraints.get("shares")
        if isinstance(shares, list):
            constraints["shares"] = [each for each in shares if each]
    for name in ("themes", "rubric", "tracks", "pools", "questions"):
        if isinstance(tree.get(name), list):
            tree[name] = [each for each in tree[name] if each]
    for criterion in _entries(tree, "rubric"):
        if isinstance(criterion.get("anchors"), list):
            criterion["anchors"] = [each for each in criterion["anchors"] if each]
    for question in _entries(tree, "questions"):
        lines = question.pop("choices", "")
        question["choices"] = [line.strip() for line in str(lines).splitlines() if line.strip()]
        when = question.get("when")
        if not isinstance(when, dict) or not when.get("path"):
            question.pop("when", None)
        elif when.get("equals") in ("true", "false"):
            when["equals"] = when["equals"] == "true"
    if tree.get("cut_off") != CutOff.COUNT:
        tree.pop("cut_off_count", None)
    return tree


def _entries(tree: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = tree.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _form(work: Work, source: CallOut | None, call: CallOut | None) -> View:
    """Args: source: what the fields show; call: the draft that is changed, if one is."""
    shown: dict[str, Any] = {} if source is None else source.model_dump(mode="json")
    if source is not None:
        for name in ("opens_at", "closes_at"):
            shown[name] = getattr(source, name).astimezone(JST).strftime("%Y-%m-%dT%H:%M")
        if call is None:
            shown |= {"code": "", "opens_at": "", "closes_at": "", "first_month": ""}
    pools = supply.list_pools(work, PageRequest(limit=LARGEST)).items
    return View(
        "calls/form.html",
        {
            "call": call,
            "source": source,
            "fields": BodyFields(shown),
            "pools": [(str(pool.id), f"{pool.name} ({pool.accelerator})") for pool in pools],
            "kinds": [(kind.value, label(kind)) for kind in OrganisationKind],
        },
    )
