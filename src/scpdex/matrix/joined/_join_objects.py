"""Join objects: files and AnnDatas become one object without X, whose genes are matched by name."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import anndata as ad
import numpy as np
import pandas as pd

from scpdex.comparisons.spelling import quote_names
from scpdex.matrix.joined._name_objects import is_path, name_objects
from scpdex.matrix.joined._open_files import open_file
from scpdex.statistics.log_base import read_log_base

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

Join = Literal["exact", "inner"]
JOINS = ("exact", "inner")
DEFAULT_LABEL = "file"
# Genes that a message names.
_MOST_GENES = 5


@dataclass(frozen=True)
class JoinedObjects:
    """Several objects in the place of one."""

    annotations: ad.AnnData
    """obs of all cells, var of the matched genes, and ``uns["log1p"]``, without X."""
    objects: dict[str, ad.AnnData]
    """Each object by its name."""
    use_raw: bool
    """Whether raw of each object is ranked: ``annotations`` has its genes."""


@contextmanager
def join_objects(
    several: Any,
    *,
    join: Join,
    label: str | None,
    columns: Iterable[str],
    layer: str | None,
    use_raw: bool | None,
    reads_logs: bool,
) -> Generator[JoinedObjects, None, None]:
    """Open what is to be joined, and join it; leaving the context closes the files.

    Parameters
    ----------
    several
        Paths and AnnDatas, or these by name.
    join
        ``"exact"`` refuses objects whose genes are not those of the first; ``"inner"`` takes the genes that all have.
    label
        Column of ``obs`` that holds the name of each cell's object; None adds none.
    columns
        Columns of ``obs`` that the call uses.
    layer, use_raw
        As for one object.
    reads_logs
        Whether the base of the logarithm of the values matters.

    Raises
    ------
    KeyError, OSError, TypeError, ValueError
        As :func:`scpdex.tl.rank_genes_parallel` lists them.
    """
    named = name_objects(several)
    if join not in JOINS:
        msg = f"join={join!r} is not valid: pass {' or '.join(map(repr, JOINS))}."
        raise ValueError(msg)
    if label is not None and not isinstance(label, str):
        msg = f"label={label!r} is not the name of a column: pass a string, or None for no column."
        raise TypeError(msg)
    with ExitStack() as stack:
        objects = {name: open_file(x, stack) if is_path(x) else x for name, x in named.items()}
        if any(not isinstance(adata.obs, pd.DataFrame) for adata in objects.values()):
            msg = "adata lists a lazily opened object: pass its path, or open it by read_h5ad(path, backed='r')."
            raise TypeError(msg)
        _refuse_columns(objects, columns, label)
        use_raw = _decide_use_raw(objects, layer, use_raw)
        all_var = {name: adata.raw.var if use_raw else adata.var for name, adata in objects.items()}
        genes = _match_genes({name: spell_genes(var.index) for name, var in all_var.items()}, join)
        joined = _concatenate(objects, all_var, genes, label)
        if reads_logs and any("log1p" in adata.uns for adata in objects.values()):
            joined.uns["log1p"] = {"base": _find_log_base(objects)}
        yield JoinedObjects(joined, objects, use_raw)


def spell_genes(index: pd.Index[Any]) -> pd.Index[Any]:
    """Give the names of genes as text, as anndata makes them."""
    return index.astype(str)


def _concatenate(
    objects: Mapping[str, ad.AnnData], all_var: Mapping[str, pd.DataFrame], genes: pd.Index[Any], label: str | None
) -> ad.AnnData:
    """Concatenate the annotations of objects."""
    parts, stop = {}, 0
    for name, adata in objects.items():
        cells = range(stop, stop + adata.n_obs)
        stop = cells.stop
        var = all_var[name].iloc[spell_genes(all_var[name].index).get_indexer(genes)]
        # Plates repeat barcodes, of which anndata would warn for each object that is made here.
        parts[name] = ad.AnnData(obs=adata.obs.set_axis(list(map(str, cells))), var=var.set_axis(genes))
    joined = ad.concat(parts, label=label, merge="same")
    first, *others = (adata.obs_names for adata in objects.values())
    joined.obs.index = first.append(others)
    return joined


def _refuse_columns(objects: Mapping[str, ad.AnnData], columns: Iterable[str], label: str | None) -> None:
    """Raise an error if some objects lack a column that others have, or one has the column of names already."""
    for column in columns:
        lacking = [name for name, adata in objects.items() if column not in adata.obs.columns]
        if column != label and 0 < len(lacking) < len(objects):
            msg = f"obs of {quote_names(lacking)} has no column {column!r}, which others have: add it, or rename it."
            raise KeyError(msg)
    if having := [name for name, adata in objects.items() if label is not None and label in adata.obs.columns]:
        msg = (
            f"obs of {quote_names(having)} has a column {label!r} already: pass label= with another name for the "
            "column of files, or label=None for none."
        )
        raise ValueError(msg)


def _decide_use_raw(objects: Mapping[str, ad.AnnData], layer: str | None, use_raw: bool | None) -> bool:
    """Tell whether raw is ranked.

    Raises
    ------
    KeyError
        Only some objects have the layer.
    ValueError
        Only some objects have raw, which is asked for or would be taken by default.
    """
    lacking = [name for name, adata in objects.items() if adata.raw is None]
    is_mixed = 0 < len(lacking) < len(objects)
    if is_mixed and (use_raw or (use_raw is None and layer is None)):
        msg = f"{quote_names(lacking)} lacks raw, which others have: pass use_raw=False to rank X."
        raise ValueError(msg)
    without_layer = [name for name, adata in objects.items() if layer is not None and layer not in adata.layers]
    if 0 < len(without_layer) < len(objects):
        msg = f"{quote_names(without_layer)} lacks layer {layer!r}, which others have: add it, or leave these out."
        raise KeyError(msg)
    if use_raw and lacking:
        msg = "Received `use_raw=True`, but no object has raw. Pass use_raw=False to rank X."
        raise ValueError(msg)
    return not lacking if use_raw is None else bool(use_raw)


def _match_genes(names: Mapping[str, pd.Index[Any]], join: Join) -> pd.Index[Any]:
    """Give the genes that all objects have, in the order of the first.

    Raises
    ------
    ValueError
        An object has a gene twice, or genes that are not those of the first with ``join="exact"``; or none is common.
    """
    for name, genes in names.items():
        if not genes.is_unique:
            twice = list(dict.fromkeys(genes[genes.duplicated()]))
            msg = (
                f"{name!r} has several genes named {quote_names(twice)}, and genes are matched by name: make names "
                "unique, as var_names_make_unique() does."
            )
            raise ValueError(msg)
    first_name, first = next(iter(names.items()))
    common = first
    for name, genes in names.items():
        missing, extra = first[~first.isin(genes)], genes[~genes.isin(first)]
        if join == "exact" and (missing.size or extra.size):
            lacks = [f"lacks {missing.size:,} ({_quote_few(missing)})"] if missing.size else []
            adds = [f"has {extra.size:,} more ({_quote_few(extra)})"] if extra.size else []
            advice = "Pass join='inner' to rank the genes that all have."
            if missing.size == first.size:
                advice = "Are both of the same kind, such as symbols?"
            msg = f"{name!r} does not have the genes of {first_name!r}: it {' and '.join(lacks + adds)}. {advice}"
            raise ValueError(msg)
        common = common[common.isin(genes)]
    if not common.size:
        msg = f"no gene is in all of {quote_names(list(names))}: are their names of the same kind?"
        raise ValueError(msg)
    return common


def _find_log_base(objects: Mapping[str, ad.AnnData]) -> float | None:
    """Read the base of the logarithm; None is e.

    Raises
    ------
    ValueError
        The base of an object is invalid, or not that of the first.
    """
    first_of_base: dict[float, str] = {}
    base = None
    for name, adata in objects.items():
        try:
            base = read_log_base(adata.uns)
        except ValueError as error:
            msg = f"{name!r}: {error}"
            raise ValueError(msg) from None
        first_of_base.setdefault(np.e if base is None else base, name)
    if len(first_of_base) > 1:
        (first_base, first), (other_base, other) = list(first_of_base.items())[:2]
        msg = (
            f"values of {first!r} are logs to base {first_base:g}, those of {other!r} to base {other_base:g}, as their "
            "uns['log1p'] says (base e where that is missing): bring all to one base first, or correct uns['log1p']."
        )
        raise ValueError(msg)
    return base


def _quote_few(genes: pd.Index[Any]) -> str:
    """Quote the first genes of many."""
    quoted = ", ".join(map(repr, genes[:_MOST_GENES].tolist()))
    return quoted + (", ..." if genes.size > _MOST_GENES else "")
