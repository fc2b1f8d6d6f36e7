"""What would have funded a proposal, in plain sentences: the solver's answer as its applicants read it."""

from __future__ import annotations

import re
from collections.abc import Callable

from kiban.office.awards.letters.document import Language
from kiban.office.awards.solver import Feedback

_BELOW = re.compile(r"its merit of ([0-9.]+) is below the call's least, ([0-9.e-]+)")


def excluded_why(reason: str, language: Language) -> str:
    """Why the call's own rules keep a proposal from being funded, whatever its competitors do."""
    if language == "en":
        return f"It could not be funded: {reason}."
    below = _BELOW.fullmatch(reason)
    if below:
        return f"評価 {below[1]} が、この公募の最低基準 {below[2]} に達しなかったため、採択の対象になりませんでした。"
    if reason == "no review of it counts":
        return "有効な審査結果がなかったため、採択の対象になりませんでした。"
    if reason == "none of its tiers fits the call's pools and months":
        return "申請された規模が、公募の計算資源と期間のいずれにも収まらないため、採択の対象になりませんでした。"
    return f"採択の対象になりませんでした（{reason}）。"


def sentences(answer: Feedback, language: Language, pool_name: Callable[[str], str]) -> list[str]:
    """One sentence per kind of change that would have funded it, and the margin that all of them are subject to."""
    said = _japanese(answer, pool_name) if language == "ja" else _english(answer, pool_name)
    if not said:
        return [
            "得点、規模、時期、予算のいずれか一つを変えるだけでは、採択に至りませんでした。"
            if language == "ja"
            else "No single change of score, size, time or budget would have been enough."
        ]
    if answer.gap:
        said.append(
            f"以上は、計算上の許容差{answer.gap:.1%}の範囲で成り立ちます。"
            if language == "ja"
            else f"These statements hold within the solver's tolerance of {answer.gap:.1%}."
        )
    return said


def _japanese(answer: Feedback, pool_name: Callable[[str], str]) -> list[str]:
    said = []
    if answer.score_enough is not None:
        least = f"（{answer.score_at_least:.2f}未満では不足）" if answer.score_at_least is not None else ""
        said.append(f"平均評価が {answer.score_enough:.2f} 以上（0〜1の尺度）であれば、採択されました{least}。")
    elif answer.score_at_least is not None:
        said.append(f"採択には、少なくとも {answer.score_at_least:.2f} の平均評価（0〜1の尺度）が必要でした。")
    if answer.request_percent is not None:
        said.append(f"申請規模を現在の {answer.request_percent}% に縮めていれば、同じ評価のまま採択されました。")
    if answer.elsewhere is not None:
        place = pool_name(answer.elsewhere.pool_id)
        said.append(f"{place}で{answer.elsewhere.start_month}に開始する申請であれば、採択されました。")
    if answer.extra_budget_yen:
        said.append(f"予算があと{answer.extra_budget_yen:,}円あれば、ほかの採択を変えずに採択されました。")
    elif answer.extra_budget_yen == 0:
        said.append("予算の残額には収まりましたが、計算上の許容差の範囲で別の組合せが選ばれました。")
    if answer.in_the_way:
        said.append(f"予算のほかに、次の制約がありました：{'、'.join(text.ja for text in answer.in_the_way)}。")
    return said


def _english(answer: Feedback, pool_name: Callable[[str], str]) -> list[str]:
    said = []
    if answer.score_enough is not None:
        least = f"; below {answer.score_at_least:.2f} was not enough" if answer.score_at_least is not None else ""
        said.append(f"A mean score of {answer.score_enough:.2f} (on a scale of 0 to 1) would have funded it{least}.")
    elif answer.score_at_least is not None:
        said.append(f"A mean score of at least {answer.score_at_least:.2f} (on a scale of 0 to 1) was needed.")
    if answer.request_percent is not None:
        said.append(f"A request cut to {answer.request_percent}% of its size would have been funded at the same score.")
    if answer.elsewhere is not None:
        place = pool_name(answer.elsewhere.pool_id)
        said.append(f"A request for {place} starting in {answer.elsewhere.start_month} would have been funded.")
    if answer.extra_budget_yen:
        said.append(f"With {answer.extra_budget_yen:,} yen more in the budget it would have been funded as well.")
    elif answer.extra_budget_yen == 0:
        said.append("It fitted what was left of the budget; another set was chosen within the solver's tolerance.")
    if answer.in_the_way:
        said.append(
            f"Apart from the budget these rules stood in the way: {', '.join(t.en for t in answer.in_the_way)}."
        )
    return said
