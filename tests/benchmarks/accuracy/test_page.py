"""The benchmark's part of a README."""

from __future__ import annotations

import pytest

from handseg_bundle_common.errors import HandsegInputError


def test_what_stands_between_the_markers_is_replaced(script, tmp_path):
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- benchmark -->\nold\n<!-- /benchmark -->\nafter\n")
    path.write_text(script.between_markers(path, "new | 1"))
    assert path.read_text() == "before\n<!-- benchmark -->\nnew | 1\n<!-- /benchmark -->\nafter\n"
    assert script.between_markers(path, "new | 1") == path.read_text()


@pytest.mark.parametrize("text", ["", "<!-- benchmark -->", "<!-- /benchmark -->\n<!-- benchmark -->"])
def test_a_readme_without_markers_is_refused(script, tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(HandsegInputError, match=r"README\.md: has no <!-- benchmark --> before <!-- /benchmark -->"):
        script.between_markers(path, "new")


def test_the_readme_of_the_repository_has_its_markers(script, repository):
    assert "\nnew\n" in script.between_markers(repository / "README.md", "new")
