"""The subcommands of `headfit`, one a file. A new one is a new file and a line in `COMMANDS`."""

from headfit.commands import (
    check,
    evaluate,
    export,
    fit,
    import_,
    landmarks,
    models,
    prepare,
    render,
    report,
    synth,
    view,
)
from headfit.commands.command import Command

COMMANDS: tuple[Command, ...] = tuple(
    module.COMMAND
    for module in (import_, prepare, check, landmarks, fit, export, render, evaluate, report, view, synth)
)
MODEL_COMMANDS: tuple[Command, ...] = models.COMMANDS

__all__ = ["COMMANDS", "MODEL_COMMANDS", "Command"]
