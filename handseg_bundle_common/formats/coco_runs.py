"""COCO's codes of single masks: run lengths, column after column, and polygons.

A mask is a list of counts: pixels outside, pixels inside, and so on, down the first column, then the second. Compressed
counts write every number as characters of five bits, from the third inside on as the difference from the one before it
of its kind. Codes and polygons are those of pycocotools (`maskApi.c` of https://github.com/cocodataset/cocoapi).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.formats.boostcamp import MAX_POINTS

Places = NDArray[np.int64]
# First pixel of every run, and the pixel behind it.
Runs = tuple[Places, Places]

_BITS, _OFFSET = 5, 48
_VALUE, _SIGN, _MORE = 0x1F, 0x10, 0x20
# Counts of 80 million pixels need six characters of five bits with a sign.
_MOST_CHARACTERS = 7
# Polygons are walked along in fifths of a pixel.
_SCALE = 5
# Corners may lie outside an image by as many px and its longer side; walking to a stray one would take for ever.
_OUTSIDE = 1000


def runs_of_mask(pixels: NDArray[np.bool_]) -> Runs:
    """Return the runs of a mask whose pixels (H * W,) stand column after column."""
    edges = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    bounds = np.concatenate([[0] if pixels[:1].any() else [], edges, [pixels.size] if pixels[-1:].any() else []])
    places = bounds.astype(np.int64)
    return places[::2], places[1::2]


def counts_of_runs(runs: Runs, total: int) -> Places:
    """Return COCO's counts of runs that ascend and do not touch, among `total` pixels."""
    bounds = np.column_stack(runs).ravel()
    is_last_inside = bounds.size > 0 and bounds[-1] == total
    return np.diff(np.concatenate([[0], bounds, [] if is_last_inside else [total]])).astype(np.int64)


def runs_of_counts(counts: Places, total: int) -> Runs:
    """Return the runs of COCO's counts.

    Raises:
        ValueError: a count is negative, or they are not those of `total` pixels.
    """
    if (counts < 0).any() or (counts > total).any() or int(counts.sum()) != total:
        raise ValueError(f"its counts are not those of {total} pixels")
    bounds = np.cumsum(counts)
    ends = bounds[1::2]
    return bounds[::2][: ends.size], ends


def compress(counts: Places) -> str:
    """Write counts as COCO's compressed ones."""
    numbers = counts.astype(np.int64)
    numbers[3:] -= counts[1:-2]
    characters = np.zeros((numbers.size, _MOST_CHARACTERS), np.uint8)
    lengths = np.zeros(numbers.size, np.int64)
    is_open = np.ones(numbers.size, bool)
    for place in range(_MOST_CHARACTERS):
        bits = numbers & _VALUE
        numbers = numbers >> _BITS
        has_more = np.where(bits & _SIGN, numbers != -1, numbers != 0)
        characters[:, place] = bits + has_more * _MORE + _OFFSET
        lengths += is_open
        is_open &= has_more
    return characters[np.arange(_MOST_CHARACTERS) < lengths[:, None]].tobytes().decode("ascii")


def decompress(text: str) -> Places:
    """Read COCO's compressed counts.

    Raises:
        ValueError: a character is not one of theirs, or a number is too long or not finished.
    """
    characters = np.frombuffer(text.encode("ascii", "replace"), np.uint8).astype(np.int64) - _OFFSET
    if ((characters < 0) | (characters >= 2 * _MORE)).any():
        raise ValueError("its counts have characters that are none of theirs")
    is_last = (characters & _MORE) == 0
    if characters.size and not is_last[-1]:
        raise ValueError("its counts end within a number")
    ends = np.flatnonzero(is_last)
    lengths = np.diff(ends, prepend=-1)
    if (lengths > _MOST_CHARACTERS).any():
        raise ValueError("its counts have a number that is too long")
    place = np.arange(characters.size) - np.repeat(ends - lengths + 1, lengths)
    numbers = np.zeros(ends.size, np.int64)
    np.add.at(numbers, np.repeat(np.arange(ends.size), lengths), (characters & _VALUE) << (_BITS * place))
    numbers -= np.where(characters[ends] & _SIGN, np.int64(1) << (_BITS * lengths), 0)
    for first in (1, 2):
        numbers[first::2] = np.cumsum(numbers[first::2])
    return numbers


