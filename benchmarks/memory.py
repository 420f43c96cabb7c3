"""Print by how many megabytes one call of a tool raises the memory of its process, results included."""

from __future__ import annotations

import sys
import threading

import anndata as ad
import psutil
from tools import TOOLS


def main(path: str, tool: str, method: str, reference: str, n_threads: str) -> None:
    """Load, call, sample the resident memory every 2 ms."""
    adata = ad.read_h5ad(path)
    TOOLS[tool](adata[:, :20].copy(), method, reference, int(n_threads))
    process = psutil.Process()
    before = peak = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    TOOLS[tool](adata, method, reference, int(n_threads))
    done.set()
    watcher.join()
    print((peak - before) / 1e6)


if __name__ == "__main__":
    main(*sys.argv[1:])
