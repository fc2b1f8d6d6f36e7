"""What an applicant, a reviewer and a panel should see beside a plan: oddly sized parts, with the figure and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kiban.kit.figures import short_count

if TYPE_CHECKING:
    from kiban.plan.estimate import TrainingEstimate

# Hoffmann et al. (2022): about 20 tokens per parameter use a training budget best.
FEW_TOKENS_PER_PARAMETER = 5.0
# Qwen3-0.6B saw about 36 T tokens, 60,000 per parameter: more than this has no published precedent.
MANY_TOKENS_PER_PARAMETER = 100_000.0
LOW_MFU = 0.15
FULL_MEMORY = 0.92
LONG_DAYS = 180.0
LARGE_BATCH_TOKENS = 200e6
FEW_STEPS = 1_000
ROUNDED_BATCH = 0.1


@dataclass(frozen=True)
class PlanWarning:
    """One remark: `level` is 'refuse' where a stated budget or limit is exceeded, else 'check'."""

    code: str
    level: str
    figure: float
    ja: str
    en: str


def find_warnings(estimate: TrainingEstimate) -> list[PlanWarning]:
    """Remarks on an estimate, those that exceed a stated limit first."""
    return [*_limits(estimate), *_sizes(estimate), *_fits(estimate)]


def _limits(estimate: TrainingEstimate) -> list[PlanWarning]:
    budget = estimate.plan.budget
    found = []
    checks = (
        ("budget_yen", budget.yen, estimate.yen, "費用", "円", "a cost of {} yen"),
        ("budget_gpu_hours", budget.gpu_hours, estimate.gpu_hours, "GPU時間", "GPU時間", "{} GPU-hours"),
    )
    for code, limit, predicted, name, unit, amount in checks:
        if limit is None or predicted.high is None or predicted.high <= limit:
            continue
        over = predicted.value > limit
        ja = f"{name}の見積り{short_count(predicted.value, 'ja')}{unit}は予算{short_count(limit, 'ja')}{unit}を"
        en = f"a budget of {short_count(limit, 'en')} does not cover "
        if over:
            ja += "超える"
            en += f"the predicted {amount.format(short_count(predicted.value, 'en')).removeprefix('a ')}"
        else:
            ja += f"下回るが、80%区間の上端{short_count(predicted.high, 'ja')}{unit}は超える"
            en += f"the upper end of the 80% band, {amount.format(short_count(predicted.high, 'en'))}"
        found.append(PlanWarning(code, "refuse" if over else "check", predicted.value, ja, en))
    duration = estimate.duration_seconds
    if budget.duration is not None and duration.high is not None and duration.high > budget.duration:
        over = duration.value > budget.duration
        takes, limit = (duration.value if over else duration.high) / 86400, budget.duration / 86400
        ja = f"{'所要期間' if over else '所要期間の80%区間の上端'}{takes:,.3g}日は期限{limit:,.3g}日を超える"
        en = f"{'it takes' if over else 'it may take'} {takes:,.3g} days, longer than the {limit:,.3g} there are"
        found.append(PlanWarning("deadline", "refuse" if over else "check", duration.value, ja, en))
    feed = estimate.plan.site.feed
    peak = estimate.footprint.energy.peak_site_power_w
    if feed is not None and peak > feed:
        ja = f"最大電力{peak / 1e6:.2f} MWは受電容量{feed / 1e6:.2f} MWを超える"
        en = f"the site would draw {peak / 1e6:.2f} MW at its peak, more than its feed of {feed / 1e6:.2f} MW"
        found.append(PlanWarning("feed", "refuse", peak, ja, en))
    return found


def _sizes(estimate: TrainingEstimate) -> list[PlanWarning]:
    found = []
    ratio = estimate.tokens / estimate.parameters.active
    if ratio < FEW_TOKENS_PER_PARAMETER and estimate.plan.adaptation is None:
        ja = f"1パラメータあたり{ratio:.2g}トークンは少ない。計算量に対して最適なのは約20 (Hoffmann et al., 2022)"
        en = f"{ratio:.2g} tokens per active parameter are few: about 20 use compute best (Hoffmann et al., 2022)"
        found.append(PlanWarning("few_tokens", "check", ratio, ja, en))
    if ratio > MANY_TOKENS_PER_PARAMETER:
        ja = f"1パラメータあたり{ratio:,.0f}トークンは公表例がない多さである。単位を確かめてほしい"
        en = f"{ratio:,.0f} tokens per active parameter have no published precedent; check the units"
        found.append(PlanWarning("many_tokens", "check", ratio, ja, en))
    if estimate.batch_tokens > LARGE_BATCH_TOKENS:
        ja = f"1ステップ{short_count(estimate.batch_tokens, 'ja')}トークンは公表例のどれよりも大きい"
        en = f"a batch of {short_count(estimate.batch_tokens, 'en')} tokens is larger than any published one"
        found.append(PlanWarning("large_batch", "check", estimate.batch_tokens, ja, en))
    asked = estimate.batch_asked
    if abs(estimate.best.sequences / asked - 1) > ROUNDED_BATCH:
        ja = f"1ステップ{estimate.best.sequences:,}系列は、計算量から決めた{asked:,}系列から離れている"
        en = f"{estimate.best.sequences:,} sequences per step are far from the {asked:,} that suit the compute"
        found.append(PlanWarning("rounded_batch", "check", estimate.best.sequences, ja, en))
    if estimate.steps < FEW_STEPS:
        ja = f"{estimate.steps:,}ステップでは学習が落ち着かない。バッチを小さくするか、トークンを増やす"
        en = f"{estimate.steps:,} optimizer steps are too few to settle; take a smaller batch or more tokens"
        found.append(PlanWarning("few_steps", "check", estimate.steps, ja, en))
    days = estimate.duration_seconds.value / 86400
    if days > LONG_DAYS:
        ja = f"所要期間は{days:,.0f}日に及ぶ。GPUを増やすか、規模を見直す"
        en = f"it takes {days:,.0f} days; take more GPUs or a smaller run"
        found.append(PlanWarning("long", "check", days, ja, en))
    return found


def _fits(estimate: TrainingEstimate) -> list[PlanWarning]:
    found = []
    mfu = estimate.mfu["with_causal_attention"]
    if mfu < LOW_MFU:
        ja = f"MFUが{mfu:.0%}と低い。この規模にGPUが多すぎるか、通信が細い"
        en = f"a model FLOP utilisation of {mfu:.0%} is low: too many GPUs for this model, or too thin a network"
        found.append(PlanWarning("low_mfu", "check", mfu, ja, en))
    share = estimate.best.memory_bytes / estimate.cluster.accelerator.memory_bytes
    if share > FULL_MEMORY:
        ja = f"メモリの{share:.0%}を使う。余裕が少なく、実際には再計算や分割を増やす必要があるかもしれない"
        en = f"{share:.0%} of the memory is used: little room, so more recomputation or sharding may be needed"
        found.append(PlanWarning("tight_memory", "check", share, ja, en))
    if estimate.cluster.price.estimated:
        yen = estimate.cluster.price.yen_per_gpu_hour
        ja = f"このGPUの公表価格がなく、1 GPU時間{yen:,.0f}円は近い機種からの推定である"
        en = f"nobody publishes a price of this GPU; {yen:,.0f} yen per GPU-hour is inferred from similar ones"
        found.append(PlanWarning("estimated_price", "check", yen, ja, en))
    accelerator = estimate.cluster.accelerator
    if not estimate.fitted.has_seen(accelerator, estimate.work.precision):
        _, high = estimate.fitted.band_of(accelerator, estimate.work.precision)
        ja = "この機種と精度で学習した公表例がなく、誤差の幅は機種を除いた検証による"
        en = "no published run on this hardware at this precision; the band is that of hardware left out of the fit"
        if accelerator.kind == "cpu":
            ja = "CPUで学習した公表例がなく、効率は仮定である。何倍も長くかかることがある"
            en = "no published run on a CPU: its efficiency is assumed, and it may take several times as long"
        found.append(PlanWarning("unseen_hardware", "check", high, ja, en))
    return found
