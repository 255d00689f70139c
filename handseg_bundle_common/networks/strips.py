"""Maps computed in strips of rows.

A map of more than 32 MiB comes fresh from the operating system whenever it is needed, and its first touch takes longer
than the convolution that fills it. Strips stay in the caches and use the same memory again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F  # noqa: N812  the name that PyTorch's own documentation uses

STRIP_VALUES = 2**20
"""Values of the largest map of a strip: a few MiB, with little lost to the rows that neighbouring strips share."""


@dataclass(frozen=True)
class Strip:
    """Some rows of a map.

    Attributes:
        values: (N, C, rows, W).
        start: number of the first of them.
        height: number of rows of the whole map.
    """

    values: Tensor
    start: int
    height: int

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows start to stop - 1, with zeros for those above and below the map, which convolutions pad with."""
        first, last = max(start, 0), min(stop, self.height)
        inside = self.values[:, :, first - self.start : last - self.start]
        return F.pad(inside, (0, 0, first - start, stop - last)) if first > start or last < stop else inside


def strips(height: int, values_of_a_row: int, multiple: int = 1) -> Iterator[tuple[int, int]]:
    """Yield first row and end of every strip.

    Args:
        height: rows of the map.
        values_of_a_row: values in a row of the largest map that is made of a strip.
        multiple: every strip but the last has a multiple of so many rows.
    """
    rows = -(-max(4, STRIP_VALUES // values_of_a_row) // multiple) * multiple
    for start in range(0, height, rows):
        yield start, min(start + rows, height)
