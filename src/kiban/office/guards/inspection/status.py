"""How the inspecting process ends when it cannot answer."""

from __future__ import annotations

BROKEN = 70
OUT_OF_MEMORY = 71
