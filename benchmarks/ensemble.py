"""What an ensemble gains over its members, and what its votes, specialists and second look at the carpals do.

    python benchmarks/ensemble.py BUNDLE DATA [--selected BUNDLE] [--carpal MEMBER,MEMBER] [--magnification 1.5]
        [--output FILE]
    python benchmarks/ensemble.py BUNDLE --memory

BUNDLE is an ensemble bundle with any members, DATA a folder of radiographs and polygons that none of them was trained
or selected on. Every member sees a radiograph once, and all ways of joining them use its answer; only the second look
at the carpals takes further passes. `--selected` adds a second ensemble bundle, as select-members writes it, whose
members are among those of the first, with the same weights and windows; they see the radiograph from the first one's
canvas. Intervals are 95 % bootstrap intervals over patients.

With `--memory`, the peak memory of the ensemble is compared with that of each member alone at its own size, as its own
bundle runs it: one radiograph, each in a process of its own, as the whole process and without its libraries.
"""

from __future__ import annotations

import argparse
import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.bundle import ConfigParser
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from handseg_bundle_common.anatomy import CHANNEL, SMALL_BONES
from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.ensemble import Combine, EnsembleNetwork, Fusion, Member, MemberSettings, Role
from handseg_bundle_common.ensemble.carpal import CarpalStage
from handseg_bundle_common.errors import HandsegInputError, explain_input_errors
from handseg_bundle_common.masks import Packed, unpack_masks
from handseg_bundle_common.metrics import bootstrap_interval, case_scores, overlap_zone_dice
from handseg_bundle_common.networks import SegFormer, SwinUNETR
from handseg_bundle_common.transforms import restore_masks, validation_transforms
from handseg_bundle_common.windows import CanvasInferer

_ALL = "all members"
_SMALL = [CHANNEL[name] for name in SMALL_BONES]


class Peak(NamedTuple):
    """Peak memory in GB."""

    process: float
    beyond_libraries: float


@dataclass(frozen=True)
class Way:
    """One way of joining members: a row of the table."""

    name: str
    network: EnsembleNetwork


def load(bundle: Path) -> EnsembleNetwork:
    """Build the ensemble of a bundle, with all its weights."""
    config = json.loads((bundle / "configs" / "inference.json").read_text())
    parser = ConfigParser({**config, "bundle_root": str(bundle.absolute()), "device": torch.device("cpu")})
    network: EnsembleNetwork = parser.get_parsed_content("network")
    return network.eval()


def remember_answers(network: EnsembleNetwork) -> dict[tuple[str, bytes], Tensor]:
    """Let every member answer once about every image, mirrored or not, until the returned dictionary is cleared."""
    answers: dict[tuple[str, bytes], Tensor] = {}

    def remembered(name: str, inferer: Any) -> Any:
        def answer(image: Tensor, of_member: nn.Module) -> Tensor:
            asked = name, image.numpy().tobytes()
            if asked not in answers:
                answers[asked] = inferer(image, of_member)
            return answers[asked]

        return answer

    for member in network.members:
        member.inferer = remembered(member.settings.name, member.inferer)
    return answers


def part_of(network: EnsembleNetwork, names: list[str], **settings: Any) -> EnsembleNetwork:
    """Return an ensemble of some of the members, in the order of their names.

    All of them count alike, by the mean of their probabilities and without a second look at the carpals, unless
    `settings` say otherwise. Mirror images are seen if the whole ensemble sees them.
    """
    by_name = {member.settings.name: member for member in network.members}
    part = copy.copy(network)
    part._modules = dict(network._modules)
    part.networks = nn.ModuleList(by_name[name] for name in names)
    part.fusion = Fusion(names)
    defaults = {"combine": Combine.PROBABILITIES, "votes": None, "carpal_stage": None}
    for name, value in {**defaults, **settings}.items():
        setattr(part, name, value)
    return part


def ways_of_joining(network: EnsembleNetwork, stage: Mapping[str, Any] | None, selected: Path | None) -> Iterator[Way]:
    """Yield the rows of the table."""
    names = [member.settings.name for member in network.members]
    general = [member.settings.name for member in network.members if member.settings.role is Role.GENERAL]
    for name in names:
        yield Way(f"`{name}` alone", part_of(network, [name]))
    yield Way("all, mean probability", part_of(network, names))
    yield Way("all, mean logit", part_of(network, names, combine=Combine.LOGITS))
    yield Way("all, majority of votes", part_of(network, names, combine=Combine.VOTES))
    if 0 < len(general) < len(names):
        yield Way("without the specialists, mean probability", part_of(network, general))
    if stage is not None:
        carpal_stage = CarpalStage.parse(stage, tuple(names))
        yield Way(
            "all, mean probability, second look at the carpals", part_of(network, names, carpal_stage=carpal_stage)
        )
    if selected is not None:
        yield as_selected(network, selected)


def as_selected(network: EnsembleNetwork, selected: Path) -> Way:
    """Return the members that another bundle names, joined as it does.

    Raises:
        HandsegInputError: one of them is not a member of the first ensemble, with the same weights and windows.
    """
    chosen = load(selected)
    known = {member.settings.name: signature(member) for member in network.members}
    for member in chosen.members:
        if known.get(member.settings.name) != signature(member):
            problem = f"has {member.settings.name} with other weights or windows than the whole ensemble"
            raise HandsegInputError(selected, problem, "name a bundle whose members are among the whole ensemble's")
    names = [member.settings.name for member in chosen.members]
    own = {name: getattr(chosen, name) for name in ("combine", "votes", "flip", "carpal_stage", "fusion")}
    return Way(f"selected: {', '.join(names)}", part_of(network, names, **own))


