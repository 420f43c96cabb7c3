"""dask's internal graph functions: the graph of an array, what its tasks need, and tasks that are added to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dask.base import get_scheduler, named_schedulers
from dask.blockwise import Blockwise, optimize_blockwise
from dask.core import flatten, get_dependencies, quote, reverse_dict, toposort
from dask.highlevelgraph import HighLevelGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dask.array import Array


def find_scheduler(array: Array) -> Callable[..., Sequence[Any]]:
    """Give the function that computes keys of a graph: the configured one, a client's, or dask's threaded one."""
    schedule: Callable[..., Sequence[Any]] = get_scheduler(collections=[array])
    return schedule


def is_local_scheduler(schedule: Callable[..., Sequence[Any]]) -> bool:
    """Tell whether a scheduler is one of those that dask has for this machine: threads, processes or none of both."""
    return schedule in named_schedulers.values()


def find_shared_values(array: Array) -> list[Any]:
    """Give the values that all tasks of a layer take, such as the file that they read; none if there are no layers."""
    values: list[Any] = []
    for layer in getattr(array.dask, "layers", {}).values():
        if isinstance(layer, Blockwise):
            values += [value for value, indices in layer.indices if indices is None]
        elif len(layer) == 1:
            values += layer.values()
    return values


def optimize_graph(array: Array) -> Mapping[Any, Any]:
    """Give the graph of an array with its blockwise layers fused."""
    graph: Mapping[Any, Any] = array.__dask_graph__()
    if isinstance(graph, HighLevelGraph):
        graph = optimize_blockwise(graph, keys=set(flatten_keys(array.__dask_keys__())))
    return graph


def add_layer(graph: Mapping[Any, Any], name: str, tasks: Mapping[Any, Any]) -> HighLevelGraph:
    """Add tasks to the graph of the array ``name``, as a layer that depends on all others."""
    layered = graph if isinstance(graph, HighLevelGraph) else HighLevelGraph({name: graph}, {name: set()})
    layer = f"scpdex-{uuid4().hex}"
    return HighLevelGraph({**layered.layers, layer: tasks}, {**layered.dependencies, layer: set(layered.layers)})


def flatten_keys(keys: Sequence[Any]) -> list[Any]:
    """Give the keys of nested lists in their order."""
    return list(flatten(keys))


def find_dependencies(graph: Mapping[Any, Any], keys: Iterable[Any]) -> dict[Any, set[Any]]:
    """Give the keys that each task takes directly, for some tasks and all that these need in turn."""
    dependencies: dict[Any, set[Any]] = {}
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in dependencies:
            dependencies[key] = get_dependencies(graph, key)
            waiting += dependencies[key]
    return dependencies


def find_dependents(dependencies: Mapping[Any, set[Any]]) -> dict[Any, set[Any]]:
    """Give the keys of the tasks that take each task directly."""
    dependents: dict[Any, set[Any]] = reverse_dict(dependencies)
    return dependents


def sort_tasks(graph: Mapping[Any, Any], dependencies: Mapping[Any, set[Any]]) -> list[Any]:
    """Give the keys of a graph, each after all that it needs."""
    keys: list[Any] = toposort(graph, dependencies=dependencies)
    return keys


def as_task(value: Any) -> Any:
    """Wrap a value as a task that gives it; dask might take the value itself for a task or a key."""
    return quote(value)
