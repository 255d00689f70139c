"""One network in one form: written, read back and compared with PyTorch."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.inference import Predictor
from handseg_bundle_common.networks.graph import (
    INPUT,
    OUTPUT,
    exported_graph,
    largest_difference,
    noise_images,
    onnx_graph,
)
from handseg_bundle_common.packaging.archive_writer import write_archive
from handseg_bundle_common.packaging.compiled.forms import TOLERANCE, Form

Run = Callable[[Tensor], Tensor]

_BATCHES = (1, 2, 3)


def compiled(predictor: Predictor, form: Form, folder: Path, configs: Path) -> dict[str, Any]:
    """Write a network in one form, and return what `Compiled` tells of it but the path.

    Args:
        predictor: the network with its weights, and the windows that it sees.
        form: which one.
        folder: where the file goes.
        configs: the bundle's configurations, some of which TorchScript carries along.

    Raises:
        HandsegInputError: its logits differ too much from PyTorch's.
    """
    network, side = predictor.network, int(predictor.inferer.roi_size[0])  # type: ignore[attr-defined]  # windows'
    path = folder / Path(form.file).name
    with torch.no_grad():
        made_by, run = _WRITERS[form](network, side, path, configs)
    is_fixed = made_by != "scripting"
    sizes = [(side, side)] if is_fixed else [(side, side), (side + 32, side)]
    difference = _largest_difference(network, run, sizes)
    if not difference <= TOLERANCE:
        problem = f"differs from PyTorch by {difference:.2g} of the largest logit, which is more than {TOLERANCE:g}"
        raise HandsegInputError(Path(form.file).name, problem, f"export without --{form}")
    return {"form": form, "made_by": made_by, "size": side if is_fixed else None, "difference": difference}


def _largest_difference(network: nn.Module, run: Run, sizes: list[tuple[int, int]]) -> float:
    """Return the largest difference of logits over batches and sizes, as a part of the largest logit above 1."""
    worst = 0.0
    for height, width in sizes:
        for batch in _BATCHES:
            given = noise_images(batch, height, width)
            with torch.inference_mode():
                worst = max(worst, largest_difference(run(given), network(given)))
    return worst


def _write_torchscript(network: nn.Module, side: int, path: Path, configs: Path) -> tuple[str, Run]:
    try:
        script, made_by = torch.jit.script(network), "scripting"
    except Exception:  # a network that TorchScript's compiler cannot read fails in one of many ways
        script = torch.jit.trace(network, noise_images(1, side, side), check_trace=False)  # type: ignore[no-untyped-call]
        made_by = "tracing"
    buffer = io.BytesIO()
    extra = {name: (configs / name).read_bytes() for name in ("metadata.json", "inference.json")}
    torch.jit.save(script, buffer, _extra_files=extra)
    with zipfile.ZipFile(buffer) as archive:
        # Places in source files serve error messages alone, and hold paths of this machine; the identifier counts them.
        kept = [name for name in archive.namelist() if not name.endswith((".debug_pkl", "/serialization_id"))]
        write_archive(path, {name: archive.read(name) for name in kept}, stored=True, quiet=True)
    return made_by, torch.jit.load(str(path))  # type: ignore[no-untyped-call]


def _write_pt2(network: nn.Module, side: int, path: Path, _: Path) -> tuple[str, Run]:
    # By the name of a file, PyTorch would name its archive.
    buffer = io.BytesIO()
    torch.export.save(exported_graph(network, side), buffer)
    path.write_bytes(buffer.getvalue())
    return "torch.export", torch.export.load(path).module()


def _write_onnx(network: nn.Module, side: int, path: Path, _: Path) -> tuple[str, Run]:
    import onnxruntime  # noqa: PLC0415  an extra

    path.write_bytes(onnx_graph(network, side))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return "torch.onnx", lambda image: torch.from_numpy(session.run([OUTPUT], {INPUT: image.numpy()})[0])


_WRITERS: Mapping[Form, Callable[[nn.Module, int, Path, Path], tuple[str, Run]]] = {
    Form.TORCHSCRIPT: _write_torchscript,
    Form.PT2: _write_pt2,
    Form.ONNX: _write_onnx,
}
