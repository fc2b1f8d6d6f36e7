"""The audit pages: every act has a name, and the record is read by those whose work it is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from starlette.testclient import TestClient
from tests.portal.conftest import BrowserOf

import kiban
from kiban.office.audit import service
from kiban.office.grants.models import ChangeStatus, GrantStatus
from kiban.office.office import Office
from kiban.office.work import Role
from kiban.portal.pages.audit.acts import ACTS, SUBJECTS

ACT = re.compile(r"[a-z]+\.[a-z_]+")
# What stands for the open part of an act's name, where the code computes it.
COMPUTED = {
    "grants.change_": {ChangeStatus.APPROVED.value, ChangeStatus.REFUSED.value},
    "grants.": {GrantStatus.ACTIVE.value, GrantStatus.FROZEN.value},
    "proposals.": {"marked_ineligible", "marked_eligible", "taken_out"},
    "reports.": {"accepted", "returned"},
}


def recorded() -> Iterator[tuple[str, str]]:
    """Acts and kinds of subjects that the office's code records, as its calls of `record` name them."""
    for path in (Path(kiban.__file__).parent / "office").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or len(node.args) < 3:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name not in ("record", "_record"):
                continue
            subject = node.args[2].value if isinstance(node.args[2], ast.Constant) else ""
            act = node.args[1]
            if isinstance(act, ast.JoinedStr):
                start = act.values[0].value  # type: ignore[attr-defined]
                yield from ((start + end, subject) for end in COMPUTED[start])
                continue
            given = constants.get(act.id) if isinstance(act, ast.Name) else None
            texts = [given, *(each.value for each in ast.walk(act) if isinstance(each, ast.Constant))]
            yield from ((text, subject) for text in texts if isinstance(text, str) and ACT.fullmatch(text))


def test_every_act_and_subject_has_a_name() -> None:
    found = set(recorded())
    assert len(found) > 80
    assert {act for act, _ in found} - set(ACTS) == set()
    assert {subject for _, subject in found if subject} - set(SUBJECTS) == set()


def test_the_record_is_narrowed_down_and_shown_without_harm(browser_of: BrowserOf, office: Office) -> None:
    with office.work() as work:
        service.record(work, "calls.published", "call", work.new_id(), reason="<script>alert(1)</script>")
        service.record(work, "members.signed_out", "person", work.new_id())
    auditor = browser_of(Role.AUDITOR)
    page = auditor.get("/ja/audit?action=calls.").text
    assert "公募を公開" in page
    assert len(re.findall(r'href="/ja/audit/\d+"', page)) == 1
    number = re.search(r'href="(/ja/audit/\d+)"', page)[1]  # type: ignore[index]
    shown = auditor.get(number)
    assert shown.status_code == 200
    assert "&lt;script&gt;" in shown.text
    assert "<script>alert" not in shown.text
    assert auditor.get("/ja/audit/verification").status_code == 200
    assert auditor.get("/ja/audit/999999").status_code == 404


def test_the_record_is_for_auditors_and_operators(browser: TestClient, browser_of: BrowserOf) -> None:
    for path in ("/ja/audit", "/ja/audit/1", "/ja/audit/verification"):
        assert browser_of(Role.APPLICANT).get(path).status_code == 403
        assert browser.get(path).status_code == 303
