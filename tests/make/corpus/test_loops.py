"""`make loops` reaches every loop, so that no corpus waits for the compiler."""

import subprocess
import sys

CODE = """
import gc, importlib, pkgutil
import kiban.make.corpus as corpus
from kiban.make.corpus import loops
from kiban.make.corpus.compiled import Compiled
loops.main()
for module in pkgutil.walk_packages(corpus.__path__, "kiban.make.corpus."):
    importlib.import_module(module.name)
for found in gc.get_objects():
    if isinstance(found, Compiled) and not ("compiled" in vars(found) and found.compiled.overloads):
        print(found.function.__module__, found.function.__name__)
"""
# Training a classifier is work of its own, and rare.
NOT_NEEDED = {"kiban.make.corpus.quality_model.features"}


def test_every_loop_is_compiled() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    missed = [line for line in done.stdout.splitlines() if line.split()[0] not in NOT_NEEDED]
    assert missed == []
