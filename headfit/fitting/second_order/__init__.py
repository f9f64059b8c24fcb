"""Second-order steps: Gauss-Newton for the pose, expression, joints and detail of frames whose person is known.

A thousand numbers place a known head in a frame, and the vertices depend on them almost linearly, so the matrix of
second derivatives is cheap. Every data term becomes residuals of one form (`PointResiduals`): points of the surface,
and how each residual changes when the corners of its triangle move. `GaussNewton` weighs them like the loss terms of
`headfit.fitting.terms`, whose minimum it looks for, and solves for all unknowns of a frame together.
"""

from headfit.fitting.second_order.unknowns import SOLVED

__all__ = ["SOLVED"]
