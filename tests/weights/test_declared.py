"""Weights that came with a bundle are held to its metadata, and no training writes over them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from handseg_bundle_common.engine import BestWeights
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import (
    declared_digest,
    free_path,
    load_weights,
    save_weights,
    starting_weights,
    stored_settings,
)


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """Weights in a bundle whose metadata names their digest."""
    path = tmp_path / "bundle" / "models" / "model.pt"
    save_weights(nn.Conv2d(1, 29, 1), path)
    declare(path, hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def declare(path: Path, digest: object) -> None:
    metadata = path.parents[1] / "configs" / "metadata.json"
    metadata.parent.mkdir(exist_ok=True)
    metadata.write_text(json.dumps({"weights": {"models/model.pt": {"sha256": digest}}}))


def test_the_metadata_of_the_bundle_names_the_digest(shipped):
    assert declared_digest(shipped) == hashlib.sha256(shipped.read_bytes()).hexdigest()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weights": 3}', '{"weights": {"models/model.pt": []}}', "\xff"])
def test_a_file_without_a_digest_is_nobodys(shipped, text):
    (shipped.parents[1] / "configs" / "metadata.json").write_text(text, encoding="latin-1")
    assert declared_digest(shipped) is None
    load_weights(nn.Conv2d(1, 29, 1), shipped)


def test_detours_lead_to_the_same_file(shipped, tmp_path):
    digest = declared_digest(shipped)
    assert digest is not None
    (tmp_path / "best.pt").symlink_to(shipped)
    assert declared_digest(tmp_path / "best.pt") == digest
    (tmp_path / "link").symlink_to(shipped.parent)
    (shipped.parent / "trained").mkdir()
    shipped.rename(tmp_path / "kept_elsewhere.pt")
    shipped.symlink_to(tmp_path / "kept_elsewhere.pt")
    for path in (tmp_path / "link" / "model.pt", shipped.parent / "trained" / ".." / "model.pt", shipped):
        assert declared_digest(path) == digest
        with pytest.raises(HandsegInputError, match="would be lost"):
            free_path(path)


NOBODYS = ["/model.pt", "model.pt", "/", "a/b/c.pt", "~nobody-at-all/model.pt", "\0/a.pt", "\ud800.pt", "x" * 300]


@pytest.mark.parametrize("path", NOBODYS, ids=lambda path: ascii(path)[:40])
def test_a_file_outside_bundles_is_nobodys(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert declared_digest(path) is None


@pytest.mark.parametrize("digest", ["0" * 64, 7, None])
def test_other_weights_in_its_place_are_refused_by_all_who_read_them(shipped, digest):
    declare(shipped, digest)
    for read in (stored_settings, lambda path: load_weights(nn.Conv2d(1, 29, 1), path)):
        with pytest.raises(HandsegInputError, match="not the file whose SHA-256 digest stands in the bundle's"):
            read(shipped)


def test_a_digest_that_the_caller_knows_counts_for_more(shipped):
    declare(shipped, "0" * 64)
    network = nn.Conv2d(1, 29, 1)
    load_weights(network, shipped, sha256=hashlib.sha256(shipped.read_bytes()).hexdigest())
    assert torch.equal(network.weight, torch.load(shipped, weights_only=True)["model"]["weight"])


def test_a_training_writes_elsewhere(shipped):
    with pytest.raises(HandsegInputError, match="came with the bundle and would be lost; choose another --ckpt_dir"):
        BestWeights(nn.Conv2d(1, 29, 1), str(shipped))
    for other in (shipped.parent / "trained" / "model.pt", shipped.with_name("swa.pt")):
        assert free_path(other) == other
    assert starting_weights(str(shipped), str(shipped.parent / "finetuned")) == str(shipped)
