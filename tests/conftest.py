"""Shared fixtures: the repository's folders and its sample data."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# The same examples in every run: a failure that comes and goes says nothing about a change.
settings.register_profile("handseg", derandomize=True, deadline=None)
settings.load_profile("handseg")

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds `bundles`, `data` and the package."""
    return REPOSITORY


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """Eight simulated hands of four patients, the default data of every bundle."""
    return REPOSITORY / "data" / "sample"


# Refuses to read the repository's package and bundles, wherever a path to them may come from.
HIDE = """
import sys
def refuse(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith({hidden!r}):
        raise PermissionError(f"{{arguments[0]}} is hidden")
sys.addaudithook(refuse)
"""


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with every package that is installed here, but without handseg.

    It cannot read this repository's package and bundles.
    """
    folder = tmp_path_factory.mktemp("bare") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)  # noqa: S603
    site, python = (
        subprocess.run([folder / "bin" / "python", "-I", "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
        for code in ("import sysconfig; print(sysconfig.get_path('purelib'))", "import sys; print(sys.executable)")
    )
    for installed in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(installed).iterdir():
            # Editable installations stand in a .pth file and a finder that it imports.
            link = Path(site.stdout.strip(), path.name)
            if "handseg" not in path.name and path.suffix != ".pth" and not link.exists():
                link.symlink_to(path)
    hidden = tuple(str(REPOSITORY / name) for name in ("handseg_bundle_common", "bundles"))
    Path(site.stdout.strip(), "hidden_repository.py").write_text(HIDE.format(hidden=hidden))
    Path(site.stdout.strip(), "hidden_repository.pth").write_text("import hidden_repository\n")
    return Path(python.stdout.strip())


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window, driven by Selenium; its log `performance` tells every request of a page."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(programs):
        pytest.skip("pages in a browser (apt-get install chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="pages in a browser (pip install selenium)")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    sandbox = [] if os.name == "nt" or os.geteuid() else ["--no-sandbox"]
    for argument in ("--headless=new", "--disable-dev-shm-usage", "--force-prefers-reduced-motion", *sandbox):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    yield driver
    driver.quit()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Name what was not tested in the very last line, where nobody overlooks it."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    reasons = {report.longrepr[2].removeprefix("Skipped: ") for report in reporter.stats.get("skipped", ())}
    if reasons:
        reporter.write_line(f"not tested here: {'; '.join(sorted(reasons))}")
