"""A bundle's folder by path or by name, and in which order names are looked up."""

import json
import os
import sys
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from handseg_bundle_common import __version__, resources
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import PACKAGE, bundle_shelves, find_bundle, known_bundles


def make_bundle(folder: Path, metadata: str = "{}") -> str:
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "metadata.json").write_text(metadata)
    return str(folder)


class TestFindBundle:
    """A bundle's folder by path or by name."""

    @pytest.fixture(autouse=True)
    def nowhere(self, tmp_path, monkeypatch):
        """Neither the working directory, the environment nor the package's place know a bundle."""
        for name in ("cwd", "parent", "prefix"):
            (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / "cwd")
        monkeypatch.setattr(resources, "REPOSITORY", tmp_path / "parent")
        monkeypatch.setattr(resources, "INSTALLED", tmp_path / "prefix" / "share" / "handseg")
        monkeypatch.delenv("HANDSEG_BUNDLES", raising=False)

    def test_a_folder_is_found_as_it_is(self, tmp_path):
        bundle = make_bundle(tmp_path / "mine")
        assert find_bundle(bundle) == find_bundle("../mine") == bundle

    @pytest.mark.parametrize("shelf", ["parent/bundles", "prefix/share/handseg/bundles"])
    def test_a_name_is_found_in_the_repository_and_in_the_installation(self, tmp_path, shelf):
        bundle = make_bundle(tmp_path / shelf / "segformer")
        assert find_bundle("segformer") == bundle

    def test_a_name_is_found_in_the_folders_of_the_environment(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HANDSEG_BUNDLES", os.pathsep.join(["", str(tmp_path / "no"), str(tmp_path / "yes")]))
        make_bundle(tmp_path / "parent" / "bundles" / "mine")
        bundle = make_bundle(tmp_path / "yes" / "mine")
        assert find_bundle("mine") == bundle

    @pytest.mark.parametrize("own", ["cwd", "parent"])
    def test_a_renamed_bundle_is_found_from_inside_by_its_metadata(self, tmp_path, own):
        make_bundle(tmp_path / "parent" / "bundles" / "effisegnet")
        make_bundle(tmp_path / own, json.dumps({"name": "effisegnet"}))
        assert find_bundle("effisegnet") == str(tmp_path / own)

    @pytest.mark.parametrize("metadata", ["", "[]", "{", '{"name": 3}'])
    def test_damaged_metadata_does_not_hide_other_bundles(self, tmp_path, metadata):
        make_bundle(tmp_path / "parent" / "bundles" / "damaged", metadata)
        bundle = make_bundle(tmp_path / "parent" / "bundles" / "good")
        assert find_bundle("good") == bundle

    def test_an_unknown_name_is_answered_with_the_known_ones(self, tmp_path):
        make_bundle(tmp_path / "parent" / "bundles" / "unetplusplus")
        make_bundle(tmp_path / "parent" / "bundles" / "effisegnet")
        with pytest.raises(HandsegInputError, match=r"effisgnet: is no bundle.*\(effisegnet, unetplusplus\)"):
            find_bundle("effisgnet")

    def test_no_bundle_at_all(self):
        with pytest.raises(HandsegInputError, match="none found"):
            find_bundle("effisegnet")

    def test_every_bundle_is_known_once_in_the_order_of_the_shelves(self, tmp_path, monkeypatch):
        shelves = [tmp_path / "listed", tmp_path / "parent" / "bundles", resources.INSTALLED / "bundles"]
        monkeypatch.setenv("HANDSEG_BUNDLES", os.pathsep.join([str(shelves[0]), str(shelves[0])]))
        bundles = [Path(make_bundle(shelf / name)) for shelf in shelves for name in ("effisegnet", "segformer")]
        monkeypatch.chdir(bundles[3])
        assert bundle_shelves() == shelves
        assert known_bundles() == [bundles[3], *bundles[:3], *bundles[4:]]

    def test_a_bundle_configuration_finds_its_folder_by_target(self, tmp_path):
        bundle = make_bundle(tmp_path / "parent" / "bundles" / "effisegnet")
        target = {"_target_": "handseg_bundle_common.weights.find_bundle", "name": "effisegnet"}
        parser = ConfigParser({"bundle_root": target, "ckpt_dir": "$@bundle_root + '/models'"})
        assert parser.get_parsed_content("ckpt_dir") == bundle + "/models"


class TestExportedBundles:
    """Bundles that carry their own copy of the package, of which one process can use one version."""

    @staticmethod
    def make_exported(folder: Path, name: str, version: str = __version__) -> str:
        (folder / PACKAGE).mkdir(parents=True)
        (folder / PACKAGE / "__init__.py").write_text(f'"""Ours."""\n\n__version__ = "{version}"\n')
        return make_bundle(folder, json.dumps({"name": name}))

    def test_one_of_the_same_version_is_found(self, tmp_path):
        bundle = self.make_exported(tmp_path / "here", "mine")
        assert find_bundle(bundle) == bundle

    @pytest.mark.parametrize("version", ["9.9.9", "0.0.1"])
    def test_one_of_another_version_is_refused(self, tmp_path, monkeypatch, version):
        bundle = self.make_exported(tmp_path / "shelf" / "mine", "mine", version)
        monkeypatch.setenv("HANDSEG_BUNDLES", str(tmp_path / "shelf"))
        for name in (bundle, "mine"):
            with pytest.raises(HandsegInputError, match=f"was exported with version {version} of {PACKAGE}"):
                find_bundle(name)

    def test_one_of_an_unknown_version_is_refused(self, tmp_path):
        bundle = self.make_exported(tmp_path / "here", "mine")
        (Path(bundle) / PACKAGE / "__init__.py").write_text("")
        with pytest.raises(HandsegInputError, match="version unknown"):
            find_bundle(bundle)

    def test_a_configuration_finds_the_bundle_that_monai_runs(self, tmp_path, monkeypatch):
        """Of two bundles of one name, that which MONAI has put on the search path last."""
        first, second = (self.make_exported(tmp_path / place, "mine") for place in ("first", "second"))
        for bundle in (first, second):
            monkeypatch.setattr(sys, "path", [sys.path[0], bundle, *sys.path[1:]])
        assert find_bundle("mine", exported_with=__version__) == second
        with pytest.raises(HandsegInputError, match=r"mine: was exported with version 9\.9\.9"):
            find_bundle("mine", exported_with="9.9.9")
