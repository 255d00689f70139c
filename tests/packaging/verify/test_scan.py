"""Configurations with a canary: each makes a folder when it is run, and verification names the place and makes none."""

from __future__ import annotations

import json
import os
import pydoc
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.packaging.verify.allowed import TARGETS
from handseg_bundle_common.packaging.verify.checks import verify_bundle, verify_safety
from handseg_bundle_common.packaging.verify.findings import Check
from handseg_bundle_common.packaging.verify.scan import scan

Edit = Callable[..., None]
BUNDLES = ("effisegnet", "ensemble", "segformer", "swin_unetr", "unetplusplus")
MKDIR = {"_target_": "os.mkdir", "path": "RAN"}
RUN = "__import__('os').mkdir('RAN')"


def put(document: Any, ran: Path) -> Any:
    """Return a document with the canary's path in place of RAN."""
    return json.loads(json.dumps(document).replace("RAN", str(ran)))


@pytest.mark.parametrize("name", BUNDLES)
def test_the_bundles_of_the_repository_are_clean(name: str, repository: Path) -> None:
    assert not scan(repository / "bundles" / name)


def test_everything_on_the_list_is_a_class_or_function() -> None:
    assert not [name for name in TARGETS if not callable(pydoc.locate(name))]


# What is laid over inference.json, the id by which MONAI runs it, and the place that is refused.
LIVE: dict[str, tuple[dict[str, Any], str, str]] = {
    "expression": ({"threshold": f"${RUN}"}, "threshold", "/threshold"),
    "expression in a list": ({"run": [f"${RUN}"]}, "run", "/run/0"),
    "import": ({"imports": ["$import os"], "x": "$os.mkdir('RAN')"}, "x", "/imports/0"),
    "module within a module": ({"x": "$torch.serialization.os.mkdir('RAN')"}, "x", "/x"),
    "through a reference": (
        {"x": "$@network_def.forward.__globals__['__builtins__']['eval'](\"__imp\" \"ort__('os').mkdir('RAN')\")"},
        "x",
        "/x",
    ),
    "through a constant": (
        {
            "x": "$[c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'BuiltinImporter'][0]"
            ".load_module('posix').mkdir('RAN')"
        },
        "x",
        "/x",
    ),
    "function": ({"x": MKDIR}, "x", "/x/_target_"),
    "process": ({"x": {"_target_": "subprocess.call", "args": ["mkdir", "RAN"]}}, "x", "/x/_target_"),
    "function through this package": (
        {"x": {"_target_": "handseg_bundle_common.files.os.mkdir", "path": "RAN"}},
        "x",
        "/x/_target_",
    ),
    "function through torch": ({"x": {"_target_": "torch.serialization.os.mkdir", "path": "RAN"}}, "x", "/x/_target_"),
    "argument": ({"x": {"_target_": "torch.nn.Identity", "y": f"${RUN}"}}, "x", "/x/y"),
    "argument of what is listed": ({"network_def": {"_target_": "torch.nn.Identity", "a": [MKDIR]}}, "network_def",
                                   "/network_def/a/0/_target_"),
    "requirement": ({"x": {"_target_": "torch.nn.Identity", "_requires_": f"${RUN}"}}, "x", "/x/_requires_"),
    "switch": ({"x": {"_target_": "torch.nn.Identity", "_disabled_": f"${RUN}"}}, "x", "/x/_disabled_"),
    "description": ({"x": {"_target_": "torch.nn.Identity", "_desc_": f"${RUN}"}}, "x", "/x/_desc_"),
    "target by expression": ({"x": {"_target_": "$__import__('os').mkdir", "path": "RAN"}}, "x", "/x/_target_"),
    "target by reference": ({"f": "$torch.serialization.os.mkdir", "x": {"_target_": "@f", "path": "RAN"}}, "x",
                            "/x/_target_"),
    "target by copy": ({"f": "os.mkdir", "x": {"_target_": "%f", "path": "RAN"}}, "x", "/x/_target_"),
    "partial": ({"f": {"_target_": "os.mkdir", "_mode_": "callable", "path": "RAN"}, "x": "$@f()"}, "x", "/f/_target_"),
    "called by what is listed": (
        {"x": {"_target_": "torch.optim.lr_scheduler.LambdaLR", "optimizer": f"${RUN}", "lr_lambda": None}},
        "x",
        "/x/_target_",
    ),
    "lambda": ({"x": f"$(lambda: {RUN})()"}, "x", "/x"),
    "walrus": ({"x": f"$(a := {RUN})"}, "x", "/x"),
    "comprehension": ({"x": f"$[{RUN} for _ in (1,)]"}, "x", "/x"),
    "f-string": ({"x": f"$f\"{{{RUN}}}\""}, "x", "/x"),
    "named by a path": ({"x": {"y": f"${RUN}"}, "z": "@x#y"}, "z", "/x/y"),
}  # fmt: skip


