"""Commands in the documentation are ones that handseg and its bundles understand, and links lead somewhere."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from handseg_bundle_common.cli.arguments import Job
from handseg_bundle_common.cli.command import read_command

REPOSITORY = Path(__file__).parent.parent
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/*.md", "data/*.md", "benchmarks/*.md", "bundles/*/docs/*.md", "bundles/*/models/*.md")
    for page in REPOSITORY.glob(pattern)
)
# Arguments of `python -m monai.bundle run` itself.
MONAI_OPTIONS = {"config_file", "bundle_root", "meta_file", "logging_file"}


def commands(program: str) -> list[tuple[str, str]]:
    """Return (page, command line) of every command in a fenced shell block that calls a program."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            lines = re.sub(r"\\\n\s*", "", block).splitlines()
            found += [(page.name, line.split("  #")[0].strip()) for line in lines if program in line.split("#")[0]]
    return found


@pytest.mark.parametrize(("page", "line"), [c for c in commands("handseg ") if c[1].startswith("handseg")])
def test_verbs_and_options_of_handseg_exist(page, line):
    assert isinstance(read_command(shlex.split(line)[1:]), Job)


@pytest.mark.parametrize(("page", "line"), commands("-m monai.bundle run "))
def test_ids_and_files_of_bundle_commands_exist(page, line):
    words = shlex.split(line)
    options = {word.removeprefix("--"): words[k + 1] for k, word in enumerate(words) if word.startswith("--")}
    run = words.index("run")
    run_id = words[run + 1] if not words[run + 1].startswith("--") else "run"
    config: dict[str, object] = {}
    for file in re.findall(r"[\w./-]+\.json", options["config_file"]):
        if file != "mine.json":  # a file of the reader's own
            config |= json.loads((REPOSITORY / file).read_text())
    assert run_id in config
    ids = {name for name in options if name not in MONAI_OPTIONS and words.index(f"--{name}") > run}
    assert ids <= set(config)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_to_files_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]
