"""Files of weights that are small on the disk and would be large in memory."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import load_checkpoint, load_state_dict_file, load_weights, save_weights

GIGABYTE = 2**30
READ = """
import resource, sys
import torch
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import load_state_dict_file, stored_settings
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    for read in (load_state_dict_file, stored_settings):
        try:
            read(path)
        except HandsegInputError as error:
            print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, "MiB")
"""


def network() -> nn.Module:
    return nn.Conv2d(1, NUM_BONES, 1)


def as_file(content: object, **options: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def rewritten(content: bytes, method: int, change: Callable[[str, bytes], bytes] = lambda name, data: data) -> bytes:
    """Return an archive whose entries are changed and packed by a method."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return buffer.getvalue()


def packed_zeros() -> bytes:
    """A quarter of a gigabyte of zeros in 300 kB."""
    return rewritten(as_file({"weight": torch.zeros(2**26)}), zipfile.ZIP_DEFLATED)


def bytearray_pickle(size: int) -> bytes:
    """A pickle of protocol 2 that calls `bytearray(size)`."""
    return b"\x80\x02cbuiltins\nbytearray\n(J" + size.to_bytes(4, "little") + b"tR."


def archived_bytearray() -> bytes:
    pickled = bytearray_pickle(GIGABYTE)
    return rewritten(as_file({}), zipfile.ZIP_STORED, lambda name, data: pickled if "data.pkl" in name else data)


def legacy_bytearray() -> bytes:
    return as_file({}, _use_new_zipfile_serialization=False).replace(b"\x80\x02}q\x00.", bytearray_pickle(GIGABYTE))


def expanded() -> bytes:
    return as_file({"weight": torch.zeros(1).expand(GIGABYTE)})


def longer_storage() -> bytes:
    """Ten numbers of which the pickle says that they are a quarter of a billion."""
    number, huge = b"K\x0a", b"J" + (2**28).to_bytes(4, "little")
    content = as_file({"weight": torch.arange(10.0)})
    return rewritten(
        content, zipfile.ZIP_STORED, lambda name, data: data.replace(number, huge) if "data.pkl" in name else data
    )


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "packed": (packed_zeros, r"is no checkpoint \(it is packed, which no training does"),
    "bytearray": (archived_bytearray, r"is no checkpoint \(it holds a bytearray"),
    "bytearray in an old file": (legacy_bytearray, r"is no checkpoint \(it holds a bytearray"),
    "expanded": (expanded, "holds 'weight', which is sparse, quantised or larger than the file"),
    "sparse": (lambda: as_file({"weight": torch.zeros(9, 9).to_sparse()}), "holds 'weight', which is sparse"),
    "longer storage": (longer_storage, "is no checkpoint"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_it_is_refused_in_one_sentence(tmp_path, bomb):
    make, problem = BOMBS[bomb]
    (tmp_path / "bomb.pt").write_bytes(make())
    for load in (load_state_dict_file, lambda path: load_weights(network(), path, strict=False, min_share=0)):
        with pytest.raises(HandsegInputError, match=rf"bomb\.pt: {problem}") as caught:
            load(tmp_path / "bomb.pt")
        assert "\n" not in str(caught.value)


def test_refusing_them_takes_no_memory(tmp_path):
    """Those that are the largest in memory, read in a process whose peak is measured."""
    names = ["bytearray", "bytearray in an old file", "expanded", "longer storage"]
    for name in names:
        (tmp_path / f"{name}.pt").write_bytes(BOMBS[name][0]())
    command = [sys.executable, "-c", READ, *[str(tmp_path / f"{name}.pt") for name in names]]
    result = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    *sentences, peak = result.stdout.splitlines()
    assert len(sentences) >= len(names)
    assert int(peak.split()[0]) < 200


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_small_views_and_shared_tensors_are_no_bombs(tmp_path, zipped):
    shared = torch.rand(4)
    content = {"a": shared, "b": shared, "c": torch.ones(1).expand(8), "d": shared[::2], "e": torch.ones(())}
    path = tmp_path / "model.pt"
    path.write_bytes(as_file(content, _use_new_zipfile_serialization=zipped))
    torch.testing.assert_close(load_state_dict_file(path), content, rtol=0, atol=0)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_old_files_with_damaged_bytes_raise_nothing_else(tmp_path: Path, data: st.DataObject) -> None:
    """As `test_storage.py` tells of archives."""
    path = tmp_path / "damaged.pt"
    content = bytearray(as_file({"model": network().state_dict()}, _use_new_zipfile_serialization=False))
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=8)):
        content[position] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    for load in (load_checkpoint, load_state_dict_file, lambda path: load_weights(network(), path)):
        try:
            load(path)
        except HandsegInputError as error:
            assert error.source == str(path)
            assert "\n" not in str(error)


def test_what_a_training_writes_is_read(tmp_path):
    save_weights(network(), tmp_path / "model.pt", half_precision=True, settings={"image_size": 64})
    assert set(load_state_dict_file(tmp_path / "model.pt")) == {"weight", "bias"}