@pytest.mark.parametrize("case", LIVE)
def test_canary(bundle: Path, edit: Edit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """The same file makes the folder when MONAI runs it: the canary lives."""
    monkeypatch.chdir(tmp_path)
    ran, path = Path("ran"), bundle / "configs" / "inference.json"
    changes, identifier, place = LIVE[case]
    edit(path, **put(changes, ran))
    result = verify_bundle(bundle)
    assert result.exit_code == 3
    assert Check.NETWORK not in result.done
    assert ("configs/inference.json", place) in {(one.file, one.place) for one in result.findings}
    assert not ran.exists()
    parser = ConfigParser(json.loads(path.read_text()))
    with suppress(Exception):  # some fail behind the canary
        parser.get_parsed_content(identifier)
    assert ran.is_dir()


FINDER = "handseg_bundle_common.weights.find_bundle"
ENSEMBLE = "handseg_bundle_common.ensemble.EnsembleNetwork"

# What is laid over a configuration, and the place that is refused.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "path of ids": ({"network_def#_target_": "os.mkdir"}, "/network_def#_target_"),
    "path of ids, other sign": ({"network_def::_target_": "os.mkdir"}, "/network_def::_target_"),
    "addition": ({"+handlers": [{"_target_": "os.mkdir"}]}, "/+handlers/0/_target_"),
    "built-in by its name": ({"x": {"_target_": "eval"}}, "/x/_target_"),
    "component by its short name": ({"x": {"_target_": "SaveImage"}}, "/x/_target_"),
    "target that is no text": ({"x": {"_target_": ["os.mkdir"]}}, "/x/_target_"),
    "mode": ({"x": {"_target_": "torch.nn.Identity", "_mode_": "debug"}}, "/x/_mode_"),
    "debugger": ({"x": {"_target_": "torch.nn.Identity", "_debug_": True}}, "/x/_debug_"),
    "inclusion": ({"x": "%/etc/other.json#a"}, "/x"),
    "inclusion of a neighbour": ({"x": "%configs/train.json"}, "/x"),
    "relative copy": ({"x": "%#a"}, "/x"),
    "relative reference": ({"x": {"y": "@##a"}}, "/x/y"),
    "absolute path": ({"x": {"_target_": "torch.nn.Identity", "report": "/etc/x.json"}}, "/x/report"),
    "home": ({"x": "~/.bashrc"}, "/x"),
    "upwards": ({"x": "eval/../../x"}, "/x"),
    "drive": ({"x": "C:\\Windows"}, "/x"),
    "server": ({"tracking_uri": "https://tracking.example"}, "/tracking_uri"),
    "database elsewhere": ({"tracking_uri": "sqlite:////tmp/x.db"}, "/tracking_uri"),
    "folder that is nothing": ({"output_dir": ""}, "/output_dir"),
    "folder from an input": ({"output_dir": "@data_dir"}, "/output_dir"),
    "folder from nothing": ({"ckpt_dir": "$'+'.join([])"}, "/ckpt_dir"),
    "key with a slash": ({"a/b~c": "$os"}, "/a~1b~0c"),
    "folder by copy": ({"output_dir": "%data_dir"}, "/output_dir"),
    "folder of a space": ({"output_dir": " "}, "/output_dir"),
    "folder from a component": (
        {"output_dir": {"_target_": "handseg_bundle_common.datasets.sample_dir"}},
        "/output_dir",
    ),
    "folder of a bundle by reference": ({"bundle_root": {"_target_": FINDER, "name": "@x"}}, "/bundle_root"),
    "folder of another bundle": ({"x": {"_target_": FINDER, "name": "segformer"}}, "/x"),
    "other name of a folder": ({"x": "@output_dir"}, "/x"),
    "other name of a folder by copy": ({"x": "%output_dir"}, "/x"),
    "other name of a folder in a list": ({"output_dirs": ["@bundle_root"]}, "/output_dirs/0"),
    "dots that Windows takes out": ({"x": "a/.. /b"}, "/x"),
    "drive without a folder": ({"x": "C:x"}, "/x"),
    "home behind a space": ({"x": " ~/.bashrc"}, "/x"),
    "address behind a space": ({"x": " https://x.example"}, "/x"),
    "address in two lines": ({"x": "ht\ntps://x.example"}, "/x"),
    "address behind what nobody sees": ({"x": "\u200bhttps://x.example"}, "/x"),
    "address from an expression": ({"x": "$'databricks'"}, "/x"),
    "tracking on a server": ({"tracking_uri": "databricks"}, "/tracking_uri"),
    "tracking by an expression": ({"tracking_uri": "$@x"}, "/tracking_uri"),
    "tracking by copy": ({"tracking_uri": "%x"}, "/tracking_uri"),
    "tracking upwards": ({"tracking_uri": "sqlite:///../x.db"}, "/tracking_uri"),
    "tracking with options": ({"tracking_uri": "sqlite:///file:x.db?uri=true"}, "/tracking_uri"),
    "tracking in a folder": ({"x": {"tracking_uri": "file:x"}}, "/x/tracking_uri"),
    "compiler": (
        {"x": {"_target_": "monai.engines.SupervisedEvaluator", "compile_kwargs": {"options": {"cpp.cxx": "sh"}}}},
        "/x/compile_kwargs",
    ),
    "path from the metadata": ({"x": "@_meta_#path"}, "/x"),
    "path from the metadata by copy": ({"x": "%_meta_::path"}, "/x"),
    "path from the metadata by an expression": ({"x": "$@_meta_#path"}, "/x"),
    "path from a member": ({"x": "@members#0#bundle"}, "/x"),
    "path from a member by an expression": ({"x": "$@members::0::bundle"}, "/x"),
    "like a member, by its name": ({"x": {"name": "/etc", "bundle": "b", "weights": "c"}}, "/x/name"),
    "like a member, by its bundle": ({"x": {"name": "a", "bundle": "/etc", "weights": "c"}}, "/x/bundle"),
    "like a member, by its weights": ({"x": {"name": "a", "bundle": "b", "weights": "/etc"}}, "/x/weights"),
    "member's name": ({"members": [{"name": "/etc", "bundle": "b", "weights": "c.pt"}]}, "/members/0/name"),
    "member's weights": ({"members": [{"name": "a", "bundle": "b", "weights": "/etc/x"}]}, "/members/0/weights"),
    "member by copy": ({"members": [{"name": "a", "bundle": "%b", "weights": "c.pt"}]}, "/members/0/bundle"),
    "member by reference": ({"members": [{"name": "a", "bundle": "@b", "weights": "c.pt"}]}, "/members/0/bundle"),
    "member by an expression": ({"members": [{"name": "a", "bundle": "$@b", "weights": "c.pt"}]}, "/members/0/bundle"),
    "member among the results": (
        {"members": [{"name": "a", "bundle": "$@bundle_root + '/eval/evil'", "weights": "c.pt"}]},
        "/members/0/bundle",
    ),
    "member upwards": (
        {"members": [{"name": "a", "bundle": "$@bundle_root + '/models/members/..'", "weights": "c.pt"}]},
        "/members/0/bundle",
    ),
    **{
        f"member's {part} of {kind}": (
            {"members": [{"name": "a", "bundle": "b", "weights": "c.pt", part: text}]},
            f"/members/0/{part}",
        )
        for part in ("bundle", "weights")
        for kind, text in {
            "a NUL": "\0.pt",
            "a line end": "a\nb.pt",
            "half a sign": "\ud800.pt",
            "a long part": f"a/{'x' * 300}.pt",
            "a long part in bytes": "\u00e9" * 130 + ".pt",
            "many parts": f"{'x/' * 600}.pt",
        }.items()
    },
    "no members": ({"members": []}, "/members"),
    "members by copy": ({"members": "%others"}, "/members"),
    "members in an object": ({"members": {"0": {"name": "a", "bundle": "/b", "weights": "c.pt"}}}, "/members"),
    "members of the network": ({"network_def": {"_target_": ENSEMBLE, "members": []}}, "/network_def/members"),
    "members of the network by a path of ids": ({"network_def#members": "%others"}, "/network_def#members"),
    "members that are added": ({"+members": []}, "/+members"),
    "part of a member": ({"members#0#bundle": "b"}, "/members#0#bundle"),
}


