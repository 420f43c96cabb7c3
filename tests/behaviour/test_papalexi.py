"""The screen that lies beside the tests: the counts and labels of its source, small, with its licence."""

import anndata as ad
import numpy as np
import pandas as pd
from papalexi import PATH, read_papalexi


def test_counts_and_labels_are_those_of_the_source(papalexi_source):
    shipped = read_papalexi()
    assert shipped.X.dtype == papalexi_source.X.dtype == np.float32
    for part in ("data", "indices", "indptr"):
        ours, theirs = getattr(shipped.X, part), getattr(papalexi_source.X, part)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    pd.testing.assert_frame_equal(shipped.obs, papalexi_source.obs)
    pd.testing.assert_frame_equal(shipped.var, papalexi_source.var)
    assert shipped.uns == papalexi_source.uns


def test_the_file_is_small_and_holds_whole_counts():
    assert PATH.stat().st_size < 2_500_000
    stored = ad.read_h5ad(PATH, backed="r")
    assert stored.X.dtype == np.uint16
    assert stored.shape == (20_729, 299)
    sizes = stored.obs["gene"].value_counts()
    assert (len(sizes), sizes.idxmax(), sizes.max()) == (26, "non-targeting", 2_386)
    stored.file.close()


def test_source_and_licence_lie_beside_the_file():
    readme = (PATH.parent / "README.md").read_text(encoding="utf-8")
    assert PATH.name in readme
    assert "Katsevich-Lab/sceptredata" in readme
    licence = (PATH.parent / "LICENSE.md").read_text(encoding="utf-8")
    assert licence.startswith("# MIT License\n\nCopyright (c) 2024 sceptredata authors")
