// The derivative G of the loss with respect to the position of the boundary between two pixels A and B: dL = G dp.
//
// When the boundary moves, A's colour spreads over B's, so G is how much the loss differs between seeing A's colour and
// seeing B's at the boundary. It is computed in two ways: from the loss gradient g alone, exact up to sampling for
// squared losses; and, for a loss that is a sum over pixels of phi(colour, target), from phi itself, exact for any phi.
//
// Both use each side's colour at the boundary, extrapolated away from its outer neighbour A' or B' by `reach` steps:
//     e_A = I_A + reach_A (I_A - I_A'),   e_B likewise.
// Both sharpen: averaged over sub-pixel positions, the mean of A and B sees the target through the filter (1/4, 1/2,
// 1/4), whose second moment is 1/2 px^2; the four taps (-c, 1/2 + c, 1/2 + c, -c) change it by -4c, so c = 1/8 cancels
// it.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/vec.h"

namespace headfit {

constexpr double kSharpen = 0.125;

// The channels of the four pixels A', A, B, B'. An outer pixel that must not be used is null.
template <class Stored>
struct FourPixels {
    const Stored *outer_a, *a, *b, *outer_b;

    HEADFIT_HD const Stored* operator[](int i) const { return i < 2 ? (i == 0 ? outer_a : a) : (i == 2 ? b : outer_b); }
};

// The colours e_A and e_B. An outer pixel that shows another surface is null.
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

// G = sum over channels of g (e_A - e_B), with the loss gradient g at the boundary. For a squared loss, g_x = h (I_x -
// T_x) at pixel x; T has to be sharpened, but I taken at the boundary. With each side's difference d_A = I_A - I_A'
// that gives
//     g = (g_A + g_B) / 2 + c [(g_A - g_A') + (g_B - g_B')] + h [(reach_A / 2 - c) d_A + (reach_B / 2 - c) d_B].
// h is estimated from the jump, assuming that the target has none there: h = (g_A - g_B) / (I_A - I_B), at least 0.
// Where the target jumps with the image, or a filter blurred the gradient, the estimate is near 0 and the last term
// vanishes. If the pixel centres are almost equal but the two sides of the boundary are not (J = e_A - e_B), J / 2 is
// the divisor instead. grad: the loss gradient at the pixels; its outer pixels are null where the image's are. If g_A
// equals g_B exactly (pixels of one supersampled block), there is nothing to sharpen.
template <class Real, class Stored>
HEADFIT_HD inline Real jump_loss_of_gradient(const BoundaryColours<Real, Stored>& colours,
                                             const FourPixels<Stored>& grad, int channels, bool sharpen) {
    const FourPixels<Stored>& image = colours.image;
    const Real c = sharpen ? Real(kSharpen) : Real(0);
    Real plain = 0, refined = 0;
    bool equal = true;
    for (int k = 0; k < channels; ++k) {
        const Real ga = Real(grad.a[k]), gb = Real(grad.b[k]), J = colours.a(k) - colours.b(k);
        const Real step = Real(image.a[k]) - Real(image.b[k]);
        const Real divisor = J * J / 4 > step * step ? J * J / 4 : step * step;
        const Real hJ = (ga - gb) * step > 0 ? (ga - gb) * step / divisor * J : Real(0);
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

// Each penalty is named once, here: the enum and the names that Python sees come from this list.
#define HEADFIT_PENALTIES(each) each(squared) each(charbonnier) each(huber) each(l1) each(cross_entropy)

#define HEADFIT_VALUE(name) name,
enum class Penalty : int32_t { HEADFIT_PENALTIES(HEADFIT_VALUE) };
#undef HEADFIT_VALUE

#define HEADFIT_NAME(name) #name,
constexpr const char* kPenaltyNames[] = {HEADFIT_PENALTIES(HEADFIT_NAME)};
#undef HEADFIT_NAME

// phi of one channel with d = colour - target, for all penalties but cross_entropy. Charbonnier and Huber change from
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

// log sum exp over the channels of one side, which are logits. Two passes, so that nothing overflows.
template <class Real, class Side>
HEADFIT_HD inline Real log_sum_exp(const Side& side, int channels) {
    using std::exp;
    using std::log;
    Real largest = side(0), sum = 0;
    for (int c = 1; c < channels; ++c) largest = side(c) > largest ? side(c) : largest;
    for (int c = 0; c < channels; ++c) sum += exp(side(c) - largest);
    return largest + log(sum);
}

// D = phi(e_A, T) - phi(e_B, T): what the loss of a pixel with target T changes by if it sees A's colour instead of
// B's. For the cross-entropy -sum T log softmax(e), T holds class probabilities and log_z = log_sum_exp(e_A) -
// log_sum_exp(e_B).
template <class Real, class Stored>
HEADFIT_HD inline Real occlusion_cost(const BoundaryColours<Real, Stored>& colours, const Stored* target, int channels,
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

// G = (1/2 + c) (D_A + D_B) - c (D_A' + D_B'), each D at its pixel's target and times its pixel's weight in the loss:
// D(i), of A', A, B, B' for i = 0 to 3. The targets of outer pixels count whatever surface these pixels show; at the
// image border, where one is missing, c = 0.
template <class Real, class Cost>
HEADFIT_HD inline Real jump_loss_of_costs(bool all_inside, const Cost& D) {
    const Real c = all_inside ? Real(kSharpen) : Real(0);
    Real G = (Real(0.5) + c) * (D(1) + D(2));
    if (all_inside) G -= c * (D(0) + D(3));
    return G;
}

// The same for D = weight * occlusion_cost. target, weight: their outer pixels are null outside the image.
template <class Real, class Stored>
HEADFIT_HD inline Real jump_loss_of_penalty(const BoundaryColours<Real, Stored>& colours,
                                            const FourPixels<Stored>& target, const FourPixels<Stored>& weight,
                                            int channels, Penalty penalty, Real scale) {
    Real log_z = 0;
    if (penalty == Penalty::cross_entropy && channels > 0)
        log_z = log_sum_exp<Real>([&](int c) { return colours.a(c); }, channels) -
                log_sum_exp<Real>([&](int c) { return colours.b(c); }, channels);
    return jump_loss_of_costs<Real>(target.outer_a && target.outer_b, [&](int i) {
        const Real w = Real(*weight[i]);
        return w != 0 ? w * occlusion_cost(colours, target[i], channels, penalty, scale, log_z) : Real(0);
    });
}

}  // namespace headfit
