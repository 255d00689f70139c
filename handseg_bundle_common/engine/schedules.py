"""Settings of a training that follow its epochs."""

from __future__ import annotations

from typing import Any

from ignite.engine import Engine, Events


class LossSchedule:
    """Let the weights of a loss follow their schedule; a loss without one stays as it is.

    They depend on the epoch alone, so a training that continues has those of an uninterrupted one.

    Args:
        loss: any loss; `set_epoch(epoch)`, if it has that, is called with 1 in the first epoch.
    """

    def __init__(self, loss: Any) -> None:
        self.loss = loss

    def attach(self, trainer: Engine) -> None:
        """Set the epoch before its first iteration."""
        if hasattr(self.loss, "set_epoch"):
            trainer.add_event_handler(Events.EPOCH_STARTED, self._set_epoch)

    def _set_epoch(self, trainer: Engine) -> None:
        self.loss.set_epoch(trainer.state.epoch)
