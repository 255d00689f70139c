"""Pages of exported bundles: no link leads out of the bundle, and commands are for its folder."""

from __future__ import annotations

import re

import pytest

from handseg_bundle_common.packaging.exported_page import exported_page


def test_links_that_lead_out_become_words_and_others_stay():
    kept = "[paper](https://x.org) [w](../models/README.md)"
    text = exported_page(f"# T\n[docs/a.md](../../../docs/a.md#x) [`code`](../../../b.py) {kept}\n", "mine")
    assert "`docs/a.md` of the repository of handseg code (`b.py` of handseg's repository)" in text
    assert kept in text


@pytest.mark.parametrize("name", ["effisegnet", "ensemble", "segformer", "swin_unetr", "unetplusplus"])
def test_the_pages_of_the_bundles(repository, name):
    page = (repository / "bundles" / name / "docs" / "README.md").read_text()
    text = exported_page(page, name, is_ensemble=name == "ensemble")
    assert not re.search(rf"\]\(\.\./\.\.|bundles/{name}/|--filepath \.\./\.\.|data/sample/DCM", text)
    assert text.splitlines()[0] == page.splitlines()[0]
    assert text.count("Exported by handseg") == text.count("`__pycache__`") == text.count("`python -B`") == 1
    assert ("models/members/" in text) == (name == "ensemble")
    assert exported_page(text, name) == text
