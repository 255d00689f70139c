"""Where to put windows so that few of them see all of a hand, and none sees a bone at its rim alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.bool_]


@dataclass(frozen=True)
class Axis:
    """One side of a radiograph, divided into cells, and the windows along it.

    Attributes:
        length: px of the side.
        cells: number of equal cells that divide it.
        window: side of a window in px, at most `length`.
        margin: px at both ends of a window in which bones do not count as seen, but for the ends of the side itself.
    """

    length: int
    cells: int
    window: int
    margin: int

    def core(self, start: int, margin: int | None = None) -> slice:
        """Return the cells that a window from px `start` on sees whole and off its rim."""
        margin = self.margin if margin is None else margin
        first = start + margin if start > 0 else 0
        end = start + self.window
        last = end - margin if end < self.length else self.length
        return slice(-(-first * self.cells // self.length), last * self.cells // self.length)


def place_windows(needed: Cells, rows: Axis, columns: Axis) -> list[tuple[int, int]]:
    """Return where windows begin that see every needed cell off their rims.

    The windows stand in bands: as few bands as reach all rows, in each as few windows as reach its cells. Bands of
    columns are tried too, and the smaller number of windows is taken. This is no proven minimum of the plane, but each
    band has the minimum of its line.

    Args:
        needed: cells (h, w) that hold bone.
        rows: the side of h cells.
        columns: the side of w cells.

    Returns:
        First row and column in px of every window; empty if no cell is needed.
    """
    by_rows = _bands(needed, rows, columns)
    by_columns = [(top, left) for left, top in _bands(needed.T, columns, rows)]
    return min(by_rows, by_columns, key=len)


def _bands(needed: Cells, across: Axis, along: Axis) -> list[tuple[int, int]]:
    left = needed.copy()
    windows = []
    for start in _cover(_any(needed, axis=1), across):
        band = across.core(start)
        windows += [(start, begin) for begin in _cover(_any(left[band], axis=0), along)]
        left[band] = False
    return windows


def _cover(needed: Cells, axis: Axis) -> list[int]:
    """Return the starts of the fewest windows that see the needed cells of a line, with the widest margin for that."""
    fewest = _greedy(needed, axis, axis.margin)
    narrow, wide = axis.margin, axis.window // 2 - _cell(axis)
    while narrow < wide:
        margin = (narrow + wide + 1) // 2
        if len(_greedy(needed, axis, margin)) > len(fewest):
            wide = margin - 1
        else:
            narrow, fewest = margin, _greedy(needed, axis, margin)
    return fewest


def _greedy(needed: Cells, axis: Axis, margin: int) -> list[int]:
    """Cover a line from its beginning; each window starts as late as its first needed cell allows, which is optimal."""
    starts = []
    waiting = needed.copy()
    while waiting.any():
        first = int(waiting.argmax()) * axis.length // axis.cells
        start = min(max(first - margin, 0), axis.length - axis.window)
        waiting[: axis.core(start, margin).stop] = False
        starts.append(start)
    return starts


def _any(cells: Cells, axis: int) -> Cells:
    return np.asarray(cells.any(axis=axis))


def _cell(axis: Axis) -> int:
    """Return the px that a cell reaches into at most, over which a core must be wide to hold one."""
    return -(-axis.length // axis.cells)
