"""The jobs of a workflow, as a tree: which one started which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Record = Mapping[str, Any]
MOST = 300


@dataclass
class Node:
    """A job in the tree.

    Attributes:
        record: its state record.
        children: the jobs that it started, the oldest first.
    """

    record: Record
    children: list[Node] = field(default_factory=list)


def tree_of(records: Iterable[Record], allowed: Callable[[Record], bool]) -> list[Node]:
    """Return the workflow's first jobs with all that came of them.

    Args:
        records: state records of one workflow; who is there twice is taken once.
        allowed: whether the visitor may see a job.
    """
    nodes = {record["job"]: Node(record) for record in records if allowed(record)}
    roots: list[Node] = []
    for node in sorted(nodes.values(), key=lambda each: (_queued(each.record), each.record["job"])):
        parent = nodes.get(node.record["parent"] or "")
        # What is cut off here, or would be its own ancestor, stands for itself.
        if parent is None or _is_ancestor(node, parent, nodes):
            roots.append(node)
        else:
            parent.children.append(node)
    return roots


def _queued(record: Record) -> float:
    return float(record["queued_at"] or record["started_at"] or 0)


def _is_ancestor(node: Node, of: Node, nodes: Mapping[str, Node]) -> bool:
    seen: set[str] = set()
    current: Node | None = of
    while current is not None and current.record["job"] not in seen:
        if current is node:
            return True
        seen.add(current.record["job"])
        current = nodes.get(current.record["parent"] or "")
    return current is not None
