"""Who one is here: particulars, organisation, roles, and how safe the account is."""

from __future__ import annotations

from starlette.responses import Response

from kiban.office.members import me, service
from kiban.office.members.schemas import PersonChange
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.pages.account.area import pages
from kiban.portal.web.forms import Form, PostedForm
from kiban.portal.web.views import View, see_other, view


@pages.get("/account")
def show(work: Reading) -> View | Response:
    """One's own account."""
    found = me.me(work)
    calls = service.call_names(work, {role.call_id for role in found.call_roles})
    return view("account/show.html", me=found, calls=calls)


@pages.post("/account", shows="show")
def save(work: Writing, form: Form) -> Response:
    """Name, language, fields of work and ORCID; the address is the operators' to change."""
    service.change_person(work, work.person_id, particulars(form))
    return see_other("account.show", notice="account.saved")


def particulars(form: PostedForm) -> PersonChange:
    """Fields of work come one a line; an ORCID left empty is taken away."""
    words = [line.strip() for line in form.text("expertise").splitlines() if line.strip()]
    return form.read(PersonChange, expertise=words, orcid=form.text("orcid") or None)
