"""MLflow: one run for a training and its validations."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from monai.engines import Evaluator
from monai.handlers import MLFlowHandler

from handseg_bundle_common.engine.distributed import is_main_process, on_main_process
from handseg_bundle_common.engine.mlflow_runs import chosen_uri, remember_run, reopened_run
from handseg_bundle_common.engine.records import epoch_metrics, executed_config

logger = logging.getLogger(__name__)

_ARTIFACTS = ("config.json", "metrics.csv", "per_bone.csv", "overlays")


def unique_run_name(prefix: str) -> str:
    """Return `prefix` with the time and four random hexadecimal digits.

    Runs stand side by side in one table of MLflow, where equal names would be mistaken for each other. Several
    processes get the name that the first one draws, so all of them must call this.
    """
    name = f"{prefix}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    return str(idist.broadcast(name))


def top_level_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyper-parameters of a bundle: the plain values at the top of its configuration.

    Expressions (`$`), references (`@`), components, macros (`%`) and `resume` are left out, which is true for a part
    of a training only; lists and dictionaries become JSON, the names of the recipe are joined, and the bundle's version
    is added.
    """
    plain = {
        key: value
        for key, value in config.items()
        if isinstance(value, (bool, int, float)) or (isinstance(value, str) and not value.startswith(("$", "@", "%")))
    }
    plain |= {key: json.dumps(value) for key, value in config.items() if _is_plain_collection(key, value)}
    plain.pop("resume", None)
    if isinstance(config.get("recipe"), list):
        plain["recipe"] = "+".join(config["recipe"])
    version = config.get("_meta_", {}).get("version")
    return plain if version is None else {**plain, "bundle_version": version}


def _is_plain_collection(key: str, value: Any) -> bool:
    """Tell lists and dictionaries of plain values, such as weights of bones, from components and expressions."""
    if key.startswith("_") or not isinstance(value, (list, dict)):
        return False
    return re.search(r'"[$@%]|"_target_"', json.dumps(value, default=str)) is None


class MLflowTracker(MLFlowHandler):
    """Log hyper-parameters, every epoch's metrics and the run's folder; attach it to trainer and evaluator alike.

    Both engines write to one run, which whoever started first also closes. Of several processes, the first one logs.
    A training leaves the identifier of its run in `mlflow_run.json`.

    Args:
        tracking_uri: where MLflow stores runs; SQLite by default in the bundles. `MLFLOW_TRACKING_URI` wins over it.
        run_name: name of the run, see `unique_run_name`.
        output_dir: folder of the run, whose configuration, metrics and overlays become artifacts at the end.
        experiment_name: MLflow experiment that all bundles share, so that their runs stand in one table.
        parent_run: identifier of the run below which MLflow shows this one, such as that of a cross-validation.
        resume: continue the run that `mlflow_run.json` in `output_dir` names, if there is one.
    """

    def __init__(
        self,
        tracking_uri: str,
        run_name: str,
        output_dir: str,
        experiment_name: str = "handseg",
        *,
        parent_run: str | None = None,
        resume: bool = False,
    ) -> None:
        self.output_dir = Path(output_dir)
        self.parent_run = parent_run
        self.resume = resume
        self._owner: Engine | None = None
        # MONAI's handler opens the database, which several processes must not create at once.
        if is_main_process():
            super().__init__(
                tracking_uri=chosen_uri(tracking_uri),
                experiment_name=experiment_name,
                run_name=run_name,
                experiment_param=top_level_parameters(executed_config()),
                iteration_log=False,
            )
            self.cur_run: Any = None

    @on_main_process
    def attach(self, engine: Engine) -> None:
        """Log the engine's epochs; the first engine to start opens the run and closes it."""
        engine.add_event_handler(Events.STARTED, self._open, engine)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._log_epoch)
        engine.add_event_handler(Events.COMPLETED, self._finish, "FINISHED")
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._fail)

    def _open(self, engine: Engine) -> None:
        if self._owner is None:
            self._owner = engine
            self._set_experiment()
            self.cur_run = self._earlier_run() or self._new_run()
            if not isinstance(engine, Evaluator):
                remember_run(self.output_dir, self.cur_run.info.run_id)
            self.start(engine)

    def _new_run(self) -> Any:
        """Create a run; left alone, MONAI would continue any unfinished one of this name."""
        tags = {} if self.parent_run is None else {"mlflow.parentRunId": self.parent_run}
        return self.client.create_run(self.experiment.experiment_id, tags=tags, run_name=self.run_name)

    def _earlier_run(self) -> Any | None:
        """Reopen the run to continue, or return None; MLflow refuses to change parameters, so those stay."""
        run = reopened_run(self.client, self.output_dir) if self.resume else None
        if run is not None:
            logged = run.data.params
            for name in sorted(self.experiment_param.keys() & logged.keys()):
                value = self.experiment_param.pop(name)
                if logged[name] != str(value):
                    logger.info("MLflow keeps %s %s of the run's start; it is %s now", name, logged[name], value)
        return run

    def _log_epoch(self, engine: Engine) -> None:
        # An evaluator's epoch is that of the training around it; the first epoch of either is 1.
        values = epoch_metrics(engine)
        if isinstance(engine, Evaluator):
            values = {f"val_{name}": value for name, value in values.items()}
        self._log_metrics(values, step=engine.state.epoch)

    def _finish(self, engine: Engine, status: str) -> None:
        if engine is self._owner and self.cur_run is not None:
            self._log_artifacts(self.cur_run.info.run_id)
            self.client.set_terminated(self.cur_run.info.run_id, status)
            self.cur_run = None
            self._owner = None
            self._dispose_sqlite_store()

    def _log_artifacts(self, run_id: str) -> None:
        for path in (self.output_dir / name for name in _ARTIFACTS):
            if path.is_dir():
                self.client.log_artifacts(run_id, str(path), path.name)
            elif path.exists():
                self.client.log_artifact(run_id, str(path))

    def _fail(self, engine: Engine, error: Exception) -> None:
        self._finish(engine, "FAILED")
        raise error
