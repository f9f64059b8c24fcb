// The loss at a jump between a pair of neighbouring pixels, given the images.
#pragma once

#include "core/jump_loss.h"
#include "core/labels.h"
#include "core/motion.h"
#include "core/scene.h"

namespace headfit {

// The pixel A = (x, y), its right (axis 0) or lower (axis 1) neighbour B, and the outer pixels before A and after B.
struct PixelPair {
    int axis, x, y;
    bool a_inside, b_inside;  // the outer pixel is in the image
    bool a_usable, b_usable;  // and shows the same surface

    // Coordinates of the pixel `steps` after A.
    HEADFIT_HD int at_x(int steps) const { return x + (axis == 0 ? steps : 0); }
    HEADFIT_HD int at_y(int steps) const { return y + (axis == 0 ? 0 : steps); }
};

template <class Real, class Stored>
HEADFIT_HD inline Vec2<Real> centre(const RasterView<Real, Stored>& view, const PixelPair& pair, int steps) {
    return view.centre(pair.at_x(steps), pair.at_y(steps));
}

// The pixels of an image [H,W,C].
template <class Stored>
HEADFIT_HD inline FourPixels<Stored> four_pixels(const Stored* image, int channels, int width, const PixelPair& pair,
                                                 bool outer_a, bool outer_b) {
    const int64_t step = int64_t(channels) * (pair.axis == 0 ? 1 : width);
    const Stored* a = image + (int64_t(pair.y) * width + pair.x) * channels;
    return {outer_a ? a - step : nullptr, a, a + step, outer_b ? a + 2 * step : nullptr};
}

// The colours on both sides of the boundary. max_reach bounds the extrapolation at silhouettes, see
// silhouette_extrapolation.
template <class Real, class Stored>
HEADFIT_HD inline BoundaryColours<Real, Stored> boundary_colours(const RasterView<Real, Stored>& view,
                                                                 const PixelPair& pair, const Boundary<Real>& r,
                                                                 const Stored* image, int channels, Real max_reach) {
    const auto face = [&](int steps) { return view.face(pair.at_x(steps), pair.at_y(steps)); };
    const Vec2<Real> A = centre(view, pair, 0), B = centre(view, pair, 1), P = A + r.t * (B - A);
    Real reach_a = r.t, reach_b = 1 - r.t;
    // One call for both sides, since silhouette_extrapolation is long and gets inlined.
    const bool a_in_front = r.jump == Jump::a_in_front;
    if (a_in_front ? pair.a_usable : (r.jump == Jump::b_in_front && pair.b_usable)) {
        const int own = a_in_front ? 0 : 1, outer = a_in_front ? -1 : 2;
        const Real linear = a_in_front ? reach_a : reach_b;
        Walk<Real> end = r.b;
        if (a_in_front) end = r.a;
        const Real reach = silhouette_extrapolation(view.surface.mesh, end, P, face(own), a_in_front ? A : B,
                                                    face(outer), centre(view, pair, outer), linear, max_reach);
        if (a_in_front)
            reach_a = reach;
        else
            reach_b = reach;
    }
    return {four_pixels(image, channels, view.width, pair, pair.a_usable, pair.b_usable), reach_a, reach_b};
}

// G of a loss that is known by its gradient alone. image, grad: [B,H,W,C].
template <class Stored>
struct LossByGradient {
    const Stored *image, *grad;
    int channels;

    template <class Real>
    HEADFIT_HD Real operator()(int64_t b, const RasterView<Real, Stored>& view, const PixelPair& pair,
                               const Boundary<Real>& boundary) const {
        constexpr Real kMaxReach = 2;
        const int64_t first = b * view.height * view.width * channels;
        return jump_loss_of_gradient<Real, Stored>(
            boundary_colours(view, pair, boundary, image + first, channels, kMaxReach),
            four_pixels(grad + first, channels, view.width, pair, pair.a_usable, pair.b_usable), channels,
            pair.a_inside && pair.b_inside);
    }
};

// G of a loss that is the sum over pixels of weight * penalty(image, target). weight: [B,H,W]; image, target:
// [B,H,W,C].
template <class Stored>
struct LossByPenalty {
    const Stored *image, *target, *weight;
    int channels;
    Penalty penalty;
    double scale;

    template <class Real>
    HEADFIT_HD Real operator()(int64_t b, const RasterView<Real, Stored>& view, const PixelPair& pair,
                               const Boundary<Real>& boundary) const {
        // Under a robust penalty, noise in the extrapolated colour becomes bias, so extrapolation stops at one pixel.
        constexpr Real kMaxReach = 1;
        const int64_t pixels = b * view.height * view.width, first = pixels * channels;
        const auto inside = [&](const Stored* x, int count) {
            return four_pixels(x, count, view.width, pair, pair.a_inside, pair.b_inside);
        };
        return jump_loss_of_penalty<Real, Stored>(
            boundary_colours(view, pair, boundary, image + first, channels, kMaxReach),
            inside(target + first, channels), inside(weight + pixels, 1), channels, penalty, Real(scale));
    }
};

// G of a loss that is the sum over pixels of weight * the squared difference of labels and masks. weight: [B,H,W].
// Labels are constant up to the boundary, so nothing is extrapolated.
template <class Stored>
struct LossOfLabels {
    LabelView<Stored> labels;
    const Stored* weight;

    template <class Real>
    HEADFIT_HD Real operator()(int64_t b, const RasterView<Real, Stored>& view, const PixelPair& pair,
                               const Boundary<Real>&) const {
        const int class_a = labels.class_of(b, view.face(pair.at_x(0), pair.at_y(0)));
        const int class_b = labels.class_of(b, view.face(pair.at_x(1), pair.at_y(1)));
        if (class_a == class_b) return 0;
        return jump_loss_of_costs<Real>(pair.a_inside && pair.b_inside, [&](int i) {
            const int64_t pixel = (b * view.height + pair.at_y(i - 1)) * view.width + pair.at_x(i - 1);
            const uint8_t* shares = labels.shares_at(pixel);
            return Real(weight[pixel]) * (labels.template cost_of_class<Real>(class_a, shares) -
                                          labels.template cost_of_class<Real>(class_b, shares));
        });
    }
};

}  // namespace headfit
