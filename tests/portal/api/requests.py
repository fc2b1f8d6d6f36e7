"""One believable request for each route of the API, about organisation A's things."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient
from tests.office.calls.conftest import call_in
from tests.office.conftest import START

from kiban.office.calls.schemas import CallIn
from kiban.portal.api.routing import WorkRoute

from .world import World

PREFIX = "/api/v1"
REASON = {"reason": "理由を述べる"}
ORGANISATION = {"name_ja": "新", "name_en": "New", "kind": "startup", "size": "small", "domain": "language"}
REVIEW_TEXT = "根拠となる実験の計画が具体的で、必要な計算量の見積りも妥当です。" * 4


@dataclass(frozen=True)
class Asked:
    """A request; `name` is the method, the route and, where there are several, which case of it."""

    name: str
    method: str
    path: str
    json: Any = None
    params: dict[str, Any] = field(default_factory=dict)
    files: Any = None

    def send(self, client: TestClient) -> Any:
        return client.request(
            self.method, self.path, json=self.json, params=self.params, files=self.files, follow_redirects=False
        )


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every method and path of the API."""
    for route in app.routes:
        if isinstance(route, WorkRoute) and route.path.startswith(PREFIX):
            for method in sorted(route.methods or ()):
                yield method, route.path.removeprefix(PREFIX)


# Which of the world's proposals and calls a route is asked about; a route not named here is asked once.
CASES = {
    "/proposals/{proposal_id}": ("a_draft", "a_sub", "a_awarded"),
    "/proposals/{proposal_id}/versions/{number}": ("a_draft", "a_sub", "a_rejected"),
    "/proposals/{proposal_id}/receipt": ("a_sub",),
    "/proposals/{proposal_id}/withdraw": ("a_sub",),
    "/proposals/{proposal_id}/mark-ineligible": ("a_sub",),
    "/proposals/{proposal_id}/mark-eligible": ("a_sub",),
    "/proposals/{proposal_id}/take-out": ("a_sub",),
    "/reviews/proposals/{proposal_id}": ("a_sub", "a_rejected"),
    "/reviews/proposals/{proposal_id}/feedback": ("a_sub", "a_rejected"),
    "/reviews/proposals/{proposal_id}/discussion": ("a_sub",),
    "/awards/proposals/{proposal_id}/letter": ("a_sub", "a_awarded", "a_rejected"),
    "/awards/calls/{call_id}/decision": ("call_id", "decided"),
    "/awards/calls/{call_id}/record": ("call_id", "decided"),
}


def requests(world: World) -> list[Asked]:
    """Every route with parameters and a body that it takes."""
    bodies, queries = _bodies(world), _queries(world)
    found = []
    for method, path in routes(world.app):
        key = f"{method} {path}"
        for case in CASES.get(path, ("",)) if method in ("GET", "POST") or path in CASES else ("",):
            ids = dict(world.ids)
            ids.setdefault("proposal_id", ids["a_draft"])
            if path.startswith("/members/roles/"):
                ids["grant_id"] = ids["role_grant"]
            if case:
                ids["call_id" if "{call_id}" in path else "proposal_id"] = ids[case]
            found.append(
                Asked(
                    f"{key} {case}".strip(),
                    method,
                    PREFIX + path.format(**ids),
                    json=bodies.get(key),
                    params=queries.get(path, {}) if method == "GET" else {},
                    files={"file": ("a.txt", b"text", "text/plain")} if key.endswith("/attachments") else None,
                )
            )
    return [
        asked if asked.files is None or asked.method == "POST" else Asked(asked.name, asked.method, asked.path)
        for asked in found
    ]


def _queries(world: World) -> dict[str, dict[str, Any]]:
    months = {"first": "2026-07", "months": 3}
    return {
        "/supply/pools/{pool_id}/capacity": months,
        "/supply/shortfall": months,
        "/supply/utilisation": months,
        "/supply/calendar": {"first": "2026-04-01", "last": "2026-06-01"},
        "/proposals/search": {"q": "題名"},
        "/proposals/{proposal_id}/diff": {"before": 1, "after": 1},
        "/reports/figures/one": {"key": "used.yen"},
        "/reports/figures/rows": {"key": "used.yen"},
        "/reports/milestones/{report_id}/figures/rows": {"key": "used.yen"},
        "/auth/oidc/callback": {"state": "x", "code": "y"},
    }


