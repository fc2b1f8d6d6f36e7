"""What reviewers and operators are told, in both languages. Mails name calls and dates, never proposals or people."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime

from kiban.office.calls.models import Call
from kiban.office.links import Link, Place
from kiban.office.members.models import Person
from kiban.office.notices.service import Message, notify
from kiban.office.reviews import repository
from kiban.office.work import JST, Role, Work


def tell_assigned(
    work: Work, call: Call, person: Person, count: int, run_id: uuid.UUID, due_at: datetime | None
) -> None:
    by_ja = f"期限は{_ja(due_at)}です。" if due_at else ""
    by_en = f" They are due by {_en(due_at)}." if due_at else ""
    notify(
        work,
        cause=f"reviews:{run_id}:{person.id}",
        event="reviews.assigned",
        emails=[person.email],
        ja=Message(
            f"審査のお願い（{call.title_ja}）",
            f"{person.name} 様\n\n「{call.title_ja}」の申請{count}件の審査をお願いいたします。{by_ja}\n"
            f"利益相反がある場合は、審査画面から辞退してください。",
        ),
        en=Message(
            f"Reviews for you ({call.title_en})",
            f"Dear {person.name},\n\nplease review {count} proposal(s) of the call “{call.title_en}”.{by_en}\n"
            f"If you have a conflict of interest, recuse yourself on the review's page.",
        ),
        link=Link(Place.REVIEWS),
        payload={"call_id": str(call.id), "count": count},
        language=person.language,
    )


def remind(work: Work, call: Call, person: Person, count: int, due_at: datetime) -> None:
    """Once before a date and once after it."""
    is_over = due_at < work.now
    stage = "overdue" if is_over else "soon"
    notify(
        work,
        cause=f"reviews:{call.id}:{person.id}:{due_at.isoformat()}:{stage}",
        event="reviews.reminded",
        emails=[person.email],
        ja=Message(
            f"審査の期限について（{call.title_ja}）",
            f"{person.name} 様\n\n審査が{count}件、未提出です。最も早い期限は{_ja(due_at)}"
            f"{'で、すでに過ぎています' if is_over else 'です'}。",
        ),
        en=Message(
            f"Reviews due ({call.title_en})",
            f"Dear {person.name},\n\n{count} of your reviews have not been submitted. The first "
            f"{'was' if is_over else 'is'} due by {_en(due_at)}.",
        ),
        link=Link(Place.REVIEWS),
        payload={"call_id": str(call.id), "count": count, "is_over": is_over},
        language=person.language,
    )


def ask_to_confirm(work: Work, call: Call, people: Iterable[Person], submission_id: uuid.UUID) -> None:
    """Once for each handing-in that outdated their reviews."""
    for person in people:
        notify(
            work,
            cause=f"reviews:outdated:{submission_id}:{person.id}",
            event="reviews.outdated",
            emails=[person.email],
            ja=Message(
                f"審査の確認のお願い（{call.title_ja}）",
                f"{person.name} 様\n\n審査済みの申請が新しい版で再提出されました。新しい版をご覧のうえ、審査結果を"
                f"確認または修正してください。それまで、この審査は集計に入りません。",
            ),
            en=Message(
                f"Please confirm a review ({call.title_en})",
                f"Dear {person.name},\n\na proposal that you reviewed was handed in again in a new version. Please "
                f"read it, and confirm or revise your review. Until then it does not count.",
            ),
            link=Link(Place.REVIEWS),
            payload={"call_id": str(call.id)},
            language=person.language,
        )


def tell_ruled_out(work: Work, call: Call, people: Iterable[Person], proposal_id: uuid.UUID) -> None:
    for person in people:
        notify(
            work,
            # It may be ruled in, assigned and ruled out again.
            cause=f"reviews:ruled_out:{proposal_id}:{person.id}:{work.now.isoformat()}",
            event="reviews.ruled_out",
            emails=[person.email],
            ja=Message(
                f"審査が1件不要になりました（{call.title_ja}）",
                f"{person.name} 様\n\nお願いしていた申請のうち1件が、審査の対象から外れました。残りの審査は次のページに"
                "あります。",
            ),
            en=Message(
                f"One review fewer ({call.title_en})",
                f"Dear {person.name},\n\none of the proposals that you were asked to review is not judged any more. "
                "The others are on your page.",
            ),
            link=Link(Place.REVIEWS),
            payload={"call_id": str(call.id)},
            language=person.language,
        )


def tell_shortage(work: Work, call: Call, receipts: Sequence[str]) -> None:
    operators = repository.people_with(work.session, call.id, Role.OPERATOR)
    listed = ", ".join(sorted(receipts))
    notify(
        work,
        cause=f"reviews:{call.id}:short:{work.now.isoformat()}",
        event="reviews.short",
        emails=[person.email for person in operators],
        ja=Message(
            f"審査員が不足しています（{call.title_ja}）",
            f"辞退または利益相反により、次の申請の審査員が不足しています。\n{listed}",
        ),
        en=Message(
            f"Reviewers are short ({call.title_en})",
            f"After a recusal or a conflict of interest these proposals lack reviewers:\n{listed}",
        ),
        link=Link(Place.REVIEWERS_OF_CALL, call_id=call.id),
        payload={"call_id": str(call.id), "count": len(receipts)},
    )


def _ja(at: datetime) -> str:
    local = at.astimezone(JST)
    return f"{local.year}年{local.month}月{local.day}日 {local:%H:%M}（日本時間）"


def _en(at: datetime) -> str:
    return f"{at.astimezone(JST):%Y-%m-%d %H:%M} JST"
