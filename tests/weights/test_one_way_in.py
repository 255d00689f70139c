"""Weights have one way in, and nothing else in the package reads what could run code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "handseg_bundle_common"
STORAGE = "weights/storage.py"
COMPILED = "packaging/compiled/networks.py"  # compares what it has just written

# Functions that build objects from files or text, or start a shell; the value names the one module that may.
FUNCTIONS = {
    "torch.load": STORAGE,
    "torch.jit.load": COMPILED,
    "torch.export.load": COMPILED,
    **dict.fromkeys(
        [
            *("builtins.eval", "builtins.exec", "builtins.compile", "builtins.__import__", "builtins.breakpoint"),
            *("os.system", "os.popen", "os.fork", "os.forkpty", "os.startfile", "os.posix_spawn", "os.posix_spawnp"),
            *(f"os.{kind}{form}" for kind in ("exec", "spawn") for form in ("l", "le", "lp", "v", "ve", "vp", "vpe")),
            *("subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell"),
            *("torch.hub", "torch.package", "torch.ops.load_library", "torch.classes.load_library", "torch.jit._load"),
            *("torch.utils.model_zoo", "torch.serialization.load", "torch.serialization.add_safe_globals"),
            *("numpy.lib.format.read_array", "numpy.fromregex", "pandas.read_pickle", "pandas.read_hdf"),
            *("yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load", "yaml.full_load_all", "yaml.load_all"),
            *("yaml.Loader", "yaml.UnsafeLoader", "yaml.FullLoader", "yaml.CLoader", "ctypes"),
            *("runpy", "code", "codeop", "pty", "imp", "marshal", "shelve", "dill", "cloudpickle", "joblib"),
            *("jsonpickle", "_pickle", "cPickle", "multiprocessing.reduction", "logging.config.listen"),
            *("types.CodeType", "types.FunctionType", "mlflow.pyfunc.load_model", "mlflow.pytorch.load_model"),
        ]
    ),
}
# Of pickle, one module knows one name, which is an exception.
PICKLE, PICKLE_NAMES = "pickle", {"pickle.PickleError"}
# They set the threads of libraries that are there, and read their own source code.
USERS_OF_MODULES = {"workers.py", "analysis/storage.py"}
BUILTINS = {name.removeprefix("builtins.") for name in FUNCTIONS if name.startswith("builtins.")}


def modules(repository: Path) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((repository / PACKAGE).rglob("*.py")):
        yield path.relative_to(repository / PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.AST) -> dict[str, str]:
    """Return what the names in a module stand for: imports anywhere in it, and assignments of such names."""
    names = {name: f"builtins.{name}" for name in (*BUILTINS, "getattr", "vars")} | {"__builtins__": "builtins"}
    assigned: list[tuple[str, ast.expr]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                names[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            assigned += [(target.id, node.value) for target in targets if isinstance(target, ast.Name)]
    for _ in range(3):  # an assigned name may be assigned again
        found = {name: full_name(value, names) for name, value in assigned}
        names = {name: full for name, full in found.items() if full} | names
    return names


def full_name(node: ast.AST, names: dict[str, str]) -> str | None:
    """Return what an expression stands for, such as "torch.load" for `t.load` and for `getattr(t, "load")`."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        whole = full_name(node.value, names)
        return whole and f"{whole}.{node.attr}"
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):  # vars(torch)["load"]
        whole = full_name(node.value, names)
        return whole and f"{whole.removesuffix('.__dict__')}.{node.slice.value}"
    return name_of_result(node, names) if isinstance(node, ast.Call) and node.args else None


def name_of_result(call: ast.Call, names: dict[str, str]) -> str | None:
    """Return what a call gives, if it looks up a name or a module, or wraps a function."""
    called = full_name(call.func, names)
    words = [str(one.value) for one in call.args if isinstance(one, ast.Constant)]
    whole = full_name(call.args[0], names)
    if called == "builtins.getattr" and words:
        return whole and f"{whole}.{words[0]}"
    if called in {"importlib.import_module", "builtins.__import__"} and words:
        return words[0]
    return whole if called in {"functools.partial", "builtins.vars"} else None


