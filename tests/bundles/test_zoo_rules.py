"""What MONAI's model zoo checks before it takes a bundle, in the modes `regular` and `full`, for every bundle.

The zoo's own script needs the network, so its rules stand here once more. Scripting is asked of the networks that
TorchScript can read; the others are on the zoo's list of exceptions, as its own SwinUNETR is. The values of
`metadata.json` against the schema are in `test_bundles.py` and `test_ensemble.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigWorkflow, ckpt_export, verify_net_in_out

BUNDLES = ("effisegnet", "ensemble", "segformer", "swin_unetr", "unetplusplus")
SCRIPTABLE = ("effisegnet",)

# The ids that MONAI requires of a workflow, and those that the zoo's guide names.
INFERENCE_IDS = (
    "bundle_root device dataset_dir output_dir dataset evaluator network_def inferer preprocessing postprocessing"
)
TRAINING_IDS = (
    "bundle_root device dataset_dir output_dir train#trainer train#trainer#max_epochs train#dataset train#dataset#data"
    " train#inferer train#handlers train#preprocessing train#key_metric validate#evaluator"
    " validate#handlers validate#dataset validate#dataset#data validate#preprocessing validate#postprocessing"
    " validate#inferer validate#key_metric val_interval"
)
REQUIRED_KEYS = (
    "schema version monai_version pytorch_version numpy_version required_packages_version task description authors"
    " copyright network_data_format"
)
TENSOR_KEYS = {"type", "format", "num_channels", "spatial_shape", "dtype", "value_range"}


@pytest.fixture(params=BUNDLES)
def root(request, repository) -> Path:
    """The folder of each bundle in turn."""
    return repository / "bundles" / request.param


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


class TestRegular:
    """Files, versions and metadata."""

    def test_required_files_are_there(self, root):
        for name in ("LICENSE", "configs/metadata.json", "configs/inference.json", "models/model.pt"):
            assert (root / name).is_file(), name
        assert (root / "docs" / "README.md").is_file()

    def test_the_changelog_tells_of_the_version(self, root):
        metadata = read_json(root / "configs" / "metadata.json")
        assert metadata["changelog"][metadata["version"]]

    def test_the_metadata_has_what_the_schema_requires(self, root):
        metadata = read_json(root / "configs" / "metadata.json")
        assert set(REQUIRED_KEYS.split()) <= set(metadata)
        tensors = metadata["network_data_format"]
        for tensor in (*tensors["inputs"].values(), *tensors["outputs"].values()):
            assert set(tensor) >= TENSOR_KEYS


class TestFull:
    """Ids, network in and out, TorchScript."""

    @pytest.mark.parametrize(("file", "kind"), [("train.json", "train"), ("inference.json", "infer")])
    def test_required_ids_are_there(self, root, file, kind):
        if not (root / "configs" / file).exists():
            assert root.name == "ensemble", "only the ensemble is not trained"
            return
        workflow = ConfigWorkflow(config_file=str(root / "configs" / file), logging_file=False, workflow_type=kind)
        required = TRAINING_IDS if kind == "train" else INFERENCE_IDS
        assert not [name for name in required.split() if name not in workflow.parser]
        workflow.parser.parse(reset=True)
        workflow._is_initialized = True  # nothing is to be seeded or trained here
        assert not workflow.check_properties()

    def test_the_network_takes_and_returns_what_the_metadata_says(self, root):
        verify_net_in_out(
            net_id="network_def",
            meta_file=str(root / "configs" / "metadata.json"),
            config_file=str(root / "configs" / "inference.json"),
            device="cpu",
            n=2,
        )

    @pytest.mark.parametrize("name", SCRIPTABLE)
    def test_it_can_be_scripted(self, repository, tmp_path, name):
        root = repository / "bundles" / name
        ckpt_export(
            net_id="network_def",
            filepath=str(tmp_path / "model.ts"),
            ckpt_file=str(root / "models" / "model.pt"),
            key_in_ckpt="model",
            meta_file=str(root / "configs" / "metadata.json"),
            config_file=str(root / "configs" / "inference.json"),
        )
        logits = torch.jit.load(tmp_path / "model.ts")(torch.rand(1, 1, 64, 64))
        assert logits.shape == (1, 29, 64, 64)
