"""The settings of a fit as typed dataclasses. `headfit fit --help-config` prints the text under every field.

`FitConfig` holds what decides a fit's numbers; `RunArgs` holds what a run reads, and where it writes and computes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headfit.capture.selection import Selection

#: How a step is found; see `Stage.solver`.
SOLVERS = ("adam", "gauss_newton")
#: Which frames a stage goes through; see `Stage.frames`.
FRAME_CHOICES = ("all", "key", "windows", "each", "apart", "seams")


@dataclass
class Stage:
    """One stage of the fit: which parameters move, at which image scale, driven by which losses."""

    frames: str = "all"
    """Which frames the stage goes through.
    all: every step draws from all frames.
    key: every step draws from the capture's key frames (see key_frames).
    windows: all frames but the key frames of earlier stages, in temporal order, frames_per_step at a time; a frame
    starts with the expression of the nearest frame that has been fitted.
    each: every step draws from all frames; skipped when the key frames already cover the capture.
    apart: windows like those of `windows`, but each is fitted from the key frames alone, so that any number of
    processes may share them (see workers).
    seams: the frames around each border between windows, tied to those on both sides; shared like `apart`."""
    solver: str = "adam"
    """How a step finds its way.
    adam: first-order steps of every parameter group, along the gradient of the loss.
    gauss_newton: second-order steps of rotation, translation, expression, joints and detail of frames: a few steps
    settle them. Where scale or identity moves, all frames of a step are solved for together, each frame's landmarks
    count as much as another's, and detail and the term temporal must not take part. They look for the same minimum, of
    the terms mask, photometric, landmark, dense_landmark and temporal, and of the priors of what moves; other terms are
    not computed. A step solves for a frame from its views together, so it should draw all cameras, or eight of them."""
    steps: int = 50
    """Optimiser steps of the stage; with frames: windows, of each window; with frames: each, and with frames: key where
    solver is gauss_newton, how often each frame is drawn."""
    resolution: int = 256
    """Pixels across the head (its longer side, neck included) that each camera's pictures are scaled down to; never
    scaled up. Cameras of any sizes go together."""
    blur: float = 0.0
    """Standard deviation, in pixels, of the Gaussian blur that the mask term applies to both sides; 0: no blur. With
    solver: gauss_newton, the distance up to which a border's cost rises with the square instead of linearly."""
    frames_per_step: int = 12
    """Number of frames that one step draws."""
    views_per_frame: int = 4
    """Number of cameras that one step draws for each frame."""
    rates: dict[str, float] = field(default_factory=dict)
    """Learning rate of each parameter group, in the group's own unit; a group that is not listed, or has rate 0, does
    not move. With solver: gauss_newton, the longest step, which does not decay."""
    weights: dict[str, float] = field(default_factory=dict)
    """Weight of each loss term; a term that is not listed, or has weight 0, is not computed. Data terms are
    normalised per view and by the head's area, so weights carry over between rigs. A prior of a parameter group
    that does not move is skipped."""
    make_masks: bool = False
    """Whether the fit makes masks itself before the stage, where the capture has none or its own tell no lips or are
    rough: the head says about where each part is, the colours of the pictures where it ends. So for the training views
    of the frames fitted so far, 512 at most; with frames: windows or apart, before each window, for the views that its
    steps draw, but not where only the fit finds that masks are rough. See `masks` in the run folder."""
    warm_up: float = 0.0
    """Share of the steps, at the start of the stage (or window), over which the learning rates rise linearly: the first
    steps of Adam have the full length whatever they know."""
    decay: float = 0.2
    """Factor that the learning rates have fallen to at the end of the stage (or window); with solver: gauss_newton, the
    factor of blur."""
    decay_share: float = 0.4
    """Share of the steps, at the end of the stage (or window), over which they (or blur) fall geometrically."""

    def moves_only(self, group: str) -> bool:
        """Whether no other parameter group moves."""
        return all(name == group for name, rate in self.rates.items() if rate > 0)


@dataclass
class FitConfig:
    """What decides the numbers of a fit. `stages` run in the order in which they are listed."""

    head: str = "default"
    """Head model: a name, an npz, an ICT-FaceKit folder, a FLAME or GNM file, or a YAML that names a mesh."""
    init_from: str = ""
    """Run folder of an earlier fit of the same person, whose head, texture and light are the starting point."""
    hold_out: list[str] = field(default_factory=list)
    """Ids of cameras that training never sees, to score the fit."""
    use_landmarks: bool = True
    """Whether the capture's landmarks are used, for the initial pose and in the landmark term."""
    seed: int = 0
    """Seed of everything that is drawn at random."""
    deterministic: bool = True
    """Whether two runs of one seed and one number of threads give the same bits, also across a kill and --resume. It
    costs nothing measurable on a CPU."""
    texture_size: int = 0
    """Texels per side, a power of two; 0: chosen from the image size."""
    key_frames: int = 24
    """Number of evenly spaced frames that determine the person; the other frames of a longer capture come after."""
    steps_per_checkpoint: int = 50
    """Number of steps between two checkpoints."""
    offset_smoothness: float = 30.0
    """Smoothness of the free vertex offsets: weight of the graph Laplacian in their parameterisation."""
    class_weights: dict[str, float] = field(default_factory=dict)
    """Weight of each label class in the mask term; 1 for a class that is not listed."""
    stages: dict[str, Stage] = field(default_factory=dict)
    """The stages by name, in order."""


@dataclass
class RunArgs:
    """What a run reads, and where it writes and computes. Only `frames` and `cameras` change the numbers of the fit."""

    capture: str = ""
    """Folder of the capture."""
    out: str = ""
    """Run folder to write."""
    frames: str = ""
    """Positions of the frames that are fitted, START:STOP or START:STOP:STEP; empty for all."""
    cameras: str = ""
    """Ids of the cameras that are used, with commas between them; empty for all."""
    resume: bool = False
    """Whether to continue from the last checkpoint of the run folder."""
    cache_gib: float = 2.0
    """Bound on the memory of decoded views, in GiB, over all processes together."""
    workers: int = 0
    """Number of processes that share the stages with frames: apart and seams; 0: this one does them."""
    cluster: str = ""
    """Where these processes run: empty for this machine, or slurm."""
    slurm: dict[str, Any] = field(default_factory=dict)
    """Options of SLURM's sbatch by their long names, such as partition, time (minutes), mem, cpus_per_task."""
    steps_per_picture: int = 150
    """Number of steps between two pictures in TensorBoard, besides those at the end of a stage."""
    trainer: dict[str, Any] = field(default_factory=lambda: {"accelerator": "auto", "devices": 1})
    """Arguments of Lightning's Trainer, such as accelerator (auto: a GPU, where torch finds one and headfit was built
    with CUDA), devices and num_nodes."""

    @property
    def selection(self) -> Selection:
        """Which frames and cameras of the capture are used."""
        return Selection(self.frames, self.cameras)
