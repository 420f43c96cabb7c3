"""Results: from arrays of groups and genes to what users hold: scanpy's layout in uns, and data frames."""

from scpdex.results._frame import Repeated, make_frame, refuse_backend
from scpdex.results._records import (
    FIELDS,
    RankedGenes,
    fractions_table,
    refuse_unless_storable,
    store,
    unwritable_columns,
)

__all__ = [
    "FIELDS",
    "RankedGenes",
    "Repeated",
    "fractions_table",
    "make_frame",
    "refuse_backend",
    "refuse_unless_storable",
    "store",
    "unwritable_columns",
]
