"""Print how long a new process takes to import a tool and to rank the genes of a file, reading it apart."""

from __future__ import annotations

import sys
import time


def main(path: str, tool: str, reference: str, n_threads: str) -> None:
    """Import, read, call."""
    start = time.perf_counter()
    import anndata as ad
    from tools import TOOLS

    if tool == "scanpy":
        import scanpy  # noqa: F401
    else:
        import scpdex  # noqa: F401
    imported = time.perf_counter()
    adata = ad.read_h5ad(path)
    read = time.perf_counter()
    TOOLS[tool](adata, "wilcoxon", reference, int(n_threads))
    done = time.perf_counter()
    print(imported - start, done - read)


if __name__ == "__main__":
    main(*sys.argv[1:])
