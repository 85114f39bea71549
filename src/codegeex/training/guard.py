"""Which steps are taken, and by what the loss of a half-precision run is multiplied.

float16 has no numbers below 6e-8, where many gradients are. The loss is scaled up, so its gradients are too, and they
are scaled down again once they are float32. The scale is found by trying: halved when a gradient overflows, doubled
after a window of steps without (paper: from 2³², window 1,000).
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from typing import Any

from codegeex.training.recipe import Recipe

MOST_SKIPPED = 10
"""Steps in a row whose gradient is not finite, after which a run cannot be saved."""

RECENT = 128
"""Losses that a spike is compared with."""


class Guard:
    """Decides on steps; every process comes to the same decisions, as losses and norms are those of all.

    Attributes:
        scale: what the loss is multiplied by, and gradients are to be divided by.
        skipped: steps that were not taken so far.
        hopeless: whether too many in a row were not.
    """

    def __init__(self, recipe: Recipe):
        self._settings = recipe.guard
        self._half = recipe.precision == "float16"
        self.scale = self._settings.loss_scale if self._half else 1.0
        self.skipped = self._in_a_row = self._since_overflow = 0
        self._losses: deque[float] = deque(maxlen=RECENT)

    @property
    def hopeless(self) -> bool:
        return self._in_a_row >= MOST_SKIPPED

    def admits(self, loss: float, norm: float) -> bool:
        """Whether to take the step of this loss and gradient norm, the scale taken off both."""
        if not math.isfinite(norm):
            self.skipped += 1
            self._since_overflow = 0
            if self._half and self.scale > 1:
                self.scale /= 2
            else:
                self._in_a_row += 1
            return False
        self._in_a_row = 0
        self._since_overflow += 1
        if self._half and self._since_overflow % self._settings.window == 0:
            self.scale *= 2
        spike = self._is_spike(loss)
        # Spikes count as well: a loss that stays high is soon none.
        self._losses.append(loss)
        self.skipped += spike
        return not spike

    def state(self) -> dict[str, Any]:
        """What a run that goes on has to know."""
        return {
            "scale": self.scale,
            "skipped": self.skipped,
            "in_a_row": self._in_a_row,
            "since_overflow": self._since_overflow,
            "losses": list(self._losses),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.scale, self.skipped, self._in_a_row = state["scale"], state["skipped"], state["in_a_row"]
        self._since_overflow = state["since_overflow"]
        self._losses = deque(state["losses"], maxlen=RECENT)

    def _is_spike(self, loss: float) -> bool:
        if not self._settings.spike or len(self._losses) < RECENT:
            return False
        usual, spread = statistics.fmean(self._losses), statistics.stdev(self._losses)
        return loss > usual + self._settings.spike * spread
