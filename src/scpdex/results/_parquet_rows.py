"""Parquet rows: the long table as a Parquet file, with the parameters and the groups in its metadata.

pyarrow, of the extra ``parquet``, is known to this file and to ``_parquet_result.py``.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from scpdex.results._long_rows import RowWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scpdex.results._long_rows import LongRows
    from scpdex.results._result_storage import ResultShape

METADATA_KEY = b"scpdex"
# Columns of names. Those of genes are strings, as in data frames; the others are categories.
_CATEGORIES = ("split", "group")


class ParquetRows(RowWriter):
    """A Parquet file that is being written."""

    def __init__(self, path: Path, shape: ResultShape) -> None:
        """Open the file."""
        super().__init__(shape)
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415

        self._shape = shape
        self._names = {name: pa.array(values, pa.string()) for name, values in self.names.items()}
        types = {name: pa.dictionary(pa.int32(), pa.string()) for name in _CATEGORIES if name in self._names}
        types |= {"names": pa.string()}
        types |= {name: pa.from_numpy_dtype(dtype) for name, dtype in self.fields.items()}
        self._schema = pa.schema(list(types.items()))
        self._file = parquet.ParquetWriter(
            path, self._schema, compression="zstd", compression_level=1, use_dictionary=list(self._names)
        )

    def __exit__(self, *exception: object) -> None:
        import pyarrow as pa  # noqa: PLC0415

        self._file.close()
        # Arrow keeps freed memory for later otherwise.
        pa.default_memory_pool().release_unused()

    def _write(self, rows: dict[str, NDArray[Any]]) -> None:
        import pyarrow as pa  # noqa: PLC0415

        columns = []
        for column in self._schema:
            values = pa.array(rows[column.name])
            if column.name in self._names:
                values = pa.DictionaryArray.from_arrays(values, self._names[column.name]).cast(column.type)
            columns.append(values)
        self._file.write_table(pa.Table.from_arrays(columns, schema=self._schema), row_group_size=self._most_rows)

    def write_metadata(self, results: Sequence[LongRows]) -> None:
        """Write parameters, groups and genes, once all rows are written."""
        self.flush()
        shape = self._shape
        metadata = {
            "id": self.result_id,
            "params": shape.params,
            "groups": list(shape.all_groups),
            "genes": shape.gene_names.tolist(),
            "fields": {name: np.dtype(dtype).name for name, dtype in self.fields.items()},
            "n_ranks": shape.n_ranks,
            "results": [
                {"params": params, "groups": result.groups, "rows": result.rows_of_groups}
                for params, result in zip(shape.level_params, results, strict=True)
            ],
        }
        self._file.add_key_value_metadata({METADATA_KEY: json.dumps(metadata, default=_to_plain)})


def _to_plain(value: Any) -> Any:
    """Give arrays and numbers of numpy in the form that JSON takes."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def refuse_without_pyarrow(argument: str) -> None:
    """Raise an ImportError if pyarrow is not installed; the message quotes the argument that needs it."""
    if find_spec("pyarrow") is None:
        msg = f"{argument} needs pyarrow, which is not installed: python -m pip install 'scpdex[parquet]'."
        raise ImportError(msg)
