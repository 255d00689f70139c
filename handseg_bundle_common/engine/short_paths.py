"""Configurations without the folders of a machine, which are often named after a person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ABSOLUTE = re.compile(r"[/~]|\.\.[/\\]|[A-Za-z]:[/\\]|\\\\")
# `$'/folder/file'`, but not `$@ckpt_dir + '/model.pt'`.
_QUOTED = re.compile(r"""(@[\w#:]+\s*\+\s*)?(['"])((?:[/~]|\.\.[/\\]|[A-Za-z]:[/\\]|\\\\)[^'"]*)\2""")
# Schemes such as `mysql+pymysql`; one letter is a drive of Windows.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
# A password may hold an `@` of its own: the last one before the path ends it.
_LOGIN = re.compile(r"//[^/\s]*@")


def without_login(address: str) -> str:
    """Return a text without the names and passwords in its addresses."""
    return _LOGIN.sub("//", address)


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
        return _QUOTED.sub(_shortened_literal, text)
    address = _ADDRESS.match(text)
    if address and address[1] in ("http", "https"):
        return without_login(text)
    if address:
        return f"{address[1]}:///{_last_part(without_login(text))}"
    return _last_part(text) if _ABSOLUTE.match(text) else text


def _shortened_literal(found: re.Match[str]) -> str:
    """Return a quoted absolute path cut to its last part, or as it is where it goes on from a reference."""
    return found[0] if found[1] else f"{found[2]}{_last_part(found[3])}{found[2]}"


def _last_part(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]
