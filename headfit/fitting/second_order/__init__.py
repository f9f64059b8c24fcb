"""Second-order steps: Gauss-Newton for the pose, expression, joints and detail of frames, and for the person in them.

A thousand numbers place a known head in a frame, and a hundred tell one head from another; the vertices depend on them
almost linearly, so the matrix of second derivatives is cheap. Every data term becomes residuals of one form
(`PointResiduals`): points of the surface, and how each residual changes when the corners of its triangle move.
`GaussNewton` weighs them like the loss terms of `headfit.fitting.terms`, whose minimum it looks for, and solves for all
unknowns of a frame together; where the person moves, for those of all frames of a step and of the person.
"""

from headfit.fitting.second_order.unknowns import OF_PERSON, SOLVED

__all__ = ["OF_PERSON", "SOLVED"]
