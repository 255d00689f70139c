"""Logging configurations: a handler writes to the terminal, and nothing else may stand there."""

from __future__ import annotations

import logging.config
from pathlib import Path

import pytest

from handseg_bundle_common.packaging.verify.logs import scan_logging
from handseg_bundle_common.packaging.verify.scan import scan

CONSOLE = "[handler_consoleHandler]"


def test_one_that_writes_a_file_is_refused(bundle: Path, tmp_path: Path) -> None:
    """The same file makes the folder when Python reads it: the canary lives."""
    path = bundle / "configs" / "logging.conf"
    text = path.read_text()
    path.write_text(text.replace("StreamHandler", "FileHandler").replace("sys.stdout", f"'{tmp_path}/ran'"))
    (first, second) = scan(bundle)
    assert (first.file, first.place) == ("configs/logging.conf", CONSOLE)
    assert "FileHandler" in first.problem
    assert "arguments" in second.problem
    assert not (tmp_path / "ran").exists()
    logging.config.fileConfig(path, disable_existing_loggers=False)
    assert (tmp_path / "ran").exists()
    logging.getLogger().handlers.clear()


# What is put in place of a line of logging.conf, and the section that is refused.
REFUSED = {
    "other class": ("class=StreamHandler", "class=handlers.SMTPHandler", CONSOLE),
    "class by interpolation": ("class=StreamHandler", "class=%(formatter)s", CONSOLE),
    "arguments of a call": ("args=(sys.stdout,)", "args=(__import__('os').mkdir('ran'),)", CONSOLE),
    "more arguments": ("args=(sys.stdout,)", "args=(sys.stdout,)\nkwargs={}", CONSOLE),
    "class of a formatter": ("datefmt=", "class=os.mkdir\ndatefmt=", "[formatter_plain]"),
    "style of a formatter": ("datefmt=", "style={\ndatefmt=", "[formatter_plain]"),
    "class of a logger": ("qualname=ignite", "qualname=ignite\nclass=x", "[logger_ignite]"),
    "section": ("[loggers]", "[program]\nrun=x\n[loggers]", "[program]"),
    "section without its kind": ("[loggers]", "[handler]\n[loggers]", "[handler]"),
    "options for all": ("[loggers]", "[DEFAULT]\nlevel=INFO\n[loggers]", "[DEFAULT]"),
    "twice": ("[loggers]", "[formatters]\n[loggers]", ""),
    "beyond ASCII": ("level=INFO", "level=\u0130NFO", ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(bundle: Path, case: str) -> None:
    path = bundle / "configs" / "logging.conf"
    line, other, place = REFUSED[case]
    assert line in path.read_text()
    path.write_text(path.read_text().replace(line, other, 1), encoding="utf-8")
    found = scan_logging(bundle, "configs/logging.conf")
    assert place in {one.place for one in found}
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    "name", ["docs/notes.txt", "docs/README.md", "configs/logging.ini", "log", "x.bin", "eval/x.txt"]
)
def test_what_names_a_handler_is_one_whatever_it_is_called(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_text("[handler_x]\nclass=FileHandler\nargs=('ran',)\n")
    assert {one.file for one in scan(bundle)} == {name}
