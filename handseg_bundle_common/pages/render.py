"""A template filled with what a page shows, its style and its script."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from jinja2 import Environment, StrictUndefined

_STYLE = "page.css"


def render_page(files: Traversable, name: str, /, *, extra_style: str = "", **values: object) -> str:
    """Fill a template; names are escaped, and nothing but the page's own style and script can work in it.

    Args:
        files: folder of `template.html`, `<name>.css`, which is added to the style of all pages, and `<name>.js`.
        name: name of style and script.
        extra_style: rules that stand before all others, such as variables.
        **values: what the template names, besides `style`, `script` and their hashes for the content security policy.

    Returns:
        The page, which needs no other file and no network.
    """
    shared = resources.files(__package__).joinpath(_STYLE).read_text(encoding="utf-8")
    template, own, script = (
        files.joinpath(file).read_text(encoding="utf-8") for file in ("template.html", f"{name}.css", f"{name}.js")
    )
    style = "\n".join((extra_style, shared, own))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        **values,
        style=style,
        script=script,
        style_hash=_digest(style),
        script_hash=_digest(script),
    )


def png_uri(path: Path) -> str:
    """Return a PNG file as data URI."""
    return data_uri("image/png", path.read_bytes())


def data_uri(media_type: str, content: bytes) -> str:
    """Return a file's content as data URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _digest(text: str) -> str:
    """Return what a content security policy calls a text by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
