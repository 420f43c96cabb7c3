"""Matrix: the numbers of an AnnData as a source of gene blocks, whatever their storage."""

from typing import TYPE_CHECKING

from scpdex.matrix._anndata import in_memory
from scpdex.matrix._expression import Expression, select_expression
from scpdex.matrix._gene_block import GeneBlock, GeneSource
from scpdex.matrix._open_source import open_source
from scpdex.matrix._sample import sample_values
from scpdex.matrix._source import Source
from scpdex.matrix.chunked._chunked_source import ChunkedSource
from scpdex.matrix.chunked._gene_buckets import Buckets
from scpdex.matrix.chunked._gene_major_pieces import Piece, PieceStream, block_of
from scpdex.matrix.chunked._row_stream import RowStream
from scpdex.matrix.dask._chunk_grid import Part
from scpdex.matrix.dask._chunk_reader import ChunkReader

if TYPE_CHECKING:
    # Needs dask, which need not be there.
    from scpdex.matrix.dask._dask_source import DaskSource as DaskSource

__all__ = [
    "Buckets",
    "ChunkReader",
    "ChunkedSource",
    "Expression",
    "GeneBlock",
    "GeneSource",
    "Part",
    "Piece",
    "PieceStream",
    "RowStream",
    "Source",
    "block_of",
    "in_memory",
    "open_source",
    "sample_values",
    "select_expression",
]
