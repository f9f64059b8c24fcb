"""What libraries say during a fit that is not about the fit, silenced where it is said."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

#: Loggers of notices (INFO) about Lightning itself: which accelerators exist, other products, restored checkpoints.
LOGGERS = ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric")
#: Warnings, by message and the module that they are attributed to.
WARNINGS = (
    # Views come from the in-process cache, decoded once: worker processes would decode them again.
    (r".*does not have many workers", r"pytorch_lightning\."),
    (r".*number of training batches.*smaller than the logging interval", r"pytorch_lightning\."),
    # Lightning's own use of torch and Python.
    (r"`isinstance\(treespec, LeafSpec\)` is deprecated", r"pytorch_lightning\.utilities\._pytree"),
)


def _report_in_thread(failure: threading.ExceptHookArgs) -> None:
    """Print the traceback of a thread's exception, except where TensorBoard's writer cannot write: the same error is
    raised where the next value is logged, and ends the fit with a message."""
    if not (isinstance(failure.exc_value, OSError) and type(failure.thread).__module__.startswith("tensorboard.")):
        threading.__excepthook__(failure)


@contextmanager
def without_library_notices() -> Iterator[None]:
    """Silence the notices above, and nothing else."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    hook, threading.excepthook = threading.excepthook, _report_in_thread
    try:
        with warnings.catch_warnings():
            for message, module in WARNINGS:
                warnings.filterwarnings("ignore", message=message, module=module)
            yield
    finally:
        threading.excepthook = hook
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
