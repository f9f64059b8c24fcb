"""Small rendered captures with ground truth, for the demo and for tests."""

from headfit.synth.generate import synthesize

__all__ = ["synthesize"]
