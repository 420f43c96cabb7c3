"""Results: from arrays of groups and genes to scanpy's layout in uns, matrices in varm, files, data frames."""

from scpdex.results._convert_file import convert_file_to_records, refuse_large_records
from scpdex.results._convert_results import convert_to_matrices, convert_to_records
from scpdex.results._converted_forms import read_bool
from scpdex.results._data_frames import Backend, CodedColumn, concatenate_frames, make_frame, refuse_backend
from scpdex.results._file_limits import (
    exceed_hdf5_limit,
    find_unwritable_columns,
    find_unwritable_fields,
    find_unwritable_texts,
    is_unwritable_entry,
)
from scpdex.results._find_storage import Storage, find_storage
from scpdex.results._fractions import Fractions, match_fraction_columns
from scpdex.results._group_slices import cut_groups
from scpdex.results._level_list import LevelList, make_level_key
from scpdex.results._marker_result import MarkerResult, StoredMarkers
from scpdex.results._parquet_result import ParquetResult
from scpdex.results._ranked_result import GeneMatrices, NamedGenes, RankedGenes, RankedResult
from scpdex.results._read_file import is_in_file, open_file_of
from scpdex.results._read_matrices import StoredMatrices
from scpdex.results._read_records import find_positions
from scpdex.results._read_result import find_entry, open_matrices, open_records, read_groups, read_steps
from scpdex.results._result_storage import ResultLayout, ResultShape, ResultStorage
from scpdex.results._scanpy_records import make_name_array
from scpdex.results._stored_parameters import LabelColumn, read_label_names, read_params
from scpdex.results._stored_records import StoredRecords
from scpdex.results._table_storage import CsvStorage, ParquetStorage
from scpdex.results._uns_storage import UnsStorage
from scpdex.results._varm_matrices import is_in_varm, make_matrix_name
from scpdex.results._varm_storage import VarmStorage
from scpdex.results._write_checks import refuse_to_replace, refuse_view_of_disk
from scpdex.results._write_results import write_entries, write_results

__all__ = [
    "Backend",
    "CodedColumn",
    "CsvStorage",
    "Fractions",
    "GeneMatrices",
    "LabelColumn",
    "LevelList",
    "MarkerResult",
    "NamedGenes",
    "ParquetResult",
    "ParquetStorage",
    "RankedGenes",
    "RankedResult",
    "ResultLayout",
    "ResultShape",
    "ResultStorage",
    "Storage",
    "StoredMarkers",
    "StoredMatrices",
    "StoredRecords",
    "UnsStorage",
    "VarmStorage",
    "concatenate_frames",
    "convert_file_to_records",
    "convert_to_matrices",
    "convert_to_records",
    "cut_groups",
    "exceed_hdf5_limit",
    "find_entry",
    "find_positions",
    "find_storage",
    "find_unwritable_columns",
    "find_unwritable_fields",
    "find_unwritable_texts",
    "is_in_file",
    "is_in_varm",
    "is_unwritable_entry",
    "make_frame",
    "make_level_key",
    "make_matrix_name",
    "make_name_array",
    "match_fraction_columns",
    "open_file_of",
    "open_matrices",
    "open_records",
    "read_bool",
    "read_groups",
    "read_label_names",
    "read_params",
    "read_steps",
    "refuse_backend",
    "refuse_large_records",
    "refuse_to_replace",
    "refuse_view_of_disk",
    "write_entries",
    "write_results",
]
