// A pair of neighbouring pixels with a jump between them: what moving the jump is worth, given the pictures.
#pragma once

#include "core/jump_loss.h"
#include "core/motion.h"

namespace headfit {

// One image's mesh and what is seen of it.
template <class Real, class Stored>
struct View {
    Surface<Real, Stored> surface;
    const int32_t* index;  // [H,W]
    int32_t faces;         // F
    int height, width;

    HEADFIT_HD Vec2<Real> centre(int x, int y) const { return {Real(x) + Real(0.5), Real(y) + Real(0.5)}; }
    // -1 also for what is no face: a GPU cannot complain.
    HEADFIT_HD int32_t face(int x, int y) const {
        const int32_t f = index[int64_t(y) * width + x];
        return f < faces ? f : -1;
    }
};

// The pixels (x, y) and its right (axis 0) or lower (axis 1) neighbour, and the pixels beyond: whether these are in the
// picture, and usable since they show the same surface.
struct Pair {
    int axis, x, y;
    bool a_inside, b_inside, a_usable, b_usable;

    // Where the pixel is that lies `steps` from the first one.
    HEADFIT_HD int at_x(int steps) const { return x + (axis == 0 ? steps : 0); }
    HEADFIT_HD int at_y(int steps) const { return y + (axis == 0 ? 0 : steps); }
};

template <class Real, class Stored>
HEADFIT_HD inline Vec2<Real> centre(const View<Real, Stored>& view, const Pair& pair, int steps) {
    return view.centre(pair.at_x(steps), pair.at_y(steps));
}

// image [H,W,C]
template <class Stored>
HEADFIT_HD inline FourPixels<Stored> four_pixels(const Stored* image, int channels, int width, const Pair& pair,
                                                 bool outer_a, bool outer_b) {
    const int64_t step = int64_t(channels) * (pair.axis == 0 ? 1 : width);
    const Stored* a = image + (int64_t(pair.y) * width + pair.x) * channels;
    return {outer_a ? a - step : nullptr, a, a + step, outer_b ? a + 2 * step : nullptr};
}

// The colours at the boundary. most: how far a colour may be extrapolated where the surface turns away, see limb_reach.
template <class Real, class Stored>
HEADFIT_HD inline BoundaryColours<Real, Stored> boundary_colours(const View<Real, Stored>& view, const Pair& pair,
                                                                 const Boundary<Real>& r, const Stored* image,
                                                                 int channels, Real most) {
    const auto face = [&](int steps) { return view.face(pair.at_x(steps), pair.at_y(steps)); };
    const Vec2<Real> A = centre(view, pair, 0), B = centre(view, pair, 1), P = A + r.t * (B - A);
    Real reach_a = r.t, reach_b = 1 - r.t;
    // One call serves both sides: limb_reach is long.
    const bool a_in_front = r.jump == Jump::a_in_front;
    if (a_in_front ? pair.a_usable : (r.jump == Jump::b_in_front && pair.b_usable)) {
        const int own = a_in_front ? 0 : 1, outer = a_in_front ? -1 : 2;
        const Real linear = a_in_front ? reach_a : reach_b;
        Walk<Real> end = r.b;
        if (a_in_front) end = r.a;
        const Real reach = limb_reach(view.surface.mesh, end, P, face(own), a_in_front ? A : B, face(outer),
                                      centre(view, pair, outer), linear, most);
        if (a_in_front)
            reach_a = reach;
        else
            reach_b = reach;
    }
    return {four_pixels(image, channels, view.width, pair, pair.a_usable, pair.b_usable), reach_a, reach_b};
}

// G of a loss that is known by its gradient. Images of all views, [B,H,W,C].
template <class Stored>
struct LossByGradient {
    const Stored *image, *grad;
    int channels;

    template <class Real>
    HEADFIT_HD Real operator()(int64_t b, const View<Real, Stored>& view, const Pair& pair,
                               const Boundary<Real>& boundary) const {
        constexpr Real kMostReach = 2;
        const int64_t first = b * view.height * view.width * channels;
        return jump_loss_of_gradient<Real, Stored>(
            boundary_colours(view, pair, boundary, image + first, channels, kMostReach),
            four_pixels(grad + first, channels, view.width, pair, pair.a_usable, pair.b_usable), channels,
            pair.a_inside && pair.b_inside);
    }
};

// G of a loss that is the sum of weight [B,H,W] times penalty(image, target), both [B,H,W,C].
template <class Stored>
struct LossByPenalty {
    const Stored *image, *target, *weight;
    int channels;
    Penalty penalty;
    double scale;

    template <class Real>
    HEADFIT_HD Real operator()(int64_t b, const View<Real, Stored>& view, const Pair& pair,
                               const Boundary<Real>& boundary) const {
        // A penalty makes a bias of the noise in an extrapolated colour, so that is not taken as far.
        constexpr Real kMostReach = 1;
        const int64_t pixels = b * view.height * view.width, first = pixels * channels;
        const auto inside = [&](const Stored* x, int count) {
            return four_pixels(x, count, view.width, pair, pair.a_inside, pair.b_inside);
        };
        return jump_loss_of_penalty<Real, Stored>(
            boundary_colours(view, pair, boundary, image + first, channels, kMostReach),
            inside(target + first, channels), inside(weight + pixels, 1), channels, penalty, Real(scale));
    }
};

}  // namespace headfit
