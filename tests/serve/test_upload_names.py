"""Names of files that clients tell: harmless, and still the names of the images."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handseg_bundle_common.serve.uploads import harmless_name


@pytest.mark.parametrize(
    ("name", "harmless"),
    [
        ("hand.png", "hand.png"),
        ("../../etc/passwd.png", "passwd.png"),
        ("C:\\scans\\hand.PNG", "hand.PNG"),
        ("a:b*c?.nii.gz", "a_b_c_.nii.gz"),
        ("", "radiograph"),
        ("...", "radiograph"),
        (".png", "radiograph.png"),
        ("röntgen 手.jpg", "röntgen 手.jpg"),
        ("line\nbreak\0.png", "line_break_.png"),
        ("x" * 500 + ".dcm", "x" * 120 + ".dcm"),
        ("1.2.840.113", "1.2.840.113"),
    ],
)
def test_names_keep_their_letters_and_lose_what_is_dangerous(name, harmless):
    assert harmless_name(name) == harmless


@given(st.text(alphabet=st.characters()))
def test_any_name_becomes_one_that_results_can_have(name):
    harmless = harmless_name(name)
    assert harmless == harmless_name(harmless)
    assert harmless.strip(".")
    assert not set(harmless) & set('<>:"/\\|?*\0\n\r')
    assert harmless.encode().decode() == harmless
    assert len(harmless) <= 127
