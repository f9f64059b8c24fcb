"""Small captures rendered with our own head: for the demo and for tests, with ground truth."""

from headfit.synth.generate import synthesize

__all__ = ["synthesize"]