def forbidden(full: str, module: str) -> bool:
    """Return whether a module may not name a function, or anything within a module that is forbidden as a whole."""
    parts = full.split(".")
    heads = {".".join(parts[: count + 1]) for count in range(len(parts))}
    if parts[0] == PICKLE:
        return module != STORAGE or full not in {PICKLE, *PICKLE_NAMES}
    if full.startswith("sys.modules"):
        return module not in USERS_OF_MODULES
    return any(FUNCTIONS[head] != module for head in heads & set(FUNCTIONS))


def unsafe(module: str, tree: ast.AST) -> Iterator[str]:
    """Yield what a module does that none may, with its line."""
    names = imported(tree)
    for node in ast.walk(tree):
        found = list(unsafe_import(module, node))
        if isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript)):
            full = full_name(node, names)
            found += [full] if full and forbidden(full, module) else []
        if isinstance(node, ast.Call):
            found += unsafe_call(node, full_name(node.func, names), names)
        yield from (f"{module}:{node.lineno}: {what}" for what in found)  # type: ignore[attr-defined]  # has a place


def unsafe_import(module: str, node: ast.AST) -> Iterator[str]:
    """Yield names that an import statement brings in and may not."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        start = f"{node.module}." if isinstance(node, ast.ImportFrom) and not node.level else ""
        for alias in node.names:
            if alias.name == "*" or forbidden(start + alias.name, module):
                yield f"import {start}{alias.name}"


def unsafe_call(call: ast.Call, full: str | None, names: dict[str, str]) -> Iterator[str]:
    """Yield what is wrong with the arguments of a call."""
    given = {one.arg: ast.unparse(one.value) for one in call.keywords}
    if full == "torch.load" and given.get("weights_only") != "True":
        yield "without weights_only=True"
    if given.get("shell", "False") != "False" or given.get("allow_pickle", "False") != "False":
        yield "with shell or allow_pickle"
    if full and full.startswith(("numpy.load", "subprocess.")) and (None in given or len(call.args) > 1):
        yield "with arguments that cannot be seen"
    if full == "yaml.load" and [*map(ast.unparse, call.args[1:]), given.get("Loader")] != ["_UniqueLoader", None]:
        yield "without the safe loader"
    if full == "builtins.getattr" and full_name(call.args[0], names) and not isinstance(call.args[1], ast.Constant):
        yield "of a module by a name that is not written down"
    if full == "importlib.import_module" and not is_written_down(call.args[0]):
        yield "of a name that is not written down"


def is_written_down(name: ast.expr) -> bool:
    """Return whether a module's name is a constant, or begins with the name of the package that imports it."""
    return isinstance(name, ast.Constant) or ast.unparse(name).startswith("f'{__name__}.")


def test_no_module_reads_what_could_run_code(repository: Path) -> None:
    trees = dict(modules(repository))
    assert len(trees) > 100
    assert not [place for name, tree in trees.items() for place in unsafe(name, tree)]


def test_the_modules_that_may_are_the_ones_that_do(repository: Path) -> None:
    for function, module in FUNCTIONS.items():
        if module is not None:
            tree = ast.parse((repository / PACKAGE / module).read_text(encoding="utf-8"))
            names = imported(tree)
            assert function in {full_name(node, names) for node in ast.walk(tree)}, function


def test_the_yaml_loader_is_a_safe_one() -> None:
    import yaml  # noqa: PLC0415

    from handseg_bundle_common.packaging.verify import documents  # noqa: PLC0415

    assert issubclass(documents._UniqueLoader, yaml.SafeLoader)


