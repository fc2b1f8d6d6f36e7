"""An applicant's way from a call to the receipt, without scripts, and what must not be lost on it."""

from __future__ import annotations

import html
import io
import json
import re
import uuid

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from tests.office.conftest import TestClock
from tests.office.proposals.conftest import Season, season

from kiban.office.calls.models import CallStatus
from kiban.office.members import sessions
from kiban.office.members.models import Person
from kiban.office.proposals import autosaves, service
from kiban.office.work import Actor, Role
from kiban.portal.pages.proposals.body_fields import BodyFields, body_of
from kiban.portal.web.forms import PostedForm

from .forms import SeenForm, form_of

__all__ = ["season"]

HOSTILE = "<img src=x onerror=alert(1)>葛󠄀城邉󠄂🦊 \u202eאבג\"'&"


def browser_for(season: Season, app: object, actor: Actor) -> TestClient:
    office = season.office
    with office.work() as work:
        person = work.session.get_one(Person, actor.person_id)
        opened = sessions.open_session(work, person, is_strong=True, replaces=None, user_agent="test")
    browser = TestClient(app, raise_server_exceptions=False, follow_redirects=False)  # type: ignore[arg-type]
    browser.headers["Cookie"] = f"{sessions.cookie_name(office.settings)}={opened.cookie}"
    return browser


@pytest.fixture
def applicant(season: Season, app: object) -> TestClient:
    return browser_for(season, app, season.applicant)


def body_in(season: Season, proposal_id: uuid.UUID) -> dict[str, object]:
    with season.office.work(season.applicant, read_only=True) as work:
        return dict(service.get_proposal(work, proposal_id).body)


def filled(form: SeenForm, season: Season) -> dict[str, object]:
    """What a whole proposal has in the form's fields."""
    return {
        "title": "医療文書のための基盤モデル",
        "theme": "language",
        "summary": "病院の記録と診療ガイドラインを学ぶ日本語の基盤モデルを作り、重みを公開する。",
        "training.tokens": "２０００億",
        "training.model.shape.hidden_size": "2,048",
        "training.model.shape.num_hidden_layers": "24",
        "training.model.shape.vocab_size": "64000",
        "training.model.shape.num_attention_heads": "16",
        "training.model.shape.intermediate_size": "8192",
        "data.0.name": "青空文庫",
        "data.0.rights": "public domain",
        "safety": "出力の検査と人による確認を行う。",
        "openness.weights": ["false", "true"],
        "openness.licence": "Apache-2.0",
        "milestones.0.title": "最初のモデル",
        "milestones.0.due_month": "2026-09",
        "tiers.0.gpus": "16",
        "tiers.0.months": "3",
        "tiers.0.gpu_hours": "2,000",
        "tiers.0.pool_ids[]": str(season.pool.id),
        "tiers.0.start_months[]": ["2026-07", "2026-08"],
    }


def test_from_the_call_to_the_receipt_and_back(
    season: Season, applicant: TestClient, app: object, clock: TestClock
) -> None:
    start = form_of(applicant.get(f"/ja/calls/{season.call.id}/apply"), "/apply").send(applicant)
    edit = start.headers["location"].partition("?")[0]
    form = form_of(applicant.get(edit), "/edit")
    given = filled(form, season)
    planned = form.send(applicant, to=edit.replace("/edit", "/plan"), **given)
    assert planned.status_code == 200
    assert "80%" in planned.text
    assert form_of(planned, "/edit")["summary"] == given["summary"]
    saved = form.send(applicant, **given, _next="hand_in")
    hand_in = saved.headers["location"].partition("?")[0]
    page = applicant.get(hand_in)
    assert "#field-" not in page.text, "nothing is missing"
    receipt = applicant.get(form_of(page, "/hand-in").send(applicant).headers["location"])
    proposal_id = uuid.UUID(edit.split("/")[-2])
    with season.office.work(season.applicant, read_only=True) as work:
        whole = service.get_proposal(work, proposal_id)
    assert whole.receipt in receipt.text
    assert whole.body["training"]["tokens"] == 200_000_000_000
    assert whole.body["tiers"][0]["key"] == "minimum"
    # Handed in, it can be withdrawn, which says so and can be undone.
    withdrawal = f"/ja/proposals/{proposal_id}/withdrawal"
    form_of(applicant.get(withdrawal), "/withdrawal").send(applicant, reason="見直し")
    form_of(applicant.get(hand_in), "/hand-in").send(applicant)
    assert season.counts() == (1, 1)
    clock.forward(days=365)
    late = browser_for(season, app, season.applicant)
    assert late.get(edit).status_code == 303, "a closed call's proposal is only read"
    token = form_of(late.get(f"/ja/calls/{season.call.id}"), "/sign-out")["csrf_token"]
    answer = form.send(late, title="遅れた題名", csrf_token=token)
    assert answer.status_code == 409
    assert "遅れた題名" in answer.text, "what came too late is shown, not lost"


