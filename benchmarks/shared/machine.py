"""What a benchmark says of the machine it ran on."""

from __future__ import annotations

import importlib
import os
import platform
from typing import Any


def machine(*packages: str) -> dict[str, Any]:
    """Processor, cores this process may use, Python, versions of `packages`, and how busy the machine was."""
    from kiban.kit.manifest import processor_name

    return {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{package: importlib.import_module(package).__version__ for package in packages},
        "load_1_min": round(os.getloadavg()[0], 2),
    }
