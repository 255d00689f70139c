"""A bundle's page as it reads where the repository is not."""

from __future__ import annotations

import re

from handseg_bundle_common import __version__
from handseg_bundle_common.weights import PACKAGE

_MARK = "<!-- export -->"
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
_SCHEMA = re.compile(r" \\\n\s*--filepath \.\./\.\./\S+")
_FROM_ROOT = "From the root of the repository, or from anywhere with the full path of the files:"


def exported_page(text: str, name: str, *, is_ensemble: bool = False) -> str:
    """Return a bundle's page with commands for the bundle's folder and without links that lead out of it.

    Args:
        text: the page in Markdown, with a title in its first line.
        name: the bundle's name.
        is_ensemble: the export holds members.
    """
    text = _LINK.sub(_kept_link, text)
    text = _SCHEMA.sub("", text)
    text = text.replace(_FROM_ROOT, "From this bundle's folder, or from anywhere with the full path of the files:")
    text = text.replace(f"bundles/{name}/", "").replace("data/sample/DCM", "my_radiographs")
    title, _, rest = text.partition("\n")
    return text if _MARK in text else f"{title}\n\n{_MARK}\n{_preface(is_ensemble)}{rest}"


def _kept_link(match: re.Match[str]) -> str:
    """Return a link as it is, or in words if it leads out of the bundle."""
    words, target = match.groups()
    if not target.startswith("../.."):
        return match[0]
    path = re.sub(r"^(\.\./)+", "", target).partition("#")[0]
    words = words.strip("`")
    return f"`{path}` of the repository of handseg" if words == path else f"{words} (`{path}` of handseg's repository)"


def _preface(is_ensemble: bool) -> str:
    lines = [
        f"Exported by handseg {__version__}. The bundle runs where handseg is not installed: the package lies in",
        f"`{PACKAGE}/`, and `configs/metadata.json` lists the packages that it needs. `configs/checksums.json`",
        "has the SHA-256 digest of every file. No radiographs come with it: name yours with `--data_dir`, and for a",
        f"training the file of folds too, which `python -m {PACKAGE}.cli make-folds my_data --output folds.json` makes",
        "in this folder. `handseg ...` in the commands below is",
        f"`python -m {PACKAGE}.cli ...` where handseg is not installed.",
        "Python leaves `__pycache__` folders in the package when it runs, unless it is started as `python -B`.",
        "`handseg verify` refuses them: delete them before you hand the folder on, or hand the archive on.",
    ]
    if is_ensemble:
        lines += ["The members lie in `models/members/`; `reference.json` is left out, whose members are not there."]
    return "\n".join(lines) + "\n"
