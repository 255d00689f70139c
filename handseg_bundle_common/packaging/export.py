"""A bundle as one archive that runs where this repository is not."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, read_json
from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.packaging.archive_writer import write_archive
from handseg_bundle_common.packaging.compiled import Compiled, Form, compile_network, require_packages
from handseg_bundle_common.packaging.export_contents import PACKAGE_FOLDER, bundle_contents, read_name, with_checksums
from handseg_bundle_common.weights import METADATA, find_bundle

_SAFE = re.compile(r"[A-Za-z0-9][\w.+-]*")


@dataclass(frozen=True)
class Exported:
    """An archive of a bundle.

    Attributes:
        path: the archive.
        files: how many files it holds.
        compiled: its networks in other forms.
    """

    path: Path
    files: int
    compiled: Sequence[Compiled]


def export_bundle(bundle: str, output: str | PathLike[str], forms: Collection[Form] = ()) -> Exported:
    """Write a bundle as `<name>-<version>.zip`, the same bytes for the same bundle, package and forms.

    The archive holds one folder of the bundle's name: configurations, page, licence, weights, the metadata with
    digests, `configs/checksums.json` and the package as it is now. The bundle is built and its weights are loaded
    before anything is written, which runs code that its configuration names.

    Args:
        bundle: name, folder or verified archive of a bundle.
        output: folder for the archive; one of that name is replaced.
        forms: forms of the network to put in as well; they are refused for an ensemble.

    Raises:
        HandsegInputError: bundle, weights or a form cannot be used, a form's logits differ from PyTorch's, or the
            archive cannot be written.
    """
    root = Path(find_bundle(bundle))
    name = read_name(root)
    contents = bundle_contents(root)
    wanted = [form for form in Form if form in forms]
    if wanted and "members" in read_json(root / "configs" / "inference.json", "compare it with bundles/ensemble"):
        options = ", ".join(f"--{form}" for form in wanted)
        problem = f"cannot be compiled ({options}): its members see windows of their own"
        raise HandsegInputError(name, problem, "export the bundles of its members with these options")
    require_packages(wanted)
    _require_outside(Path(output), root)
    target = make_folder(output) / f"{_safe(name, root)}-{_safe(_version(root), root)}.zip"
    load_predictor(str(root), device="cpu")
    with tempfile.TemporaryDirectory(prefix="handseg-export-") as folder:
        done = compile_network(root, wanted, Path(folder)) if wanted else []
        files = contents | {made.form.file: made.path for made in done}
        complete = with_checksums(files, {made.form.file: _told(made) for made in done})
        write_archive(target, {f"{name}/{path}": content for path, content in complete.items()})
    return Exported(target, len(complete), done)


def _require_outside(output: Path, root: Path) -> None:
    """Refuse a folder from which the next export, or whoever verifies the bundle, would take the archive for a part."""
    folder = output.resolve()
    if any(folder == place or place in folder.parents for place in (root, PACKAGE_FOLDER)):
        raise HandsegInputError(output, "lies in what is exported", "choose an --output outside the bundle")


def _told(made: Compiled) -> dict[str, Any]:
    """Return what the metadata says of a compiled network; -1 stands for any length, as in ONNX."""
    size = -1 if made.size is None else made.size
    return {"bytes": made.path.stat().st_size, "made_by": made.made_by, "input_shape": [-1, 1, size, size]}


def _version(root: Path) -> str:
    metadata = read_json(root / METADATA, "compare it with bundles/effisegnet")
    version = metadata.get("version")
    if not isinstance(version, str) or version not in (metadata.get("changelog") or {}):
        problem = f"has the version {version!r}, of which its changelog says nothing"
        raise HandsegInputError(root / METADATA, problem, "add it to the changelog")
    return version


def _safe(text: str, root: Path) -> str:
    """Return a name or version that can be a part of a file's name on any system."""
    if not _SAFE.fullmatch(text):
        problem = f"has the name or version {text!r}"
        raise HandsegInputError(root / METADATA, problem, "use letters, digits, dots, dashes and underscores")
    return text
