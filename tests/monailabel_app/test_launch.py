"""What is refused before the annotation server starts."""

from __future__ import annotations

import ast

import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.monailabel_app import launch
from handseg_bundle_common.monailabel_app.settings import Settings, check_host, read_settings

AUTHENTICATION = "MONAI_LABEL_AUTH_ENABLE"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "hands.example", ""])  # noqa: S104
def test_other_interfaces_need_authentication(host):
    for environment in ({}, {AUTHENTICATION: "false"}, {AUTHENTICATION: ""}):
        with pytest.raises(HandsegInputError, match="lets everybody in the network"):
            check_host(host, environment)
    assert check_host(host, {AUTHENTICATION: "true"}) is False


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_needs_none(host):
    assert check_host(host, {}) is True


def test_settings_cross_to_other_processes():
    settings = Settings(("/a/b", "c"), "/labels")
    assert read_settings(settings.environment()) == settings
    assert read_settings(Settings().environment()) == Settings()
    assert read_settings({}) == Settings()


def test_mistakes_end_with_one_sentence(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv(AUTHENTICATION, raising=False)
    for arguments, sentence in (
        (["--studies", str(tmp_path / "nosuch")], "is not a folder"),
        (["--studies", str(tmp_path), "--host", "0.0.0.0"], "lets everybody"),  # noqa: S104
        (["--studies", str(tmp_path), "--port", "0"], "is no port"),
        (["--studies", str(tmp_path), "--bundles", "nosuch"], "is no bundle"),
        (["--studies", "http://127.0.0.1:9/dicom-web"], "name a folder for labels"),
    ):
        assert launch.main(arguments) == 2
        assert sentence in capsys.readouterr().err


def test_bundles_of_this_repository_are_served_by_default():
    folders = launch.bundles_to_serve([])
    assert {folder.rpartition("/")[2] for folder in folders} >= {"effisegnet", "ensemble", "unetplusplus"}
    assert launch.bundles_to_serve(["ensemble"]) == [folder for folder in folders if folder.endswith("/ensemble")]


def test_modules_of_the_server_do_without_monai_label(repository):
    need_it = set()
    for path in (repository / "handseg_bundle_common" / "monailabel_app").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(name and name.startswith(("monailabel.", "dicomweb_client", "uvicorn")) for name in names):
                need_it.add(path.stem)
    assert need_it == {"app", "dicomweb"}
