"""What lies in a bundle's folder: kinds of files, links, and code that is not the shared package's."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from handseg_bundle_common import __version__
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.packaging.verify.allowed import PACKAGE
from handseg_bundle_common.packaging.verify.findings import Check, Finding, Severity, error, note, warning

INSTALLED = Path(__file__).resolve().parents[2]
"""The package that runs."""

OUTPUTS = "eval"
"""Folder of what a bundle has written; no bundle reads anything in it again."""

_VERSION = re.compile(r"^__version__\s*=\s*[\"']([^\"']+)[\"']", re.MULTILINE)
_PLAIN = {
    ".json",
    ".yaml",
    ".yml",
    ".conf",
    ".ini",
    ".cfg",
    ".md",
    ".txt",
    ".rst",
    ".pt",
    ".csv",
    ".png",
    ".jpg",
    ".jpeg",
    ".svg",
    ".bib",
    ".cff",
}
_COMPILED = {".ts", ".pt2", ".onnx"}
_NAMES = {"LICENSE", "NOTICE"}
_PICKLES = {".pkl", ".pickle", ".pth", ".joblib", ".dill", ".npy", ".npz", ".ckpt", ".h5", ".keras"}
_PROGRAMS = {
    ".pyc",
    ".pyo",
    ".pyw",
    ".pyd",
    ".pyx",
    ".so",
    ".dll",
    ".dylib",
    ".exe",
    ".sh",
    ".bat",
    ".cmd",
    ".ps1",
    ".app",
    ".com",
    ".msi",
    ".html",
    ".js",
    ".ipynb",
}
_ARCHIVES = {
    ".zip",
    ".tar",
    ".gz",
    ".tgz",
    ".bz2",
    ".xz",
    ".7z",
    ".rar",
    ".zst",
    ".whl",
    ".egg",
    ".jar",
    ".deb",
    ".iso",
}
_MAGIC = {b"PK\x03\x04": "a ZIP archive", b"\x1f\x8b": "a gzip archive", b"\x7fELF": "a program", b"MZ": "a program"}
# What runs write, which may lie among the outputs and nowhere else.
_RESULTS = {".npz", ".html"}
_NO_RESULTS = {".py", ".pt", ".conf", ".ini", ".cfg"}
# A bundle that runs lies on Python's search path, where `importlib.metadata` takes such folders for installed packages
# and MLflow calls whatever function of any module their entry points name.
_INSTALLED = (".dist-info", ".egg-info", ".egg")
# Matplotlib obeys this file in the working directory, which names the module that draws.
_OBEYED = {"matplotlibrc"}
_FEW = 5


def bundle_files(root: Path) -> list[str]:
    """Return the paths of all files and links in a bundle in order, but those in its folder of `OUTPUTS`.

    Args:
        root: the bundle's folder.

    Raises:
        HandsegInputError: a folder in it cannot be listed.
    """
    return [name for name in _all_files(root) if not is_output(name)]


def output_files(root: Path) -> list[str]:
    """Return the paths of all files and links in a bundle's folder of `OUTPUTS`, relative to the bundle's folder.

    Raises:
        HandsegInputError: a folder in it cannot be listed.
    """
    outputs = root / OUTPUTS
    if outputs.is_symlink() or not outputs.is_dir():
        return []
    return [f"{OUTPUTS}/{name}" for name in _all_files(outputs)]


def is_output(name: str) -> bool:
    """Return whether a file of a bundle lies in its folder of `OUTPUTS`."""
    return name.startswith(f"{OUTPUTS}/")


def _all_files(root: Path) -> list[str]:
    def refuse(problem: OSError) -> None:
        # What cannot be listed can still be opened by who knows its name.
        reason = f"cannot be listed ({problem.strerror})"
        raise HandsegInputError(problem.filename, reason, "let yourself read it") from problem

    found = []
    for folder, folders, files in os.walk(root, onerror=refuse):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        found += [Path(folder, name).relative_to(root).as_posix() for name in (*files, *links)]
    return sorted(found)


def is_compiled(name: str) -> bool:
    """Return whether a file lies in a folder where Python keeps what it has compiled."""
    return "__pycache__" in PurePosixPath(name).parts


def suffix_of(name: str) -> str:
    """Return a file's suffix in small letters, also of a name that is nothing else, such as `.json`."""
    base = PurePosixPath(name).name
    return base[base.rfind(".") :].lower() if "." in base else ""


def in_package(name: str) -> bool:
    """Return whether a file lies in the one copy of the shared package that a bundle may carry."""
    parts = PurePosixPath(name).parts
    return len(parts) > 1 and parts[0] == PACKAGE


