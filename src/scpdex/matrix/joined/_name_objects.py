"""Name objects: what a list or a dict holds, each file or AnnData once and under a name of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from anndata import AnnData

from scpdex.comparisons.spelling import quote_names

FilePath = str | PathLike[str]


def is_path(value: Any) -> bool:
    """Tell whether a value is the path of a file."""
    return isinstance(value, str | PathLike)


def are_several(value: Any) -> bool:
    """Tell whether a value may stand for several objects: a list, a tuple or a dict."""
    return isinstance(value, Mapping | Sequence) and not isinstance(value, str | bytes)


def name_objects(several: Any) -> dict[str, Any]:
    """Name files by the end of their path, and AnnDatas by their position; a dict has names already.

    Raises
    ------
    TypeError
        ``several`` is neither a list nor a dict, or holds anything else than paths and AnnDatas.
    ValueError
        It is empty, or has a file, an AnnData or a name twice.
    """
    if not are_several(several):
        raise TypeError(_describe_wrong_type(several))
    objects = list(several.values() if isinstance(several, Mapping) else several)
    if not objects:
        msg = "adata is empty: pass an AnnData, or a list of paths and AnnDatas."
        raise ValueError(msg)
    for element in objects:
        if not is_path(element) and not isinstance(element, AnnData):
            msg = f"adata lists a {type(element).__name__}; pass paths of h5ad files or zarr stores, and AnnDatas."
            raise TypeError(msg)
    identities = Counter(map(_identify, objects))
    if twice := [str(identity) for identity, n in identities.items() if n > 1]:
        msg = f"adata lists {quote_names(twice)} twice, and would count its cells twice: pass each once."
        raise ValueError(msg)
    names = list(map(str, several)) if isinstance(several, Mapping) else _choose_names(objects)
    if same := [name for name, n in Counter(names).items() if n > 1]:
        msg = f"adata has several objects named {quote_names(same)}: pass a dict with a name for each."
        raise ValueError(msg)
    return dict(zip(names, objects, strict=True))


def _describe_wrong_type(value: Any) -> str:
    """Say what to pass instead."""
    hint = ""
    if is_path(value):
        hint = f" To rank one file, pass [{fspath(value)!r}]."
    elif isinstance(value, Iterable):
        hint = " Pass list(adata) if it holds such."
    return f"adata is a {type(value).__name__}; pass an AnnData, or a list of paths and AnnDatas.{hint}"


def _identify(element: Any) -> str | int:
    """Give what two elements share if they are the same cells: a file, or an object that is no view of one."""
    if is_path(element):
        return str(Path(element).expanduser().resolve())
    if element.isbacked and not element.is_view:
        return str(Path(element.filename).resolve())
    return f"the AnnData at {id(element):#x}"


def _choose_names(objects: Sequence[Any]) -> list[str]:
    """Name files without folder and ending, or with as many folders before as tell them apart."""
    parts = [_split_path(Path(element)) if is_path(element) else [str(i)] for i, element in enumerate(objects)]
    names = [name for *_, name in parts]
    for n_parts in range(2, 1 + max(map(len, parts))):
        if len(set(names)) == len(names):
            break
        names = ["_".join(part for part in path[-n_parts:] if part != "/") for path in parts]
    return names


def _split_path(path: Path) -> list[str]:
    """Give the folders and the name of a file, without its ending."""
    return [*path.parent.parts, path.stem]
