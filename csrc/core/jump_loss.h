// What the loss gains when the boundary between two pixels A and B moves by dp along their axis: dL = G dp.
//
// A's colour then spreads over B's, so G is the difference that it makes to the loss which of the two is seen at the
// boundary. Two forms: from the loss gradient g alone, exact up to sampling for squared losses; and, for a loss that
// is a sum over pixels of phi(colour, target), from phi itself, exact for any phi.
//
// Both take each side's colour at the boundary, extrapolated from its outer neighbour A' or B' by `reach` steps:
//     e_A = I_A + reach_A (I_A - I_A'),   e_B likewise.
// Both sharpen: over the sub-pixel phase the mean of A and B sees the target through (1/4, 1/2, 1/4), whose second
// moment is 1/2 px^2; the four taps (-c, 1/2 + c, 1/2 + c, -c) change it by -4c, so c = 1/8 cancels it.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/vec.h"

namespace headfit {

constexpr double kSharpen = 0.125;

// Channels of the four pixels A', A, B, B'. An outer one is null where it may not be used.
template <class Stored>
struct FourPixels {
    const Stored *outer_a, *a, *b, *outer_b;
};

// The colours e_A and e_B; an outer pixel that shows another surface is null.
template <class Real, class Stored>
struct BoundaryColours {
    FourPixels<Stored> image;
    Real reach_a, reach_b;

    HEADFIT_HD Real a(int c) const { return extrapolate(image.a, image.outer_a, reach_a, c); }
    HEADFIT_HD Real b(int c) const { return extrapolate(image.b, image.outer_b, reach_b, c); }

  private:
    HEADFIT_HD static Real extrapolate(const Stored* pixel, const Stored* outer, Real reach, int c) {
        const Real i = Real(pixel[c]);
        return outer ? i + reach * (i - Real(outer[c])) : i;
    }
};

// The loss gradient at the boundary, g, for G = sum over channels of g (e_A - e_B). For a squared loss g_x = h (I_x - T_x)
// at pixel x; T is wanted sharpened, but I at the boundary, so with what each side varies by, d_A = I_A - I_A',
//     g = (g_A + g_B) / 2 + c [(g_A - g_A') + (g_B - g_B')] + h [(reach_A / 2 - c) d_A + (reach_B / 2 - c) d_B].
// h follows from the jump itself as far as the target has none there: h = (g_A - g_B) / (I_A - I_B), no less than 0.
// Where the target jumps with the image, or a filter blurred the gradient, that is near 0, and the last term is gone.
// Where the centres hardly differ, but the boundary's two sides do (J = e_A - e_B), half of J divides instead.
// grad: the loss gradient at the pixels; its outer pixels are null where the image's are. Where g_A equals g_B exactly
// (the pixels of one supersampled block) there is nothing to sharpen.
template <class Real, class Stored>
HEADFIT_HD inline Real jump_loss_of_gradient(const BoundaryColours<Real, Stored>& colours,
                                             const FourPixels<Stored>& grad, int channels, bool sharpen) {
    const FourPixels<Stored>& image = colours.image;
    const Real c = sharpen ? Real(kSharpen) : Real(0);
    Real plain = 0, refined = 0;
    bool equal = true;
    for (int k = 0; k < channels; ++k) {
        const Real ga = Real(grad.a[k]), gb = Real(grad.b[k]), J = colours.a(k) - colours.b(k);
        const Real step = Real(image.a[k]) - Real(image.b[k]), most = J * J / 4 > step * step ? J * J / 4 : step * step;
        const Real hJ = (ga - gb) * step > 0 ? (ga - gb) * step / most * J : Real(0);
        plain += J * (ga + gb) / 2;
        equal &= ga == gb;
        if (image.outer_a) {
            refined += c * J * (ga - Real(grad.outer_a[k]));
            refined += hJ * (colours.reach_a / 2 - c) * (Real(image.a[k]) - Real(image.outer_a[k]));
        }
        if (image.outer_b) {
            refined += c * J * (gb - Real(grad.outer_b[k]));
            refined += hJ * (colours.reach_b / 2 - c) * (Real(image.b[k]) - Real(image.outer_b[k]));
        }
    }
    return equal ? plain : plain + refined;
}

enum class Penalty : int32_t { squared, charbonnier, huber, l1, cross_entropy };

// phi of one channel, d = colour - target; for all penalties but cross_entropy. Charbonnier and Huber turn from
// quadratic to linear at `scale`.
template <class Real>
HEADFIT_HD inline Real penalty_of(Penalty penalty, Real d, Real scale) {
    using std::abs;
    using std::sqrt;
    switch (penalty) {
        case Penalty::squared:
            return d * d;
        case Penalty::charbonnier:
            return sqrt(d * d + scale * scale) - scale;
        case Penalty::huber:
            return abs(d) <= scale ? d * d / 2 : scale * (abs(d) - scale / 2);
        default:
            return abs(d);
    }
}

// log sum exp over the channels of one side, which are logits. Two passes: nothing may overflow.
template <class Real, class Side>
HEADFIT_HD inline Real log_sum_exp(const Side& side, int channels) {
    using std::exp;
    using std::log;
    Real most = side(0), sum = 0;
    for (int c = 1; c < channels; ++c) most = side(c) > most ? side(c) : most;
    for (int c = 0; c < channels; ++c) sum += exp(side(c) - most);
    return most + log(sum);
}

// D = phi(e_A, T) - phi(e_B, T): what it costs the pixel of this target to see A's colour and not B's.
// Cross-entropy, - sum T log softmax(e): T are the classes' probabilities, log_z = log_sum_exp(e_A) - log_sum_exp(e_B).
template <class Real, class Stored>
HEADFIT_HD inline Real swap_cost(const BoundaryColours<Real, Stored>& colours, const Stored* target, int channels,
                                 Penalty penalty, Real scale, Real log_z) {
    Real D = 0;
    for (int c = 0; c < channels; ++c) {
        const Real ea = colours.a(c), eb = colours.b(c), t = Real(target[c]);
        D += penalty == Penalty::cross_entropy
                 ? t * (log_z - (ea - eb))
                 : penalty_of(penalty, ea - t, scale) - penalty_of(penalty, eb - t, scale);
    }
    return D;
}

// G = (1/2 + c) (D_A + D_B) - c (D_A' + D_B'), each D at its pixel's target and times its pixel's weight in the loss.
// The targets of outer pixels count whatever surface these show; at the picture's border (null) c = 0.
template <class Real, class Stored>
HEADFIT_HD inline Real jump_loss_of_penalty(const BoundaryColours<Real, Stored>& colours,
                                            const FourPixels<Stored>& target, const FourPixels<Stored>& weight,
                                            int channels, Penalty penalty, Real scale) {
    Real log_z = 0;
    if (penalty == Penalty::cross_entropy && channels > 0)
        log_z = log_sum_exp<Real>([&](int c) { return colours.a(c); }, channels) -
                log_sum_exp<Real>([&](int c) { return colours.b(c); }, channels);
    const auto D = [&](const Stored* t, const Stored* w) {
        return *w != 0 ? Real(*w) * swap_cost(colours, t, channels, penalty, scale, log_z) : Real(0);
    };
    const bool sharpen = target.outer_a && target.outer_b;
    const Real c = sharpen ? Real(kSharpen) : Real(0);
    Real G = (Real(0.5) + c) * (D(target.a, weight.a) + D(target.b, weight.b));
    if (sharpen) G -= c * (D(target.outer_a, weight.outer_a) + D(target.outer_b, weight.outer_b));
    return G;
}

}  // namespace headfit
