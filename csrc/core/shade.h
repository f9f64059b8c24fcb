// Colours of surface points: the albedo times the light that a normal receives, and gloss, times the camera's gain:
//
//     colour_c = (albedo_c max(kLeastShading, sum_k h_k(n) light_kc) + gloss) gain_c,        n = normal / |normal|
//
// h: the nine real spherical harmonics up to degree 2 (Ramamoorthi & Hanrahan, "An efficient representation for
// irradiance environment maps", 2001), polynomials of a unit vector; each scaled so that its largest value is near 1.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/sizes.h"
#include "core/vec.h"

namespace headfit {

constexpr int kHarmonics = 9;
constexpr double kLeastShading = 0.05;
// A normal shorter than this is divided by this instead of its length.
constexpr double kShortestNormal = 1e-12;
// What is summed over the pixels of an image: the gradients of its light, row after row, then those of its gain.
constexpr int kShadeSums = 3 * kHarmonics + 3;

// What is shaded: all pixels with index_img >= 0.
template <class T>
struct ShadedView {
    Sizes sizes;
    const T* albedo;           // [B,H,W,3]
    const T* surface;          // [B,H,W,4] normal, of any length, and gloss
    const T* light;            // [B,9,3]
    const T* gain;             // [B,3]
    const int32_t* index_img;  // [B,H,W]
};

// Outputs of the backward pass; those that are null are not needed.
template <class T>
struct ShadeGradients {
    T* albedo;   // [B,H,W,3]
    T* surface;  // [B,H,W,4]
    T* sums;     // [B,kShadeSums,P], to be added over P
};

template <class T>
struct UnitNormal {
    Vec3<T> n;
    T scale;      // n = scale normal
    bool scaled;  // false where the length is clamped
};

template <class T>
HEADFIT_HD inline UnitNormal<T> unit_normal(Vec3<T> normal) {
    const T length = std::sqrt(normal.x * normal.x + normal.y * normal.y + normal.z * normal.z);
    const bool too_short = length < T(kShortestNormal);
    const T scale = T(1) / (too_short ? T(kShortestNormal) : length);
    return {{scale * normal.x, scale * normal.y, scale * normal.z}, scale, !too_short};
}

// The gradient of the normal from the gradient of the unit normal: without its part along n.
template <class T>
HEADFIT_HD inline Vec3<T> to_normal(const UnitNormal<T>& unit, Vec3<T> g) {
    const Vec3<T> n = unit.n;
    const T along = unit.scaled ? n.x * g.x + n.y * g.y + n.z * g.z : T(0);
    return {unit.scale * (g.x - along * n.x), unit.scale * (g.y - along * n.y), unit.scale * (g.z - along * n.z)};
}

template <class T>
struct Harmonics {
    T h[kHarmonics];
};

template <class T>
HEADFIT_HD inline Harmonics<T> harmonics(Vec3<T> n) {
    return {{T(1), n.x, n.y, n.z, n.x * n.y, n.y * n.z, n.z * n.x, n.x * n.x - n.y * n.y,
             T(1.5) * n.z * n.z - T(0.5)}};
}

// The light of one channel that reaches a surface, before it is clamped; light: [9,3] of the image, from that channel on.
template <class T>
HEADFIT_HD inline T received(const Harmonics<T>& of, const T* light) {
    const T* h = of.h;
    return h[0] * light[0] + h[1] * light[3] + h[2] * light[6] + h[3] * light[9] + h[4] * light[12] + h[5] * light[15] +
           h[6] * light[18] + h[7] * light[21] + h[8] * light[24];
}

// The gradient of n from those of its harmonics; to(k): that of number k.
template <class T, class To>
HEADFIT_HD inline Vec3<T> harmonics_backward(Vec3<T> n, const To& to) {
    const T xy = to(4), yz = to(5), zx = to(6), squares = T(2) * to(7);
    return {to(1) + n.y * xy + n.z * zx + n.x * squares, to(2) + n.x * xy + n.z * yz - n.y * squares,
            to(3) + n.y * yz + n.x * zx + T(3) * n.z * to(8)};
}

// The gradient of n from those of the light received in each channel.
template <class T>
HEADFIT_HD inline Vec3<T> to_unit_normal(Vec3<T> n, const T* light, Vec3<T> g) {
    return harmonics_backward(
        n, [&](int k) { return light[3 * k] * g.x + light[3 * k + 1] * g.y + light[3 * k + 2] * g.z; });
}

// NaN stays NaN.
template <class T>
HEADFIT_HD inline T at_least_shading(T light) {
    return light < T(kLeastShading) ? T(kLeastShading) : light;
}

template <class T>
HEADFIT_HD inline T shaded(T albedo, T light, T gloss, T gain) {
    return (albedo * at_least_shading(light) + gloss) * gain;
}

// The gradients that a channel passes on; g: that of the colour.
template <class T>
struct ChannelGradients {
    T albedo, light, gloss, gain;
};

template <class T>
HEADFIT_HD inline ChannelGradients<T> shaded_backward(T albedo, T light, T gloss, T gain, T g) {
    const T lit = at_least_shading(light), own = g * gain;
    return {own * lit, light >= T(kLeastShading) ? own * albedo : T(0), own, g * (albedo * lit + gloss)};
}

}  // namespace headfit