@pytest.mark.parametrize("name", ["inference.json", "train.json", "mine.json"])
@pytest.mark.parametrize("case", REFUSED)
def test_refused(bundle: Path, edit: Edit, case: str, name: str) -> None:
    changes, place = REFUSED[case]
    path = bundle / "configs" / name
    if not path.exists():
        path.write_text("{}")
    edit(path, **changes)
    found = scan(bundle)
    assert [(one.file, one.place, one.check) for one in found] == [(f"configs/{name}", place, Check.SCAN)]
    assert f"configs/{name} at {place}: " in found[0].sentence


DANGEROUS = [
    *("os.system", "os.popen", "os.remove", "subprocess.run", "subprocess.Popen", "shutil.rmtree", "pty.spawn"),
    *("eval", "exec", "open", "builtins.eval", "builtins.exec", "builtins.open", "builtins.__import__"),
    *("builtins.getattr", "importlib.import_module", "runpy.run_path", "code.interact", "pdb.run", "timeit.timeit"),
    *("pickle.load", "pickle.loads", "marshal.loads", "shelve.open", "joblib.load", "numpy.load", "pandas.read_pickle"),
    *("torch.load", "torch.save", "torch.hub.load", "torch.jit.load", "torch.package.PackageImporter"),
    *("torch.hub.load_state_dict_from_url", "torch.utils.cpp_extension.load", "torch.ops.load_library"),
    *("functools.partial", "operator.attrgetter", "ctypes.CDLL", "socket.socket", "urllib.request.urlopen"),
    *("monai.bundle.run", "monai.bundle.load", "monai.bundle.download", "monai.bundle.ConfigParser"),
    *(
        "monai.utils.run_cmd",
        "monai.utils.optional_import",
        "monai.utils.module.pdb.run",
        "monai.utils.load_submodules",
    ),
    *("monai.apps.download_url", "monai.apps.download_and_extract", "monai.apps.DecathlonDataset"),
    *("monai.handlers.CheckpointLoader", "monai.handlers.CheckpointSaver", "monai.handlers.MLFlowHandler"),
    *(
        "monai.transforms.Lambda",
        "monai.transforms.Lambdad",
        "monai.transforms.SaveImage",
        "monai.transforms.LoadImage",
    ),
    *("monai.data.PersistentDataset", "monai.losses.PerceptualLoss", "monai.networks.nets.EfficientNetBNFeatures"),
    *("monai.networks.nets.FlexibleUNet", "monai.auto3dseg.algo_from_pickle", "ignite.handlers.Checkpoint"),
    *("handseg_bundle_common.weights.load_checkpoint", "handseg_bundle_common.weights.save_weights"),
    *("handseg_bundle_common.inference.predict", "handseg_bundle_common.inference.load_predictor"),
    *("handseg_bundle_common.resources.os.system", "handseg_bundle_common.weights.storage.pickle.loads"),
]


