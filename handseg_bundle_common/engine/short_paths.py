"""Configurations without the folders of a machine, which are often named after a person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ABSOLUTE = re.compile(r"[/~]|\.\.[/\\]|[A-Za-z]:[/\\]|\\\\")
# `$'/folder/file'`, but not `$@ckpt_dir + '/model.pt'`.
_QUOTED = re.compile(r"""(?<=[$(\[,])(\s*)(['"])((?:[/~]|\.\.[/\\]|[A-Za-z]:[/\\]|\\\\)[^'"]*)\2""")
_LOGIN = re.compile(r"//[^/@\s]*@")


def without_folders(document: Any) -> Any:
    """Return a document of JSON whose absolute paths are cut to their last part.

    Lists of images, which a configuration may hold in place of a data set's folder, become their length; names and
    passwords are taken out of the addresses of servers.
    """
    if isinstance(document, str):
        return _shortened(document)
    if isinstance(document, Mapping):
        return {key: without_folders(value) for key, value in document.items()}
    if isinstance(document, list):
        if document and all(isinstance(item, Mapping) and "image" in item for item in document):
            return f"{len(document)} images"
        return [without_folders(value) for value in document]
    return document


def _shortened(text: str) -> str:
    if text.startswith("$"):
        return _QUOTED.sub(lambda found: f"{found[1]}{found[2]}{_last_part(found[3])}{found[2]}", text)
    scheme, separator, rest = text.partition("://")
    if separator and scheme in ("http", "https"):
        return _LOGIN.sub("//", text)
    if separator and scheme.isidentifier():
        return f"{scheme}:///{_last_part(rest)}"
    return _last_part(text) if _ABSOLUTE.match(text) else text


def _last_part(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]
