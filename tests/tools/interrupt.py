"""Interrupt calls at random times: ``nox -s interrupt -- --runs 200``."""

import _thread
import argparse
import os
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scanpy as sc
from routes import KEY, ROUTES, Route, assert_all_or_nothing, assert_nothing_left, clear, light, same_result
from stored import without_slack


def interrupted(route: Route, delay: float) -> bool:
    """Call, and send Ctrl-C to the main thread after so many seconds; tell whether it came in time."""
    lock, begun, over = threading.Lock(), False, False

    def interrupt() -> None:
        with lock:
            if not over:
                _thread.interrupt_main()

    timer = threading.Timer(delay, interrupt)
    try:
        timer.start()
        begun = True
        route.rank()
        with lock:
            over = True
        # One that was sent a moment ago is still to come.
        time.sleep(0.01)
    except KeyboardInterrupt:
        return begun
    finally:
        timer.cancel()
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="calls that are interrupted")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    sc.settings.verbosity = 0
    # What Ctrl-C keeps from being closed is closed when it is collected.
    warnings.simplefilter("ignore", ResourceWarning)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        scratch = Path(folder, "scratch")
        scratch.mkdir()
        patch.setattr(tempfile, "tempdir", str(scratch))
        without_slack(patch)
        for name, make in ROUTES.items():
            route = make(Path(folder))
            route.rank()
            clear(route.adata)
            start = time.perf_counter()
            route.rank()
            taken = time.perf_counter() - start
            whole = light(route.adata)
            wanted = (given.runs + len(ROUTES) - 1) // len(ROUTES)
            while counts[name] < wanted:
                clear(route.adata)
                if not interrupted(route, rng.uniform(0, taken)):
                    continue
                counts[name] += 1
                assert_all_or_nothing(route.adata, whole)
                counts["whole results"] += route.adata.uns.get(KEY, "as before") != "as before"
                assert_nothing_left(scratch, patience=30)
                clear(route.adata)
                route.rank()
                same_result(route.adata, whole)
            print(f"{name}: {counts[name]} calls of {taken:.3f} s interrupted", flush=True)
    n_runs = sum(counts[name] for name in ROUTES)
    print(
        f"{n_runs} calls interrupted on {os.cpu_count()} cores; {counts['whole results']} had stored the whole result"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
