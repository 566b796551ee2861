"""The main job: from examples to a tuned, measured, saved and explained model."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tunesmith.core import hardware
from tunesmith.core.errors import RunError, TunesmithError
from tunesmith.engine.loop import Setup
from tunesmith.run.folder import Run
from tunesmith.workflow.finish import finish
from tunesmith.workflow.fit import fit
from tunesmith.workflow.prepare import Prepared
from tunesmith.workflow.resolve import Resolved
from tunesmith.workflow.session import Fitted, Watch


def train(resolved: Resolved, prepared: Prepared, setup: Setup, *, run: Run, watch: Watch) -> Fitted:
    """Fit, finish and write everything into `run`, which may be a fresh or an interrupted one.

    Raises:
        TunesmithError: something the user can mend; the manifest says "failed" and the run can be resumed.
    """
    began = time.monotonic()
    if not hardware.is_main_process():
        return fit(resolved, setup, run=run, watch=watch)
    with run.lock(), failures_noted(run):
        run.mark("running")
        fitted = fit(resolved, setup, run=run, watch=watch)
        if fitted.stopped == "interrupted":
            mark_interrupted(run, fitted)
        else:
            finish(resolved, prepared, fitted=fitted, run=run, watch=watch, began=began)
        return fitted


def mark_interrupted(run: Run, fitted: Fitted) -> None:
    """Write into the manifest how far an interrupted training came."""
    run.mark("stopped", reason=f"interrupted at step {fitted.step:,} of {fitted.planned:,}")


@contextmanager
def failures_noted(run: Run) -> Iterator[None]:
    """Write into the manifest why what is done inside the `with` failed."""
    try:
        yield
    except OSError as error:
        raise _failed(run, _disk_error(error)) from error
    except TunesmithError as error:
        raise _failed(run, error) from error.__cause__


def _failed(run: Run, error: TunesmithError) -> TunesmithError:
    try:
        run.mark("failed", reason=error.problems[0].message)
    except OSError:
        return error  # the disk that broke the run can't take the reason either
    return error


def _disk_error(error: OSError) -> TunesmithError:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    return RunError("the disk is full", fix="free some space, then go on with --resume")
