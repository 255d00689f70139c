"""Weights survive the disk, and whatever does not fit is refused in one sentence without running anything."""

import hashlib
import os
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from monai.bundle import ConfigParser
from torch import nn

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import (
    load_checkpoint,
    load_state_dict_file,
    load_weights,
    save_checkpoint,
    save_weights,
    stored_settings,
)


def small_network(classes: int = NUM_BONES, width: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, classes, 1))


def same_state(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) and x.dtype == y.dtype for (a, x), (b, y) in pairs)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    save_weights(small_network(), path)
    return path


class Canary:
    """Makes a folder when a loader is careless enough to unpickle it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


class TestSavingAndLoading:
    """What goes to the disk comes back, and a file is either complete or as it was."""

    def test_weights_come_back_exactly_and_the_network_is_returned(self, tmp_path):
        network, other = small_network(), small_network()
        save_weights(network, tmp_path / "models" / "model.pt", epoch=7, mean_dice=0.9)
        assert load_weights(other, tmp_path / "models" / "model.pt") is other
        assert same_state(network, other)

    def test_the_file_names_the_bones_and_carries_the_information(self, tmp_path):
        save_weights(small_network(), tmp_path / "model.pt", epoch=7, mean_dice=0.9)
        content = torch.load(tmp_path / "model.pt", weights_only=True)
        assert content["bones"] == list(BONE_NAMES)
        assert (content["epoch"], content["mean_dice"]) == (7, 0.9)

    @pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
    def test_settings_come_back_without_the_tensors(self, tmp_path, zipped):
        content = {"model": small_network().state_dict(), "settings": {"image_size": 512}}
        torch.save(content, tmp_path / "model.pt", _use_new_zipfile_serialization=zipped)
        assert stored_settings(tmp_path / "model.pt") == {"image_size": 512}

    def test_a_plain_state_dictionary_has_no_settings(self, tmp_path):
        torch.save(small_network().state_dict(), tmp_path / "plain.pt")
        assert stored_settings(tmp_path / "plain.pt") == {}

    def test_a_plain_state_dictionary_loads_too(self, tmp_path):
        network, other = small_network(), small_network()
        torch.save(network.state_dict(), tmp_path / "plain.pt")
        assert same_state(network, load_weights(other, tmp_path / "plain.pt"))

    def test_half_precision_keeps_normalisation_and_returns_to_single(self, tmp_path):
        network, other = small_network(), small_network()
        save_weights(network, tmp_path / "half.pt", half_precision=True)
        stored = load_state_dict_file(tmp_path / "half.pt")
        assert stored["0.weight"].dtype == torch.float16
        assert {stored[name].dtype for name in ("1.running_mean", "1.running_var", "1.weight")} == {torch.float32}
        load_weights(other, tmp_path / "half.pt")
        assert torch.equal(other[0].weight, network[0].weight.half().float())

    @pytest.mark.parametrize("wrap", [nn.DataParallel, torch.optim.swa_utils.AveragedModel])
    def test_wrappers_leave_no_trace(self, tmp_path, wrap):
        network, wrapped = small_network(), wrap(small_network())
        save_weights(wrap(network), tmp_path / "model.pt")
        assert list(load_state_dict_file(tmp_path / "model.pt")) == list(network.state_dict())
        assert load_weights(wrapped, tmp_path / "model.pt") is wrapped
        assert same_state(network, wrapped.module)

    def test_a_bundle_configuration_loads_weights_by_target(self, tmp_path):
        network = nn.Conv2d(1, NUM_BONES, 1)
        save_weights(network, tmp_path / "model.pt")
        definition = {"_target_": "torch.nn.Conv2d", "in_channels": 1, "out_channels": NUM_BONES, "kernel_size": 1}
        target = {"_target_": "handseg_bundle_common.weights.load_weights", "network": "@network_def"}
        parser = ConfigParser({"network_def": definition, "network": {**target, "path": str(tmp_path / "model.pt")}})
        assert same_state(network, parser.get_parsed_content("network"))

    def test_training_state_comes_back(self, tmp_path):
        network = small_network()
        optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
        network(torch.rand(2, 1, 8, 8)).sum().backward()
        optimizer.step()
        scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
        state = {
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
        }
        save_checkpoint(tmp_path / "checkpoint.pt", {**state, "trainer": {"epoch": 3}})
        loaded = load_checkpoint(tmp_path / "checkpoint.pt")
        torch.testing.assert_close(loaded["optimizer"], state["optimizer"], rtol=0, atol=0)
        assert loaded["trainer"] == {"epoch": 3}
        assert loaded["scheduler"]["milestones"] == state["scheduler"]["milestones"]
        assert loaded["bones"] == list(BONE_NAMES)

    @pytest.mark.parametrize(
        "value", [np.float64(0.5), Path("somewhere"), lambda: None], ids=["NumPy number", "path", "function"]
    )
    def test_what_could_not_be_loaded_again_is_not_written(self, saved, value):
        before = saved.read_bytes()
        with pytest.raises(HandsegInputError, match=r"cannot be saved so that it loads safely"):
            save_weights(small_network(), saved, value=value)
        assert saved.read_bytes() == before
        assert list(saved.parent.iterdir()) == [saved]

    def test_a_full_disk_leaves_the_file_before_as_it_was(self, saved):
        before = saved.read_bytes()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, limits[1]))
        try:
            with pytest.raises(HandsegInputError, match=r"cannot be written .* free space"):
                save_weights(small_network(width=64), saved)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert saved.read_bytes() == before

    def test_the_digest_is_checked(self, saved):
        digest = hashlib.sha256(saved.read_bytes()).hexdigest()
        load_weights(small_network(), saved, sha256=digest.upper())
        for load in (load_checkpoint, load_state_dict_file, lambda *a, **k: load_weights(small_network(), *a, **k)):
            with pytest.raises(HandsegInputError, match="SHA-256"):
                load(saved, sha256="0" * 64)


def write(content: object, **options: bool) -> Callable[[Path], None]:
    return lambda path: torch.save(content, path, **options)


def swapped_bones() -> list[str]:
    return [BONE_NAMES[1], BONE_NAMES[0], *BONE_NAMES[2:]]


def truncated(path: Path) -> None:
    save_weights(small_network(), path)
    path.write_bytes(path.read_bytes()[:-200])


def torchscript(path: Path) -> None:
    torch.jit.trace(small_network().eval(), torch.rand(1, 1, 8, 8)).save(str(path))


UNREADABLE = {
    "missing": (lambda path: None, "No such file"),
    "folder": (Path.mkdir, "Is a directory"),
    "empty": (Path.touch, "no checkpoint"),
    "text": (lambda path: path.write_text("<html>404</html>"), "no checkpoint"),
    "zeros": (lambda path: path.write_bytes(bytes(4096)), "no checkpoint"),
    "truncated": (truncated, "no checkpoint"),
    "TorchScript": (torchscript, "no checkpoint"),
    "numpy": (write({"model": np.ones(3)}), "numpy.*could run code"),
    "whole network": (write(small_network()), "Sequential, which could run code"),
}
NO_STATE = {
    "list": (write([torch.ones(3)]), "no state dictionary"),
    "tensor": (write(torch.ones(3)), "no state dictionary"),
    "nothing": (write({"model": {}}), "no state dictionary"),
    "numbers": (write({"model": {"0.weight": 1.0}}), "no state dictionary"),
}
OTHER_BONES = {
    "swapped": (write({"model": {}, "bones": swapped_bones()}), "'finger-2' instead of 'finger-1' in channel 0"),
    "fewer": (write({"model": {}, "bones": ["Radius", "Ulna", "Lunate"]}), "3 bones instead of 29"),
    "a number": (write({"model": {}, "bones": 29}), "unnamed bones instead of 29"),
}


def table(*cases: dict[str, tuple[Callable[[Path], None], str]]) -> pytest.MarkDecorator:
    rows = {name: row for group in cases for name, row in group.items()}
    return pytest.mark.parametrize(("make", "problem"), rows.values(), ids=rows.keys())


class TestRefusals:
    """Every file that does not fit, in one sentence that says why."""

    @table(UNREADABLE, NO_STATE, OTHER_BONES)
    def test_weights(self, tmp_path, make, problem):
        make(tmp_path / "bad.pt")
        network = small_network()
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        with pytest.raises(HandsegInputError, match=problem) as caught:
            load_weights(network, tmp_path / "bad.pt")
        assert caught.value.source == str(tmp_path / "bad.pt")
        assert "\n" not in str(caught.value)
        torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)

    @table(UNREADABLE, NO_STATE)
    def test_state_dictionaries(self, tmp_path, make, problem):
        make(tmp_path / "bad.pt")
        with pytest.raises(HandsegInputError, match=problem):
            load_state_dict_file(tmp_path / "bad.pt")

    @table(UNREADABLE, OTHER_BONES, {"list": (write([1]), "it holds a list")})
    def test_checkpoints(self, tmp_path, make, problem):
        make(tmp_path / "bad.pt")
        with pytest.raises(HandsegInputError, match=problem):
            load_checkpoint(tmp_path / "bad.pt")

    @pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
    @pytest.mark.parametrize("forced", ["0", "1"], ids=["", "unsafe loading asked for by environment"])
    def test_pickled_code_is_never_run(self, tmp_path, monkeypatch, zipped, forced):
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", forced)
        content = {"model": {**small_network().state_dict(), "extra": Canary(tmp_path / "ran")}}
        torch.save(content, tmp_path / "canary.pt", _use_new_zipfile_serialization=zipped)
        for load in (load_checkpoint, load_state_dict_file, lambda path: load_weights(small_network(), path)):
            with pytest.raises(HandsegInputError, match="mkdir, which could run code"):
                load(tmp_path / "canary.pt")
        assert not (tmp_path / "ran").exists()

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_damaged_files_raise_nothing_else(self, tmp_path, data):
        path = tmp_path / "damaged.pt"
        save_weights(small_network(), path)
        content = bytearray(path.read_bytes())
        for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
            content[position] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        try:
            load_weights(small_network(), path)
        except HandsegInputError as error:
            assert error.source == str(path)

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_weights_cut_off_anywhere_are_refused(self, tmp_path, data):
        path = tmp_path / "cut.pt"
        save_weights(small_network(), path)
        content = path.read_bytes()
        path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        for load in (lambda: load_weights(small_network(), path), lambda: stored_settings(path)):
            with pytest.raises(HandsegInputError, match="is no checkpoint") as caught:
                load()
            assert caught.value.source == str(path)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_numbers_that_are_not_finite_are_refused(self, tmp_path, value):
        network, other = small_network(), small_network()
        network[1].running_var[2] = value
        save_weights(network, tmp_path / "bad.pt")
        before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
        with pytest.raises(HandsegInputError, match=r"not finite \(in 1\.running_var\)"):
            load_weights(other, tmp_path / "bad.pt")
        torch.testing.assert_close(dict(other.state_dict()), before, rtol=0, atol=0)

    def test_another_file_is_told_with_both_digests(self, saved):
        digest = hashlib.sha256(saved.read_bytes()).hexdigest()
        with pytest.raises(HandsegInputError, match=f"expected {'0' * 64}, found {digest}") as caught:
            load_weights(small_network(), saved, sha256="0" * 64)
        assert caught.value.source == str(saved)

    @pytest.mark.parametrize("value", ["$print()", "@device", "%other.json", ["$print()"], {"_target_": "print"}])
    def test_settings_that_a_configuration_would_run_are_refused(self, saved, value):
        save_weights(small_network(), saved, settings={"image_size": value})
        with pytest.raises(HandsegInputError, match="'image_size', which a configuration would run as code"):
            stored_settings(saved)

    def test_settings_that_lead_into_a_configuration_are_refused(self, saved):
        save_weights(small_network(), saved, settings={"network_def#_target_": "print"})
        with pytest.raises(HandsegInputError, match="'network_def#_target_', which"):
            stored_settings(saved)
