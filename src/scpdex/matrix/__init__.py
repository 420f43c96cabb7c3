"""Matrix: the numbers of an AnnData as a source of gene blocks, whatever their storage."""

from scpdex.matrix._block import GeneBlock, GeneSource, Reader
from scpdex.matrix._select import Expression, select_expression
from scpdex.matrix._source import open_source

__all__ = ["Expression", "GeneBlock", "GeneSource", "Reader", "open_source", "select_expression"]
