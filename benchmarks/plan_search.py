"""The exhaustive layout search for a 671 B mixture-of-experts model on 2,048 H100: seconds and memory, on one core.

The peer is the same arithmetic asked for one layout at a time, as planners that loop over candidates do; it is timed
on a sample of the layouts and scaled to all of them. The bars are absolute, because somebody waits for the answer:
at least 100,000 layouts in under 5 s and 500 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import statistics
import sys
import time
from collections import Counter
from typing import Any

from kiban.plan.evidence.efficiencies import efficiencies, machine_for
from kiban.plan.evidence.runs import read_runs
from kiban.plan.hardware.accelerators import find_accelerator
from kiban.plan.training.layout import Batch, LayoutTable, enumerate_layouts
from kiban.plan.training.memory import predict_memory
from kiban.plan.training.search import search_layouts
from kiban.plan.training.step import predict_step
from kiban.plan.training.workload import Workload

GPUS, BATCH = 2048, Batch(15360, exact=True)
BAR_SECONDS, BAR_BYTES, BAR_LAYOUTS = 5.0, 500e6, 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 rounds in place of 7")
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    shape = next(run.work.shape for run in read_runs() if run.name == "DeepSeek-V3")
    work = Workload(shape, 4096, "bf16")
    machine = machine_for(find_accelerator("H100"), "bf16", efficiencies())
    taken, examined = [], 0
    for _ in range(3 if options.quick else 7):
        started = time.perf_counter()
        found = search_layouts(work, machine, GPUS, BATCH)
        taken.append(time.perf_counter() - started)
        examined = found.examined
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    one_by_one = each_alone(work, machine) * examined
    seconds = statistics.median(taken)
    result: dict[str, Any] = {
        "name": "layout search, 671 B MoE on 2,048 GPUs, seconds",
        "ours": round(seconds, 3),
        "peer": round(one_by_one, 1),
        "ratio": round(one_by_one / seconds, 1),
        "bar": {"seconds": BAR_SECONDS, "bytes": BAR_BYTES, "layouts": BAR_LAYOUTS},
        "ok": seconds < BAR_SECONDS and peak_bytes < BAR_BYTES and examined >= BAR_LAYOUTS,
        "layouts": examined,
        "peak_bytes": peak_bytes,
        "n": len(taken),
        "machine": platform.processor() or platform.machine(),
    }
    if not options.json:
        print(f"{examined:,} layouts in {seconds:.2f} s, {peak_bytes / 1e6:.0f} MB", file=sys.stderr)
    print(json.dumps(result))
    sys.exit(0 if result["ok"] else 1)


def each_alone(work: Workload, machine: Any, sample: int = 300) -> float:
    """Seconds per layout where each is predicted alone."""
    tables = enumerate_layouts(work.shape, machine.accelerator, GPUS, work.seq_len_tokens, BATCH, {}, Counter())
    layouts = [table[at] for table in tables for at in range(0, len(table), 101)]
    chosen = random.Random(0).sample(layouts, min(sample, len(layouts)))
    started = time.perf_counter()
    for layout in chosen:
        table = LayoutTable.of(layout)
        if predict_memory(work, table).total[0] < 80e9:
            predict_step(work, machine, table)
    return (time.perf_counter() - started) / len(chosen)


if __name__ == "__main__":
    main()
