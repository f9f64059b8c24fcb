// Gloss: what surface points mirror of their surroundings, white, as a quadratic form of the harmonics of shade.h in the
// direction that the point mirrors into the camera:
//
//     q = h(m)' S h(m),      m = (r - 2 (r . n) n) / |r|,      r = vertex - centre of the camera,      S symmetric.
//
// Backward, with g the gradient of q: that of S is g h h', that of h is 2 g S h, and harmonics_backward takes it to m.
// With w = |r| m and G the gradient of m divided by |r|,
//
//     dw = dr - 2 (r . n) dn - 2 (dr . n + r . dn) n,      dm = dw / |r| - m (r . dr) / |r|^2,
//
// so the gradients are, of r:  G - 2 (G . n) n - (G . m) r / |r|,   and of n:  -2 ((r . n) G + (G . n) r).
#pragma once

#include <cmath>
#include <cstdint>

#include "core/shade.h"
#include "core/vec.h"

namespace headfit {

// A ray shorter than this is divided by this instead of its length; metres.
constexpr double kShortestRay = 1e-9;
// The gradients of the forms are summed over parts of this many vertices of one image, and the parts by torch.
constexpr int64_t kGlossPart = 128;

template <class T>
struct GlossyView {
    int64_t images, vertices, kinds;  // B, V, K
    const T* positions;               // [B,V,3] world, metres
    const T* normals;                 // [B,V,3] unit
    const T* centres;                 // [B,3] of the cameras, world
    const T* forms;                   // [K,9,9]
    const int32_t* kind;              // [V] the form of each vertex; others than 0 to K - 1: no gloss

    HEADFIT_HD int64_t parts() const { return (vertices + kGlossPart - 1) / kGlossPart; }  // of one image
    // The last vertex of a part, plus one.
    HEADFIT_HD int64_t end(int64_t part) const {
        return (part + 1) * kGlossPart < vertices ? (part + 1) * kGlossPart : vertices;
    }
    HEADFIT_HD bool glossy(int64_t vertex) const { return kind[vertex] >= 0 && kind[vertex] < kinds; }
    HEADFIT_HD const T* form(int64_t vertex) const { return forms + kHarmonics * kHarmonics * int64_t(kind[vertex]); }
};

template <class T>
struct GlossGradients {
    T* positions;  // [B,V,3]
    T* normals;    // [B,V,3]
    T* forms;      // [B*parts(),K,9,9]
};

// A vertex as a camera sees it.
template <class T>
struct Mirror {
    Vec3<T> ray, normal, mirrored;
    T along, scale;  // ray . normal, 1 / |ray|
    bool scaled;     // false where the length is clamped
    Harmonics<T> of;

    HEADFIT_HD Mirror(const GlossyView<T>& view, int64_t image, int64_t vertex) {
        const int64_t row = image * view.vertices + vertex;
        ray = row_of(view.positions, row) - row_of(view.centres, image);
        normal = row_of(view.normals, row);
        const T length = std::sqrt(dot(ray, ray));
        scaled = !(length < T(kShortestRay));
        scale = T(1) / (scaled ? length : T(kShortestRay));
        along = dot(ray, normal);
        mirrored = scale * (ray - T(2) * along * normal);
        of = harmonics(mirrored);
    }
};

template <class T>
HEADFIT_HD inline Harmonics<T> times(const T* form, const Harmonics<T>& of) {
    Harmonics<T> result;
    for (int i = 0; i < kHarmonics; ++i) result.h[i] = form[i] * of.h[0];
    for (int j = 1; j < kHarmonics; ++j)
        for (int i = 0; i < kHarmonics; ++i) result.h[i] += form[kHarmonics * j + i] * of.h[j];
    return result;
}

template <class T>
HEADFIT_HD inline T gloss_of(const GlossyView<T>& view, int64_t image, int64_t vertex) {
    if (!view.glossy(vertex)) return T(0);
    const Mirror<T> at(view, image, vertex);
    const Harmonics<T> product = times(view.form(vertex), at.of);
    T total = 0;
    for (int i = 0; i < kHarmonics; ++i) total += at.of.h[i] * product.h[i];
    return total;
}

// Writes the gradients of one glossy vertex's position and normal; g: that of its gloss.
template <class T>
HEADFIT_HD inline void gloss_backward(const GlossyView<T>& view, const Mirror<T>& at, int64_t image, int64_t vertex, T g,
                                      const GlossGradients<T>& out) {
    const Harmonics<T> product = times(view.form(vertex), at.of);
    const Vec3<T> of_mirrored = harmonics_backward(at.mirrored, [&](int k) { return T(2) * g * product.h[k]; });
    const Vec3<T> G = at.scale * of_mirrored;
    const T on_normal = dot(G, at.normal), shrinks = at.scaled ? dot(G, at.mirrored) * at.scale : T(0);
    const int64_t row = image * view.vertices + vertex;
    store(out.positions, row, G - T(2) * on_normal * at.normal - shrinks * at.ray);
    store(out.normals, row, T(-2) * (at.along * G + on_normal * at.ray));
}

// The upper triangle of the gradient of a form, to add to.
template <class T>
struct FormSums {
    T upper[kHarmonics * (kHarmonics + 1) / 2] = {};

    HEADFIT_HD void add(const Harmonics<T>& of, T g) {
        int at = 0;
        HEADFIT_UNROLL
        for (int i = 0; i < kHarmonics; ++i) {
            const T scaled = g * of.h[i];
            HEADFIT_UNROLL
            for (int j = i; j < kHarmonics; ++j) upper[at++] += scaled * of.h[j];
        }
    }
    HEADFIT_HD void write(T* form) const {
        int at = 0;
        HEADFIT_UNROLL
        for (int i = 0; i < kHarmonics; ++i)
            HEADFIT_UNROLL
            for (int j = i; j < kHarmonics; ++j)
                form[kHarmonics * i + j] = form[kHarmonics * j + i] = upper[at++];
    }
};

}  // namespace headfit
