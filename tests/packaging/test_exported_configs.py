"""Configurations of exported bundles: nothing of the package is named before MONAI has found it."""

from __future__ import annotations

import json

import pytest
from monai.bundle import ConfigParser

from handseg_bundle_common import __version__
from handseg_bundle_common.packaging.exported_configs import exported_config

CONFIG = {
    "imports": ["$import torch"],
    "bundle_root": "/home/somebody/mine",
    "order": "$[]",
    "network_def": None,
    "initialize": ["$@order.append('start')"],
    "run": ["$@trainer.run()"],
}


def test_what_initialize_does_comes_first_in_everything_that_is_run():
    config = exported_config(CONFIG, "mine")
    assert "initialize" not in config
    assert config["run"] == ["@start", "$@trainer.run()"]
    parser = ConfigParser(config)
    parser.get_parsed_content("run#0")
    assert parser.get_parsed_content("order") == ["start"]


def test_an_overlay_replaces_it_as_it_did_before():
    overlay = exported_config({"initialize": ["$1"], "finalize": ["$2"], "evaluating": ["$@evaluator.run()"]}, "mine")
    assert overlay == {"start": ["$1"], "finalize": ["$2"], "evaluating": ["@start", "$@evaluator.run()"]}


def test_a_complete_configuration_without_initialize_has_an_empty_start():
    assert exported_config({"network_def": 1, "run": ["$@trainer.run()"]}, "mine")["start"] == []


@pytest.mark.parametrize("value", [[1, 2], "$@evaluator.run()", ["words.run()"], ["$@values"], [], None])
def test_other_values_stay(value):
    assert exported_config({"some": value}, "mine") == {"some": value}


def test_the_folder_is_looked_for_by_name_and_version():
    target = {"_target_": "handseg_bundle_common.weights.find_bundle", "name": "mine", "exported_with": __version__}
    assert exported_config(CONFIG, "mine")["bundle_root"] == target


def test_exporting_twice_changes_nothing():
    once = exported_config(CONFIG, "mine")
    assert exported_config(once, "mine") == once


def test_no_configuration_of_the_bundles_names_the_package_in_initialize(repository):
    for path in (repository / "bundles").glob("*/configs/*.json"):
        config = exported_config(json.loads(path.read_text()), path.parents[1].name)
        assert "initialize" not in config
        runs = [config[key] for key in ("run", "training", "evaluating", "inferring") if key in config]
        assert all(run[0] == "@start" for run in runs)
