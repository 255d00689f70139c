"""MLflow: one run for a training and its validations."""

from __future__ import annotations

import logging
import secrets
import time
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from monai.engines import Evaluator
from monai.handlers import MLFlowHandler

from handseg_bundle_common.engine.distributed import is_main_process, on_main_process
from handseg_bundle_common.engine.mlflow_log import (
    EVALUATION,
    KIND,
    TRAINING,
    experiment_id,
    log_folder,
    log_parameters,
    new_run,
)
from handseg_bundle_common.engine.mlflow_model import log_run_as_model
from handseg_bundle_common.engine.mlflow_runs import RUN_FILE, chosen_uri, remember_run, remembered_run
from handseg_bundle_common.engine.records import epoch_metrics, executed_config
from handseg_bundle_common.engine.run_folder import RunFolder
from handseg_bundle_common.engine.run_parameters import environment_parameters, run_parameters

logger = logging.getLogger(__name__)


def unique_run_name(prefix: str) -> str:
    """Return `prefix` with the time and four random hexadecimal digits.

    Runs stand side by side in one table of MLflow, where equal names would be mistaken for each other. Several
    processes get the name that the first one draws, so all of them must call this.
    """
    name = f"{prefix}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    return str(idist.broadcast(name))


class MLflowTracker(MLFlowHandler):
    """Log parameters, every epoch's metrics and the run's folder; attach it to trainer and evaluator alike.

    Both engines write to one run, which whoever started first also closes. Of several processes, the first one logs.
    The folder remembers its run in `mlflow_run.json`. Attach it after the handlers that write what it logs:
    `ExecutedConfig`, `MetricsLog`, `ScoresFile`, `RunFigures`.

    Args:
        tracking_uri: where MLflow stores runs; SQLite by default in the bundles. `MLFLOW_TRACKING_URI` wins over it.
        run_name: name of the run, see `unique_run_name`.
        output_dir: folder of the run, whose files become artifacts at the end, see `RunFolder`.
        experiment_name: MLflow experiment that all bundles share, so that their runs stand in one table.
        ckpt_dir: folder of the weights, which become artifacts of a training.
        parent_run: identifier of the run below which MLflow shows this one, such as that of a cross-validation.
        resume: continue the run that `mlflow_run.json` in `output_dir` names, if there is one.
        log_model: register the bundle with the weights of the run as a model.
    """

    def __init__(
        self,
        tracking_uri: str,
        run_name: str,
        output_dir: str,
        experiment_name: str = "handseg",
        *,
        ckpt_dir: str | None = None,
        parent_run: str | None = None,
        resume: bool = False,
        log_model: bool = False,
    ) -> None:
        self.folder = RunFolder(Path(output_dir), None if ckpt_dir is None else Path(ckpt_dir))
        self.parent_run = parent_run
        self.resume = resume
        self.log_model = log_model
        self.experiment_param: dict[str, Any] = {}
        self._config = executed_config()
        self._owner: Engine | None = None
        # MONAI's handler opens the database, which several processes must not create at once.
        if is_main_process():
            super().__init__(
                tracking_uri=chosen_uri(tracking_uri),
                experiment_name=experiment_name,
                run_name=run_name,
                experiment_param=run_parameters(self._config),
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
        if self._owner is not None:
            return
        self._owner = engine
        kind = EVALUATION if isinstance(engine, Evaluator) else TRAINING
        experiment = experiment_id(self.client, self.experiment_name)
        self.experiment = self.client.get_experiment(experiment)
        self.experiment_param = environment_parameters(self.folder.environment()) | self.experiment_param
        # Left alone, MONAI would continue any unfinished run of this name.
        self.cur_run = self._earlier_run(kind) or new_run(
            self.client, experiment, self.run_name, kind, parent=self.parent_run
        )
        # An evaluation in the folder of a training does not take its place.
        if kind == TRAINING or not (self.folder.path / RUN_FILE).exists():
            remember_run(self.folder.path, self.cur_run.info.run_id)
        self.start(engine)

    def _earlier_run(self, kind: str) -> Any | None:
        """Reopen the run to continue, or return None; MLflow refuses to change parameters, so those stay."""
        run = remembered_run(self.client, self.folder.path) if self.resume else None
        if run is None or run.data.tags.get(KIND, kind) != kind:
            return None
        self.client.update_run(run.info.run_id, status="RUNNING")
        logged = run.data.params
        for name in sorted(self.experiment_param.keys() & logged.keys()):
            value = self.experiment_param.pop(name)
            if logged[name] != str(value):
                logger.info("MLflow keeps %s %s of the run's start; it is %s now", name, logged[name], value)
        return run

    def _log_params(self, params: dict[str, Any]) -> None:
        log_parameters(self.client, self.cur_run.info.run_id, params)

    def _log_epoch(self, engine: Engine) -> None:
        # An evaluator's epoch is that of the training around it; the first epoch of either is 1.
        values = epoch_metrics(engine)
        if isinstance(engine, Evaluator):
            values = {f"val_{name}": value for name, value in values.items()}
        self._log_metrics(values, step=engine.state.epoch)

    def _finish(self, engine: Engine, status: str) -> None:
        if engine is self._owner and self.cur_run is not None:
            run_id = self.cur_run.info.run_id
            models = None if isinstance(engine, Evaluator) else self.folder.models
            self.cur_run = None
            self._owner = None
            try:
                log_folder(self.client, run_id, RunFolder(self.folder.path, models))
            except Exception:
                status = "FAILED"
                raise
            finally:
                self.client.set_terminated(run_id, status)
            if self.log_model and status == "FINISHED":
                model = log_run_as_model(self.client, run_id, self._config, self.folder.models)
                logger.info("registered as %s", model)
            self._dispose_sqlite_store()

    def _fail(self, engine: Engine, error: Exception) -> None:
        try:
            self._finish(engine, "FAILED")
        except Exception as second:  # what stopped the training is what the user has to know
            logger.warning("MLflow has not all files of the failed run: %s", second)
        raise error
