"""What weights may decide in the configuration that uses them, and what not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from monai.bundle import ConfigParser
from torch import nn

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import adopt_settings, save_weights
from handseg_bundle_common.weights.adoption import ADOPTABLE

SINGLE = ("effisegnet", "segformer", "swin_unetr", "unetplusplus")


def adopted(tmp_path: Path, settings: dict[str, object], config: dict[str, object], **explicit: object) -> ConfigParser:
    """Return a configuration after weights with these settings have been read."""
    save_weights(nn.Conv2d(1, NUM_BONES, 1), tmp_path / "model.pt", settings=settings)
    parser = ConfigParser(config)
    adopt_settings(parser, tmp_path / "model.pt", explicit)
    return parser


def test_the_weights_win_over_the_configuration_and_the_user_over_both(tmp_path):
    config = {"image_size": 256, "overlap": 0.25, "sizes": "$[@image_size, @overlap]"}
    parser = adopted(tmp_path, {"image_size": 512, "overlap": 0.5}, config, overlap=0.25, image_size=None)
    assert parser.get_parsed_content("sizes") == [512, 0.25]


def test_an_id_that_the_configuration_lacks_is_not_added(tmp_path):
    assert "feature_size" not in adopted(tmp_path, {"feature_size": 24}, {"image_size": 256})


@pytest.mark.parametrize(
    "name",
    [
        *("output_dir", "data_dir", "dataset_dir", "ckpt_dir", "bundle_root", "weights", "device", "imports"),
        *("handlers", "members", "num_workers", "threshold", "tracking_uri", "network_def"),
    ],
)
def test_weights_move_no_folder_and_name_no_file(tmp_path, caplog, name):
    parser = adopted(tmp_path, {name: "/etc", "image_size": 512}, {name: "mine", "image_size": 256})
    assert (parser[name], parser["image_size"]) == ("mine", 512)
    assert f"has the setting {name}, which weights do not decide" in caplog.text


def test_a_folder_of_the_bundle_stays_where_it_is(tmp_path, repository):
    """The bundle's own configuration, with everything in it that is no network and no size."""
    config = json.loads((repository / "bundles" / "effisegnet" / "configs" / "inference.json").read_text())
    others = {name: value for name, value in config.items() if name not in ADOPTABLE}
    parser = adopted(tmp_path, dict.fromkeys(others, "/elsewhere"), dict(config))
    assert {name: parser[name] for name in others} == others


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("image_size", value) for value in (0, -1, True, None, 256.0, "256", [256], 10**6)],
        *[("window_size", value) for value in (0, "all", 2**40)],
        *[("overlap", value) for value in (1, -0.1, float("nan"), "0.25", None)],
        *[("decoder_channels", value) for value in ([16, 0], [[16]], "16", 10**9)],
        *[("model_name", value) for value in (None, 7, ["efficientnet-b0"])],
        *[("deep_supervision", value) for value in (1, "yes", None)],
        ("feature_size", 10**9),
        ("in_channels", 0),
    ],
)
def test_values_that_no_network_has_are_refused(tmp_path, name, value):
    with pytest.raises(HandsegInputError, match=f"model.pt: has the setting {name} .*, which is not possible"):
        adopted(tmp_path, {name: value}, {name: None})


@pytest.mark.parametrize("name", SINGLE)
def test_every_setting_that_a_training_stores_is_taken_over(repository, name):
    configs = {
        path.name: json.loads(path.read_text()) for path in (repository / "bundles" / name / "configs").glob("*.json")
    }
    stored = configs["train.json"]["best_weights"]["settings"]
    assert stored == configs["inference.json"]["network"]["settings"]
    assert set(stored) <= set(ADOPTABLE)
    assert all(value == f"@{key}" for key, value in stored.items())
    for config in configs.values():  # the recipes' values too
        for key in set(stored) & set(config):
            assert ADOPTABLE[key](config[key]), (key, config[key])


def test_the_list_holds_nothing_that_no_bundle_stores(repository):
    paths = [repository / "bundles" / name / "configs" / "train.json" for name in SINGLE]
    stored = {key for path in paths for key in json.loads(path.read_text())["best_weights"]["settings"]}
    assert stored == set(ADOPTABLE)
