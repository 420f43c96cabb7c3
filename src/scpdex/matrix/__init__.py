"""Matrix: the numbers of an AnnData as a source of gene blocks, whatever their storage."""

from scpdex.matrix._block import GeneBlock, GeneSource
from scpdex.matrix._buckets import Buckets
from scpdex.matrix._chunked import ChunkedSource
from scpdex.matrix._rows import Piece, RowStream
from scpdex.matrix._select import Expression, select_expression
from scpdex.matrix._source import open_source
from scpdex.matrix._stored import StoredMatrix

__all__ = [
    "Buckets",
    "ChunkedSource",
    "Expression",
    "GeneBlock",
    "GeneSource",
    "Piece",
    "RowStream",
    "StoredMatrix",
    "open_source",
    "select_expression",
]