UNSAFE = """
import torch; torch.load(p)
import torch; torch.load(p, weights_only=False)
import torch; torch.load(p, weights_only=True)
import torch as t; t.load(p, weights_only=True)
import torch; load = torch.load
import torch; t = torch; read = t.load; again = read; again(p)
import torch; getattr(torch, "load")(p)
import torch; getattr(torch, name)(p)
import torch; vars(torch)["load"](p)
import torch; torch.__dict__["load"](p)
import torch; torch.jit.load(p)
import torch; torch.hub.load(p)
import torch.serialization; torch.serialization.load(p)
import torch; torch.serialization.add_safe_globals([print])
from torch import load
from torch import load as read
from torch import hub
from torch.jit import load
from torch import *
import functools, torch; functools.partial(torch.load, weights_only=True)(p)
import importlib; importlib.import_module("torch").load(p)
import importlib; importlib.import_module(name)
from importlib import import_module; import_module("pickle").loads(p)
__import__("pickle").loads(p)
import sys; sys.modules["torch"].load(p)
import pickle
import pickle as p; p.loads(b)
from pickle import loads
from pickle import Unpickler as U
import _pickle
import marshal
import shelve as s; s.open(p)
import dill
import cloudpickle as c
import joblib; joblib.load(p)
from joblib import load
import jsonpickle
import pandas as pd; pd.read_pickle(p)
from pandas import read_pickle
import numpy as np; np.load(p, allow_pickle=True)
import numpy as np; np.load(p, None, True)
import numpy as np; np.load(p, **options)
from numpy import load; load(p, allow_pickle=flag)
import yaml; yaml.load(p, yaml.Loader)
import yaml; yaml.load(p, Loader=yaml.SafeLoader)
import yaml; yaml.load(p)
import yaml as y; y.unsafe_load(p)
from yaml import full_load
eval("1")
exec("1")
run = eval; run("1")
compile("1", "x", "eval")
import builtins; builtins.eval("1")
from builtins import exec as run
getattr(__builtins__, "eval")("1")
__builtins__["eval"]("1")
import code
import runpy; runpy.run_path(p)
import ctypes
import os; os.system("ls")
import os as o; o.popen("ls")
from os import system
import os; os.execvp("ls", ["ls"])
import os; f = getattr(os, "sys" "tem")
from subprocess import getoutput
import subprocess as s; s.getstatusoutput("ls")
import subprocess; subprocess.run("ls", shell=True)
import subprocess; subprocess.run("ls", shell=flag)
import subprocess; subprocess.run("ls", **options)
import subprocess; subprocess.Popen("ls", -1, None, None, None, None, None, True, True)
import asyncio; asyncio.create_subprocess_shell("ls")
import pty
import types; types.FunctionType(c, {})
""".strip().splitlines()
SAFE = """
import numpy as np; np.load(p); np.load(p, allow_pickle=False)
import subprocess; subprocess.run(["ls"], check=True, shell=False)
import json; json.load(p); json.loads(p)
import torch; torch.save(x, p); torch.zeros(3)
import re; re.compile("x")
model.eval(); parser.load(p); network.compile()
getattr(case, name)
from importlib import import_module; import_module(f"{__name__}.windows")
import yaml; yaml.load(p, _UniqueLoader)
""".strip().splitlines()


@pytest.mark.parametrize("text", UNSAFE)
def test_this_test_sees_what_it_looks_for(text: str) -> None:
    assert list(unsafe("x.py", ast.parse(text)))


@pytest.mark.parametrize("text", SAFE)
def test_this_test_sees_nothing_else(text: str) -> None:
    assert not list(unsafe("x.py", ast.parse(text)))


def test_the_one_way_in_is_one() -> None:
    text = "import pickle, torch; torch.load(p, weights_only=True); raise pickle.PickleError"
    assert not list(unsafe(STORAGE, ast.parse(text)))
    assert list(unsafe(STORAGE, ast.parse("import torch; torch.load(p)")))
    assert list(unsafe(STORAGE, ast.parse("import pickle; pickle.loads(b)")))
