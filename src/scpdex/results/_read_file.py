"""Read file: a result that ``uns`` names by the path of its Parquet file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scpdex.results._converted_forms import read_bool
from scpdex.results._parquet_result import ParquetResult
from scpdex.results._ranked_result import RankedGenes, RankedResult
from scpdex.results._read_records import find_positions
from scpdex.results._stored_parameters import read_params
from scpdex.statistics.unpacked_value import unpack_single

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from anndata import AnnData


def is_in_file(entry: Any) -> bool:
    """Tell whether an entry of ``uns`` is a result in a file, and not the list of those of levels."""
    if not isinstance(entry, Mapping) or "names" in entry or not {"path", "groups"} <= entry.keys():
        return False
    params = read_params(entry)
    return params.get("split_by") is None or "split" in params


def open_file_of(entry: Mapping[str, Any], key: str) -> ParquetResult:
    """Open the file that an entry of ``uns`` names.

    Raises
    ------
    FileNotFoundError
        There is no such file any more.
    ImportError
        pyarrow is not installed.
    OSError, ValueError
        The file cannot be read, or is not a result of scpdex.
    """
    path = str(unpack_single(entry["path"]))
    try:
        file = ParquetResult.open(path)
    except FileNotFoundError as error:
        msg = (
            f"adata.uns[{key!r}] has its table in {path!r}, which does not exist: move the file back there, set "
            f"adata.uns[{key!r}]['path'] to where it is now, or rank again."
        )
        raise FileNotFoundError(msg) from error
    if str(unpack_single(entry.get("id", file.result_id))) != file.result_id:
        msg = (
            f"the table of adata.uns[{key!r}] was replaced: {path!r} holds the result of another call, by "
            f"{file.params(0).get('method')!r} against {file.params(0).get('reference')!r}. Rank again, with another "
            "path for each result."
        )
        raise ValueError(msg)
    return file


def read_file_steps(
    adata: AnnData,
    entry: Mapping[str, Any],
    params: dict[str, Any],
    key: str,
    groups: Sequence[str],
    fields: Container[str] | None,
) -> Iterator[RankedResult[RankedGenes]]:
    """Read some groups and fields, in this order, a few groups at a time; ``fields=None`` reads all.

    Raises
    ------
    FileNotFoundError, ImportError, OSError, ValueError
        As :func:`open_file_of` lists them.
    """
    file = open_file_of(entry, key)
    uses_raw = read_bool(params.get("use_raw") or False) and adata.raw is not None
    var_names = pd.Index(adata.raw.var_names if uses_raw else adata.var_names)
    names = pd.Index(file.gene_names, dtype=object)
    is_shared = names.duplicated(keep=False)
    var_positions = np.where(is_shared, -1, find_positions(file.gene_names, var_names))
    is_shared |= names.isin(var_names[var_names.duplicated()])
    position = file.find_result(params.get("split"))
    for ranked in file.read_steps(position, groups, fields):
        yield RankedResult(
            params,
            ranked,
            gene_names=file.gene_names,
            var_positions=var_positions,
            uses_raw=uses_raw,
            fractions={},
            fields_of_file=file.fields,
            shared_names_in_var=tuple(file.gene_names[is_shared].tolist()),
        )
