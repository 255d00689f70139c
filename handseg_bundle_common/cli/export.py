"""The verb export."""

from __future__ import annotations

from handseg_bundle_common.cli.arguments import Job, check_values, yes_or_no


def export(
    bundle: str,
    *,
    output: str,
    torchscript: bool | str = False,
    pt2: bool | str = False,
    onnx: bool | str = False,
) -> Job:
    """Write a bundle as an archive that runs where handseg is not installed, the same bytes for the same bundle.

    Networks in other forms are compared with PyTorch before they go into the archive.

    Args:
        bundle: name, folder or verified archive of a bundle, such as effisegnet.
        output: folder for NAME-VERSION.zip.
        torchscript: True adds models/model.ts, scripted, or traced where scripting fails.
        pt2: True adds models/model.pt2 of torch.export, for every number of images.
        onnx: True adds models/model.onnx, for every number of images.
    """
    check_values(bundle=bundle, output=output)
    options = {"torchscript": torchscript, "pt2": pt2, "onnx": onnx}
    wanted = [name for name, value in options.items() if yes_or_no(name, value)]

    def start() -> str:
        from handseg_bundle_common import packaging  # noqa: PLC0415

        done = packaging.export_bundle(bundle, output, [packaging.Form(name) for name in wanted])
        lines = [f"{done.path}: {done.path.stat().st_size:,} bytes in {done.files} files"]
        for made in done.compiled:
            size = "any size" if made.size is None else f"{made.size} x {made.size} px"
            difference = f"largest difference from PyTorch {made.difference:.1g} of the largest logit"
            lines.append(f"{made.form.file}: by {made.made_by}, {size}, {difference}")
        return "\n".join(lines)

    return Job(start)
