"""What a row of the table is made of; the files in rows/ give them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROWS = Path(__file__).with_name("rows")


@dataclass(frozen=True)
class Comparison:
    """Our way of doing something, and the textbook's.

    Attributes:
        name: what is done, at what size and precision; the row's name.
        textbook: does it the textbook's way, and returns what `check` compares.
        ours: does it our way.
        check: raises AssertionError unless the textbook's result and ours, in this order, are equal; returns in a few
            words how equal they are.
        target: times that ours should be faster, if there is a target.
        memory_target: largest share of the textbook's memory that ours should take, if there is a target.
        weigh: whether the memory of both is measured.
        wall: take the clock on the wall on one thread as well, for work that waits for disks or other processes.
    """

    name: str
    textbook: Callable[[], Any]
    ours: Callable[[], Any]
    check: Callable[[Any, Any], str]
    target: float | None = None
    memory_target: float | None = None
    weigh: bool = True
    wall: bool = False


def groups() -> list[str]:
    """Return the names of all files of rows, sorted."""
    return sorted(path.stem for path in ROWS.glob("[!_]*.py"))


def comparisons(group: str, size: int) -> list[Comparison]:
    """Return the rows of a group.

    Args:
        group: a file of rows/, without its suffix.
        size: side of the images in px.
    """
    rows: list[Comparison] = importlib.import_module(f"rows.{group}").comparisons(size)
    return rows
