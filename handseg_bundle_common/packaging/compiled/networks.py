"""One network in one form: written, read back and compared with PyTorch."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.inference import Predictor
from handseg_bundle_common.packaging.archive_writer import write_archive
from handseg_bundle_common.packaging.compiled.forms import TOLERANCE, Form

Run = Callable[[Tensor], Tensor]

_INPUT, _OUTPUT = "image", "pred"  # their names in metadata.json
_BATCHES = (1, 3)
# With one image, compilers would take the length 1 for a constant.
_EXAMPLE_BATCH = 2


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


def images(batch: int, height: int, width: int) -> Tensor:
    """Return images (batch, 1, height, width) of seeded noise."""
    return torch.rand((batch, 1, height, width), generator=torch.Generator().manual_seed(batch))


def _largest_difference(network: nn.Module, run: Run, sizes: list[tuple[int, int]]) -> float:
    """Return the largest difference of logits over batches and sizes, as a part of the largest logit above 1."""
    worst = 0.0
    for height, width in sizes:
        for batch in _BATCHES:
            given = images(batch, height, width)
            with torch.inference_mode():
                expected, found = network(given), run(given)
            if found.shape != expected.shape or not found.isfinite().all():
                return float("inf")
            scale = max(1.0, expected.abs().max().item())
            worst = max(worst, (found - expected).abs().max().item() / scale)
    return worst


def _write_torchscript(network: nn.Module, side: int, path: Path, configs: Path) -> tuple[str, Run]:
    try:
        script, made_by = torch.jit.script(network), "scripting"
    except Exception:  # a network that TorchScript's compiler cannot read fails in one of many ways
        script = torch.jit.trace(network, images(1, side, side), check_trace=False)  # type: ignore[no-untyped-call]
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
    torch.export.save(_exported(network, side), buffer)
    path.write_bytes(buffer.getvalue())
    return "torch.export", torch.export.load(path).module()


def _write_onnx(network: nn.Module, side: int, path: Path, _: Path) -> tuple[str, Run]:
    import onnxruntime  # noqa: PLC0415  an extra

    program = torch.onnx.export(
        _exported(network, side),
        input_names=[_INPUT],
        output_names=[_OUTPUT],
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    if program is None:
        raise AssertionError("dynamo gives a program")
    model = program.model_proto
    _forget_places(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return "torch.onnx", lambda image: torch.from_numpy(session.run([_OUTPUT], {_INPUT: image.numpy()})[0])


@lru_cache(maxsize=1)
def _exported(network: nn.Module, side: int) -> torch.export.ExportedProgram:
    """Return the network's graph for any number of images of one size, without the places of its source code."""
    batch = torch.export.Dim("batch", min=1, max=1024)
    example = (images(_EXAMPLE_BATCH, side, side),)
    program = torch.export.export(network, example, dynamic_shapes=({0: batch},), strict=False)
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)
    return program


def _forget_places(message: Any) -> None:
    """Clear all comments of an ONNX model, which hold names and places of the source code."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type is not None and field.name not in ("initializer", "raw_data"):
            for part in value if isinstance(value, (list, tuple)) or hasattr(value, "add") else [value]:
                _forget_places(part)


_WRITERS: Mapping[Form, Callable[[nn.Module, int, Path, Path], tuple[str, Run]]] = {
    Form.TORCHSCRIPT: _write_torchscript,
    Form.PT2: _write_pt2,
    Form.ONNX: _write_onnx,
}
