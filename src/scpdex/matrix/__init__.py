"""Matrix: the numbers of an AnnData as a source of gene blocks, whatever their storage."""

from scpdex.matrix._block import GeneBlock, GeneSource
from scpdex.matrix._buckets import Buckets
from scpdex.matrix._chunked import ChunkedSource
from scpdex.matrix._pieces import Piece, PieceStream, block_of
from scpdex.matrix._select import Expression, select_expression
from scpdex.matrix._source import open_source

__all__ = [
    "Buckets",
    "ChunkedSource",
    "Expression",
    "GeneBlock",
    "GeneSource",
    "Piece",
    "PieceStream",
    "block_of",
    "open_source",
    "select_expression",
]