def test_what_stands_in_the_form_is_what_is_saved(season: Season, applicant: TestClient) -> None:
    shape = dict(season.body()["training"]["model"]["shape"], attention_bias="qkv", num_key_value_heads=4)
    proposal_id = season.draft(
        training={"model": {"shape": shape}, "tokens": 5, "adaptation": {"method": "lora", "targets": ["mlp"]}},
        invented={"by": ["a program"]},
        answers={"of_no_question": "残る"},
        milestones=[{"key": "k", "title": "t", "due_month": "2026-09", "kpis": [{"name": "F1", "target": 0.5}]}],
    )
    before = body_in(season, proposal_id)
    form = form_of(applicant.get(f"/en/proposals/{proposal_id}/edit"), "/edit")
    assert form.send(applicant).status_code == 303
    after = body_in(season, proposal_id)
    for name, value in before.items():
        kept = after[name]
        if isinstance(value, list) and value and isinstance(value[0], dict):
            kept = [{key: each[key] for key in value[n]} for n, each in enumerate(kept)]  # type: ignore[arg-type, index]
        elif isinstance(value, dict):
            kept = {key: kept[key] for key in value}  # type: ignore[index]
        assert json.dumps(kept, sort_keys=True) == json.dumps(value, sort_keys=True), name


def test_mistakes_are_kept_as_typed_and_named_beside_the_form(season: Season, applicant: TestClient) -> None:
    proposal_id = season.draft()
    path = f"/ja/proposals/{proposal_id}"
    form = form_of(applicant.get(f"{path}/edit"), "/edit")
    answer = form.send(
        applicant, to=f"{path}/state", **{"tiers.0.gpus": "たくさん", "training.model.config": "{broken", "title": None}
    )
    assert answer.status_code == 200
    assert 'data-saved="proposal-' in answer.text
    assert 'data-version="2"' in answer.text
    for field in ("title", "tiers.0.gpus", "training.model.config"):
        assert f'href="#field-{field}"' in answer.text
    again = form_of(applicant.get(f"{path}/edit"), "/edit")
    assert again["tiers.0.gpus"] == "たくさん"
    assert again["training.model.config"] == "{broken"


def test_hostile_text_is_only_text_everywhere(season: Season, applicant: TestClient) -> None:
    proposal_id = season.draft()
    path = f"/ja/proposals/{proposal_id}"
    form = form_of(applicant.get(f"{path}/edit"), "/edit")
    texts = [
        name for name, _ in form.fields if re.fullmatch(r"(data|milestones|team)\.0\.\w+|title|summary|safety", name)
    ]
    changes = {name: HOSTILE for name in texts if name.rpartition(".")[2] not in ("may_edit", "key", "is_on_internet")}
    assert form.send(applicant, **changes).status_code == 303
    file = {"file": (f"{HOSTILE}.txt", io.BytesIO("本文".encode()), "text/plain")}
    token = form["csrf_token"]
    assert applicant.post(f"{path}/files", data={"csrf_token": token}, files=file).status_code == 303
    pages = [
        applicant.get(path + end) for end in ("", "/edit", "/hand-in", "/versions", "/files", "/diff?before=1&after=2")
    ]
    for page in [*pages, applicant.get("/ja/proposals")]:
        assert page.status_code == 200
        assert "<img src=x" not in page.text
    assert form_of(pages[1], "/edit")["summary"] == HOSTILE.replace("\u202e", "")
    assert "葛󠄀城邉󠄂🦊" in pages[0].text


