"""Matrix: the numbers of an AnnData as a source of gene blocks, whatever their storage."""

from typing import TYPE_CHECKING

from scpdex.matrix._block import GeneBlock, GeneSource
from scpdex.matrix._buckets import Buckets
from scpdex.matrix._chunked import ChunkedSource
from scpdex.matrix._dask import ChunkReader, Part
from scpdex.matrix._pieces import Piece, PieceStream, block_of
from scpdex.matrix._rows import RowStream
from scpdex.matrix._sample import sample_values
from scpdex.matrix._select import Expression, in_memory, select_expression
from scpdex.matrix._source import open_source

if TYPE_CHECKING:
    # Needs dask, which need not be there.
    from scpdex.matrix._dask_source import DaskSource as DaskSource

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
    "block_of",
    "in_memory",
    "open_source",
    "sample_values",
    "select_expression",
]
