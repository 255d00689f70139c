"""Batches that are lost: every radiograph has one row in the end, whatever happened to the actors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.inference import SegmenterSettings
from handseg_bundle_common.inference.cluster import predict_on_cluster, stream
from handseg_bundle_common.inference.cluster.actor import BATCH, FATAL, Actor, Task
from handseg_bundle_common.inference.cluster.items import Item
from handseg_bundle_common.inference.cluster.machines import Actors
from handseg_bundle_common.inference.cluster.rows import failed_row
from handseg_bundle_common.inference.cluster.shipping import Parcel, pack, plain_segmenter
from handseg_bundle_common.inference.segmenter import Failure

TASK = Task(SegmenterSettings("tiny"), Parcel("tiny", {}), "", (), False, (), 1, None)
ITEMS = [Item(f"{number}.png", f"/{number}.png", "", f"/{number}.png", "") for number in range(6)]
KEYS = {item.name: item.file for item in ITEMS}
RAY = ModuleType("ray")


def table_of(items: Sequence[Item]) -> pa.Table:
    return pa.Table.from_pylist([failed_row(Failure(item.name, item.file, "done"), "") for item in items], BATCH)


def told(monkeypatch: pytest.MonkeyPatch, deadly: set[str]) -> dict[str, str]:
    """Return the sentence of every radiograph if some of them kill the actor that gets them."""

    def one_pass(*arguments: object, size: int, retries: int) -> Iterator[pa.Table]:
        items: list[Item] = arguments[2]
        for first in range(0, len(items), size):
            batch = items[first : first + size]
            if not {item.name for item in batch} & deadly:
                yield table_of(batch)
        # What an actor had sent before it was killed may come twice, and a batch may be empty.
        yield table_of(items[:1] if items[0].name not in deadly else [])

    monkeypatch.setattr(stream, "batch_size", lambda *_: 2)
    monkeypatch.setattr(stream, "_one_pass", one_pass)
    rows = [row for table in stream.segmented(RAY, TASK, ITEMS, KEYS, Actors(1, 1, 0)) for row in table.to_pylist()]
    assert sorted(row["image_name"] for row in rows) == sorted(KEYS)
    return {row["image_name"]: row["problem"] for row in rows}


def test_every_radiograph_comes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(told(monkeypatch, set()).values()) == {"done"}


def test_only_what_kills_its_actor_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = told(monkeypatch, {"2.png", "5.png"})
    assert [name for name, sentence in sentences.items() if sentence == "done"] == ["0.png", "1.png", "3.png", "4.png"]
    assert sentences["2.png"].startswith("/2.png: ended every process that tried to segment it")


def test_an_actor_that_cannot_work_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = pa.Table.from_pylist([{FATAL: "tiny: is no bundle; name one."}], BATCH)
    monkeypatch.setattr(stream, "_one_pass", lambda *_, **__: iter([lost]))
    with pytest.raises(HandsegInputError, match=r"^tiny: is no bundle; name one\.$"):
        list(stream.segmented(RAY, TASK, ITEMS, KEYS, Actors(1, 1, 0)))


@pytest.mark.parametrize(("count", "actors", "size"), [(5, 2, 1), (64, 2, 4), (10_000, 4, 16)])
def test_every_actor_gets_several_batches(count: int, actors: int, size: int) -> None:
    assert stream.batch_size(count, actors) == size


def test_an_odd_radiograph_fails_alone(
    bundle: Path, images: Path, tmp_path: Path, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Actor._rows

    def odd(self: Actor, items: Sequence[Item], keys: Sequence[str]) -> list[dict[str, object]]:
        if any(item.name == "2.png" for item in items):
            raise MemoryError("too large")
        return rows(self, items, keys)

    monkeypatch.setattr(Actor, "_rows", odd)
    settings = SegmenterSettings(str(bundle), device="cpu")
    result = predict_on_cluster([str(images)], settings, str(tmp_path / "out"), formats=("rle",))
    assert result.segmented == ("0.png", "1.png", "3.png", "4.png")
    assert [failure.sentence for failure in result.failures] == [
        f"{images / '2.png'}: could not be segmented (MemoryError: too large); look at it, or leave it out."
    ]
    assert done == ["0.png", "1.png", "2.png", "3.png", "4.png", "2.png", "3.png"]


def test_a_machine_without_the_bundle_gets_a_copy(bundle: Path, tmp_path: Path) -> None:
    (bundle / "models").mkdir()
    (bundle / "models" / "history.pt").write_bytes(b"not needed")
    (tmp_path / "mine.pt").write_bytes(b"weights")
    settings = SegmenterSettings(str(bundle), device="cpu")
    segmenter = plain_segmenter(settings)
    own = SegmenterSettings(str(bundle), weights=str(tmp_path / "mine.pt"))
    fingerprint, parcel = segmenter.fingerprint, pack(own, segmenter)
    assert sorted(parcel.files) == ["configs/inference.json", "configs/metadata.json", "weights/mine.pt"]
    with parcel.unpacked(own) as there:
        assert there == own
    bundle.rename(tmp_path / "gone")
    with parcel.unpacked(own) as there:
        assert Path(there.bundle).name == "tiny"
        assert Path(str(there.weights)).read_bytes() == b"weights"
        assert plain_segmenter(SegmenterSettings(there.bundle)).fingerprint == fingerprint
    assert not Path(there.bundle).exists()


def test_a_copy_that_is_another_is_refused(bundle: Path, images: Path, tmp_path: Path) -> None:
    settings = SegmenterSettings(str(bundle), device="cpu")
    task = Task(settings, Parcel("tiny", {}), "of another version", ("rle",), False, (), 1, None)
    item = {"name": "0.png", "file": "0.png", "base": "", "path": str(images / "0.png"), "state": "", "key": ""}
    (row,) = Actor(task)(pa.Table.from_pylist([item])).to_pylist()
    assert row[FATAL].startswith("a machine of the cluster: its handseg, its bundle or its weights are not those")
