"""Parquet result: a result that lies in a Parquet file, of which some groups and columns are read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from json import JSONDecoder
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.comparisons.spelling import choose_names
from scpdex.results._level_list import LevelList
from scpdex.results._parquet_rows import METADATA_KEY, refuse_without_pyarrow
from scpdex.results._ranked_result import RankedGenes

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence
    from os import PathLike

    from numpy.typing import NDArray

# Groups are read together up to so many rows, so that the memory for a large result is that of the chosen rows.
_ROWS_PER_STEP = 1 << 21


@dataclass(frozen=True)
class ParquetResult:
    """A Parquet file that :func:`scpdex.tl.rank_genes_parallel` wrote."""

    path: Path
    raw_metadata: bytes

    @classmethod
    def open(cls, path: str | PathLike[str]) -> ParquetResult:
        """Read the metadata of a file.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ImportError
            pyarrow is not installed.
        OSError
            The file cannot be read.
        ValueError
            The file is not a result of scpdex.
        """
        file = Path(path).expanduser()
        refuse_without_pyarrow(f"{str(file)!r}")
        if not file.exists():
            msg = f"there is no file {str(file)!r}: rank again, or pass the path that the file was moved to."
            raise FileNotFoundError(msg)
        raw_metadata = _read_metadata(file)
        if raw_metadata is None:
            msg = (
                f"{str(file)!r} is not a result of scpdex: pass a file that rank_genes_parallel(storage=) wrote. "
                "(pandas.read_csv reads CSV files. A copy that another program wrote has lost the parameters.)"
            )
            raise ValueError(msg)
        return cls(file, raw_metadata)

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Parameters, groups and genes."""
        return dict(JSONDecoder().decode(self.raw_metadata.decode()))

    @property
    def result_id(self) -> str:
        """What tells the file from a later one of the same name."""
        return str(self.metadata["id"])

    @cached_property
    def levels(self) -> LevelList | None:
        """The levels of ``split_by``; None for a result of all cells."""
        results = self.metadata["results"]
        if "split_by" not in self.metadata["params"]:
            return None
        names = tuple(result["params"]["split"] for result in results)
        return LevelList(self.metadata["params"], names, tuple(self.metadata["groups"]))

    def find_result(self, level: str | None) -> int:
        """Find the position of the result of a level; None stands for all cells."""
        return 0 if self.levels is None else self.levels.levels.index(str(level))

    def groups(self, position: int) -> tuple[str, ...]:
        """Name the groups of the result at a position."""
        return tuple(self.metadata["results"][position]["groups"])

    def params(self, position: int) -> dict[str, Any]:
        """Give the parameters of the result at a position."""
        return {**self.metadata["params"], **self.metadata["results"][position]["params"]}

    @cached_property
    def gene_names(self) -> NDArray[Any]:
        """Name of each tested gene, in the order of var."""
        return np.array(self.metadata["genes"], dtype=object)

    @property
    def n_ranks(self) -> int:
        """Genes of each group."""
        return int(self.metadata["n_ranks"])

    @property
    def field_types(self) -> dict[str, np.dtype[Any]]:
        """Dtype of each column of numbers."""
        return {name: np.dtype(dtype) for name, dtype in self.metadata["fields"].items()}

    @property
    def fields(self) -> tuple[str, ...]:
        """Columns of numbers."""
        return tuple(self.metadata["fields"])

    def read_steps(
        self, position: int, groups: Sequence[str], fields: Container[str] | None = None
    ) -> Iterator[RankedGenes]:
        """Read some groups of the result at a position, in this order, and some fields, a few groups at a time.

        ``fields=None`` reads all.
        """
        n_groups = max(1, _ROWS_PER_STEP // max(1, self.n_ranks))
        for first in range(0, len(groups), n_groups):
            yield self.read_groups(
                position, groups[first : first + n_groups], self.fields if fields is None else fields
            )

    def read_groups(self, position: int, groups: Sequence[str], fields: Container[str]) -> RankedGenes:
        """Read some groups of the result at a position, in this order, and some fields.

        Genes without a row, which ``min_pct`` and ``min_logfc`` left untested, follow those that have one in var
        order, with NaN, as in ``uns``.

        Raises
        ------
        OSError
            The file cannot be read.
        ValueError
            A group is not in the result, or the rows are not those that were written.
        """
        from pyarrow import parquet  # noqa: PLC0415

        fields = [name for name in self.fields if name in fields]
        spans = self._find_spans(position, choose_names(groups, self.groups(position), "group", repr(str(self.path))))
        names = list(spans)
        codes = np.full((len(names), self.n_ranks), -1, dtype=np.intp)
        with parquet.ParquetFile(self.path, read_dictionary=["group", "names"]) as file:
            statistics = {name: np.full(codes.shape, np.nan, dtype=self.field_types[name]) for name in fields}
            if (file.metadata.metadata or {}).get(METADATA_KEY) != self.raw_metadata:
                msg = f"{str(self.path)!r} was replaced while it was read: call again."
                raise ValueError(msg)
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            ends = np.cumsum(sizes)
            self._refuse_changed(ends[-1] if sizes else 0)
            for i, rows in _match_spans(spans.values(), ends):
                table = self._read_row_group(file, i, ["group", "names", *fields])
                group_codes, group_names = _read_names(table["group"])
                gene_codes, gene_names = _read_names(table["names"])
                positions = self._name_codes[1].get_indexer(pd.Index(gene_names, dtype=object))
                columns = {name: table[name].to_numpy() for name in fields}
                for g, source, target in rows:
                    if (group_names[group_codes[source]] != names[g]).any():
                        self._refuse_changed(None)
                    codes[g, target] = positions[gene_codes[source]]
                    for field, values in columns.items():
                        statistics[field][g, target] = values[source]
        order = np.stack([self._place_genes(row) for row in codes])
        return RankedGenes(tuple(names), order, {name: values.T for name, values in statistics.items()})

    def _read_row_group(self, file: Any, i: int, columns: list[str]) -> Any:
        """Read some columns of a part of the file."""
        try:
            return file.read_row_group(i, columns=columns)
        except OSError as error:
            msg = f"{str(self.path)!r} is damaged and cannot be read: rank again. The error was: {error}"
            raise OSError(msg) from error

    @cached_property
    def _name_codes(self) -> tuple[NDArray[np.intp], pd.Index[Any]]:
        """The code of each gene's name, and the distinct names."""
        codes, names = pd.factorize(self.gene_names)
        return codes.astype(np.intp), pd.Index(names, dtype=object)

    @cached_property
    def _genes_by_name(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Genes in the order of their names' codes, and where each name's genes start."""
        codes, names = self._name_codes
        return np.argsort(codes, kind="stable"), np.searchsorted(np.sort(codes), np.arange(len(names) + 1))

    def _place_genes(self, name_codes: NDArray[np.intp]) -> NDArray[np.intp]:
        """Give the genes of a group by rank, from the codes of their names, which end with -1 for genes without a row.

        Genes that share a name are taken in var order.
        """
        by_name, starts = self._genes_by_name
        ranked = name_codes[name_codes >= 0]
        places = starts[ranked]
        if starts.size - 1 < self.gene_names.size:
            places = places + pd.Series(ranked).groupby(ranked).cumcount().to_numpy()
        if (places >= starts[ranked + 1]).any():
            self._refuse_changed(None)
        genes: NDArray[np.intp] = by_name[places]
        if genes.size < name_codes.size:
            is_ranked = np.zeros(self.gene_names.size, dtype=np.bool_)
            is_ranked[genes] = True
            genes = np.append(genes, np.flatnonzero(~is_ranked)[: name_codes.size - genes.size])
        return genes

    def _find_spans(self, position: int, groups: Sequence[str]) -> dict[str, range]:
        """Find the rows of groups in the file."""
        results = self.metadata["results"]
        start = sum(sum(result["rows"]) for result in results[:position])
        ends = start + np.cumsum([0, *results[position]["rows"]])
        position_of = {name: i for i, name in enumerate(self.groups(position))}
        return {name: range(ends[position_of[name]], ends[position_of[name] + 1]) for name in groups}

    def _refuse_changed(self, n_rows: int | None) -> None:
        """Raise a ValueError unless the number of rows is that of the metadata; None always raises."""
        if n_rows != sum(sum(result["rows"]) for result in self.metadata["results"]):
            msg = f"{str(self.path)!r} has other rows than scpdex wrote: another program changed it. Rank again."
            raise ValueError(msg)


def is_parquet_result(path: Path) -> bool:
    """Tell whether a file is a Parquet file that holds a result."""
    try:
        return _read_metadata(path) is not None
    except OSError:
        return False


def _read_metadata(path: Path) -> bytes | None:
    """Read the metadata of a result, as they are in the file; None if it has none.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    try:
        metadata = parquet.read_metadata(path).metadata or {}
    except pa.ArrowInvalid:
        return None
    raw = metadata.get(METADATA_KEY)
    return None if raw is None else bytes(raw)


def _read_names(column: Any) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Read a column of names as codes, and the distinct names."""
    combined = column.unify_dictionaries().combine_chunks()
    return combined.indices.to_numpy(), combined.dictionary.to_numpy(zero_copy_only=False)


def _match_spans(
    spans: Iterable[range], ends: NDArray[np.int64]
) -> Iterator[tuple[int, list[tuple[int, slice, slice]]]]:
    """Give each part of the file that holds rows of some spans: for each span its rows there, and their ranks."""
    starts = np.append(0, ends[:-1])
    rows_of_part: dict[int, list[tuple[int, slice, slice]]] = {}
    for g, span in enumerate(spans):
        first = int(np.searchsorted(ends, span.start, side="right"))
        last = int(np.searchsorted(starts, span.stop, side="left"))
        for i in range(first, last if span else first):
            start, stop = max(span.start, int(starts[i])), min(span.stop, int(ends[i]))
            source = slice(start - int(starts[i]), stop - int(starts[i]))
            rows_of_part.setdefault(i, []).append((g, source, slice(start - span.start, stop - span.start)))
    yield from sorted(rows_of_part.items())
