"""Parameters by which runs are compared: settings of a bundle and what it ran with, without paths and persons."""

from __future__ import annotations

import ast
import json
import operator
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import find_bundle

Number = int | float

# Where things lie, and how the run is recorded: neither changes what is learned.
_PLACES = frozenset({"folds", "weights", "initial_weights", "extra_data", "hand_cache"})
_PLACE_ENDINGS = ("_dir", "_path", "_uri", "_root")
_RECORDING = frozenset({"resume", "tracking", "run_name", "parent_run", "experiment_name", "log_model"})
# Names of models may be those of a hub, such as nvidia/mit-b0.
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_MODEL_NAMES = frozenset({"model_name"})

_COMPONENTS = {"network": "network_def", "loss": "loss", "optimizer": "optimizer"}
_ENVIRONMENT = ("git_revision", "data_fingerprint", "data_images", "python", "platform", "device", "threads")
_OPERATORS: dict[type[ast.operator], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def run_parameters(config: Mapping[str, Any], environment: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what MLflow shows of a run: settings, classes of network, loss and optimiser, versions, machine, data.

    Args:
        config: configuration as executed, see `records.executed_config`.
        environment: see `environment.run_environment`.
    """
    return {**environment_parameters(environment or {}), **top_level_parameters(config), **_components(config)}


def environment_parameters(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return an environment as plain parameters, `version_torch` and so on for its packages."""
    known = {name: environment[name] for name in _ENVIRONMENT if environment.get(name) is not None}
    packages = environment.get("packages", {})
    return known | {f"version_{name}": found for name, found in packages.items()}


def top_level_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyper-parameters of a bundle: the plain values at the top of its configuration.

    Arithmetic of other settings, such as `$@max_epochs * 2 // 3`, is worked out. All other expressions (`$`),
    references (`@`), components and macros (`%`) are left out, and so are paths, whose folders may be named after
    somebody, and settings of the recording itself. Lists and dictionaries become JSON, the names of the recipe and of
    an ensemble's members are joined, and name and version of the bundle are added.
    """
    plain = {key: found for key, value in config.items() if (found := _plain(config, key, value)) is not None}
    if isinstance(config.get("recipe"), list):
        plain["recipe"] = "+".join(map(str, config["recipe"]))
    if isinstance(config.get("members"), list):
        plain["members"] = "+".join(str(member["name"]) for member in config["members"])
    about = config.get("_meta_", {})
    known = {"bundle": about.get("name"), "bundle_version": about.get("version")}
    return plain | {name: value for name, value in known.items() if value is not None}


def bundle_of(config: Mapping[str, Any]) -> Path | None:
    """Return the folder of the bundle that a configuration belongs to, or None if it is not there (any more)."""
    root = config.get("bundle_root")
    named = root.get("name") if isinstance(root, Mapping) else root
    for name in (named, config.get("_meta_", {}).get("name")):
        if isinstance(name, str) and not name.startswith(("$", "@", "%")):
            try:
                return Path(find_bundle(name))
            except HandsegInputError:
                continue
    return None


def _plain(config: Mapping[str, Any], key: str, value: Any) -> Any:
    """Return a value as a parameter, or None if it is none."""
    if key.startswith("_") or key in _PLACES | _RECORDING or key.endswith(_PLACE_ENDINGS):
        return None
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        if value.startswith("$"):
            return _worked_out(config, value)
        return None if value.startswith(("@", "%")) or _is_path(key, value) else value
    text = json.dumps(value, default=str)
    has_more_than_values = re.search(r'"[$@%~]|"_target_"|[/\\]', text)
    return text if isinstance(value, (list, dict)) and not has_more_than_values else None


def _is_path(key: str, value: str) -> bool:
    if key in _MODEL_NAMES and _HUB_NAME.fullmatch(value):
        return False
    return value.startswith("~") or "/" in value or "\\" in value


def _components(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the classes of the parts that matter, and those settings of the loss that stand nowhere else."""
    parts = {name: config.get(part) for name, part in _COMPONENTS.items()}
    classes = {
        name: str(part["_target_"]).rpartition(".")[2]
        for name, part in parts.items()
        if isinstance(part, Mapping) and "_target_" in part
    }
    settings = parts["loss"] if isinstance(parts["loss"], Mapping) else {}
    plain = {name: value for name, value in settings.items() if isinstance(value, (bool, int, float))}
    return classes | {f"loss_{name}": value for name, value in plain.items()}


def _worked_out(config: Mapping[str, Any], expression: str) -> Number | None:
    """Return the value of arithmetic over other settings; None for any other expression, which is not run."""
    try:
        return _value(ast.parse(expression[1:].replace("@", "").strip(), mode="eval").body, config)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError):
        return None


def _value(node: ast.expr, config: Mapping[str, Any]) -> Number:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        result: Number = _OPERATORS[type(node.op)](_value(node.left, config), _value(node.right, config))
        return result
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, config)
    value = config.get(node.id) if isinstance(node, ast.Name) else getattr(node, "value", None)
    if isinstance(node, ast.Name) and isinstance(value, str) and value.startswith("$"):
        value = _worked_out(config, value)
    if isinstance(node, (ast.Name, ast.Constant)) and isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise ValueError(f"{ast.dump(node)} is no arithmetic")
