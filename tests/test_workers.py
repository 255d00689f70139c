"""Work over several processes: in order, as many as make sense, and each on one core."""

from __future__ import annotations

import os

import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.workers import done_in_order, number_of_workers


@pytest.mark.parametrize(
    ("wanted", "jobs", "number"),
    [(None, 0, 1), (None, 15, 1), (None, 31, 1), (None, 1000, 3), (2, 1000, 2), (5, 3, 3), (5, 0, 1)],
)
def test_no_more_processes_are_started_than_have_enough_to_do(monkeypatch, wanted, jobs, number) -> None:
    monkeypatch.setattr("handseg_bundle_common.workers._cores", lambda: 3)
    assert number_of_workers(wanted, jobs, 16) == number


def test_a_process_counts_the_cores_that_it_may_use() -> None:
    if hasattr(os, "sched_getaffinity"):
        assert number_of_workers(None, 10**6, 1) == len(os.sched_getaffinity(0))


def test_no_process_is_refused() -> None:
    with pytest.raises(HandsegInputError, match="workers: 0 processes cannot work"):
        number_of_workers(0, 5, 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_from_any_number_of_processes(workers: int) -> None:
    assert list(done_in_order(abs, range(-5, 5), workers)) == [5, 4, 3, 2, 1, 0, 1, 2, 3, 4]


def test_a_process_that_is_ended_is_told_with_what_to_do() -> None:
    with pytest.raises(HandsegInputError, match=r"workers: a process was ended, .* memory; .* with --workers 1"):
        list(done_in_order(os._exit, [1, 1], 2))


def test_one_process_is_this_one() -> None:
    assert list(done_in_order(lambda _: os.getpid(), [0], 1)) == [os.getpid()]
