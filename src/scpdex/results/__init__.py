"""Results: from arrays of groups and genes to scanpy's layout in uns, matrices in varm, and data frames."""

from scpdex.results._frame import Backend, Repeated, make_frame, refuse_backend
from scpdex.results._records import FIELDS, RankedGenes, exceed_hdf5, unwritable_columns
from scpdex.results._store import Storage, refuse_storage, refuse_unless_storable, store
from scpdex.results._stored import StoredResult, places_of
from scpdex.results._varm import is_in_varm

__all__ = [
    "FIELDS",
    "Backend",
    "RankedGenes",
    "Repeated",
    "Storage",
    "StoredResult",
    "exceed_hdf5",
    "is_in_varm",
    "make_frame",
    "places_of",
    "refuse_backend",
    "refuse_storage",
    "refuse_unless_storable",
    "store",
    "unwritable_columns",
]
