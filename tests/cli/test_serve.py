"""The verb serve: bundles by name and order, and one sentence for what cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handseg_bundle_common import packaging
from handseg_bundle_common.cli.command import main

server = pytest.importorskip("handseg_bundle_common.serve", reason='the local page (pip install "handseg[serve]")')


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What would be served."""
    received: dict[str, Any] = {}

    def record(folders: dict[str, str], *, announce: Callable[[str], object], **options: object) -> None:
        received.update(options, folders=folders)
        announce("http://127.0.0.1:8000")

    monkeypatch.setattr(server, "serve", record)
    return received


def test_all_bundles_with_weights_are_served_the_ensemble_first(
    served: dict[str, Any], repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve"]) == 0
    assert list(served["folders"]) == ["ensemble", "effisegnet", "segformer", "swin_unetr", "unetplusplus"]
    assert served["folders"]["segformer"] == str(repository / "bundles" / "segformer")
    assert (served["host"], served["port"], served["device"]) == ("127.0.0.1", 8000, "auto")
    assert served["limits"].minutes == 30
    assert capsys.readouterr().out.splitlines() == [
        "The page is http://127.0.0.1:8000 (end with Ctrl+C)",
        "Ended; all radiographs and masks are deleted.",
    ]


def test_named_bundles_are_opened_as_predict_does_in_their_order(
    served: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def open_bundle(bundle: str, *, trust: bool = False) -> str:
        opened.append((bundle, trust))
        return f"/opened/{bundle}"

    monkeypatch.setattr(packaging, "open_bundle", open_bundle)
    assert (
        main(
            [
                "serve",
                "--bundle",
                "swin_unetr,elsewhere/mine.zip",
                "--port",
                "0",
                "--minutes",
                "5",
                "--device",
                "cpu",
                "--trust",
            ]
        )
        == 0
    )
    assert opened == [("swin_unetr", True), ("elsewhere/mine.zip", True)]
    assert served["folders"] == {"swin_unetr": "/opened/swin_unetr", "mine.zip": "/opened/elsewhere/mine.zip"}
    assert (served["port"], served["limits"].minutes, served["device"]) == (0, 5, "cpu")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("serve --host 0.0.0.0", "--host: 0.0.0.0 would let other computers in, and there is no password"),
        ("serve --port web", "--port: 'web' is not a whole number"),
        ("serve --port", "--port: has no value"),
        ("serve --minutes 0", "--minutes: 0.0 is out of range; give 1 to 1440 minutes"),
        ("serve --bundle effisegnet,effisegnet", "--bundle: names effisegnet twice"),
        ("serve --bundle absent", "absent: is no bundle"),
        ("serve --trust maybe", "--trust: 'maybe' is neither True nor False"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    served: dict[str, Any], line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == 2
    assert message in capsys.readouterr().err
    assert served == {}
