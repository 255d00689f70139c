"""A bundle with the weights of a run as a model in MLflow's registry."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from handseg_bundle_common import __version__
from handseg_bundle_common.engine.run_folder import BEST_WEIGHTS
from handseg_bundle_common.engine.run_parameters import bundle_of
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json
from handseg_bundle_common.formats.rle import COLUMNS
from handseg_bundle_common.weights import stored_settings

MODEL = "model"

# MLflow copies this file into the model and runs it there; nothing is pickled.
_CODE = Path(__file__).parents[1] / "inference" / "mlflow_model.py"
_PARTS = ("configs/*", "docs/README.md", "LICENSE", "NOTICE")
_WEIGHTS = "models/model.pt"
_REMEDY = "compare the bundle with bundles/effisegnet"
_PROGRESS_BARS = "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"


def log_run_as_model(
    client: Any, run_id: str, config: Mapping[str, Any], models: Path | None, weights: Path | None = None
) -> str:
    """Register the bundle of a run with its weights; see `log_bundle`.

    Args:
        client: MLflow client.
        run_id: the run.
        config: its configuration: the weights are those that an evaluation names, else the best ones of a training.
        models: folder of the weights that the training wrote, None if it is not known.
        weights: file that a user names in place of these.

    Raises:
        HandsegInputError: bundle or weights cannot be found or used.
    """
    bundle = bundle_of(config)
    if bundle is None:
        raise HandsegInputError("log_model", "the bundle of the run is not there", "set HANDSEG_BUNDLES to its folder")
    named = config.get("weights")
    is_path = isinstance(named, str) and not named.startswith(("$", "@", "%"))
    weights = weights or (Path(str(named)) if is_path else models and models / BEST_WEIGHTS)
    if weights is None:
        raise HandsegInputError("log_model", "the weights of the run are not known", "name them with --weights")
    return log_bundle(client, run_id, bundle, weights)


def log_bundle(client: Any, run_id: str, bundle: Path, weights: Path) -> str:
    """Log a bundle as a model of a run and register it as the next version of `handseg-<bundle>`.

    Args:
        client: MLflow client.
        run_id: the run that the weights come from.
        bundle: folder of the bundle.
        weights: file of weights that takes the place of the bundle's own.

    Returns:
        The model's address, such as `models:/handseg-effisegnet/3`.

    Raises:
        HandsegInputError: the bundle is incomplete, or the weights cannot be used.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = bundle_with_weights(bundle, weights, Path(folder, "bundle"))
        save_model(copy, Path(folder, MODEL))
        client.log_artifacts(run_id, str(Path(folder, MODEL)), MODEL)
    name = f"handseg-{bundle.name}"
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    source = f"{client.get_run(run_id).info.artifact_uri}/{MODEL}"
    version = client.create_model_version(name, source, run_id).version
    return f"models:/{name}/{version}"


def bundle_with_weights(bundle: Path, weights: Path, target: Path) -> Path:
    """Copy what a bundle needs for inference, with other weights and their digest in its metadata.

    Returns:
        `target`, the folder of the copy.

    Raises:
        HandsegInputError: the bundle is incomplete, or the weights cannot be used.
    """
    stored_settings(weights)
    for path in (path for pattern in _PARTS for path in sorted(bundle.glob(pattern))):
        copy = target / path.relative_to(bundle)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    metadata = target / "configs" / "metadata.json"
    document = read_json(metadata, _REMEDY)
    if not (target / "configs" / "inference.json").exists():
        raise HandsegInputError(bundle, "has no configs/inference.json to predict with", _REMEDY)
    (target / "models").mkdir()
    shutil.copyfile(weights, target / _WEIGHTS)
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    document["weights"] = {_WEIGHTS: {"sha256": digest, "bytes": weights.stat().st_size}}
    metadata.write_text(json.dumps(document, indent=4) + "\n", encoding="utf-8")
    return target


def save_model(bundle: Path, target: Path) -> None:
    """Write a bundle's folder as a `pyfunc` model of MLflow: radiographs in, rows of a submission out."""
    from mlflow import pyfunc  # noqa: PLC0415  trainings without tracking do without MLflow
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import ColSpec, Schema  # noqa: PLC0415

    signature = ModelSignature(
        inputs=Schema([ColSpec("string", "image_name"), ColSpec("binary", "content")]),
        outputs=Schema([ColSpec("string", name) for name in COLUMNS]),
    )
    with warnings.catch_warnings(), _no_progress_bars():
        # MLflow would like to run an example.
        warnings.filterwarnings("ignore", ".*input example", UserWarning)
        pyfunc.save_model(
            str(target),
            python_model=str(_CODE),
            artifacts={"bundle": str(bundle)},
            signature=signature,
            pip_requirements=_requirements(bundle),
        )
    _forget_folders(target)


def _requirements(bundle: Path) -> list[str]:
    """Return this package and the packages that the bundle needs beside it, as tested; MLflow adds itself."""
    metadata = read_json(bundle / "configs" / "metadata.json", _REMEDY)
    needed = metadata.get("required_packages_version", {})
    return [f"handseg=={__version__}", *(f"{name}=={tested}" for name, tested in needed.items() if name != "mlflow")]


def _forget_folders(model: Path) -> None:
    """Take the folders that a model was made from out of its description; MLflow finds its parts beside it."""
    from mlflow.models import Model  # noqa: PLC0415  as above

    description = Model.load(str(model))
    function = description.flavors["python_function"]
    function["model_code_path"] = _CODE.name
    for artifact in function["artifacts"].values():
        artifact["uri"] = artifact["path"]
    description.save(str(model / "MLmodel"))


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Keep MLflow from drawing a progress bar over copies of a few files, unless the user wants them."""
    is_new = _PROGRESS_BARS not in os.environ
    os.environ.setdefault(_PROGRESS_BARS, "false")
    try:
        yield
    finally:
        if is_new:
            del os.environ[_PROGRESS_BARS]
