"""Job: what every strategy is given to carry out a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scpdex.machine.progress_bar import progress_bar

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from scpdex.comparisons.design import Design
    from scpdex.machine.scratch_file import Scratch
    from scpdex.plan.plan import Plan
    from scpdex.run._measure import Measure


@dataclass(frozen=True)
class Job:
    """A plan, the comparisons and what is computed of them, and what may be used of the machine."""

    plan: Plan
    design: Design
    measure: Measure
    pool: Executor
    """The threads of this machine that compute."""
    scratch: Scratch
    show_progress: bool | None
    """None shows it for long work in a terminal or notebook only."""

    def open_progress_bar(self, total: int, unit: str) -> Any:
        """Open a progress bar that counts up to ``total``."""
        return progress_bar(total, unit=unit, show=self.show_progress)