def signature(member: Member) -> tuple[object, ...]:
    """Return what a member's answer depends on: weights, size and windows."""
    windows: Any = member.inferer
    weights = member.settings.weights_file.resolve()
    return weights, member.image_size, windows.roi_size, windows.overlap, windows.flip


def segment(way: Way, item: Mapping[str, Any]) -> Packed:
    """Return the packed masks of a preprocessed radiograph at its native size."""
    inferer = CanvasInferer()
    with torch.inference_mode():
        logits = inferer(item["image"][None], way.network)
    return restore_masks(logits[0], item["native_size"])


def scores(masks: Packed, label: Packed) -> NDArray[np.float64]:
    """Return Dice, Dice in the overlap zones and boundary error rate of every bone, (3, 29)."""
    case = case_scores(masks, label)
    zones = overlap_zone_dice(*(torch.from_numpy(unpack_masks(packed)) for packed in (masks, label)))
    return np.stack([case.dice, zones.numpy(), case.boundary_error_rate])


def table(ways: list[Way], found: NDArray[np.float64], patients: list[str]) -> str:
    """Return the results as Markdown.

    Args:
        ways: the rows.
        found: (ways, images, 3, 29), see `scores`.
        patients: whose image each is.
    """
    lines = ["| ensemble | mean Dice | small bones | overlap zones | boundary error rate |", "|---|---|---|---|---|"]
    for way, (dice, zones, errors) in zip(ways, found.transpose(0, 2, 1, 3), strict=True):
        columns = (dice, dice[:, _SMALL], zones, errors)
        intervals = [bootstrap_interval(values, patients) for values in columns]
        cells = [f"{i.estimate:.4f} ({i.low:.4f} to {i.high:.4f})" for i in intervals]
        lines.append(f"| {way.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def compare(arguments: argparse.Namespace) -> None:
    """Score every way of joining the members and print the table."""
    network = load(arguments.bundle)
    stage = None
    if arguments.carpal:
        stage = {"members": arguments.carpal.split(","), "magnification": arguments.magnification}
    ways = list(ways_of_joining(network, stage, arguments.selected))  # which compares the members' own inferers
    answers = remember_answers(network)
    prepare = validation_transforms(network.image_size)
    items = data_list(arguments.data)
    found = []
    for described in tqdm(items, "radiographs", disable=None):
        item = prepare(described)
        label = np.asarray(item["label"][0]).view(np.uint32)
        found.append([scores(segment(way, item), label) for way in ways])
        answers.clear()
    text = table(ways, np.array(found).swapaxes(0, 1), [item["patient"] for item in items])
    print(f"{len(items)} radiographs\n\n{text}")
    if arguments.output:
        arguments.output.write_text(text + "\n")


def memory(bundle: Path, name: str = _ALL) -> Peak:
    """Return the peak of one prediction, by a member alone or by all, in a process of its own."""
    command = [sys.executable, __file__, str(bundle), "--peak_of", name]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        raise SystemExit(f"{name}: {result.stderr}")
    return Peak(*map(float, result.stdout.split()))


def peak_of(bundle: Path, name: str) -> Peak:
    """Return the peak of loading networks with their weights and of one prediction in this process."""
    SegFormer(), SwinUNETR()  # which import the largest libraries
    before = _memory("VmRSS")
    network: nn.Module
    inferer: Callable[[Tensor, nn.Module], Tensor]
    if name == _ALL:
        ensemble = load(bundle)
        network, inferer, size = ensemble, CanvasInferer(), ensemble.image_size
    else:
        member = Member.build(described_members(bundle)[name])
        member.load()
        network, inferer, size = member.network.eval(), member.inferer, member.image_size
    with torch.inference_mode():
        inferer(torch.rand((1, 1, size, size)), network)
    peak = _memory("VmHWM")
    return Peak(peak, peak - before)


def memory_table(bundle: Path) -> str:
    """Return the peak of every member and of all as Markdown, and how all compare with the largest."""
    alone = {name: memory(bundle, name) for name in described_members(bundle)}
    together = memory(bundle)
    rows = [f"| {name} | {peak[0]:.2f} | {peak[1]:.2f} |" for name, peak in {**alone, _ALL: together}.items()]
    ratios = [of_all / max(column) for of_all, column in zip(together, zip(*alone.values(), strict=True), strict=True)]
    return "\n".join(
        [
            "| network | GB at the peak | beyond libraries |",
            "|---|---|---|",
            *rows,
            f"| ratio to the largest | {ratios[0]:.2f} | {ratios[1]:.2f} |",
        ]
    )


def described_members(bundle: Path) -> dict[str, MemberSettings]:
    """Return the members of a bundle by name."""
    config = json.loads((bundle / "configs" / "inference.json").read_text())
    return {member.name: member for member in MemberSettings.parse_all(config["members"])}


def _memory(line: str) -> float:
    return int(Path("/proc/self/status").read_text().split(f"{line}:")[1].split()[0]) * 1024 / 1e9


def main() -> None:
    """Compare, or weigh."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--selected", type=Path)
    parser.add_argument("--carpal", metavar="MEMBER,MEMBER")
    parser.add_argument("--magnification", type=float, default=1.5)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--peak_of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    explain_input_errors()
    if arguments.peak_of:
        print(*peak_of(arguments.bundle, arguments.peak_of))
    elif arguments.memory:
        print(memory_table(arguments.bundle))
    elif arguments.data is None:
        parser.error("name DATA, or --memory")
    else:
        compare(arguments)


if __name__ == "__main__":
    main()
