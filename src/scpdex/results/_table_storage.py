"""Table storage: results as the long table in a file, Parquet or CSV, which is written whole or not at all."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scpdex.comparisons.spelling import quote_names
from scpdex.machine.replaced_file import replace_file
from scpdex.results._csv_rows import CsvRows, read_header
from scpdex.results._long_rows import list_levels, make_long_rows
from scpdex.results._parquet_result import is_parquet_result
from scpdex.results._parquet_rows import ParquetRows, refuse_without_pyarrow
from scpdex.results._result_storage import ResultStorage
from scpdex.results._scanpy_records import make_name_array
from scpdex.statistics.reported_columns import fraction_names, stored_types

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from os import PathLike

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from scpdex.results._long_rows import LongRows
    from scpdex.results._ranked_result import RankedResult
    from scpdex.results._result_storage import ResultShape


class TableStorage(ResultStorage):
    """A file of its own; ``uns`` has the parameters, the path and the groups."""

    path: Path

    def __init__(self, path: str | PathLike[str]) -> None:
        """Take the path of the file, relative to the present folder or with ``~`` for the home."""
        self.path = Path(path).expanduser().absolute()

    @property
    def place(self) -> str:
        """Where an AnnData has the entries of a result."""
        return "uns"

    def refuse_misfit(self, adata: AnnData, *, use_raw: bool) -> None:  # noqa: ARG002
        """Raise an error if the file cannot be made, or would replace what is not a result.

        Raises
        ------
        FileNotFoundError, NotADirectoryError
            There is no such folder.
        ValueError
            There is another file, or a folder, under this name.
        """
        # Of a link, the file that it leads to is written.
        folder = self.path.resolve().parent
        if not folder.is_dir():
            kind = NotADirectoryError if folder.exists() else FileNotFoundError
            msg = f"there is no folder {str(folder)!r} for {self.path.name!r}: make it first, or pass another path."
            raise kind(msg)
        if self.path.is_dir():
            msg = f"{str(self.path)!r} is a folder: pass the path of a file."
            raise ValueError(msg)
        if self.path.exists() and not self.is_result():
            msg = (
                f"{str(self.path)!r} exists and is not a result of scpdex, and only results are replaced: pass another "
                "path, or delete the file first."
            )
            raise ValueError(msg)

    @abstractmethod
    def is_result(self) -> bool:
        """Tell whether the file holds a result."""

    @contextmanager
    def open(self, shape: ResultShape) -> Generator[list[LongRows], None, None]:
        """Open a file beside the target, which it replaces if the context ends without an error."""
        _refuse_unwritable_names(shape)
        with replace_file(self.path) as temporary, self.write_rows(temporary, shape) as results:
            yield results

    @abstractmethod
    def write_rows(self, path: Path, shape: ResultShape) -> Any:
        """Give a context with the rows of each result, which are written to a file."""

    def make_entry(
        self,
        result: RankedResult[LongRows],
        key: str,  # noqa: ARG002
        var_names: pd.Index[Any],  # noqa: ARG002
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Make the entry of ``uns``."""
        ranked = result.ranked
        entry = {"params": result.params, "path": str(self.path), "groups": make_name_array(ranked.groups)}
        return entry | {"id": ranked.writer.result_id}, {}


class ParquetStorage(TableStorage):
    """A Parquet file, which scpdex reads back."""

    def refuse_misfit(self, adata: AnnData, *, use_raw: bool) -> None:
        """Raise an ImportError without pyarrow, or an error of :class:`TableStorage`."""
        refuse_without_pyarrow(f"storage={str(self.path)!r}")
        super().refuse_misfit(adata, use_raw=use_raw)

    def is_result(self) -> bool:
        """Tell whether the file holds a result, as its metadata say."""
        return is_parquet_result(self.path)

    @contextmanager
    def write_rows(self, path: Path, shape: ResultShape) -> Generator[list[LongRows], None, None]:
        """Write rows, and the metadata after them."""
        with ParquetRows(path, shape) as file:
            results = make_long_rows(shape, file)
            yield results
            file.write_metadata(results)


class CsvStorage(TableStorage):
    """A CSV file, compressed if its name ends in ``.gz``."""

    def is_result(self) -> bool:
        """Tell whether the header has the columns of a result, in their order, and no others."""
        columns = [column for column in read_header(self.path) if column != "split"]
        known = ["group", "names", *stored_types(), *fraction_names()]
        return columns[:3] == known[:3] and columns == [column for column in known if column in columns]

    @contextmanager
    def write_rows(self, path: Path, shape: ResultShape) -> Generator[list[LongRows], None, None]:
        """Write rows."""
        with CsvRows(path, shape, compress=self.path.suffix.lower() == ".gz") as file:
            yield make_long_rows(shape, file)
            file.flush()


def _refuse_unwritable_names(shape: ResultShape) -> None:
    """Raise a ValueError for names that are not text in UTF-8: those with half of a surrogate pair."""
    levels, genes = list_levels(shape) or (), shape.gene_names.tolist()
    names: dict[str, Iterable[str]] = {"groups": shape.all_groups, "levels": levels, "genes": genes}
    for kind, spellings in names.items():
        if unwritable := [name for name in spellings if not _is_utf8(name)]:
            msg = (
                f"a file cannot hold the names of {kind} {quote_names(unwritable)}, which have half of a surrogate "
                "pair: rename them before ranking."
            )
            raise ValueError(msg)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
