"""What came of a grant: models released and events held, with the forms that record them."""

from __future__ import annotations

import uuid

from starlette.responses import Response

from kiban.office.paging import PageRequest
from kiban.office.reports import outcomes
from kiban.office.reports.models import Event
from kiban.office.reports.schemas import EventIn, ReleaseIn, ReleaseOut
from kiban.office.usage import repository as usage
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.i18n import _, pgettext
from kiban.portal.pages.grants.area import head_of, head_to_act, pages
from kiban.portal.web.forms import Form
from kiban.portal.web.labels import label
from kiban.portal.web.tables import Column, Empty, ListQuery, Table
from kiban.portal.web.views import View, see_other, url, view

MODELS: Table[ReleaseOut] = Table(
    "models",
    [
        Column("name", pgettext("model", "Name"), href=lambda row: url("grants.model", release_id=row.id)),
        Column("released_on", _("Released on"), kind="date"),
        Column("parameters", _("Parameters"), kind="number"),
        Column("tokens", _("Tokens trained"), kind="number"),
        Column("licence", _("Licence")),
        Column("source", _("Where its figures are from"), lambda row: str(source_of(row))),
    ],
    caption=_("Models"),
)
EVENTS: Table[Event] = Table(
    "events",
    [
        Column("title", pgettext("event", "Title"), lambda row: (row.title_ja, row.title_en), kind="localised"),
        Column("kind", pgettext("event", "Kind"), lambda row: str(label(row.kind, "event_kind"))),
        Column("held_on", _("Held on"), kind="date"),
        Column("people", _("People who came"), kind="number"),
        Column("people_trained", _("People trained"), kind="number"),
    ],
    caption=_("Events"),
)


def source_of(release: ReleaseOut) -> object:
    return _("The programme's store") if release.artifact_digest else _("Stated by the grantee")


@pages.get("/grants/{grant_id:uuid}/results")
def results(work: Reading, query: ListQuery, grant_id: uuid.UUID) -> View | Response:
    """Models and events of one grant."""
    head = head_of(work, grant_id)
    everything = PageRequest(limit=200)
    models = [outcomes.show_release(row) for row in outcomes.list_releases(work, everything, grant_id).items]
    events = outcomes.list_events(work, everything, grant_id=grant_id).items
    listing = MODELS.of(query, models, empty=Empty(_("No models recorded"), _("Record each model that you release.")))
    held = EVENTS.of(query, events, is_main=False, empty=Empty(_("No events recorded")))
    return view("grants/results.html", head=head, listing=listing, events=held)


@pages.get("/grants/models/{release_id:uuid}")
def model(work: Reading, release_id: uuid.UUID) -> View | Response:
    """One model with its scores and where they are from."""
    shown = outcomes.show_release(outcomes.get_release(work, release_id))
    return view("grants/model.html", head=head_of(work, shown.grant_id), model=shown, source=source_of(shown))


@pages.get("/grants/{grant_id:uuid}/results/model")
def recording_model(work: Reading, grant_id: uuid.UUID) -> View | Response:
    """The form for a model: an artifact of the store, or figures as its makers state them."""
    digests = usage.made_by_jobs(work.session, grant_id)
    return view("grants/recording_model.html", head=head_to_act(work, grant_id), digests=digests)


@pages.post("/grants/{grant_id:uuid}/results/model", shows="recording_model")
def record_model(work: Writing, grant_id: uuid.UUID, form: Form) -> Response:
    """Records a model."""
    outcomes.record_release(work, grant_id, form.read(ReleaseIn))
    return see_other("grants.results", grant_id=grant_id, notice="grants.model-recorded")


@pages.get("/grants/{grant_id:uuid}/results/event")
def recording_event(work: Reading, grant_id: uuid.UUID) -> View | Response:
    """The form for an event."""
    return view("grants/recording_event.html", head=head_to_act(work, grant_id))


@pages.post("/grants/{grant_id:uuid}/results/event", shows="recording_event")
def record_event(work: Writing, grant_id: uuid.UUID, form: Form) -> Response:
    """Records an event."""
    outcomes.record_event(work, form.read(EventIn, grant_id=grant_id))
    return see_other("grants.results", grant_id=grant_id, notice="grants.event-recorded")
