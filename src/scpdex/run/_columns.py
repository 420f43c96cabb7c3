"""Columns: the computed numbers of each gene and the groups of one comparison, in memory or in the scratch file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.kernels.columns import read_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from scpdex.machine.scratch_file import Scratch
    from scpdex.run._gene_rows import GeneRows


class Columns(ABC):
    """Columns of the groups of one comparison, which threads write block by block, and read group by group."""

    @property
    def matrices(self) -> dict[str, NDArray[Any]]:
        """Columns that are matrices in memory, rows x groups, by name."""
        return {}

    @abstractmethod
    def begin_block(self, genes: range) -> None:
        """Begin to write neighbouring genes of the source."""

    @abstractmethod
    def write(self, genes: range, numbers: Mapping[str, NDArray[Any]]) -> None:
        """Write some genes of the block, by name: genes x groups or, where all groups share a number, genes x 1."""

    @abstractmethod
    def end_block(self) -> None:
        """End the block."""

    @abstractmethod
    def end(self) -> None:
        """End the last block."""

    @abstractmethod
    def read(self, name: str, groups: slice) -> NDArray[Any]:
        """Copy one column of neighbouring groups, groups x tested genes in the order of the results."""


@dataclass(frozen=True)
class MatrixColumns(Columns):
    """Columns in memory, which may be the matrices of the result: rows x groups."""

    arrays: dict[str, NDArray[Any]]
    rows: GeneRows

    @property
    def matrices(self) -> dict[str, NDArray[Any]]:
        """Columns that are matrices in memory, rows x groups, by name."""
        return self.arrays

    @classmethod
    def empty(cls, rows: GeneRows, n_groups: int, dtypes: Mapping[str, Any]) -> MatrixColumns:
        """Allocate matrices of their own."""
        return cls({name: np.empty((rows.n_rows, n_groups), dtype=dtype) for name, dtype in dtypes.items()}, rows)

    def begin_block(self, genes: range) -> None:
        """Do nothing: all genes have their rows."""

    def write(self, genes: range, numbers: Mapping[str, NDArray[Any]]) -> None:
        """Write the rows of some genes."""
        index = self.rows.index(genes)
        for name, matrix in self.arrays.items():
            matrix[index] = numbers[name]

    def end_block(self) -> None:
        """Do nothing: the genes have been written."""

    def end(self) -> None:
        """Fill in the rows of genes that are tested more than once."""
        for matrix in self.arrays.values():
            self.rows.repeat(matrix)

    def read(self, name: str, groups: slice) -> NDArray[Any]:
        """Copy one column of neighbouring groups, groups x tested genes in the order of the results."""
        matrix = self.arrays[name]
        first, stop, _ = groups.indices(matrix.shape[1])
        columns = np.empty((stop - first, self.rows.tested.size), dtype=matrix.dtype)
        read_columns(matrix, self.rows.tested, first, columns)
        return columns


@dataclass(frozen=True)
class SpilledColumns(Columns):
    """Columns in the scratch file, block by block: groups x genes of the block."""

    scratch: Scratch
    rows: GeneRows
    n_groups: int
    dtypes: Mapping[str, Any]
    _block: list[tuple[range, dict[str, NDArray[Any]]]] = field(default_factory=list)
    """The block that is being written, if there is one."""
    _written: list[tuple[range, dict[str, int]]] = field(default_factory=list)
    """Genes of each block, and where each of its columns begins in the file, in bytes."""

    def begin_block(self, genes: range) -> None:
        """Allocate the block."""
        shape = (self.n_groups, len(genes))
        self._block.append((genes, {name: np.empty(shape, dtype=dtype) for name, dtype in self.dtypes.items()}))

    def write(self, genes: range, numbers: Mapping[str, NDArray[Any]]) -> None:
        """Write some genes of the block."""
        ((block, columns),) = self._block
        run = slice(genes.start - block.start, genes.stop - block.start)
        for name, column in columns.items():
            column[:, run] = numbers[name].T

    def end_block(self) -> None:
        """Move the block to the file."""
        block, columns = self._block.pop()
        self._written.append((block, {name: self.scratch.write(column) for name, column in columns.items()}))

    def end(self) -> None:
        """Put the blocks in order: those from the workers of a cluster arrive in any."""
        self._written.sort(key=lambda block: block[0].start)

    def read(self, name: str, groups: slice) -> NDArray[Any]:
        """Copy one column of neighbouring groups, groups x tested genes in the order of the results."""
        first, stop, _ = groups.indices(self.n_groups)
        parts = []
        for genes, offsets in self._written:
            part = np.empty((stop - first, len(genes)), dtype=self.dtypes[name])
            self.scratch.read(offsets[name] + first * len(genes) * part.itemsize, part)
            parts.append(part)
        return self.rows.in_order(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1))
