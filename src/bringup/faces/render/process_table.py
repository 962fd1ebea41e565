"""The process table as data: which rows, in what order, how deep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Final

from bringup.actions.live.sample import LiveProcess
from bringup.records import dataclass


class Order(Enum):
    """By what the rows are sorted; the value is the column's title."""

    VRAM = "VRAM"
    RAM = "RAM"
    CPU = "CPU"
    USER = "USER"
    PID = "PID"
    COMMAND = "COMMAND"


_KEYS: Final[dict[Order, Callable[[LiveProcess], Any]]] = {
    Order.VRAM: lambda one: (-one.card_bytes, -one.resident_bytes),
    Order.RAM: lambda one: -one.resident_bytes,
    Order.CPU: lambda one: -one.cpu_share,
    Order.USER: lambda one: one.user,
    Order.PID: lambda one: one.process_id,
    Order.COMMAND: lambda one: one.command or (one.name,),
}


@dataclass(frozen=True, slots=True)
class TableView:
    """How a person wants the table.

    Attributes:
        order: see `Order`.
        is_reversed: the other way round.
        is_tree: parents above their children.
        words: only rows that hold all of these words.
    """

    order: Order = Order.VRAM
    is_reversed: bool = False
    is_tree: bool = False
    words: str = ""

    def next_order(self) -> Order:
        """The order after this one, the first after the last."""
        orders = tuple(Order)
        return orders[(orders.index(self.order) + 1) % len(orders)]


@dataclass(frozen=True, slots=True)
class TableRow:
    """A process and how many shown ancestors it has."""

    process: LiveProcess
    depth: int


def arrange(processes: Sequence[LiveProcess], view: TableView) -> tuple[TableRow, ...]:
    """The rows to show, top down."""
    kept = [process for process in processes if _fits(process, view.words)]
    kept.sort(key=lambda process: process.process_id)
    kept.sort(key=_KEYS[view.order], reverse=view.is_reversed)
    if not view.is_tree:
        return tuple(TableRow(process, 0) for process in kept)
    shown = {process.process_id for process in kept}
    children: dict[int, list[LiveProcess]] = {}
    for process in kept:
        parent = process.parent_id if process.parent_id in shown else 0
        children.setdefault(parent, []).append(process)
    rows: list[TableRow] = []
    queue = [(process, 0) for process in reversed(children.get(0, []))]
    while queue:
        process, depth = queue.pop()
        rows.append(TableRow(process, depth))
        queue += [(child, depth + 1) for child in reversed(children.get(process.process_id, []))]
    return tuple(rows)


def _fits(process: LiveProcess, words: str) -> bool:
    text = f"{process.process_id} {process.user} {process.name} {' '.join(process.command)}".lower()
    return all(word in text for word in words.lower().split())