def test_a_megabyte_of_text_is_refused_and_given_back(season: Season, applicant: TestClient) -> None:
    proposal_id = season.draft()
    form = form_of(applicant.get(f"/ja/proposals/{proposal_id}/edit"), "/edit")
    answer = form.send(applicant, summary="x" * 600_000)
    assert answer.status_code == 422
    assert form_of(answer, "/edit")["summary"] == "x" * 600_000
    state = form.send(applicant, to=f"/ja/proposals/{proposal_id}/state", summary="x" * 600_000)
    assert state.status_code in (422, 413)
    assert "data-saved" not in state.text


def test_two_tabs_lose_nothing(season: Season, applicant: TestClient) -> None:
    proposal_id = season.draft()
    path = f"/ja/proposals/{proposal_id}"
    one = form_of(applicant.get(f"{path}/edit"), "/edit")
    other = form_of(applicant.get(f"{path}/edit"), "/edit")
    assert one.send(applicant, title="左の題名", safety="左の安全").status_code == 303
    state = other.send(applicant, to=f"{path}/state", title="右の題名")
    assert state.status_code == 409
    assert "data-saved" not in state.text
    both = other.send(applicant, title="右の題名", **{"tiers.0.text": "右の説明"})
    assert both.status_code == 409
    assert "左の題名" in both.text
    assert "右の題名" in both.text
    merge = form_of(both, "/merge")
    assert merge.send(applicant, **{"_choice.1": "mine"}).status_code == 303
    body = body_in(season, proposal_id)
    assert (body["title"], body["safety"]) == ("右の題名", "左の安全")
    assert body["tiers"][0]["text"] == "右の説明"  # type: ignore[index]
    # A third save while the reader was choosing is met again, not overwritten.
    assert merge.send(applicant, **{"_choice.1": "mine"}).status_code == 409
    # And the earlier version can be had back, and that undone.
    diff = applicant.get(f"{path}/diff?before=2&after=3")
    assert "左の題名" in diff.text
    restored = form_of(diff, "/restore").send(applicant)
    assert body_in(season, proposal_id)["title"] == "左の題名"
    form_of(applicant.get(restored.headers["location"]), "/restore").send(applicant)
    assert body_in(season, proposal_id)["title"] == "右の題名"


def test_a_row_that_was_added_is_compared_in_words(season: Season, applicant: TestClient) -> None:
    proposal_id = season.draft(milestones=[])
    path = f"/ja/proposals/{proposal_id}"
    form = form_of(applicant.get(f"{path}/edit"), "/edit")
    given = {"title": "評価", "due_month": "2026-09", "kpis.0.name": "F1", "kpis.0.target": "0.5"}
    milestone = {f"milestones.0.{name}": value for name, value in given.items()}
    team = {"team.0.name": "山田", "team.0.email": "yamada@example.jp", "team.0.role": "責任者"}
    assert form.send(applicant, **milestone, **team).status_code == 303
    diff = applicant.get(f"{path}/diff?before=1&after=2").text
    for words in ("題名: <bdi", "目標値: 0.5", "役割: <bdi"):
        assert words in diff
    for raw in ("due_month", "kpis", "{"):
        assert raw not in diff.partition("<main")[2].partition("</main")[0]


def test_what_another_window_saved_while_typing_is_no_clash_and_stays(season: Season, applicant: TestClient) -> None:
    proposal_id = season.draft()
    path = f"/ja/proposals/{proposal_id}"

    def opened() -> SeenForm:
        return form_of(applicant.get(f"{path}/edit"), "/edit")

    def autosave(**given: str) -> None:
        assert opened().send(applicant, to=f"{path}/state", **given).status_code == 200

    autosave(title="題名", summary="消す文")
    other = opened()
    autosave(title="題名の続き", summary="")
    both = other.send(applicant, safety="別の窓の安全")
    assert both.status_code == 409
    assert "clash-1" not in both.text
    assert form_of(both, "/merge").send(applicant).status_code == 303
    body = body_in(season, proposal_id)
    assert (body["title"], body.get("summary", ""), body["safety"]) == ("題名の続き", "", "別の窓の安全")


