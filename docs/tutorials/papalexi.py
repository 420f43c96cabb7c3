"""The screen of Papalexi et al. (2021): from a folder of data sets, or else from the web."""

import os
import re
from pathlib import Path

import anndata as ad
import numpy as np
import pooch

FOLDERS = [os.environ.get("SCPDEX_DATA"), Path(__file__).resolve().parents[3] / "shared" / "data"]
NAME = "papalexi2021_thp1.h5ad"
# As harmonised by scPerturb (Peidli et al. 2024), all genes: Zenodo record 7041849.
URL = "https://zenodo.org/records/7041849/files/PapalexiSatija2021_eccite_RNA.h5ad"
SHA256 = "03e9602d124c261281936717d5795445805e6e704a52b0310bcde94225aa0929"


def load() -> ad.AnnData:
    """Read raw counts, with obs["gene"] (control: non-targeting), obs["guide"] and obs["replicate"]."""
    for folder in filter(None, FOLDERS):
        if (path := Path(folder) / NAME).exists():
            print(f"{NAME}: 299 genes, from the folder of data sets")
            return ad.read_h5ad(path)
    print(f"all genes, as harmonised by scPerturb: {URL}")
    adata = ad.read_h5ad(pooch.retrieve(URL, known_hash=f"sha256:{SHA256}"))
    guides = adata.obs["guide_id"].astype(str)
    genes = guides.map(lambda guide: re.sub(r"g\d+$", "", guide))
    adata.obs["guide"] = guides
    adata.obs["gene"] = genes.replace("NT", "non-targeting").astype("category")
    adata.obs["replicate"] = adata.obs["hto"].astype("category")
    adata.X = adata.X.tocsr().astype(np.float32)
    return adata
