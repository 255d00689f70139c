"""Bundles: a list of the start, loaded once, and one that cannot be loaded."""

from __future__ import annotations

import json
import shutil

import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.serve import bundles as module
from handseg_bundle_common.serve.bundles import Bundles
from handseg_bundle_common.serve.problems import RefusedError


def test_a_bundle_is_loaded_when_it_is_first_used_and_only_then(folders, monkeypatch):
    loaded = []
    monkeypatch.setattr(module, "load_predictor", lambda folder, device: loaded.append(folder) or object())
    bundles = Bundles(folders, "cpu")
    assert loaded == []
    assert bundles.predictor("ensemble") is bundles.predictor("ensemble")
    assert loaded == [folders["ensemble"]]
    assert [(answer.name, answer.is_loaded) for answer in bundles.answers()] == [
        ("effisegnet", False),
        ("unetplusplus", False),
        ("ensemble", True),
    ]


def test_only_names_of_the_list_are_known(folders):
    bundles = Bundles({"mine": folders["effisegnet"]})
    assert bundles.check(None) == bundles.check("mine") == "mine"
    for name in ("effisegnet", folders["effisegnet"], "", ".."):
        with pytest.raises(RefusedError) as error:
            bundles.check(name)
        assert error.value.status_code == 404


def test_a_bundle_that_cannot_be_loaded_is_a_sentence(folders, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(folders["effisegnet"], broken)
    (broken / "configs" / "inference.json").write_text("{}")
    with pytest.raises(RefusedError) as error:
        Bundles({"broken": str(broken)}, "cpu").predictor("broken")
    assert error.value.status_code == 503
    assert "does not define network" in error.value.problem.why


def test_a_start_without_a_bundle_or_with_odd_metadata_is_refused(folders, tmp_path):
    with pytest.raises(HandsegInputError, match="no bundle with weights"):
        Bundles({})
    shutil.copytree(folders["effisegnet"], tmp_path / "odd")
    (tmp_path / "odd" / "configs" / "metadata.json").write_text(json.dumps([]))
    with pytest.raises(HandsegInputError, match="holds no object"):
        Bundles({"odd": str(tmp_path / "odd")})
