"""Run the fuzz test for some minutes, in a process for each core: ``nox -s fuzz -- --minutes 60``."""

import argparse
import os
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import scanpy as sc
from drawn import Call, calls
from fuzz_checks import check_call
from hypothesis import HealthCheck, given, seed, settings

# What Hypothesis draws before it begins anew, from another seed.
ROUND = 200


def work(worker: int, minutes: float, first_seed: int) -> tuple[int, int]:
    """Draw and check until the time is over; tell how many examples that were, and how many rounds found something."""
    # From when this process is ready.
    until = time.time() + 60 * minutes
    sc.settings.verbosity = 0
    n_examples = n_found = 0

    def check(call: Call) -> None:
        nonlocal n_examples
        n_examples += 1
        check_call(call)

    n_rounds = 0
    while time.time() < until:
        decorated = settings(
            deadline=None,
            max_examples=ROUND,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )(given(calls())(check))
        try:
            seed(first_seed + 1_000 * n_rounds + worker)(decorated)()
        except Exception as error:  # noqa: BLE001
            n_found += 1
            traceback.print_exception(error, limit=-4)
        print(f"process {worker}: {n_examples:,} examples", flush=True)
        n_rounds += 1
    return n_examples, n_found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first round")
    given_ = parser.parse_args()
    n_workers = os.cpu_count() or 1
    print(f"seed {given_.seed}")
    with ProcessPoolExecutor(n_workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(work, worker, given_.minutes, given_.seed) for worker in range(n_workers)]
        counts = [future.result() for future in futures]
    n_examples, n_found = (sum(of_each) for of_each in zip(*counts, strict=True))
    print(f"{n_examples:,} examples; {n_found} rounds of up to {ROUND} found something")
    return int(n_found > 0)


if __name__ == "__main__":
    sys.exit(main())