def runs_of_ring(points: Sequence[Any], height: int, width: int) -> Runs:
    """Return the runs of one polygon, filled as pycocotools does (`rleFrPoly`).

    Args:
        points: x, y, x, y, ... in px, the upper left corner of the first pixel being 0, 0.
        height: rows of the mask.
        width: columns of the mask.

    Raises:
        ValueError: they are not pairs of finite numbers of three to 50,000 points, or lie far from the image.
    """
    numbers = np.array(points)
    if numbers.dtype.kind not in "iuf" or numbers.ndim != 1 or numbers.size < 6 or numbers.size % 2:
        raise ValueError("a polygon is no list x, y, x, y, ... of three points or more")
    if numbers.size > 2 * MAX_POINTS:
        raise ValueError(f"a polygon has {numbers.size // 2} points, more than {MAX_POINTS}")
    ring = numbers.astype(np.float64).reshape(-1, 2)
    reach = 2 * max(height, width) + _OUTSIDE
    if not ((ring >= -reach) & (ring <= reach)).all():
        raise ValueError("a polygon has points that are not finite or far from the image")
    corners = (_SCALE * ring + 0.5).astype(np.int64)
    parts = [_crossings(*pair, height, width) for pair in zip(corners, np.roll(corners, -1, axis=0), strict=True)]
    # Between two edges the walk stays where it is, so every crossing lies on one edge.
    turns = np.sort(np.concatenate(parts))
    if turns.size % 2:
        turns = np.append(turns, height * width)
    return turns[::2], turns[1::2]


def union(runs: Sequence[Runs]) -> Runs:
    """Return runs that ascend and do not touch, of all pixels that lie in any of the runs."""
    starts, ends = (np.concatenate([np.empty(0, np.int64), *places]) for places in zip(*runs, strict=True))
    is_run = ends > starts
    places = np.concatenate([starts[is_run], ends[is_run]])
    steps = np.repeat([1, -1], int(is_run.sum()))
    # Where one run ends and another begins, the beginning counts first, so that they become one.
    order = np.lexsort([-steps, places])
    depth = np.cumsum(steps[order])
    places = places[order]
    is_start, is_end = (steps[order] == 1) & (depth == 1), depth == 0
    return places[is_start], places[is_end]


def _crossings(start: Places, end: Places, height: int, width: int) -> Places:
    """Return where an edge of a polygon crosses the middle of a column: column * height + row."""
    (x, y), (x_end, y_end) = start.tolist(), end.tolist()
    steps_x, steps_y = abs(x_end - x), abs(y_end - y)
    is_flat = steps_x >= steps_y
    is_back = x > x_end if is_flat else y > y_end
    # An edge gives the same points whichever way it is walked.
    low, high = ((x_end, y_end), (x, y)) if is_back else ((x, y), (x_end, y_end))
    count = max(steps_x, steps_y)
    walk = np.arange(count + 1)[:: -1 if is_back else 1]
    if is_flat:
        slope = (high[1] - low[1]) / count if count else 0.0
        u, v = walk + low[0], (low[1] + slope * walk + 0.5).astype(np.int64)
    else:
        u, v = ((low[0] + (high[0] - low[0]) / count * walk) + 0.5).astype(np.int64), walk + low[1]
    moves = np.flatnonzero(u[1:] != u[:-1])
    column = (np.minimum(u[moves], u[moves + 1]) + 0.5) / _SCALE - 0.5
    row = np.ceil(np.clip((np.minimum(v[moves], v[moves + 1]) + 0.5) / _SCALE - 0.5, 0, height))
    is_middle = (column == np.floor(column)) & (column >= 0) & (column <= width - 1)
    places: Places = (column * height + row)[is_middle].astype(np.int64)
    return places
