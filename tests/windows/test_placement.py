"""Windows are placed so that few of them see all bone, none of it at their rims alone."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from handseg_bundle_common.windows.placement import Axis, place_windows

SIDE, WINDOW, CELLS = 64, 32, 16
MARGIN = 4


def axis(length: int = SIDE, cells: int = CELLS, window: int = WINDOW, margin: int = MARGIN) -> Axis:
    return Axis(length, cells, window, margin)


def inside(start: int, line: Axis) -> slice:
    end = start + line.window
    return slice(start + line.margin if start else 0, end - line.margin if end < line.length else end)


def seen_in_full(starts: list[tuple[int, int]], rows: Axis, columns: Axis) -> NDArray[np.bool_]:
    """Pixels that lie at least the margin inside a window, or at the border of the radiograph."""
    seen = np.zeros((rows.length, columns.length), bool)
    for top, left in starts:
        seen[inside(top, rows), inside(left, columns)] = True
    return seen


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0, 0.3),
    st.sampled_from([64, 71, 90]),
    st.sampled_from([32, 50, 64]),
    st.sampled_from([0, 4, 9]),
)
@settings(max_examples=60, deadline=None)
def test_every_needed_pixel_is_seen_off_the_rim_of_a_window(seed, density, length, width, margin):
    needed = np.random.default_rng(seed).random((16, 12)) < density
    rows, columns = axis(length, 16, margin=margin), axis(width, 12, margin=margin)
    starts = place_windows(needed, rows, columns)
    assert all(0 <= top <= length - WINDOW and 0 <= left <= width - WINDOW for top, left in starts)
    row_of, column_of = np.arange(length) * 16 // length, np.arange(width) * 12 // width
    pixels = needed[np.ix_(row_of, column_of)]
    assert not (pixels & ~seen_in_full(starts, rows, columns)).any()


@given(st.lists(st.booleans(), min_size=CELLS, max_size=CELLS))
@settings(max_examples=60, deadline=None)
def test_a_line_gets_as_few_windows_as_any_choice_of_starts_would_need(line):
    needed = np.asarray([line] * CELLS).T & (np.arange(CELLS) == 0)
    starts = place_windows(needed, axis(), axis())
    pixels = np.repeat(line, SIDE // CELLS)

    def suffice(choice: tuple[int, ...]) -> bool:
        seen = seen_in_full([(start, 0) for start in choice], axis(), axis())[:, 0]
        return not (pixels & ~seen).any()

    possible = range(SIDE - WINDOW + 1)
    fewest = next(count for count in range(5) if any(suffice(choice) for choice in combinations(possible, count)))
    assert len(starts) == fewest


def test_without_bone_there_are_no_windows():
    assert place_windows(np.zeros((CELLS, CELLS), bool), axis(), axis()) == []


def test_a_window_that_has_room_keeps_bone_away_from_its_rim():
    needed = np.zeros((CELLS, CELLS), bool)
    needed[7:9, 7:9] = True
    ((top, left),) = place_windows(needed, axis(), axis())
    assert (top, left) == (28 - 12, 28 - 12), "8 px of bone have 12 px on either side in a window of 32 px"


def test_a_band_has_windows_only_where_it_has_bone():
    """Two columns of bone apart from each other, of different heights, need three windows and not two by two."""
    needed = np.zeros((CELLS, CELLS), bool)
    needed[:, 1] = True
    needed[5, 14] = True
    line = axis(margin=0)
    assert len(place_windows(needed, line, line)) == len(place_windows(needed.T, line, line)) == 3
