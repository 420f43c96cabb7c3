"""Print by how many megabytes one call of a tool raises the memory of its process, results included."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import anndata as ad
import psutil
from tools import TOOLS

if TYPE_CHECKING:
    from collections.abc import Callable


def measure_growth(call: Callable[[], None]) -> int:
    """Give by how many bytes a call raises the resident memory of this process at most, sampled every 2 ms."""
    process = psutil.Process()
    before = peak = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    call()
    done.set()
    watcher.join()
    return peak - before


def main(path: str, tool: str, method: str, reference: str, n_threads: str) -> None:
    """Load, and call."""
    adata = ad.read_h5ad(path)
    TOOLS[tool](adata[:, :20].copy(), method, reference, int(n_threads))
    print(measure_growth(lambda: TOOLS[tool](adata, method, reference, int(n_threads))) / 1e6)


if __name__ == "__main__":
    main(*sys.argv[1:])
