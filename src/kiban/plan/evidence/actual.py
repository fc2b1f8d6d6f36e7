"""Predicted against metered, for a model that `kiban make` trained."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from kiban.kit.errors import BadInput
from kiban.kit.figures import look_up
from kiban.kit.manifest import processor_name
from kiban.kit.store import Artifact, Store
from kiban.kit.units import format_bytes, format_count, format_energy, format_seconds
from kiban.plan.hardware.this_machine import read_this_machine
from kiban.plan.model.families import read_config
from kiban.plan.text.tables import columns

NOT_MEASURED = "not measured"


def find_model(store: Store, reference: str) -> Artifact:
    """The trained model that a recipe's name, an artifact's name, digest or folder leads to.

    Raises:
        BadInput: nothing answers to it, or it is no model that was trained here.
    """
    named = store.names().get(f"{reference}/model")
    found = (store.get(named) if named else None) or store.find(reference)
    if found.manifest.stage == "model":
        return found
    role = found.manifest.inputs.get("model")
    model = store.get(role.digest) if role else None
    if model is None:
        raise BadInput(f"{found.manifest.name} is a {found.kind}, and only models are trained", where=reference)
    return model


def compare(model: Artifact, kept: Mapping[str, Any] | None) -> dict[str, Any]:
    """The JSON object of `kiban plan actual`: each figure as predicted and as metered, and the error.

    Args:
        kept: what was predicted before; None where nothing was, and then it is predicted now.

    Raises:
        BadInput: the manifest lacks what a prediction needs, or the model was made on another machine and no
            prediction was kept.
    """
    stats, used = model.manifest.stats, model.manifest.resources
    estimate = kept["estimate"] if kept else _predict_now(model)
    on_gpu = stats.get("device") == "cuda"
    energy = f"{used.energy_source}: {used.energy_method}" if used.energy_j is not None else NOT_MEASURED
    whole = "of the whole stage, reading and writing included"
    memory = stats.get("peak_gpu_memory_bytes") if on_gpu else used.peak_memory_bytes
    rows = [
        _compared("tokens_per_s", "tokens/s", estimate["tokens_per_s_per_gpu"], stats.get("tokens_per_s"),
                  "median over the steps"),
        _compared("seconds", "s", estimate["duration_seconds"], stats.get("training_s"), "of the optimizer steps"),
        _compared("kwh", "kWh", estimate["kwh"], None if used.energy_j is None else used.energy_j / 3.6e6,
                  f"{energy}; {whole}"),
        _compared("peak_memory_bytes", "bytes", estimate["memory_per_gpu_bytes"], memory,
                  "of the GPU" if on_gpu else f"resident, {whole}"),
        _compared("mfu", "share", _as_metered(estimate["mfu"]), stats.get("mfu"),
                  f"attention over all pairs; against {stats.get('peak_source', 'an unknown peak')}"),
    ]  # fmt: skip
    return {
        "model": model.manifest.name,
        "digest": model.digest,
        "made": model.manifest.finished,
        "predicted": "before it was made" if kept else "now, with what was measured of this machine since",
        "machine": estimate["cluster"]["gpu"],
        "tokens": {"predicted": estimate["tokens"]["value"], "metered": stats.get("tokens_trained")},
        "figures": rows,
    }


def _as_metered(mfu: Mapping[str, Any]) -> dict[str, Any]:
    """Predicted utilisation, counted as training counts it: attention over all pairs of tokens."""
    scale = mfu["by_convention"]["with_attention"] / mfu["value"]
    return {**mfu, **{name: mfu[name] * scale for name in ("value", "low", "high") if name in mfu}}


def _compared(name: str, unit: str, predicted: Mapping[str, Any], metered: float | None, how: str) -> dict[str, Any]:
    value, low, high = predicted["value"], predicted.get("low"), predicted.get("high")
    known = metered is not None and metered > 0
    return {
        "figure": name,
        "unit": unit,
        "predicted": value,
        "low": low,
        "high": high,
        "metered": metered,
        "error": value / metered - 1 if known and metered else None,
        "within_band": low <= metered <= high if known and low is not None and high is not None else None,
        "how": how if known else NOT_MEASURED,
        "sources": list(predicted["sources"]),
    }


def _predict_now(model: Artifact) -> dict[str, Any]:
    from kiban.plan.training.local import LocalRun, predict_local

    manifest = model.manifest
    stats, config = manifest.stats, manifest.config
    try:
        run = LocalRun(
            shape=read_config(model.path),
            tokens=stats["tokens_trained"],
            seq_len_tokens=config["seq_len_tokens"],
            micro_batch_sequences=config["micro_batch_sequences"],
            sequences_per_step=config["micro_batch_sequences"] * config["gradient_accumulation_steps"],
            precision=stats["precision"],
            trainable=stats["parameters"]["trained"] / stats["parameters"]["total"],
        )
        device = stats["device"]
    except KeyError as missing:
        raise BadInput(f"its manifest does not say {missing.args[0]}", where=manifest.name) from None
    here = read_this_machine(device)
    made_on = look_up(manifest.environment, "processor")
    if made_on != processor_name():
        raise BadInput(
            f"no prediction was kept, and it was made on {made_on}, not on this machine ({processor_name()})",
            where=manifest.name,
            hint="run this where it was made",
        )
    return predict_local(run, here, manifest.name.split("/")[0]).json()


def comparison_text(compared: Mapping[str, Any]) -> str:
    """The object of `compare` as a table."""
    made = dt.datetime.fromisoformat(compared["made"]).astimezone().strftime("%Y-%m-%d %H:%M")
    table = [("", "PREDICTED", "80% BAND", "METERED", "ERROR", "")]
    for row in compared["figures"]:
        say = _SAY[row["figure"]]
        span = "" if row["low"] is None else f"{say(row['low'])} – {say(row['high'])}"
        metered = NOT_MEASURED if row["metered"] is None else say(row["metered"])
        error = "" if row["error"] is None else f"{row['error']:+.0%}"
        beyond = "outside the band; " if row["within_band"] is False else ""
        how = "" if row["how"] == NOT_MEASURED else f"{beyond}{row['how']}"
        table.append((_LABELS[row["figure"]], say(row["predicted"]), span, metered, error, how))
    head = f"{compared['model']} {compared['digest'][:12]}, made {made} on {compared['machine']}"
    return f"{head}\npredicted {compared['predicted']}\n\n{columns(table, ' rrrr')}"


_LABELS = {
    "tokens_per_s": "tokens/s",
    "seconds": "training",
    "kwh": "energy",
    "peak_memory_bytes": "peak memory",
    "mfu": "MFU",
}
_SAY: Mapping[str, Any] = {
    "tokens_per_s": lambda value: format_count(round(value)),
    "seconds": format_seconds,
    "kwh": lambda value: format_energy(value * 3.6e6),
    "peak_memory_bytes": format_bytes,
    "mfu": lambda value: f"{value:.1%}",
}
