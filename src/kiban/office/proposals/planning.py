"""What a proposal's training takes, computed as one types: per tier and pool, by `kiban plan`.

Nothing here raises on a half-filled draft: what is missing is said, and what can be computed is. One answer is bounded
in time: sizes beyond any plausible request are refused before the search for a layout, and each answer holds at most
`MOST_ESTIMATES` different estimates. Estimates are pure functions of their inputs and kept by them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from kiban.kit.errors import BadInput
from kiban.office.proposals.outputs import Band, Gap, PlanAnswer, PoolNeed, Remark, TierNeed
from kiban.office.proposals.schemas import ProposalBody, TrainingPlan
from kiban.plan.estimate import estimate
from kiban.plan.hardware.accelerators import find_accelerator
from kiban.plan.model import counts
from kiban.plan.model.families import shape_from_config
from kiban.plan.model.shape import ModelShape
from kiban.plan.planfile import PlanFile

# Far above anything published, and low enough that the slowest estimate takes seconds.
MOST_GPUS: Final = 65_536
MOST_LAYERS: Final = 512
MOST_EXPERTS: Final = 1_024
MOST_PARAMETERS: Final = 20 * 10**12
MOST_SEQ_LEN: Final = 2**21
MOST_ESTIMATES: Final = 12
# Training in bf16 with everything sharded keeps at least weights and gradients, 2 bytes each, of every parameter.
LEAST_BYTES_PER_PARAMETER: Final = 4
NOWHERE = Path("/nonexistent")  # a proposal's plan names no files


@dataclass(frozen=True)
class OfferedPool:
    """A pool of the call, as far as plans and requests depend on it."""

    pool_id: uuid.UUID
    name: str
    accelerator: str
    price_yen_per_gpu_hour: int
    gpus: int  # that the call may award


@dataclass(frozen=True)
class Estimate:
    """What one run takes on one kind of accelerator; `reason_*` says why it cannot run, the rest is empty then."""

    gpu_hours: Band | None = None
    days: Band | None = None
    layout: str = ""
    reason_ja: str = ""
    reason_en: str = ""
    remarks: tuple[Remark, ...] = ()


def plan_of(body: ProposalBody, pools: Mapping[uuid.UUID, OfferedPool]) -> PlanAnswer:
    """Needs per tier and pool, with the plan's own remarks; `remarks.remarks_of` adds those about the request.

    Args:
        pools: those that the call offers, by id.
    """
    training = body.training
    missing = list(_missing(body))
    shape = _shape(training, missing)
    parameters = counts.count_parameters(shape).total if shape else None
    if shape is not None:
        missing += _beyond(shape, parameters or 0, training)
    if shape is None or missing or training.tokens is None:
        return PlanAnswer(parameters=parameters, tokens=training.tokens, missing=tuple(missing))
    known: dict[tuple[str, int], Estimate] = {}
    remarks: dict[tuple[str, str], Remark] = {}
    tiers = []
    for tier in body.tiers:
        needs = []
        for pool in (pools[pool_id] for pool_id in dict.fromkeys(tier.pool_ids) if pool_id in pools):
            key = (pool.accelerator, tier.gpus)
            if key not in known:
                if len(known) >= MOST_ESTIMATES:
                    continue
                known[key] = _estimate(shape, training, parameters or 0, pool.accelerator, tier.gpus)
            found = known[key]
            needs.append(_need(pool, found))
            for remark in found.remarks:
                here = remark.model_copy(update={"path": f"tiers.{tier.key}"})
                remarks.setdefault((here.code, here.path), here)
        tiers.append(TierNeed(key=tier.key, requested_gpu_hours=tier.gpu_hours, pools=tuple(needs)))
    return PlanAnswer(
        parameters=parameters, tokens=training.tokens, tiers=tuple(tiers), remarks=tuple(remarks.values())
    )


def _missing(body: ProposalBody) -> list[Gap]:
    found = []
    if not body.training.model:
        found.append(Gap(path="training.model", ja="モデルの形状がない", en="the shape of the model is missing"))
    if body.training.tokens is None:
        found.append(Gap(path="training.tokens", ja="学習トークン数がない", en="the number of tokens is missing"))
    if not body.tiers:
        found.append(Gap(path="tiers", ja="希望する規模がない", en="no tier is requested"))
    return found


def missing_sizes(training: TrainingPlan) -> list[str]:
    """Sizes that the shape needs and does not give, where it is given by its sizes."""
    shape = training.model.get("shape") if training.model else None
    if not isinstance(shape, dict) or "config" in training.model:
        return []
    needed = [name for name, field in ModelShape.model_fields.items() if field.is_required()]
    # Experts bring their own.
    needed += [] if shape.get("num_experts") else ["intermediate_size"]
    return [name for name in needed if shape.get(name) is None]


def _shape(training: TrainingPlan, missing: list[Gap]) -> ModelShape | None:
    """The model's sizes, given as a shape or as the contents of a transformers config.json."""
    model = training.model
    if not model:
        return None
    if set(model) not in ({"shape"}, {"config"}) or not isinstance(next(iter(model.values())), dict):
        missing.append(
            Gap(
                path="training.model",
                ja="`shape`（各寸法）または`config`（config.jsonの内容）のどちらか一方を書く",
                en="give either `shape` (sizes) or `config` (what config.json holds)",
            )
        )
        return None
    if needed := missing_sizes(training):
        for name in needed:
            missing.append(Gap(path=f"training.model.shape.{name}", ja="記入されていない", en="it is missing"))
        return None
    try:
        if "config" in model:
            return shape_from_config(model["config"], "training.model.config")
        return ModelShape.model_validate_json(json.dumps(model["shape"]))
    except ValidationError as error:
        for each in error.errors(include_url=False)[:10]:
            where = ".".join(str(part) for part in ("training.model.shape", *each["loc"]))
            said = each["msg"].removeprefix("Value error, ")  # of a validator of ours
            missing.append(Gap(path=where, ja=f"値が正しくない（{said}）", en=said))
    except BadInput as error:
        missing.append(Gap(path="training.model.config", ja=f"読めない（{error}）", en=str(error)))
    return None