def test_without_the_version_it_began_from_nothing_is_taken_over_unasked(
    season: Season, applicant: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposal_id = season.draft()
    path = f"/ja/proposals/{proposal_id}"

    def autosave(title: str) -> None:
        form = form_of(applicant.get(f"{path}/edit"), "/edit")
        assert form.send(applicant, to=f"{path}/state", title=title).status_code == 200

    autosave("あ")
    other = form_of(applicant.get(f"{path}/edit"), "/edit")
    autosave("ああ")
    shown = form_of(other.send(applicant, safety="別の窓の安全"), "/merge")
    monkeypatch.setattr(autosaves, "MOST_REPLACED", 0)
    autosave("ああ")  # as it is: nothing is stored, and nothing goes
    with season.office.work(season.applicant) as work:
        autosaves.thin_out(work, proposal_id)
    # What was shown does not hold any more, so it is shown anew.
    both = shown.send(applicant)
    assert both.status_code == 409
    again = form_of(both, "/merge")
    assert {again["_choice.1"], again["_choice.2"]} == {"theirs"}
    safety = next(name for name, value in again.fields if value == "safety").removeprefix("_clash.")
    assert again.send(applicant, **{f"_choice.{safety}": "mine"}).status_code == 303
    body = body_in(season, proposal_id)
    assert (body["title"], body["safety"]) == ("ああ", "別の窓の安全")


def test_a_file_over_the_limit_is_told_on_the_page_with_its_form(season: Season, applicant: TestClient) -> None:
    path = f"/ja/proposals/{season.draft()}/files"
    token = form_of(applicant.get(path), "/files")["csrf_token"]
    answer = applicant.post(path, data={"csrf_token": token}, files={"file": ("計画.pdf", b"x" * (22 * 2**20))})
    assert answer.status_code == 413
    assert form_of(answer, "/files")["csrf_token"] == token
    assert "大きすぎます。ここで送れるのは20.0 MiBまでです。" in answer.text
    assert form_of(answer, "/sign-out")  # as for somebody who is signed in


def test_a_form_that_cannot_be_read_offers_no_sign_in_to_who_has_one(season: Season, applicant: TestClient) -> None:
    for path in ("/ja/sign-out", f"/ja/proposals/{season.draft()}/files"):
        answer = applicant.post(path, content=b"{}", headers={"content-type": "application/json"})
        assert answer.status_code == 415
        assert form_of(answer, "/sign-out")  # as for somebody who is signed in


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ('"計画".exe', "_計画_.exe：この種類のファイルは添付できません：.exe"),
        ("readme", "readme：ファイル名に拡張子（.pdfなど）がありません。"),
    ],
)
def test_a_refused_file_is_called_by_its_name(season: Season, applicant: TestClient, name: str, shown: str) -> None:
    path = f"/ja/proposals/{season.draft()}/files"
    token = form_of(applicant.get(path), "/files")["csrf_token"]
    sent = {"csrf_token": (None, token), "file": (name, b"MZ")}
    answer = applicant.post(path, files=sent)
    assert answer.status_code == 422
    assert shown in html.unescape(answer.text)
    english = applicant.post(path.replace("/ja/", "/en/"), files=sent)
    assert f"{shown.partition('：')[0]}: " in html.unescape(english.text)


def test_rows_are_added_and_removed_without_saving(season: Season, applicant: TestClient) -> None:
    proposal_id = season.draft()
    form = form_of(applicant.get(f"/ja/proposals/{proposal_id}/edit"), "/edit")
    more = form_of(form.send(applicant, title="打ちかけ", _add="team"), "/edit")
    assert more["title"] == "打ちかけ"
    assert more["team.1.name"] == ""
    less = form_of(more.send(applicant, **{"team.1.name": "残る人", "_remove": "team.0"}), "/edit")
    assert less["team.0.name"] == "残る人"
    assert less.send(applicant, **{"team.0.email": "rest@example.jp"}).status_code == 303
    assert [each["name"] for each in body_in(season, proposal_id)["team"]] == ["残る人"]  # type: ignore[attr-defined]


