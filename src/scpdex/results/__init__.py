"""Results: from arrays of groups and genes to scanpy's layout in uns, matrices in varm, and data frames."""

from scpdex.results._converted_forms import read_names
from scpdex.results._data_frames import Backend, Repeated, concatenate, make_frame, refuse_backend
from scpdex.results._file_names import (
    is_unwritable_entry,
    unwritable_columns,
    unwritable_fields,
    unwritable_texts,
)
from scpdex.results._fractions import match_columns
from scpdex.results._levels import Levels, is_of_level, key_of_level
from scpdex.results._ownership import refuse_to_replace
from scpdex.results._read_records import places_of
from scpdex.results._read_result import StoredResult, groups_of
from scpdex.results._renamed_labels import describe_renamed, label_columns
from scpdex.results._scanpy_records import RankedGenes, exceed_hdf5, strings
from scpdex.results._varm_matrices import is_in_varm, name_of_matrix
from scpdex.results._write_result import Storage, refuse_storage, refuse_unless_storable, store

__all__ = [
    "Backend",
    "Levels",
    "RankedGenes",
    "Repeated",
    "Storage",
    "StoredResult",
    "concatenate",
    "describe_renamed",
    "exceed_hdf5",
    "groups_of",
    "is_in_varm",
    "is_of_level",
    "is_unwritable_entry",
    "key_of_level",
    "label_columns",
    "make_frame",
    "match_columns",
    "name_of_matrix",
    "places_of",
    "read_names",
    "refuse_backend",
    "refuse_storage",
    "refuse_to_replace",
    "refuse_unless_storable",
    "store",
    "strings",
    "unwritable_columns",
    "unwritable_fields",
    "unwritable_texts",
]