def _beyond(shape: ModelShape, parameters: int, training: TrainingPlan) -> list[Gap]:
    limits = (
        ("num_hidden_layers", shape.num_hidden_layers, MOST_LAYERS),
        ("num_experts", shape.num_experts, MOST_EXPERTS),
        ("parameters", parameters, MOST_PARAMETERS),
        ("seq_len_tokens", training.seq_len_tokens, MOST_SEQ_LEN),
    )
    return [
        Gap(
            path="training.seq_len_tokens" if name == "seq_len_tokens" else "training.model",
            ja=f"{name}が{value:,}で、見積もれる上限{most:,}を超える。単位を確かめてほしい",
            en=f"{name} of {value:,} is beyond the {most:,} that can be estimated; check the units",
        )
        for name, value, most in limits
        if value > most
    ]


def _need(pool: OfferedPool, found: Estimate) -> PoolNeed:
    hours = found.gpu_hours
    return PoolNeed(
        pool_id=pool.pool_id,
        accelerator=pool.accelerator,
        is_feasible=hours is not None,
        gpu_hours=hours,
        days=found.days,
        yen=round(hours.value * pool.price_yen_per_gpu_hour) if hours else None,
        layout=found.layout,
        reason_ja=found.reason_ja,
        reason_en=found.reason_en,
    )


def _estimate(shape: ModelShape, training: TrainingPlan, parameters: int, gpu: str, gpus: int) -> Estimate:
    if gpus > MOST_GPUS:
        return _impossible(f"GPU数が{MOST_GPUS:,}を超える", f"more than {MOST_GPUS:,} GPUs")
    adaptation = training.adaptation
    if adaptation is None:  # adapters need less, and the search itself decides
        try:
            memory = find_accelerator(gpu).memory_bytes
        except BadInput as error:
            return _impossible(f"機種が分からない（{error.message}）", str(error))
        least = -(-parameters * LEAST_BYTES_PER_PARAMETER // memory)
        if least > gpus:
            return _impossible(
                f"{parameters:,}パラメータの重みと勾配だけで{least:,}基の{gpu}が要る（申請は{gpus:,}基）",
                f"weights and gradients of {parameters:,} parameters alone fill {least:,} x {gpu}, and {gpus:,} are "
                "asked for",
            )
    plan: dict[str, Any] = {
        "name": "proposal",
        "model": {"shape": shape.model_dump(mode="json")},
        "training": {
            "tokens": training.tokens,
            "seq_len_tokens": training.seq_len_tokens,
            "precision": training.precision,
        },
        "adaptation": adaptation,
        # A price of its own, so that nothing is said about published ones: what counts is the pool's.
        "cluster": {"gpu": gpu, "gpus": gpus, "price_yen_per_gpu_hour": 1.0},
    }
    return _cached_estimate(json.dumps(plan, sort_keys=True))


def _impossible(ja: str, en: str) -> Estimate:
    return Estimate(reason_ja=ja, reason_en=en)


@lru_cache(maxsize=4096)
def _cached_estimate(plan_json: str) -> Estimate:
    try:
        plan = PlanFile.model_validate_json(plan_json)
        found = estimate(plan, NOWHERE, keep=1, explain=False)
        hours, duration = found.gpu_hours, found.duration_seconds
        remarks = tuple(Remark.model_validate({**asdict(each), "path": "tiers"}) for each in found.warnings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return _impossible(f"計画として読めない（{where}: {first['msg']}）", f"{where}: {first['msg']}")
    except BadInput as error:
        return _impossible(f"この計画は成り立たない（{error}）", str(error))
    except (ArithmeticError, ValueError) as error:
        # Sizes that fit together on paper can still leave the range of the plan's arithmetic.
        return _impossible("この寸法では見積もれない", f"these sizes cannot be estimated ({type(error).__name__})")
    return Estimate(
        gpu_hours=_band(hours.value, hours.low, hours.high, 1.0),
        days=_band(duration.value, duration.low, duration.high, 86400.0),
        layout=found.best.layout.describe(),
        remarks=remarks,
    )


def _band(value: float, low: float | None, high: float | None, unit: float) -> Band:
    return Band(
        value=value / unit, low=(value if low is None else low) / unit, high=(value if high is None else high) / unit
    )