def _call(world: World, **given: Any) -> dict[str, Any]:
    offered = world.ids["pool_id"]
    call = call_in(code="2027-1", opens_at=START + timedelta(days=1), pools=[{"pool_id": offered, "gpus": 8}])
    return CallIn.model_validate(call).model_dump(mode="json") | given


def _bodies(world: World) -> dict[str, Any]:
    ids = {name: str(value) for name, value in world.ids.items()}
    draft = {"title": "新しい題名"}
    pool = {"provider_id": ids["provider_id"], "name": "新しい計算資源", "accelerator": "H100", "site": "石狩"}
    provider = {"name_ja": "新", "name_en": "New"}
    lot = {"name": "第二次", "gpus": 8, "delivery_on": "2026-09-01", "ends_on": "2027-09-01"}
    survey = {"title_ja": "調査", "title_en": "Survey", "opens_at": "2026-05-01T00:00:00Z"}
    answer = {"accelerator": "H100", "gpus": 4, "start_month": "2026-09", "months": 3, "can_procure_itself": True}
    person = {"email": "another@example.jp", "name": "別人"}
    options = {"track": "panel", "partial": True}
    review = {"version": 1, "submission": 1, "scores": {"performance": 4, "openness": 3}, "confidence": 3}
    review |= {"text_to_applicant": REVIEW_TEXT}
    job = {"job_key": "j1", "grant": ids["grant_code"], "gpus": 8, "started_at": "2026-07-01T00:00:00Z"}
    release = {"name": "m", "licence": "MIT", "released_on": "2026-04-01"}
    event = {"kind": "course", "title_ja": "講", "title_en": "Course", "held_on": "2026-04-01", "people": 3}
    relations = "kind,person_email,other_email,other_orcid,corporate_number,date,source\n"
    study = {"objectives": ["merit"], "draws": 0, "explain": False}
    change = {"details": {"kind": "scope", "before": "前", "after": "後"}, "reason": "理由"}
    incident = {"grant_id": ids["grant_id"], "severity": "low", "title": "障害", "text": "停止"}
    password = "correct horse battery staple 9"
    own = "POST /proposals/{proposal_id}"
    grant = "POST /grants/{grant_id}"
    person_of = "POST /members/people/{person_id}"
    milestone = "/reports/milestones/{report_id}"
    return {
        "POST /auth/sign-in": {"email": "owner@example.jp", "password": "wrong password of his"},
        "POST /auth/totp/confirmation": {"code": "000000"},
        "POST /auth/password": {"current_password": "x", "new_password": password},
        "POST /auth/reset-requests": {"email": "owner@example.jp"},
        "POST /auth/resets": {"token": "nothing", "new_password": password},
        "POST /auth/oidc/start": {"return_to": "/calls"},
        "POST /members/organisations": ORGANISATION,
        "PUT /members/organisations/{organisation_id}": ORGANISATION,
        "POST /members/organisations/{organisation_id}/closure": REASON,
        "POST /members/people": person,
        "PATCH /members/people/{person_id}": {"name": "改名"},
        f"{person_of}/move": {"organisation_id": None, **REASON},
        f"{person_of}/disable": REASON,
        f"{person_of}/enable": REASON,
        f"{person_of}/second-factor-removal": REASON,
        "POST /members/roles": {"person_id": ids["person_id"], "role": "observer"},
        "POST /members/invitations": {"email": "x@example.jp", "organisation_id": ids["organisation_id"]},
        "POST /members/invitations/preview": {"token": "nothing"},
        "POST /members/invitations/acceptance": {"token": "nothing"},
        "POST /members/tokens": {"name": "t", "scopes": ["calls:read"]},
        "POST /supply/providers": provider,
        "PUT /supply/providers/{provider_id}": provider,
        "POST /supply/pools": pool | {"area": "北海道", "price_yen_per_gpu_hour": 500},
        "PATCH /supply/pools/{pool_id}": {"site": "札幌"} | REASON,
        "POST /supply/pools/{pool_id}/close": REASON,
        "POST /supply/pools/{pool_id}/lots": lot,
        "PATCH /supply/lots/{lot_id}": {"status": "delivered"} | REASON,
        "POST /supply/surveys": survey | {"closes_at": "2026-06-01T00:00:00Z"},
        "POST /supply/surveys/{survey_id}/close": REASON,
        "POST /supply/surveys/{survey_id}/answers": answer,
        "POST /calls": _call(world),
        "PUT /calls/{call_id}": _call(world, version=1),
        "POST /calls/{call_id}/amend": {"text_ja": "改訂", "text_en": "Revised", **REASON},
        "POST /calls/{call_id}/close": REASON,
        "POST /proposals": {"call_id": ids["open"], "body": draft},
        "POST /proposals/preview": {"call_id": ids["open"], "body": draft},
        "PUT /proposals/{proposal_id}": {"body": draft, "expected_version": 1},
        f"{own}/merge": {"body": draft, "base_version": 1},
        f"{own}/restore": {"number": 1, "expected_version": 1},
        f"{own}/submit": {"version": 1},
        f"{own}/withdraw": REASON,
        f"{own}/mark-ineligible": REASON,
        f"{own}/mark-eligible": REASON,
        f"{own}/take-out": REASON,
        "POST /reviews/conflicts": {"proposal_id": ids["a_sub"], **REASON},
        "POST /reviews/conflicts/{conflict_id}/lift": REASON,
        "POST /reviews/relations": {"csv": relations},
        "POST /reviews/calls/{call_id}/assignments": options,
        "POST /reviews/calls/{call_id}/assignments/preview": options,
        "POST /reviews/assignments/{assignment_id}/recuse": REASON,
        "POST /reviews/assignments/{assignment_id}/remove": REASON,
        "PUT /reviews/assignments/{assignment_id}/review": review,
        "POST /reviews/assignments/{assignment_id}/review/submit": {"version": 1},
        "POST /reviews/assignments/{assignment_id}/review/confirm": {"submission": 1},
        "POST /reviews/{review_id}/reopen": REASON,
        "POST /reviews/proposals/{proposal_id}/discussion": {"text": "所見"},
        "PUT /reviews/calls/{call_id}/discussion": {"track": "panel", "is_open": True},
        "POST /reviews/calls/{call_id}/reminders": {"within_days": 3},
        "POST /awards/calls/{call_id}/studies": study,
        "POST /awards/calls/{call_id}/studies/{study_id}/replay": {"resolve": False},
        "POST /awards/calls/{call_id}/studies/{study_id}/lottery": {"objective": "merit", "seed": "2026-05-01 beacon"},
        "POST /awards/calls/{call_id}/pins": {"proposal_id": ids["a_sub"], "kind": "must", **REASON},
        "POST /awards/calls/{call_id}/pins/{pin_id}/remove": REASON,
        "POST /awards/calls/{call_id}/decision": {"study_id": ids["study_id"], "objective": "merit", **REASON},
        "POST /awards/calls/{call_id}/decision/withdraw": REASON,
        "POST /grants/changes/{change_id}/decide": {"approve": True, "reason": "了承"},
        "POST /grants/incidents": incident,
        "POST /grants/incidents/{incident_id}/close": {"text": "直った"},
        "POST /grants/incidents/{incident_id}/refund": {"gpu_seconds": 10, "reason": "補填"},
        "POST /grants/expired/{call_id}/reuse": REASON,
        f"{grant}/users": {"user_name": "suzuki"},
        f"{grant}/freeze": REASON,
        f"{grant}/thaw": REASON,
        f"{grant}/close": REASON,
        f"{grant}/changes": change,
        f"{grant}/checklist/{{key}}/done": {"note": ""},
        f"{grant}/checklist/{{key}}/undone": REASON,
        "PUT /usage/records/{record_id}/artifact": {"digest": None},
        "POST /usage/differences/{difference_id}/explain": {"explanation": "試験用のジョブ"},
        "POST /usage/import": {"pool_id": ids["grant_pool"], "rows": [job]},
        f"PUT {milestone}": {"body": {"text": "報告"}, "version": 0},
        f"POST {milestone}/submit": {"version": 0},
        f"POST {milestone}/accept": {"remark": ""},
        f"POST {milestone}/return": REASON,
        "POST /reports/grants/{grant_id}/models": release,
        "POST /reports/events": event | {"grant_id": ids["grant_id"]},
        "PUT /notices/preferences": {"grants": "daily", "reviews": "off"},
        "POST /notices/webhooks": {"url": "https://hooks.example.co.jp/b", "events": ["*"]},
    }
