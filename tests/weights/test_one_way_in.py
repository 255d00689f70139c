"""Weights have one way in, and nothing else in the package reads what could run code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "handseg_bundle_common"
STORAGE = "weights/storage.py"
COMPILED = "packaging/compiled/networks.py"  # compares what it has just written

# Calls that build objects from files or text, or start a shell; `allowed` names the one module that may.
CALLS = {
    "torch.load": STORAGE,
    "torch.jit.load": COMPILED,
    "torch.export.load": COMPILED,
    **dict.fromkeys(
        [
            *("eval", "exec", "compile", "__import__", "breakpoint"),
            *("os.system", "os.popen", "os.execv", "os.spawnv", "os.fork", "pty.spawn"),
            *("torch.hub.load", "torch.package.PackageImporter", "torch.ops.load_library"),
            *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads", "shelve.open", "joblib.load"),
            *("cloudpickle.load", "dill.load", "pandas.read_pickle", "pd.read_pickle", "runpy.run_path"),
            *("yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "ctypes.CDLL", "code.interact"),
        ]
    ),
}
MODULES = {"pickle": STORAGE, **dict.fromkeys(["marshal", "shelve", "dill", "cloudpickle", "joblib", "pty", "code"])}


def modules(repository: Path) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((repository / PACKAGE).rglob("*.py")):
        yield path.relative_to(repository / PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def is_true(call: ast.Call, keyword: str) -> bool:
    """Return whether a keyword is there with anything but a plain False."""
    return any(one.arg == keyword and ast.unparse(one.value) != "False" for one in call.keywords)


def unsafe(name: str, tree: ast.AST) -> Iterator[str]:
    """Yield what a module does that none may, with its line."""
    for call in calls(tree):
        function = ast.unparse(call.func)
        place = f"{name}:{call.lineno}: {function}"
        if function in CALLS and CALLS[function] != name:
            yield place
        if function == "torch.load" and not any(
            one.arg == "weights_only" and ast.unparse(one.value) == "True" for one in call.keywords
        ):
            yield f"{place} without weights_only=True"
        if is_true(call, "shell") or is_true(call, "allow_pickle"):
            yield f"{place} with shell or allow_pickle"
        if function == "yaml.load" and not ast.unparse(call.args[-1]).endswith("_UniqueLoader"):
            yield f"{place} without the safe loader"
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (f"{name}:{node.lineno}: import {one}" for one in names if one in MODULES and MODULES[one] != name)
        if isinstance(node, ast.ImportFrom) and node.module in {"torch", "os", "yaml", "numpy"}:
            forbidden = {alias.name for alias in node.names} & {"load", "system", "popen", "hub"}
            yield from (f"{name}:{node.lineno}: from {node.module} import {one}" for one in forbidden)


def test_no_module_reads_what_could_run_code(repository: Path) -> None:
    trees = dict(modules(repository))
    assert len(trees) > 100
    assert not [place for name, tree in trees.items() for place in unsafe(name, tree)]


def test_of_pickle_only_the_exception_is_used(repository: Path) -> None:
    tree = dict(modules(repository))[STORAGE]
    used = {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle"
    }
    assert used == {"PickleError"}


def test_the_yaml_loader_is_a_safe_one() -> None:
    import yaml  # noqa: PLC0415

    from handseg_bundle_common.packaging.verify import documents  # noqa: PLC0415

    assert issubclass(documents._UniqueLoader, yaml.SafeLoader)


@pytest.mark.parametrize(
    "text",
    [
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "import pickle",
        "from pickle import loads",
        "from torch import load",
        "eval('1')",
        "subprocess.run('ls', shell=True)",
        "subprocess.run('ls', shell=flag)",
        "np.load(p, allow_pickle=True)",
        "yaml.load(p, yaml.Loader)",
        "os.system('ls')",
    ],
)
def test_this_test_sees_what_it_looks_for(text: str) -> None:
    assert list(unsafe("x.py", ast.parse(text)))
