"""dask's internal graph functions: the graph of an array, what its tasks need, and tasks that are added to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dask import config
from dask._task_spec import Task, convert_legacy_task
from dask.base import get_scheduler, named_schedulers
from dask.blockwise import Blockwise, optimize_blockwise
from dask.core import flatten, get_dependencies, quote, reverse_dict, toposort
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

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


def add_tasks(graph: Mapping[Any, Any], name: str, tasks: Mapping[Any, Any], kept: Collection[Any]) -> HighLevelGraph:
    """Add tasks to the graph of the array ``name``; what a single one of them needs becomes part of that one.

    A task costs the scheduler more than a millisecond. The ``kept`` keys stay tasks of their own. All keys do if dask
    is told not to fuse, or to treat some layers in a certain way (to retry them, say), and if layers are more than
    their tasks, as those of P2P rechunking are.
    """
    layered = graph if isinstance(graph, HighLevelGraph) else HighLevelGraph({name: graph}, {name: set()})
    layer = f"scpdex-{uuid4().hex}"
    are_plain = all(
        type(other) in {Blockwise, MaterializedLayer} and not other.annotations for other in layered.layers.values()
    )
    if not are_plain or config.get("optimization.fuse.active", None) is False:
        return HighLevelGraph({**layered.layers, layer: tasks}, {**layered.dependencies, layer: set(layered.layers)})
    return HighLevelGraph({layer: _fuse_inputs(dict(graph), tasks, kept)}, {layer: set()})


def _fuse_inputs(graph: Mapping[Any, Any], tasks: Mapping[Any, Any], kept: Collection[Any]) -> dict[Any, Any]:
    """Give tasks, each fused with the tasks of the graph that it alone needs, and the other tasks that they need."""
    nodes = {**graph, **tasks}
    # Futures of persisted arrays seem to need themselves.
    dependencies = {key: needed - {key} for key, needed in find_dependencies(nodes, tasks).items()}
    dependents = find_dependents(dependencies)
    # The one of ``tasks`` that a key becomes part of; None: it stays a task of its own.
    owners: dict[Any, Any] = {}
    inputs: dict[Any, list[Any]] = {}
    for key in reversed(sort_tasks(dependencies, dependencies)):
        owners[key] = key if key in tasks else None
        users = {owners[dependent] for dependent in dependents[key]}
        if key not in tasks and key not in kept and len(users) == 1 and type(nodes[key]) is Task:
            owners[key] = next(iter(users))
            inputs.setdefault(owners[key], []).append(nodes[key])
    fused = {key: nodes[key] for key, owner in owners.items() if owner is None or owner == key}
    for key, of_task in inputs.items():
        if key is not None:
            fused[key] = Task.fuse(convert_legacy_task(key, tasks[key], nodes), *of_task, key=key)
    return fused


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
