"""What libraries say during a fit that is not about the fit, silenced where it is said."""

from __future__ import annotations

import logging
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


@contextmanager
def without_library_notices() -> Iterator[None]:
    """Silence the notices above, and nothing else."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message, module in WARNINGS:
                warnings.filterwarnings("ignore", message=message, module=module)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
