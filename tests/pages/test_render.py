"""Templates filled with names that are anything but harmless."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from jinja2 import UndefinedError

from handseg_bundle_common.pages import data_uri, png_uri, render_page

TEMPLATE = "<style>{{ style|safe }}</style><p>{{ name }}</p><script>{{ script|safe }}</script>{{ script_hash|safe }}"


@pytest.fixture
def files(tmp_path):
    for file, text in {"template.html": TEMPLATE, "mine.css": "p { color: red; }", "mine.js": "let a = 1 < 2;"}.items():
        (tmp_path / file).write_text(text)
    return tmp_path


def test_names_are_escaped_and_style_and_script_are_not(files):
    page = render_page(files, "mine", name="<script>&")
    assert "<p>&lt;script&gt;&amp;</p>" in page
    assert "<script>let a = 1 < 2;</script>" in page


def test_the_style_of_all_pages_stands_before_that_of_one_and_variables_before_both(files):
    style = re.search(
        "<style>(.*)</style>", render_page(files, "mine", extra_style=":root{--a:1}", name=""), re.DOTALL
    )[1]
    assert style.startswith(":root{--a:1}")
    assert style.endswith("p { color: red; }")
    assert style.index("--page") < style.index("color: red")


def test_the_hash_is_that_of_the_script(files):
    digest = base64.b64encode(hashlib.sha256(b"let a = 1 < 2;").digest()).decode()
    assert render_page(files, "mine", name="").endswith(f"sha256-{digest}")


def test_a_value_that_a_template_misses_is_an_error(files):
    with pytest.raises(UndefinedError, match="name"):
        render_page(files, "mine")


def test_files_become_data_uris(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    assert png_uri(tmp_path / "a.png") == data_uri("image/png", b"\x89PNG") == "data:image/png;base64,iVBORw=="
