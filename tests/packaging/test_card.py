"""Pages that the benchmark writes into."""

from __future__ import annotations

import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.packaging import CARD, with_numbers


def test_what_stands_between_the_markers_is_replaced(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- benchmark -->\nold\n<!-- /benchmark -->\nafter\n")
    path.write_text(with_numbers(path, "new | 1"))
    assert path.read_text() == "before\n<!-- benchmark -->\nnew | 1\n<!-- /benchmark -->\nafter\n"
    assert with_numbers(path, "new | 1") == path.read_text()


@pytest.mark.parametrize("text", ["", "<!-- benchmark -->", "<!-- /benchmark -->\n<!-- benchmark -->"])
def test_a_page_without_markers_is_refused(tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(HandsegInputError, match=r"README\.md: has no <!-- benchmark --> before <!-- /benchmark -->"):
        with_numbers(path, "new")


def test_a_page_that_is_not_there_is_named(tmp_path):
    with pytest.raises(HandsegInputError, match=r"gone\.md: cannot be read"):
        with_numbers(tmp_path / "gone.md", "new")


def test_the_readme_and_the_page_of_every_bundle_have_their_markers(repository):
    for path in (repository / "README.md", *(folder / CARD for folder in (repository / "bundles").iterdir())):
        assert "\nnew\n" in with_numbers(path, "new")
