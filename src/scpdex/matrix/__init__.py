"""Matrix: the numbers of an AnnData as a source of gene blocks, whatever their storage."""

from typing import TYPE_CHECKING

from scpdex.matrix._anndata import read_annotations
from scpdex.matrix._example_matrices import IN_MEMORY, InMemory, make_chunks, make_csr_matrix, make_matrix
from scpdex.matrix._expression import Expression, select_expression
from scpdex.matrix._file_entries import EntryChanges, write_entries
from scpdex.matrix._gene_block import GeneBlock, GeneSource
from scpdex.matrix._normalization import Normalization, check_rule
from scpdex.matrix._open_source import open_source
from scpdex.matrix._sample import find_highest, sample_values
from scpdex.matrix._source import Source
from scpdex.matrix.chunked._chunked_source import ChunkedSource
from scpdex.matrix.chunked._gene_buckets import GeneBuckets
from scpdex.matrix.chunked._gene_major_pieces import Piece, gather_pieces
from scpdex.matrix.chunked._row_stream import RowStream
from scpdex.matrix.dask._chunk_grid import ChunkPart
from scpdex.matrix.dask._chunk_reader import ChunkReader
from scpdex.matrix.joined._join_objects import DEFAULT_LABEL, JOINS, Join, JoinedObjects, join_objects
from scpdex.matrix.joined._joined_expression import select_joined_expression
from scpdex.matrix.joined._joined_source import JoinedCells, JoinedSource
from scpdex.matrix.joined._name_objects import FilePath, are_several, is_path
from scpdex.matrix.joined._open_files import open_file

if TYPE_CHECKING:
    # Needs dask, which need not be there.
    from scpdex.matrix.dask._dask_source import DaskSource as DaskSource

__all__ = [
    "DEFAULT_LABEL",
    "IN_MEMORY",
    "JOINS",
    "ChunkPart",
    "ChunkReader",
    "ChunkedSource",
    "EntryChanges",
    "Expression",
    "FilePath",
    "GeneBlock",
    "GeneBuckets",
    "GeneSource",
    "InMemory",
    "Join",
    "JoinedCells",
    "JoinedObjects",
    "JoinedSource",
    "Normalization",
    "Piece",
    "RowStream",
    "Source",
    "are_several",
    "check_rule",
    "find_highest",
    "gather_pieces",
    "is_path",
    "join_objects",
    "make_chunks",
    "make_csr_matrix",
    "make_matrix",
    "open_file",
    "open_source",
    "read_annotations",
    "sample_values",
    "select_expression",
    "select_joined_expression",
    "write_entries",
]
