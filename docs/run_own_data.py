"""Run the commands of docs/own-data.md as they stand, on simulated hands in a folder with a foreign name.

    python docs/run_own_data.py

Only names, sizes and numbers of epochs are changed, so that everything takes minutes on a CPU. Faults are planted
first, and `check-data` must refuse them; with the faults mended, every command must succeed.
"""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from handseg_bundle_common.datasets import check_data

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "own-data.md"
# What `check-data` has to say of the planted faults: kind, file and bone.
PLANTED = {
    ("WRONG_ORDER", "sim11-0001_L.png", "Trapezium"),
    ("WRONG_ORDER", "sim11-0001_L.png", "Trapezoid"),
    ("MISSING_BONE", "sim11-0002_L.png", "finger-6"),
    ("MISSING_BONE", "sim11-0003_L.png", "finger-1"),
    ("UNKNOWN_BONE", "sim11-0003_L.png", "finger-20"),
    ("UNREADABLE_IMAGE", "sim11-0004_R.png", None),
    ("LONE_POLYGONS", "sim11-0005_R.json", None),
}
SMALL = "--max_epochs 2 --batch_size 2 --num_workers 0"


def commands(data: Path, test: Path, runs: Path) -> Iterator[str]:
    """Yield the commands of the page with other names and small sizes."""
    names = {"my_data": shlex.quote(str(data)), "my_test": shlex.quote(str(test))}
    names |= {name: f"{runs}/{name}" for name in ("runs/", "my_folds.json", "predictions", "cache")}
    pattern = rf"(?<![\w/-])({'|'.join(map(re.escape, names))})(?![\w])|(?<=\s)runs/"
    text = PAGE.read_text(encoding="utf-8")
    for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
        for line in filter(None, re.sub(r"\\\n\s*", "", block).splitlines()):
            command = re.sub(pattern, lambda match: names[match[0]], line)
            if "training" in line or "cross-validate" in line:
                command = f"{command} {_small(line, runs)}".replace("--max_epochs 30", "")
            yield command


def _small(line: str, runs: Path) -> str:
    size = "--image_size 256 --window_size 128" if "sliding_window" in line else "--image_size 96"
    database = "" if "no_tracking" in line else f"--tracking_uri sqlite:///{runs}/mlflow.db"
    epochs = SMALL.replace("2", "3", 1) if "--resume" in line else SMALL
    return f"{size} {epochs} {database}"


def plant_faults(data: Path) -> None:
    """Exchange two bones, forget one, name one wrongly, truncate a picture and lose another."""
    labels = [data / "outputs_json" / f"sim11-{n:04d}" / f"sim11-{n:04d}_L.json" for n in (1, 2, 3)]
    exchange = {"Trapezium": "Trapezoid", "Trapezoid": "Trapezium"}
    for path, names in zip(labels, (exchange, {"finger-6": None}, {"finger-1": "finger-20"}), strict=True):
        document = json.loads(path.read_text(encoding="utf-8"))
        renamed = [entry | {"label": names.get(entry["label"], entry["label"])} for entry in document["annotations"]]
        document["annotations"] = [entry for entry in renamed if entry["label"] is not None]
        path.write_text(json.dumps(document), encoding="utf-8")
    truncated = data / "DCM" / "sim11-0004" / "sim11-0004_R.png"
    truncated.write_bytes(truncated.read_bytes()[:3000])
    (data / "DCM" / "sim11-0005" / "sim11-0005_R.png").unlink()


def run(command: str, expected: int = 0) -> None:
    """Run a command in the repository and stop at an unexpected exit code."""
    print(f"\n$ {command}", flush=True)
    code = subprocess.run(command, shell=True, cwd=REPOSITORY, check=False).returncode  # noqa: S602  the page's own
    if code != expected:
        sys.exit(f"exit code {code} instead of {expected}: {command}")


def main() -> None:
    """Simulate, plant faults, check, mend, and run the page."""
    with tempfile.TemporaryDirectory() as folder:
        data, test, runs = (Path(folder, name) for name in ("Röntgen Bilder", "new ones", "results"))
        run(f"handseg simulate --count 20 --size 256 --seed 11 --output {shlex.quote(str(data))}")
        run(f"handseg simulate --count 4 --size 256 --seed 12 --output {shlex.quote(str(runs / 'test'))}")
        shutil.copytree(runs / "test" / "DCM", test)
        mended = shutil.copytree(data, runs / "mended")
        plant_faults(data)
        check, *others = commands(data, test, runs)
        run(check, expected=1)
        found = {(fault.kind.name, fault.image, fault.bone) for fault in check_data(data)}
        if found != PLANTED:
            sys.exit(f"not as planted: {sorted(found ^ PLANTED, key=str)}")
        shutil.rmtree(data)
        shutil.copytree(mended, data)
        for command in (check, *others):
            run(command)
        with (runs / "runs" / "first" / "training" / "metrics.csv").open(newline="") as file:
            epochs = [row["epoch"] for row in csv.DictReader(file)]
        if epochs != ["1", "2", "3"]:
            sys.exit(f"the resumed training has the epochs {epochs}")


if __name__ == "__main__":
    main()
