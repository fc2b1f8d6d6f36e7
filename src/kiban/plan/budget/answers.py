"""What a budget buys and what a service needs, as text."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kiban.kit.units import format_bytes, format_count
from kiban.plan.text.summary import summary_text

if TYPE_CHECKING:
    from kiban.plan.budget.backwards import BestPlan
    from kiban.plan.serving.load import ServingEstimate


def best_text(best: BestPlan) -> str:
    """The answer first, then what speaks for it, then the whole estimate."""
    tokens, marginal, loss = best.tokens, best.marginal, best.loss
    assert tokens.low is not None
    assert tokens.high is not None
    lines = [
        "What the budget buys",
        f"  model       {format_count(best.parameters)} parameters"
        + (" active per token" if best.family == "moe" else "")
        + (" (given)" if best.fixed == "parameters" else ""),
        f"  tokens      {_short(tokens.value)} ({_short(tokens.low)} – {_short(tokens.high)}), "
        f"{best.estimate.tokens / best.parameters:,.3g} per parameter" + (" (given)" if best.fixed == "tokens" else ""),
        f"  bound by    {best.limit.why}",
        f"  law         {best.law.name}: {best.law.source}",
    ]
    if loss is not None:
        assert loss.low is not None
        assert loss.high is not None
        lines.append(f"  loss        {loss.value:.3f} ({loss.low:.3f} – {loss.high:.3f}) {loss.unit}")
    more = f"{_short(marginal.parameters)} parameters, {_short(marginal.tokens)} tokens"
    change = "" if marginal.loss is None else f", loss {marginal.loss:+.4f}"
    lines.append(f"  10% more    {_short(marginal.gpu_hours)} GPU-hours: {more}{change}")
    for name, other in best.others.items():
        lines.append(f"  {name:<17} would take {_short(other.parameters)} parameters, {_short(other.tokens)} tokens")
    lines += [f"  ! {caveat}" for caveat in best.caveats]
    return "\n".join(lines) + "\n\n" + summary_text(best.estimate)


def _short(value: float) -> str:
    return format_count(float(f"{value:.3g}"))


def plan_yaml(content: Mapping[str, Any]) -> str:
    """A plan file's text."""
    from ruamel.yaml import YAML

    yaml, text = YAML(), io.StringIO()
    yaml.dump(dict(content), text)
    return text.getvalue()


def serving_text(found: ServingEstimate) -> str:
    """GPUs and cost first, then latencies and what limits them."""
    report, load = found.json(), found.load
    gpus, capacity = report["gpus"], report["at_capacity"]["requests_per_second"]
    memory = report["memory_per_gpu_bytes"]

    def spread(figure: Mapping[str, Any], say: Callable[[float], str]) -> str:
        return f"{say(figure['value'])} ({say(figure['low'])} – {say(figure['high'])})"

    def yen(value: float) -> str:
        return f"¥{value:,.0f}" if value >= 100 else f"¥{value:.3g}"

    lines = [
        found.plan.name,
        f"  load        {load.requests_per_second:g} requests/s of {load.prompt_tokens:,} tokens in and "
        f"{load.output_tokens:,} out",
        f"  needs       {spread(gpus, lambda n: f'{n:,.0f}')} x {report['gpu']}: {report['replicas']:,} x "
        f"{report['layout']['text']}",
        f"  capacity    {spread(capacity, lambda n: f'{n:.3g}')} requests/s, limited by {report['limited_by']}",
        f"  cost        {spread(report['yen_per_hour'], yen)} per hour",
        f"              {spread(report['yen_per_million_tokens'], yen)} per million tokens, prompts included",
        f"              {spread(report['yen_per_million_output_tokens'], yen)} per million output tokens",
        f"  energy      {spread(report['kwh_per_million_tokens'], lambda n: f'{n:.3g}')} kWh per million tokens",
        f"  first token {spread(report['ttft_seconds'], lambda s: f'{s:.2f}')} s for 95% of requests "
        f"(asked: {load.ttft:g} s)",
        f"  each token  {spread(report['tpot_seconds'], lambda s: f'{s * 1000:.0f}')} ms "
        f"(asked: {load.tpot * 1000:g} ms)",
        f"  memory      {format_bytes(memory['weights'])} weights and {format_bytes(memory['kv_cache'])} for the cache "
        f"per GPU; {format_bytes(memory['kv_cache_per_sequence'])} per sequence",
        f"  not counted {'; '.join(report['not_counted'])}",
    ]
    if report["alternatives"]:
        lines.append("Other spreads")
    for each in report["alternatives"]:
        lines.append(f"  {each['gpus']:>5,} GPUs  {each['layout']}: limited by {each['limited_by']}")
    return "\n".join(lines)
