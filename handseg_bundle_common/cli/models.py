"""Verbs about models: predict, cross-validate, install-weights, info."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handseg_bundle_common.cli.arguments import (
    Job,
    Result,
    check_switch,
    check_values,
    number_of,
    numbers_of,
    settings_of,
    yes_or_no,
)
from handseg_bundle_common.errors import HandsegInputError

if TYPE_CHECKING:
    from handseg_bundle_common.inference.cluster import PredictedOnCluster

# Exit code of a prediction in which some radiographs could not be segmented.
_SOME_FAILED = 1
_ENGINES = ("serial", "ray")


def predict(
    *images: str,
    bundle: str,
    output: str,
    device: str = "auto",
    image_size: int | str | None = None,
    threshold: float | str | None = None,
    weights: str | None = None,
    keep_folders: bool = False,
    probabilities: bool = False,
    formats: str = "overlay,rle",
    precision: str = "auto",
    compile_network: bool = False,
    runtime: str = "torch",
    anew: bool = False,
    engine: str = "serial",
    workers: int | str | None = None,
    trust: bool = False,
) -> Job:
    """Segment radiographs: overlays, a submission CSV at their native sizes, and how far each bone can be trusted.

    Repeat the command after an interruption: images that are done are passed over. A radiograph that cannot be read
    stops nothing: it is listed in failures.csv, and the exit code is 1.

    Args:
        images: radiographs (PNG, JPEG, TIFF) and folders, which are searched recursively; addresses such as
            s3://bucket/hands too with the engine ray.
        bundle: name, folder or archive of a bundle, such as effisegnet. An archive is verified first; so is a folder
            that handseg did not come with.
        output: folder for overlays/IMAGE.png, predictions.csv and confidence.csv; may be an address with the engine
            ray.
        device: auto, cpu, cuda or cuda:1.
        image_size: longer side in px at which the network works, by default that of the training.
        threshold: probability above which a pixel belongs to a bone, in place of the bundle's.
        weights: file of weights in place of the bundle's.
        keep_folders: name results by relative paths, for images of one name in several folders.
        probabilities: keep the probabilities of every pixel too, for select-members.
        formats: what is written of the masks, separated by commas: overlay, rle (predictions.csv), dicom-seg, nifti,
            seg-nrrd, coco, coco-ram, polygons and png (in masks/).
        precision: in which numbers the network works: float32, bfloat16 (faster on processors that know it) or auto.
        compile_network: compile the network first, which pays for many images on a GPU.
        runtime: what runs the network on a CPU: torch; onnx (ONNX Runtime, compiled once for a bundle); or auto, the
            one that was measured to be faster for the bundle.
        anew: segment images again that an earlier run has done.
        engine: serial works in this process, ray on all machines of a Ray cluster and with Parquet in results/.
        workers: how many networks work at a time with the engine ray, by default one a GPU, or one a machine.
        trust: True goes on past configurations and code that verify refuses. This can run whatever they say.
    """
    check_values(bundle=bundle, output=output, device=device, weights=weights, formats=formats)
    check_values(precision=precision, runtime=runtime, engine=engine)
    if engine not in _ENGINES:
        raise HandsegInputError("--engine", f"{engine!r} is unknown", f"choose {' or '.join(_ENGINES)}")
    if engine == "serial" and workers is not None:
        raise HandsegInputError("--workers", "belongs to the engine ray", "add --engine ray or leave it out")
    actors = None if workers is None else number_of("workers", workers, int)
    check_switch("compile_network", compile_network)
    check_switch("anew", anew)
    trusted = yes_or_no("trust", trust)
    check_switch("keep_folders", keep_folders)
    check_switch("probabilities", probabilities)
    probability = None if threshold is None else number_of("threshold", threshold, float)
    working_size = None if image_size is None else number_of("image_size", image_size, int)

    def start() -> Result:
        from handseg_bundle_common import inference, packaging  # noqa: PLC0415

        network: dict[str, Any] = {
            "bundle": packaging.open_bundle(bundle, trust=trusted),
            "device": device,
            "image_size": working_size,
            "threshold": probability,
            "weights": weights,
            "precision": precision,
            "compile_network": compile_network,
            "runtime": runtime,
        }
        results: dict[str, Any] = {
            "output": output,
            "keep_folders": keep_folders,
            "probabilities": probabilities,
            "formats": formats.split(","),
            "anew": anew,
        }
        done: inference.Predicted | PredictedOnCluster
        if engine == "ray":
            from handseg_bundle_common.inference import cluster  # noqa: PLC0415

            settings = inference.SegmenterSettings(**network)
            done = cluster.predict_on_cluster(images, settings, **results, workers=actors)
        else:
            done = inference.predict(images, **network, **results)
        kept = f" ({done.kept} of them by an earlier run)" if done.kept else ""
        text = f"{len(done.segmented)} segmented{kept}: {_places(output, formats)}"
        if not done.failures:
            return Result(text)
        listed = f"{len(done.failures)} failed: {_below(output, inference.FAILURES)}"
        return Result(f"{text}\n{listed}, first {done.failures[0].sentence}", _SOME_FAILED)

    return Job(start)


def _places(output: str, formats: str) -> str:
    """Return where the masks are."""
    from handseg_bundle_common.datasets.predictions import MASKS, OVERLAYS, SUBMISSION  # noqa: PLC0415

    wanted = {name.strip() for name in formats.split(",")}
    known = {"rle": SUBMISSION, "overlay": OVERLAYS}
    places = [place for name, place in known.items() if name in wanted]
    places += [MASKS] if wanted - known.keys() else []
    return " and ".join(_below(output, place) for place in places)


def _below(output: str, name: str) -> str:
    """Return a path in a folder or behind an address, whose slashes a path would lose."""
    return f"{output.rstrip('/')}/{name}" if "://" in output else str(Path(output, name))


def cross_validate(
    *,
    bundle: str,
    data: str,
    folds: str,
    output: str,
    configs: str | None = None,
    only: int | str | None = None,
    weights: str = "model.pt",
    probabilities: bool = False,
    no_tracking: bool = False,
    **settings: object,
) -> Job:
    """Train and evaluate every fold, and join the predictions of images that were not trained on.

    Repeat the command after an interruption: folds that are done are passed over, the others continue. Any further
    option is a value for an id of the bundle's train.json: --image_size 1024 --max_epochs 30.

    Args:
        bundle: name or folder of a bundle, such as effisegnet.
        data: folder in the layout of the data set.
        folds: file that make-folds wrote.
        output: folder for fold0/, fold1/ and the joined results.
        configs: configuration files to lay over the bundle's train.json, separated by commas.
        only: numbers of the folds to run now, separated by commas, in place of all.
        weights: which weights of a training to score: model.pt, the best ones, or swa.pt of the recipe swa.json.
        probabilities: keep the probabilities of every pixel too, for select-members.
        no_tracking: do without MLflow.
        settings: values for ids of the bundle's train.json.
    """
    check_values(bundle=bundle, data=data, folds=folds, output=output, configs=configs, weights=weights)
    check_switch("no_tracking", no_tracking)
    check_switch("probabilities", probabilities)
    wanted = None if only is None else numbers_of("only", only)
    values = settings_of(settings)

    def start() -> str:
        from handseg_bundle_common import tracking  # noqa: PLC0415

        plan = tracking.CrossValidation(
            bundle=bundle,
            data_dir=data,
            folds=folds,
            output=output,
            configs=configs.split(",") if configs else (),
            settings=values,
            tracking=not no_tracking,
            weights=weights,
            probabilities=probabilities,
        )
        return tracking.summary_text(tracking.cross_validate(plan, wanted), output)

    return Job(start)


def install_weights(weights: str, *, bundle: str) -> Job:
    """Make weights a bundle's own, in half precision and with their digest in its metadata.

    Args:
        weights: file that a training wrote, such as bundles/effisegnet/models/trained/model.pt.
        bundle: name or folder of the bundle.
    """
    check_values(weights=weights, bundle=bundle)

    def start() -> str:
        from handseg_bundle_common import packaging  # noqa: PLC0415

        done = packaging.install_weights(weights, bundle)
        return (
            f"{done.path}: {done.parameters:,} parameters, {done.size:,} bytes, mean Dice {done.dice:.4f} on the sample"
        )

    return Job(start)


def info(*, json: bool = False) -> Job:
    """Tell what is installed, what it runs on, and which bundles and weights are there.

    Args:
        json: print JSON, for programs.
    """
    check_switch("json", json)

    def start() -> str:
        from handseg_bundle_common.info import info_text, system_info  # noqa: PLC0415

        found = system_info()
        return json_format.dumps(found, indent=1) if json else info_text(found)

    return Job(start)
