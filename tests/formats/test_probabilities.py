"""Probabilities as files: what is kept, and what is refused in one sentence."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.probabilities import (
    probabilities_path,
    read_probabilities,
    write_probabilities,
)

SIZE = (40, 30)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The content of a good file."""
    path = tmp_path_factory.mktemp("good") / "a.npz"
    write_probabilities(path, np.random.default_rng(0).random((NUM_BONES, 4, 3)), SIZE)
    return path.read_bytes()


def save(path: Path, **changes: Any) -> Path:
    """Write a file as numpy would, with some arrays replaced or (None) left out."""
    content = {
        "values": np.zeros((NUM_BONES, 4, 3), np.uint8),
        "native_size": np.array(SIZE, np.int64),
        "bones": np.array(BONE_NAMES),
    }
    kept = {name: array for name, array in (content | changes).items() if array is not None}
    np.savez_compressed(path, **kept)
    return path


@given(arrays(np.float32, (NUM_BONES, 2, 3), elements=st.floats(0, 1, width=32)))
def test_no_decision_and_no_probability_moves(tmp_path_factory: pytest.TempPathFactory, given_: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("round") / "a.npz"
    write_probabilities(path, given_, SIZE)
    found = read_probabilities(path)
    assert found.native_size == SIZE
    assert found.values.dtype == np.uint8
    np.testing.assert_array_equal(found.values / 255 > 0.5, given_ > 0.5)
    assert np.abs(found.values / 255 - given_.astype(np.float64)).max() <= 0.5 / 255 + 1e-9


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_the_smallest_step_from_one_half_decides(tmp_path: Path, kind: type[np.floating[Any]]) -> None:
    half = kind(0.5)
    levels = [np.nextafter(half, kind(0)), half, np.nextafter(half, kind(1)), kind(0), kind(1)]
    write_probabilities(tmp_path / "a.npz", np.tile(np.array(levels, kind), (NUM_BONES, 1, 1)), SIZE)
    np.testing.assert_array_equal(read_probabilities(tmp_path / "a.npz").values[7, 0], [127, 127, 128, 0, 255])


def test_numpy_reads_the_file_without_pickle(tmp_path: Path) -> None:
    write_probabilities(tmp_path / "a.npz", np.full((NUM_BONES, 2, 2), 0.25), SIZE)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays_:
        assert tuple(arrays_["bones"]) == BONE_NAMES
        assert (arrays_["values"] == 64).all()


def test_files_are_named_after_images(tmp_path: Path) -> None:
    assert probabilities_path(tmp_path, "ID001/a.png") == tmp_path / "probabilities" / "ID001" / "a.png.npz"


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_only_probabilities_are_written(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        write_probabilities(tmp_path / "a.npz", np.full((NUM_BONES, 2, 2), value), SIZE)
    assert not list(tmp_path.iterdir())


def test_all_bones_are_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not \(3, 2, 2\)"):
        write_probabilities(tmp_path / "a.npz", np.zeros((3, 2, 2)), SIZE)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"values": None}, "no item named 'values.npy'"),
        ({"bones": None}, "no item named 'bones.npy'"),
        ({"values": np.zeros((28, 4, 3), np.uint8)}, r"values has the shape \(28, 4, 3\)"),
        ({"values": np.zeros((29, 4), np.uint8)}, r"values has the shape \(29, 4\)"),
        ({"values": np.zeros((29, 0, 3), np.uint8)}, "values has 0 values"),
        ({"values": np.zeros((29, 4, 3), np.float32)}, "the type float32"),
        ({"values": np.asfortranarray(np.zeros((29, 4, 3), np.uint8))}, "values has the shape"),
        ({"native_size": np.array([40, 30, 1], np.int64)}, r"native_size has the shape \(3,\)"),
        ({"native_size": np.array([40.0, 30.0])}, "the type float64"),
        ({"native_size": np.array([0, 30], np.int64)}, "says that the radiograph has 30 x 0 px"),
        ({"bones": np.array(BONE_NAMES[::-1])}, "holds other bones, or the same in another order"),
        ({"bones": np.array(BONE_NAMES, object)}, "the type object"),
    ],
)
def test_another_layout(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    path = save(tmp_path / "a.npz", **changes)
    with pytest.raises(
        HandsegInputError, match=rf"^{path}: .*{problem}.*; predict again and keep the probabilities\.$"
    ):
        read_probabilities(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "a.npz"):
        with pytest.raises(HandsegInputError, match=r"^.*: cannot be read \(.*\); predict again"):
            read_probabilities(path)


def test_size_is_checked_before_memory_is_taken(tmp_path: Path) -> None:
    """A header may promise terabytes."""
    header = io.BytesIO()
    layout = {"descr": "|u1", "fortran_order": False, "shape": (NUM_BONES, 10**6, 10**6)}
    np.lib.format.write_array_header_1_0(header, layout)
    path = save(tmp_path / "a.npz", values=None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("values.npy", header.getvalue())
    with pytest.raises(HandsegInputError, match="values has 29,000,000,000,000 values"):
        read_probabilities(path)


@pytest.mark.parametrize("length", [40, 10**7], ids=["too short", "a bomb"])
def test_content_has_the_length_of_its_header(tmp_path: Path, length: int) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (NUM_BONES, 4, 3)})
    path = save(tmp_path / "a.npz", values=None)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("values.npy", header.getvalue() + bytes(length))
    with pytest.raises(HandsegInputError, match="holds no probabilities of 29 bones"):
        read_probabilities(path)


def test_other_compressions_are_refused(tmp_path: Path, good: bytes) -> None:
    """bzip2 and LZMA unpack a block at once, however large."""
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(HandsegInputError, match="an unknown compression"):
        read_probabilities(path)


@given(st.data())
def test_damaged_files_are_refused_or_read_alike(
    tmp_path_factory: pytest.TempPathFactory, good: bytes, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "a.npz"
    content = bytearray(good[: data.draw(st.integers(0, len(good)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        found = read_probabilities(path)
    except HandsegInputError as error:
        assert str(error).count("\n") == 0
    else:
        assert found.values.shape == (NUM_BONES, 4, 3)


HEADER = [
    "{",
    "}",
    "(",
    ")",
    ",",
    ":",
    "'",
    "'descr'",
    "'|u1'",
    "'shape'",
    "'fortran_order'",
    "False",
    "29",
    "-1",
    "\n",
    "x",
]


@given(st.lists(st.sampled_from(HEADER)).map("".join), st.sampled_from(["values", "bones", "native_size"]))
def test_any_header_is_refused(tmp_path_factory: pytest.TempPathFactory, header: str, name: str) -> None:
    path = save(tmp_path_factory.mktemp("header") / "a.npz", **{name: None})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{name}.npy", np.lib.format.magic(1, 0) + len(header).to_bytes(2, "little") + header.encode())
    with pytest.raises(HandsegInputError):
        read_probabilities(path)


@given(st.binary(max_size=300), st.sampled_from(["values", "bones", "native_size"]))
def test_any_content_of_an_entry_is_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    path = save(tmp_path_factory.mktemp("entry") / "a.npz", **{name: None})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{name}.npy", content)
    with pytest.raises(HandsegInputError):
        read_probabilities(path)
