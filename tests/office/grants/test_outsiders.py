"""Who gains from a decision does not take it, whatever their role."""

from __future__ import annotations

import pytest

from kiban.office.errors import Forbidden
from kiban.office.grants import changes, service
from kiban.office.grants.schemas import ChangeIn, Supplement
from kiban.office.work import Role

from .conftest import Funded


def test_an_operator_of_the_grants_organisation_decides_nothing_about_it(funded: Funded) -> None:
    grant = funded.open()
    insider = funded.rows.actor(Role.OPERATOR, organisation=funded.organisation)
    with funded.office.work(funded.member) as work:
        details = Supplement(gpu_seconds=3600)
        asked = changes.request_change(work, grant.id, ChangeIn(details=details, reason="評価を追加で行うため"))
    with pytest.raises(Forbidden, match="another organisation"), funded.office.work(insider) as work:
        changes.decide_change(work, asked.id, approve=True, reason="認める")
    with pytest.raises(Forbidden, match="another organisation"), funded.office.work(insider) as work:
        service.release_after_report(work, grant.id)
    with funded.office.work(funded.rows.actor(Role.OPERATOR)) as work:
        assert changes.decide_change(work, asked.id, approve=True, reason="認める").decided_at is not None
