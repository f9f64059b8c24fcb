"""Second-order steps: Gauss-Newton for the pose, expression and joints of frames whose person is known.

About a hundred numbers place a known head in a frame, and the vertices depend on them almost linearly, so the matrix of
second derivatives is cheap. Every data term becomes residuals of one form (`PointResiduals`): a point of the surface, a
direction in the world, and how far the point is off along it. `GaussNewton` weighs them like the loss terms of
`headfit.fitting.terms`, whose minimum it looks for, and solves for all unknowns of a frame together.
"""

from headfit.fitting.second_order.unknowns import SOLVED

__all__ = ["SOLVED"]