def test_a_removed_file_comes_back(season: Season, applicant: TestClient) -> None:
    path = f"/ja/proposals/{season.draft()}/files"
    token = form_of(applicant.get(path), "/files")["csrf_token"]
    applicant.post(path, data={"csrf_token": token}, files={"file": ("計画.txt", io.BytesIO("本文".encode()))})
    removed = form_of(applicant.get(path), "/remove").send(applicant)
    page = applicant.get(removed.headers["location"])
    assert "計画.txt" not in page.text
    form_of(page, "/put-back").send(applicant)
    back = applicant.get(path)
    link = re.search(r'href="([^"]+/files/[0-9a-f-]{36})"', back.text)
    assert link is not None
    answer = applicant.get(link[1])
    assert answer.content.decode() == "本文"
    assert answer.headers["content-disposition"].startswith("attachment")


def test_officers_rule_out_and_in_again_with_a_reason(season: Season, app: object, clock: TestClock) -> None:
    proposal_id = season.submitted()
    path = f"/ja/proposals/{proposal_id}"
    clock.forward(days=365)
    season.change_call(status=CallStatus.REVIEWING)
    operator = browser_for(season, app, season.rows.actor(Role.OPERATOR))
    form = form_of(operator.get(f"{path}/ruling"), "/rule-out")
    assert form.send(operator, to=f"{path}/rule-out", reason="").status_code == 422
    assert form.send(operator, to=f"{path}/rule-out", reason="応募資格がない").status_code == 303
    assert "応募資格がない" in operator.get(path).text
    assert form.send(operator, to=f"{path}/rule-in", reason="誤りであった").status_code == 303
    other = browser_for(season, app, season.rows.actor(Role.APPLICANT))
    assert other.get(path).status_code == 404
    assert other.get(f"{path}/ruling").status_code == 404


def test_blind_reviewers_learn_no_names(season: Season, app: object) -> None:
    reviewer = season.rows.actor(Role.REVIEWER)
    proposal_id = season.submitted()
    season.change_call(is_blind=True)
    season.assign(reviewer, proposal_id)
    page = browser_for(season, app, reviewer).get(f"/ja/proposals/{proposal_id}")
    assert page.status_code == 200
    assert "山田花子" not in page.text
    assert "第一研究所" not in page.text


@pytest.mark.parametrize("end", ["", "/edit", "/hand-in", "/versions", "/files", "/withdrawal", "/state"])
def test_no_page_asks_the_database_more_than_ten_times(season: Season, applicant: TestClient, end: str) -> None:
    path = f"/ja/proposals/{season.draft()}{end}"
    asked: list[str] = []
    database = season.office.database
    for engine in {database.engine, database.reading_engine}:
        sa.event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    assert applicant.get(path).status_code == 200
    # What has changed is asked once for all requests that wait, and is no question of the page's.
    counted = [each for each in asked if not each.startswith(("PRAGMA", "BEGIN", "SELECT pg_current_snapshot"))]
    assert len(counted) <= 10, "\n".join(counted)


def test_a_body_survives_the_form_whatever_a_draft_holds() -> None:
    """Of the wrong types too: a draft is stored as it was typed."""
    for body in ({"team": "nobody", "training": [1]}, {"tiers": [{"pool_ids": "x"}, 3]}, {"title": {"a": 1}}, {}):
        fields = BodyFields(body)
        assert fields.text("title") == ""
        assert fields.count("team") == 0
        assert isinstance(fields.unknown(), list)
    read = body_of(PostedForm((("data._rows", "1"), ("data.3._row", ""), ("data.5.name", "x"))))
    assert read.body == {"data": [{"name": "x"}]}
    assert read.row_of("data", 0) == 5
