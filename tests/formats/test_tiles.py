"""Tiles: every window of every resolution equals the same part of the whole picture."""

from __future__ import annotations

import os
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import StoredRadiograph, read_radiograph, write_radiograph
from handseg_bundle_common.formats.tiles import TileCache, TiledRadiograph, write_tiles

CONTRAST = (0.1, 0.9)


def _random(height: int, width: int, dtype: type = np.uint8) -> StoredRadiograph:
    white = np.iinfo(dtype).max
    levels = np.random.default_rng(0).integers(0, white, (height, width), dtype, endpoint=True)
    return StoredRadiograph(levels, 0.0, float(white))


@pytest.fixture(scope="module")
def picture() -> StoredRadiograph:
    return _random(1100, 700)


@pytest.fixture(scope="module")
def tiles(picture: StoredRadiograph, tmp_path_factory: pytest.TempPathFactory) -> TiledRadiograph:
    path = tmp_path_factory.mktemp("tiles") / "hand.tiles"
    write_tiles(path, picture, CONTRAST)
    return TiledRadiograph(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_window_is_that_of_the_picture(
    picture: StoredRadiograph, tiles: TiledRadiograph, data: st.DataObject
) -> None:
    top, left = data.draw(st.integers(0, 1099)), data.draw(st.integers(0, 699))
    rows = slice(top, data.draw(st.integers(top + 1, 1100)))
    columns = slice(left, data.draw(st.integers(left + 1, 700)))
    np.testing.assert_array_equal(tiles.grey(rows, columns), picture.grey(rows, columns))


def test_size_and_contrast_are_kept(tiles: TiledRadiograph) -> None:
    assert tiles.size == (1100, 700)
    assert tiles.contrast == CONTRAST


def test_halving_averages_squares_of_four(picture: StoredRadiograph, tiles: TiledRadiograph) -> None:
    assert tiles.halvings == 2
    means = picture.levels.astype(float)
    for halvings in (1, 2):
        means = means.reshape(means.shape[0] // 2, 2, means.shape[1] // 2, 2).mean(axis=(1, 3))
        whole = slice(0, means.shape[0]), slice(0, means.shape[1])
        np.testing.assert_allclose(tiles.grey(*whole, halvings) * 255, means, atol=1.01)


@pytest.mark.parametrize("size", [(1, 1), (1, 1500), (1025, 3), (513, 1023)])
def test_sizes_that_cannot_be_halved_evenly(tmp_path: Path, size: tuple[int, int]) -> None:
    picture = _random(*size)
    write_tiles(tmp_path / "odd.tiles", picture, CONTRAST)
    tiles = TiledRadiograph(tmp_path / "odd.tiles")
    np.testing.assert_array_equal(tiles.grey(slice(0, size[0]), slice(0, size[1])), picture.grey())
    for halvings in range(1, tiles.halvings + 1):
        halved = [-(-n // 2**halvings) for n in size]
        small = tiles.grey(slice(0, halved[0]), slice(0, halved[1]), halvings)
        assert small.shape == tuple(halved)
        assert abs(small.mean() - picture.grey().mean()) < 0.1


def test_inverted_pictures_stay_bone_bright(tmp_path: Path) -> None:
    inverted = _random(40, 30).turned()
    write_tiles(tmp_path / "inverted.tiles", inverted, CONTRAST)
    whole = TiledRadiograph(tmp_path / "inverted.tiles").grey(slice(0, 40), slice(0, 30))
    np.testing.assert_array_equal(whole, inverted.grey())


def test_deeper_pictures_get_eight_bits_between_the_contrast_limits(tmp_path: Path) -> None:
    deep = _random(40, 30, np.uint16)
    write_tiles(tmp_path / "deep.tiles", deep, CONTRAST)
    whole = TiledRadiograph(tmp_path / "deep.tiles").grey(slice(0, 40), slice(0, 30))
    np.testing.assert_allclose(whole, np.clip(deep.grey(), *CONTRAST), atol=0.8 / 255 / 2 + 1e-6)


@pytest.fixture
def radiograph(tmp_path: Path) -> Path:
    path = tmp_path / "hand.png"
    write_radiograph(path, np.random.default_rng(1).random((300, 280)).astype(np.float32), bits=8)
    return path


def _limits(stored: StoredRadiograph) -> tuple[float, float]:
    return CONTRAST


def test_the_cache_writes_a_radiograph_once(radiograph: Path, tmp_path: Path) -> None:
    cache = TileCache(tmp_path / "cache", _limits)
    first = cache.radiograph(radiograph)
    written = first.path.stat().st_mtime_ns
    assert cache.radiograph(radiograph).path.stat().st_mtime_ns == written
    assert [first.path] == list((tmp_path / "cache").iterdir())


def test_a_changed_radiograph_is_cut_anew(radiograph: Path, tmp_path: Path) -> None:
    cache = TileCache(tmp_path / "cache", _limits)
    whole = slice(0, 300), slice(0, 280)
    before = cache.radiograph(radiograph).grey(*whole)
    write_radiograph(radiograph, np.zeros((1, 300, 280), np.float32), bits=8)
    os.utime(radiograph, ns=(0, 0))
    after = cache.radiograph(radiograph)
    assert before.any()
    assert not after.grey(*whole).any()
    assert [after.path] == list((tmp_path / "cache").iterdir())


def test_two_that_cut_the_same_radiograph_at_once_both_get_it_whole(radiograph: Path, tmp_path: Path) -> None:
    both_have_read = Barrier(2, timeout=20)

    def limits(stored: StoredRadiograph) -> tuple[float, float]:
        both_have_read.wait()
        return CONTRAST

    def whole(cache: TileCache) -> np.ndarray:
        return cache.radiograph(radiograph).grey(slice(0, 300), slice(0, 280))

    with ThreadPoolExecutor(2) as pool:
        pictures = list(pool.map(whole, [TileCache(tmp_path / "cache", limits) for _ in range(2)]))
    for picture in pictures:
        np.testing.assert_array_equal(picture, read_radiograph(radiograph)[0])
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_named(radiograph: Path) -> None:
    with pytest.raises(HandsegInputError, match=r"hand\.png.*cannot be written .*; choose a folder"):
        TileCache(radiograph / "cache", _limits).radiograph(radiograph)


def test_a_damaged_file_is_written_again(radiograph: Path, tmp_path: Path) -> None:
    cache = TileCache(tmp_path / "cache", _limits)
    path = cache.radiograph(radiograph).path
    path.write_bytes(path.read_bytes()[:100])
    assert cache.radiograph(radiograph).size == (300, 280)


def test_a_damaged_tile_is_named(radiograph: Path, tmp_path: Path) -> None:
    tiles = TileCache(tmp_path / "cache", _limits).radiograph(radiograph)
    with zipfile.ZipFile(tiles.path) as archive:
        offset = archive.getinfo("0/0_0").header_offset
    content = bytearray(tiles.path.read_bytes())
    content[offset + 200 : offset + 210] = bytes(10)
    tiles.path.write_bytes(content)
    with pytest.raises(HandsegInputError, match=r"cannot be read as tiles.*delete it"):
        TiledRadiograph(tiles.path).grey(slice(0, 300), slice(0, 280))


def test_a_missing_radiograph_is_named(tmp_path: Path) -> None:
    with pytest.raises(HandsegInputError, match=r"nowhere\.png: cannot be read"):
        TileCache(tmp_path / "cache", _limits).radiograph(tmp_path / "nowhere.png")
    assert not (tmp_path / "cache").exists()


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=400))
def test_any_bytes_are_tiles_or_one_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "any.tiles")
        path.write_bytes(content)
        with pytest.raises(HandsegInputError, match="cannot be read as tiles"):
            TiledRadiograph(path)
