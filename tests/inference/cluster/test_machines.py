"""Which actors find place on the machines of a cluster."""

from __future__ import annotations

import sys

import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.inference.cluster.machines import Actors, Machine, choose_actors, import_ray

HEAD, SMALL, LARGE, GPUS = Machine(0, 0), Machine(4, 0), Machine(64, 0), Machine(32, 4)


@pytest.mark.parametrize(
    ("machines", "device", "workers", "actors"),
    [
        ([SMALL], "auto", None, Actors(1, 4, 0)),
        ([HEAD, LARGE, LARGE], "auto", None, Actors(2, 64, 0)),
        # Two actors of 32 cores, both on the large machine, are faster than one of 4 cores beside one of 64.
        ([SMALL, LARGE], "auto", None, Actors(2, 32, 0)),
        ([LARGE], "cpu", 8, Actors(8, 8, 0)),
        ([SMALL, GPUS], "auto", None, Actors(4, 8, 1)),
        ([SMALL, GPUS, GPUS], "cuda", None, Actors(8, 8, 1)),
        ([GPUS], "cuda", 2, Actors(2, 16, 1)),
        ([GPUS], "cpu", None, Actors(1, 32, 0)),
    ],
)
def test_a_gpu_or_a_machine_gets_an_actor(
    machines: list[Machine], device: str, workers: int | None, actors: Actors
) -> None:
    assert choose_actors(machines, device, workers) == actors


@pytest.mark.parametrize(
    ("machines", "device", "workers", "problem"),
    [
        ([SMALL], "cuda", None, "the cluster has no GPU"),
        ([SMALL], "cuda:1", None, "means nothing on a cluster"),
        ([SMALL], "auto", 5, "choose 1 to 4"),
        ([SMALL], "auto", 0, "choose 1 to 4"),
        ([GPUS], "cuda", 5, "choose 1 to 4"),
        ([HEAD], "auto", None, "find no place"),
    ],
)
def test_what_finds_no_place_is_told(machines: list[Machine], device: str, workers: int | None, problem: str) -> None:
    with pytest.raises(HandsegInputError, match=problem):
        choose_actors(machines, device, workers)


def test_a_missing_package_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(HandsegInputError, match=r"pip install 'handseg\[cluster\]'"):
        import_ray()
