"""Print how long pdex 0.1.28 takes for one call, on a file that is read before."""

from __future__ import annotations

import sys
import time


def main(path: str, metric: str, reference: str, n_workers: str) -> None:
    """Read, call."""
    import anndata as ad
    from pdex import parallel_differential_expression

    adata = ad.read_h5ad(path)
    start = time.perf_counter()
    parallel_differential_expression(
        adata, groupby_key="group", reference=reference, metric=metric, num_workers=int(n_workers), is_log1p=True
    )
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
