"""Training on several processes: what is asked of torchrun, and what workers give."""

from __future__ import annotations

import argparse

import pytest
from monai.data import Dataset

from handseg_bundle_common.datasets.seeded import Draw


class Numbers(Dataset):
    """Data whose windows are the draws themselves."""

    def __init__(self):
        super().__init__([0, 1, 2])

    def __getitem__(self, draw: Draw):
        # Some work, so that the processor's time is not nothing.
        return sum(range(20000)) * 0 + draw.index


@pytest.mark.parametrize("workers", [1, 2])
def test_windows_are_counted_on_the_clock_and_by_the_processor(script, workers):
    rates = script.windows_per_second(Numbers(), workers)
    assert rates.keys() == {"clock", "processor"}
    assert all(rate > 0 for rate in rates.values())


def test_groups_of_processes_take_the_same_step(script):
    arguments = argparse.Namespace(bundle="effisegnet", processes=[1, 2], size=32, batch=2, rounds=1)
    rows = script.started_by_torchrun(arguments)
    assert list(rows) == [1, 2]
    assert all(row["clock"] > 0 and row["processor"] > 0 for row in rows.values())