@pytest.mark.parametrize("target", DANGEROUS)
def test_what_runs_code_writes_files_or_reaches_the_network_is_not_on_the_list(target: str) -> None:
    assert target not in TARGETS


ALLOWED: dict[str, Any] = {
    "output_dir": "@ckpt_dir",
    "ckpt_dir": "$@output_dir + '/weights'",
    "tracking_uri": "sqlite:///tracked/mlflow.db",
    "x": {"tracking_uri": "@tracking_uri", "members": "@members"},
    "members": [
        {"name": "a", "bundle": "/elsewhere/bundle", "weights": "/elsewhere/model.pt"},
        {"name": "b", "bundle": "$@bundle_root + '/models/members/b'", "weights": "models/model.pt"},
    ],
    "words": "A sentence: with . and .. and a colon",
}


@pytest.mark.parametrize("key", ALLOWED)
def test_what_bundles_need_passes(bundle: Path, edit: Edit, key: str) -> None:
    """Members outside an ensemble are looked at where they lie."""
    edit(bundle / "configs" / "inference.json", **{key: ALLOWED[key]})
    assert not scan(bundle)


UNREADABLE: dict[str, tuple[str, bytes, str]] = {
    "key twice": ("x.json", b'{"a": 1, "a": {"_target_": "os.mkdir"}}', "the key 'a' twice"),
    "UTF-16": ("x.json", '{"a": 1}'.encode("utf-16"), "not UTF-8"),
    "cut off": ("x.json", b'{"a": ', "cannot be read"),
    "deep": ("x.json", b"[" * 100 + b"]" * 100, "nested more than 60 levels"),
    "very deep": ("x.json", b"[" * 100_000, "nested too deeply"),
    "large": ("x.json", b" " * (6 * 2**20), "larger than"),
    "capitals": ("x.JSON", b"", "cannot be read"),
    "nothing but a suffix": (".json", b"", "cannot be read"),
    "nothing but a suffix, YAML": (".yml", b"a: !x 1", "has the tag"),
    "byte order mark": ("x.json", b"\xef\xbb\xbf 1", "cannot be read"),
    "other encoding": ("x.json", '{"a": "\u4e2d\\", "b": 1, "c": ""}'.encode(), "behind a letter"),
    "YAML with a merged key": ("x.yaml", b"a: &b {c: 1}\nd:\n  <<: *b", "anchor or alias in line 1"),
    "large number": ("x.json", b"1" * 5000, "Exceeds the limit"),
    "YAML with a Python object": ("x.yaml", b"a: !!python/object/apply:os.mkdir [ran]", "has the tag"),
    "YAML with a tag of its own": ("x.yml", b"a: !x 1", "has the tag"),
    "YAML with an alias": ("x.yaml", b"a: &b [1]\nc: *b", "anchor or alias in line 1"),
    "YAML with a key twice": ("x.yaml", b"a: 1\na: 2", "the key 'a' twice"),
    "YAML of two documents": ("x.yaml", b"a: 1\n---\na: 2", "cannot be read"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_two_readers_could_understand_differently_is_refused(bundle: Path, case: str) -> None:
    name, content, problem = UNREADABLE[case]
    (bundle / "configs" / name).write_bytes(content)
    (found,) = scan(bundle)
    assert (found.file, found.check) == (f"configs/{name}", Check.SCAN)
    assert problem in found.problem


def test_many_keys_take_no_time(bundle: Path) -> None:
    """To look for each among all others would take minutes."""
    text = json.dumps({str(number): 0 for number in range(100_000)})
    (bundle / "configs" / "x.json").write_text(text)
    start = time.process_time()
    assert not scan(bundle)
    assert time.process_time() - start < 10


@pytest.mark.parametrize("text", ["1e999", "-1e999", "NaN", "[1e-999]", '"\\ud800"', "null", "[]", '"x"'])
def test_odd_values_have_an_answer(bundle: Path, text: str) -> None:
    for name in ("inference.json", "metadata.json", "checksums.json"):
        (bundle / "configs" / name).write_text(text)
    result = verify_bundle(bundle)
    assert result.exit_code in {3, 4}
    assert result.text().encode()


def test_a_pipe_is_not_waited_for(bundle: Path) -> None:
    for name in ("configs/x.json", "configs/x.conf", "models/x.pt", "eval/x.yaml"):
        (bundle / name).parent.mkdir(exist_ok=True)
        os.mkfifo(bundle / name)
    assert not scan(bundle)
    assert {one.check for one in verify_bundle(bundle).findings} == {Check.FILES}


def test_metadata_holds_words_alone(bundle: Path, edit: Edit) -> None:
    edit(bundle / "configs" / "metadata.json", x="@members", y="%y", z="$1", references=["https://x.example"])
    assert [one.place for one in scan(bundle)] == ["/x", "/y", "/z"]


def test_only_the_metadata_of_a_bundle_may_hold_addresses(bundle: Path, edit: Edit) -> None:
    (bundle / "docs" / "metadata.json").write_text('{"x": "https://x.example"}')
    assert [(one.file, one.place) for one in scan(bundle)] == [("docs/metadata.json", "/x")]


def test_among_results_nothing_may_lie_that_runs_other_code(bundle: Path, tmp_path: Path) -> None:
    """A run leaves its configuration there, with the places of those who ran it, and numbers of any kind."""
    results = bundle / "eval" / "run"
    results.mkdir(parents=True)
    config = json.loads((bundle / "configs" / "inference.json").read_text()) | {"data_dir": "/home/somebody/hands"}
    (results / "config.json").write_text(json.dumps(config))
    (results / "scores.json").write_text('{"dice": NaN, "members": {"a": 1}}')
    assert not scan(bundle)
    (results / "config.json").write_text(
        json.dumps(config | {"x": "$__import__('os')", "y": "%other.json", "z": MKDIR})
    )
    assert [(one.file, one.place) for one in scan(bundle)] == [
        ("eval/run/config.json", place) for place in ("/x", "/y", "/z/_target_")
    ]


def test_yaml_is_scanned_like_json(bundle: Path) -> None:
    (bundle / "configs" / "x.yaml").write_text("a:\n  _target_: os.mkdir\n  path: ran\nb: $import os\n")
    assert [one.place for one in scan(bundle)] == ["/a/_target_", "/b"]


def test_configurations_are_scanned_wherever_they_lie(bundle: Path, edit: Edit) -> None:
    edit(bundle / "configs" / "metadata.json", task=f"${RUN}")
    for name in ("docs/x.json", "models/members/a/configs/inference.json", "x.json"):
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_text('{"x": "$import os"}')
    found = {(one.file, one.place) for one in scan(bundle)}
    assert found == {
        ("configs/metadata.json", "/task"),
        ("docs/x.json", "/x"),
        ("models/members/a/configs/inference.json", "/x"),
        ("x.json", "/x"),
    }


def test_a_shape_that_is_an_expression_is_refused(bundle: Path, edit: Edit) -> None:
    """MONAI evaluates the sides of `spatial_shape`."""
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    metadata["network_data_format"]["inputs"]["image"]["spatial_shape"] = ["().__class__", "32*n"]
    (bundle / "configs" / "metadata.json").write_text(json.dumps(metadata))
    result = verify_bundle(bundle)
    (found,) = result.findings
    assert (found.check, found.place) == (Check.METADATA, "/network_data_format/inputs/image/spatial_shape/0")
    assert Check.NETWORK not in result.done


@pytest.mark.parametrize("value", [1.0, 10**12, 1e999])
def test_a_number_of_channels_that_nobody_has_is_told(bundle: Path, value: float) -> None:
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    metadata["network_data_format"]["inputs"]["image"]["num_channels"] = value
    (bundle / "configs" / "metadata.json").write_text(json.dumps(metadata))
    assert verify_bundle(bundle).exit_code in {4, 5}


SETTINGS: dict[str, dict[str, Any]] = {
    "expression": {"image_size": f"${RUN}"},
    "component": {"image_size": MKDIR},
    "in a list": {"image_size": [f"${RUN}"]},
    "path of ids": {"network_def#_target_": "os.mkdir", "network_def#model_name": "RAN"},
}


@pytest.mark.parametrize("case", SETTINGS)
def test_weights_cannot_bring_code_among_their_settings(
    bundle: Path, edit: Edit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """A prediction takes image size and network over from the weights: as plain values alone."""
    monkeypatch.chdir(tmp_path)
    edit(bundle / "configs" / "metadata.json", "weights")
    content = torch.load(bundle / "models" / "model.pt", weights_only=True)
    content["settings"] |= put(SETTINGS[case], Path("ran"))
    torch.save(content, bundle / "models" / "model.pt")
    result = verify_safety(bundle)
    assert [(one.file, one.check) for one in result.findings] == [("models/model.pt", Check.WEIGHTS)]
    with pytest.raises(HandsegInputError, match="would run as code"):
        load_predictor(str(bundle), device="cpu")
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    "settings", [{"output_dir": "x"}, {"data_dir": "/etc"}, {"x": [["a"], ["b", "../c"]]}, {"tracking_uri": "http://x"}]
)
def test_weights_cannot_bring_places_among_their_settings(bundle: Path, edit: Edit, settings: dict[str, Any]) -> None:
    edit(bundle / "configs" / "metadata.json", "weights")
    content = torch.load(bundle / "models" / "model.pt", weights_only=True)
    torch.save(content | {"settings": settings}, bundle / "models" / "model.pt")
    (found,) = verify_safety(bundle).findings
    assert (found.file, found.check) == ("models/model.pt", Check.WEIGHTS)
    assert next(iter(settings)) in found.problem
