"""Weights that a recipe starts from."""

from __future__ import annotations

import pytest
from monai.bundle import ConfigParser

from handseg_bundle_common.errors import HandsegInputError, input_error_message
from handseg_bundle_common.weights import starting_weights


def test_a_path_that_only_the_user_knows_is_asked_for_when_it_is_used():
    target = {"_target_": "handseg_bundle_common.weights.required_file", "option": "--teacher", "content": "a network"}
    parser = ConfigParser({"teacher": target, "uses": ["@teacher"], "else": "$1 + 1"})
    assert parser.get_parsed_content("else") == 2
    with pytest.raises(RuntimeError) as caught:
        parser.get_parsed_content("uses")
    expected = "--teacher: is missing; name a file with a network (nothing is downloaded)."
    assert input_error_message(caught.value) == expected
    parser["teacher"] = "teacher.pt"
    parser.parse(reset=True)
    assert parser.get_parsed_content("uses") == ["teacher.pt"]


@pytest.mark.parametrize("path", ["models/tuned/model.pt", "models/../models/tuned/last.pt"])
def test_weights_in_the_folder_of_the_training_are_refused(tmp_path, path):
    with pytest.raises(HandsegInputError, match="would be lost; choose another --ckpt_dir"):
        starting_weights(str(tmp_path / path), str(tmp_path / "models" / "tuned"))


@pytest.mark.parametrize("path", ["models/model.pt", "models/tuned/older/model.pt", "elsewhere.pt"])
def test_weights_elsewhere_are_welcome(tmp_path, path):
    weights = str(tmp_path / path)
    assert starting_weights(weights, str(tmp_path / "models" / "tuned")) == weights
