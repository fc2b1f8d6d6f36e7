from __future__ import annotations

import subprocess
import sys


def test_the_settings_load_nothing_heavy() -> None:
    code = "import sys, kiban.make.corpus.{}.config; print(sorted({{'numba', 'numpy', 'scipy'}} & set(sys.modules)))"
    for package in ("repair", "quality_model"):
        done = subprocess.run([sys.executable, "-c", code.format(package)], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]", package
