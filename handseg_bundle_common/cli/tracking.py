"""The verb log-run."""

from __future__ import annotations

from handseg_bundle_common.cli.arguments import Job, check_switch, check_values


def log_run(
    run: str,
    *,
    tracking_uri: str = "sqlite:///mlflow.db",
    experiment: str = "handseg",
    name: str | None = None,
    weights: str | None = None,
    log_model: bool = False,
) -> Job:
    """Put a run made without tracking into MLflow: parameters, metrics of every epoch, figures, weights.

    A run that stands there already is left as it is.

    Args:
        run: folder that a training, an evaluation, cross-validate or analyze has written.
        tracking_uri: database or server; the variable MLFLOW_TRACKING_URI wins over it.
        experiment: experiment of MLflow to put it into.
        name: name of the run, by default its recipe with date and time.
        weights: best weights of a training, if they lie neither in models/ in or beside its folder nor where its
            configuration says.
        log_model: register the bundle with the weights of the run as a model.
    """
    check_values(run=run, tracking_uri=tracking_uri, experiment=experiment, name=name, weights=weights)
    check_switch("log_model", log_model)

    def start() -> str:
        from handseg_bundle_common import tracking  # noqa: PLC0415

        done = tracking.log_run(
            run, tracking_uri=tracking_uri, experiment=experiment, name=name, weights=weights, log_model=log_model
        )
        said = "logged" if done.is_new else "stands in MLflow already"
        model = "" if done.model is None else f"\nregistered as {done.model}"
        return f"{done.kind} {done.name} {said}: run {done.run_id}{model}"

    return Job(start)
