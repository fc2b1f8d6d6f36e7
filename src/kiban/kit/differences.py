"""How two JSON values differ, leaf by leaf."""

from __future__ import annotations

from typing import Any


def differences(old: Any, new: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Leaves that differ between two JSON values, as (dotted key, old, new); None stands for absent."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        return [
            found
            for key in keys
            for found in differences(old.get(key), new.get(key), f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            found
            for index, (left, right) in enumerate(zip(old, new, strict=True))
            for found in differences(left, right, f"{prefix}.{index}")
        ]
    return [] if old == new else [(prefix, old, new)]
