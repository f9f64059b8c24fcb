"""Losses, stages and HeadFit: what turns a capture into a run."""
