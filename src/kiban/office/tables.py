"""Every table, imported once: for migrations, and for a database made at one stroke."""

from __future__ import annotations

from kiban.office import changes, timed_runs
from kiban.office.audit import models as audit
from kiban.office.awards import models as awards
from kiban.office.calls import models as calls
from kiban.office.database import Base
from kiban.office.grants import models as grants
from kiban.office.idempotency import models as idempotency
from kiban.office.ledger import models as ledger
from kiban.office.members import models as members
from kiban.office.notices import models as notices
from kiban.office.proposals import models as proposals
from kiban.office.reports import models as reports
from kiban.office.reviews import models as reviews
from kiban.office.supply import models as supply
from kiban.office.usage import models as usage

MODULES = (
    members,
    audit,
    supply,
    calls,
    proposals,
    reviews,
    awards,
    ledger,
    grants,
    usage,
    reports,
    notices,
    idempotency,
    timed_runs,
)
METADATA = Base.metadata
changes.watch(METADATA)
