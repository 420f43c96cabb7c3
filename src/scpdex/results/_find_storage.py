"""Find storage: the place that the argument ``storage`` names."""

from __future__ import annotations

from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal

from scpdex.results._table_storage import ParquetStorage
from scpdex.results._uns_storage import UnsStorage
from scpdex.results._varm_storage import VarmStorage

if TYPE_CHECKING:
    from scpdex.results._result_storage import ResultStorage

Storage = Literal["uns", "varm"]


def find_storage(storage: Any) -> ResultStorage:
    """Find the place that a name, or the path of a Parquet file, stands for.

    Raises
    ------
    ValueError
        It is neither.
    """
    if storage == "uns":
        return UnsStorage()
    if storage == "varm":
        return VarmStorage()
    is_path = isinstance(storage, str | PathLike) and isinstance(fspath(storage), str)
    if is_path and fspath(storage).lower().endswith(".parquet"):
        return ParquetStorage(storage)
    msg = f"storage={storage!r} is not valid: pass 'uns' or 'varm', or a path that ends in '.parquet'."
    raise ValueError(msg)
