"""The ensemble bundle: members from other bundles, run by MONAI's commands."""

from __future__ import annotations

import csv
import json
import logging

import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow, verify_metadata, verify_net_in_out

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.ensemble import MemberSettings, Role
from handseg_bundle_common.errors import input_error
from handseg_bundle_common.formats.radiograph import write_radiograph
from handseg_bundle_common.formats.rle import decode_rle, encode_masks, read_submission
from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.networks import EffiSegNet, SegFormer
from handseg_bundle_common.packaging.verify.declared import SCHEMA
from handseg_bundle_common.weights import save_weights, stored_settings

SMALL = {"image_size": 64, "num_workers": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def ensemble(repository):
    """The bundle's folder."""
    return repository / "bundles" / "ensemble"


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """Two small networks with random weights, of two bundles and two sizes."""
    folder = tmp_path_factory.mktemp("members")
    torch.manual_seed(0)
    save_weights(
        EffiSegNet(decoder_channels=16),
        folder / "effisegnet.pt",
        settings={"image_size": 64, "decoder_channels": 16},
    )
    save_weights(
        SegFormer(decoder_channels=16),
        folder / "segformer.pt",
        settings={"image_size": 96, "window_size": 64, "decoder_channels": 16},
    )
    return [
        {"name": name, "bundle": name, "weights": str(folder / f"{name}.pt")} for name in ("effisegnet", "segformer")
    ]


def run(ensemble, name, members, run_id="run", **overrides):
    workflow = ConfigWorkflow(
        config_file=str(ensemble / "configs" / name),
        logging_file=False,
        run_id=run_id,
        workflow_type="infer",
        **(SMALL | {"members": members, "weights": None} | overrides),
    )
    workflow.initialize()
    workflow.run()
    return workflow


@pytest.fixture(scope="module")
def predicted(ensemble, members, tmp_path_factory):
    """What the evaluator of `inference.json` writes for the sample hands."""
    folder = tmp_path_factory.mktemp("predicted")
    run(ensemble, "inference.json", members, "inferring", output_dir=str(folder))
    return folder


class TestDefaultMembers:
    """The bundles that come with weights."""

    def test_they_are_bundles_with_their_own_weights(self, ensemble):
        described = json.loads((ensemble / "configs" / "inference.json").read_text())["members"]
        members = [MemberSettings.parse(member) for member in described]
        assert [member.weights_file for member in members] == [
            ensemble.parent / member.bundle / "models" / "model.pt" for member in members
        ]
        for member in members:
            metadata = json.loads((ensemble.parent / member.bundle / "configs" / "metadata.json").read_text())
            assert "models/model.pt" in metadata["weights"]

    def test_the_reference_has_three_general_members_and_two_for_small_bones(self, ensemble):
        described = json.loads((ensemble / "configs" / "reference.json").read_text())["members"]
        members = [MemberSettings.parse(member) for member in described]
        assert [member.name for member in members] == ["swin-finetuned", "swin", "swin-tversky", "segformer", "hrnet"]
        assert [member.role for member in members].count(Role.GENERAL) == 3
        assert [member.role for member in members].count(Role.SMALL_BONES) == 2
        assert not [member.name for member in members if member.weights_file.exists()]  # never the shipped ones

    def test_the_reference_without_its_weights_names_them_all(self, ensemble, tmp_path):
        workflow = ConfigWorkflow(
            config_file=[str(ensemble / "configs" / f"{name}.json") for name in ("inference", "reference")],
            logging_file=False,
            workflow_type="infer",
            output_dir=str(tmp_path),
            device="cpu",
        )
        with pytest.raises(RuntimeError) as caught:
            workflow.initialize()
            workflow.run()
        assert "lacks the weights of 5 of its 5 members" in str(input_error(caught.value))

    def test_evaluation_and_inference_describe_the_same_ensemble(self, ensemble):
        evaluate, inference = (
            json.loads((ensemble / "configs" / name).read_text()) for name in ("evaluate.json", "inference.json")
        )
        shared = (
            "members",
            "combine",
            "votes",
            "carpal_stage",
            "image_size",
            "flip",
            "weights",
            "network_def",
            "network",
        )
        assert {name: evaluate[name] for name in shared} == {name: inference[name] for name in shared}

    def test_its_own_weights_fit_them_and_take_kilobytes(self, ensemble):
        path = ensemble / "models" / "model.pt"
        assert path.stat().st_size < 10_000
        described = json.loads((ensemble / "configs" / "inference.json").read_text())
        content = torch.load(path, weights_only=True)
        assert content["members"] == [member["name"] for member in described["members"]]
        assert stored_settings(path) == {"image_size": described["image_size"]}

    def test_those_without_weights_are_all_reported(self, ensemble, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        described = json.loads((ensemble / "configs" / "inference.json").read_text())["members"]
        absent = [member | {"weights": f"absent/{member['name']}.pt"} for member in described]
        with pytest.raises(RuntimeError) as caught:
            run(ensemble, "inference.json", absent, output_dir=str(tmp_path))
        message = str(input_error(caught.value))
        assert f"lacks the weights of {len(absent)} of its {len(absent)} members" in message
        assert all(member["name"] in message for member in described)


def test_inference_writes_overlays_and_a_submission(predicted, sample_data):
    images = sorted(path.name for path in (sample_data / "DCM").rglob("*.png"))
    assert sorted(read_submission(predicted / "predictions.csv")) == images
    for folder in ("overlays", "disagreement"):
        assert sorted(path.name for path in (predicted / folder).iterdir()) == images


def test_the_confidence_of_every_bone_tells_how_far_the_members_agree(predicted, sample_data):
    with (predicted / "confidence.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == NUM_BONES * len(list((sample_data / "DCM").rglob("*.png")))
    assert all(0 <= float(row["agreement"]) <= 1 for row in rows)
    # Networks with random weights agree on nothing, and that is said.
    assert any("members disagree" in row["reasons"] for row in rows)


def test_prediction_and_the_evaluator_agree_exactly(ensemble, members, predicted, sample_data, tmp_path):
    """`handseg predict` goes through the same configuration without an engine."""
    config = json.loads((ensemble / "configs" / "inference.json").read_text())
    copy = tmp_path / "mine"
    (copy / "configs").mkdir(parents=True)
    (copy / "configs" / "metadata.json").write_text((ensemble / "configs" / "metadata.json").read_text())
    (copy / "configs" / "inference.json").write_text(
        json.dumps(config | {"members": members, "image_size": 64, "weights": None})
    )
    predictor = load_predictor(str(copy), device="cpu", precision="float32")
    submission = read_submission(predicted / "predictions.csv")
    for path in sorted((sample_data / "DCM").rglob("*.png"))[:3]:
        prediction = predictor.predict(path)
        assert dict(zip(BONE_NAMES, encode_masks(prediction.masks), strict=True)) == submission[path.name]
        assert len(prediction.votes) == len(members)
        assert prediction.votes[0].shape == prediction.logits.shape[-2:]
        probabilities = predictor.probabilities(prediction)
        assert probabilities.shape == prediction.logits.shape
        assert ((probabilities > 0.5) == (prediction.logits.numpy() > 0)).mean() > 0.999


def test_evaluation_scores_the_predictions_of_inference(ensemble, members, predicted, tmp_path):
    run(ensemble, "evaluate.json", members, "evaluating", output_dir=str(tmp_path))
    evaluated, inferred = (read_submission(folder / "predictions.csv") for folder in (tmp_path, predicted))
    assert evaluated == {name: inferred[name] for name in evaluated}
    with (tmp_path / "per_bone.csv").open(newline="") as file:
        assert set(BONE_NAMES) <= {row["name"] for row in csv.DictReader(file)}
    with (tmp_path / "metrics.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert {"mean_dice", "overlap_dice", "dice/Pisiform"} <= set(row)


@pytest.mark.parametrize(("number", "image_size"), [(0, 64), (1, 96)], ids=["whole image", "windows"])
def test_a_member_alone_predicts_what_its_own_bundle_does(ensemble, members, tmp_path, number, image_size):
    """Same size, same windows: nothing differs but large logits, which are cut off before they are enlarged."""
    grey = np.random.default_rng(0).random((120, 80)).astype(np.float32)
    for name, shape in {"upright.png": (120, 80), "square.png": (80, 80)}.items():
        write_radiograph(tmp_path / "images" / name, grey[: shape[0], : shape[1]])
    only = [members[number]]
    folders = {"data_dir": str(tmp_path / "images"), "output_dir": str(tmp_path)}
    run(ensemble, "inference.json", only, **folders, image_size=image_size)
    own = load_predictor(only[0]["bundle"], weights=only[0]["weights"], device="cpu", precision="float32")
    ensembled = read_submission(tmp_path / "predictions.csv")
    for path in sorted((tmp_path / "images").iterdir()):
        alone = unpack_masks(own(path))
        together = [decode_rle(code, *alone.shape[1:]) for code in ensembled[path.name].values()]
        assert (alone != np.stack(together)).mean() < 1e-3


def test_images_of_one_batch_keep_their_own_votes(ensemble, members, predicted, tmp_path):
    run(ensemble, "inference.json", members, "inferring", output_dir=str(tmp_path), **{"dataloader#batch_size": 2})
    assert (tmp_path / "confidence.csv").read_text() == (predicted / "confidence.csv").read_text()


def test_members_without_weights_can_be_left_out(ensemble, members, tmp_path, caplog):
    absent = members[1] | {"weights": "absent.pt"}
    with caplog.at_level(logging.WARNING):
        overrides = {"missing_members": "leave_out", "output_dir": str(tmp_path)}
        workflow = run(ensemble, "inference.json", [members[0], absent], **overrides)
    assert "segformer (" in caplog.text
    assert len(workflow.parser.get_parsed_content("network").members) == 1


class TestMetadata:
    """`metadata.json` against MONAI's schema and the network."""

    def test_it_follows_the_schema(self, ensemble):
        verify_metadata(
            meta_file=str(ensemble / "configs" / "metadata.json"),
            filepath=str(SCHEMA),
        )

    def test_the_network_takes_and_returns_what_it_says(self, ensemble, members):
        verify_net_in_out(
            net_id="network_def",
            meta_file=str(ensemble / "configs" / "metadata.json"),
            config_file=str(ensemble / "configs" / "inference.json"),
            members=members,
            **SMALL,
        )

    def test_it_names_the_bones(self, ensemble):
        metadata = json.loads((ensemble / "configs" / "metadata.json").read_text())
        channels = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
        assert channels == {str(channel): bone for channel, bone in enumerate(BONE_NAMES)}
        assert len(channels) == NUM_BONES