def file_digest(path: Path) -> str:
    """Return the SHA-256 digest of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def kind_findings(root: Path) -> list[Finding]:
    """Look at the kinds of files in a bundle: links, pickles, programs and archives are refused."""
    names = [*bundle_files(root), *output_files(root)]
    findings = list(_compiled([name for name in names if is_compiled(name)]))
    for name in names:
        if is_compiled(name):
            continue
        if (root / name).is_symlink():
            findings += _link(root, name)
        elif not (root / name).is_file():
            findings.append(error(Check.FILES, name, "is a device or a pipe", "remove it"))
        elif is_output(name):
            findings += _output(root, name)
        elif not in_package(name):
            findings += _kind(root, name)
    return findings


def _compiled(names: list[str]) -> Iterator[Finding]:
    """Refuse compiled files by one finding: a run leaves dozens, which Python obeys in place of their sources."""
    if names:
        problem = f"is compiled, which nothing can be compared with ({len(names)} such files)"
        yield error(Check.FILES, names[0], problem, "delete every __pycache__, and run bundles by python -B")


def _output(root: Path, name: str) -> Iterator[Finding]:
    """Refuse among results what no run writes there and a later run could be led to."""
    if suffix_of(name) in _NO_RESULTS:
        yield error(Check.FILES, name, "is among the results of runs and is none", "move it elsewhere")
    elif suffix_of(name) not in _RESULTS:
        yield from (finding for finding in _kind(root, name) if finding.severity is Severity.ERROR)


def _link(root: Path, name: str) -> Iterator[Finding]:
    """Stores of large files link weights, which hold no code; any other link is refused."""
    target = (root / name).resolve()
    if Path(name).suffix == ".pt" and target.is_file() and not is_output(name):
        yield note(Check.FILES, name, f"is a link to {target}", "send the file itself")
    else:
        yield error(Check.FILES, name, f"is a link to {target}", "put the file itself there")


def _kind(root: Path, name: str) -> Iterator[Finding]:
    suffix, parts = suffix_of(name), PurePosixPath(name).parts
    if any(part.lower().endswith(_INSTALLED) or part.upper() == "EGG-INFO" for part in parts):
        yield error(Check.FILES, name, "is taken for an installed package, whose functions others call", "remove it")
    elif parts[-1].lower() in _OBEYED:
        yield error(Check.FILES, name, "is a configuration that a program obeys where it is started", "remove it")
    elif suffix in _PICKLES:
        yield error(Check.FILES, name, "is of a kind that can hold pickled code", "send weights as .pt from handseg")
    elif suffix in _PROGRAMS:
        yield error(Check.FILES, name, "is a program", "remove it")
    elif suffix in _ARCHIVES:
        yield error(Check.FILES, name, "is an archive within the bundle", "send it by itself")
    elif suffix in _COMPILED:
        yield note(Check.FILES, name, "is an exported network, which is not looked into", "handseg does not load it")
    elif suffix not in {".py", ".pt"}:
        with (root / name).open("rb") as file:
            start = file.read(4)
        magic = next((kind for signature, kind in _MAGIC.items() if start.startswith(signature)), None)
        if magic is not None:
            yield error(Check.FILES, name, f"is {magic} under another name", "remove it")
        elif suffix not in _PLAIN and parts[-1] not in _NAMES:
            yield warning(Check.FILES, name, "is of a kind that no bundle needs", "remove it")


def code_findings(root: Path) -> list[Finding]:
    """Look for code: only one copy of the shared package may be there, at the top, and only as it is installed.

    A file that is missing, changed or added makes it code of its own, as any other Python file is.
    """
    findings = list(_copy_findings(root / PACKAGE)) if (root / PACKAGE).is_dir() else []
    for name in bundle_files(root):
        if suffix_of(name) == ".py" and not in_package(name):
            findings.append(_own_code(name, "is code of its own"))
    return findings


def _copy_findings(copy: Path) -> Iterator[Finding]:
    """Compare the copy of the package with the one that is installed, every file of it."""
    try:
        text = (copy / "__init__.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    stated = _VERSION.search(text)
    if stated is None or stated[1] != __version__:
        version = stated[1] if stated else "no version"
        yield _own_code(PACKAGE, f"is the package of another version ({version}, not {__version__}), unknown here")
        return
    files = [path for path in _all_files(copy) if (copy / path).is_file() and not is_compiled(path)]
    found = {path: file_digest(copy / path) for path in files}
    expected = _installed_digests()
    ours = {path for path in expected if path.endswith(".py")}
    others = sorted({path for path in found if found[path] != expected.get(path)} | (ours - set(found)))
    for path in others[:_FEW]:
        state = "is missing from the package" if path not in found else "is not the file of the installed package"
        yield _own_code(f"{PACKAGE}/{path}", state)
    if len(others) > _FEW:
        yield _own_code(PACKAGE, f"differs from the installed package in {len(others)} files")


def _installed_digests() -> dict[str, str]:
    files = [path for path in INSTALLED.rglob("*") if path.is_file() and not is_compiled(path.as_posix())]
    return {path.relative_to(INSTALLED).as_posix(): file_digest(path) for path in files}


def _own_code(name: str, problem: str) -> Finding:
    remedy = "install the version of handseg that it was exported with, or pass --trust if you know its author"
    return error(Check.CODE, name, problem, remedy)
