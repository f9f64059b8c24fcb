// Area-weighted normals of vertices.
//
// The cross product of two edges of a face is normal to it, and twice its area long. The normal of vertex v is the
// direction n = S / |S| of the sum S of the cross products of its faces. From the face (v, a, b) it gets
// (a - v) x (b - v), whichever corner v is, so a vertex only needs the edges (a, b) opposite it.
//
// Backward, with g the gradient of the loss with respect to n:
//
//     dn = (dS - n (n . dS)) / |S|,      so that of S is   G = (g - n (n . g)) / |S|.
//
// The cross product c of a face (v, a, b) is part of the sums of all three, so its gradient is H = G_v + G_a + G_b. And
// c = v x a + a x b + b x v, so moving v alone changes c by dv x (a - b), and the loss by H . (dv x (a - b)) =
// dv . ((a - b) x H). Both passes gather at a vertex what its faces contribute: nothing is summed by two threads.
//
// Where S is shorter than kShortest, no face has an area that gives it a direction: normal and gradient are 0.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/vec.h"

namespace headfit {

constexpr double kShortest = 1e-12;  // twice an area, in the square of the vertices' unit

// The edges opposite each vertex, in order of the vertices: those of vertex v are edges[first[v]] to
// edges[first[v + 1] - 1]. Each is two vertices, in the order in which they follow v around the face.
struct OppositeEdges {
    int64_t vertices, count;  // V, N
    const int32_t* first;     // [V+1]
    const int32_t* edges;     // [N,2]
};

// The outputs of the forward pass; Normals<const T> where the backward pass reads them.
template <class T>
struct Normals {
    T* normals;  // [B,V,3] unit normals
    T* lengths;  // [B,V] |S|
};

template <class T>
HEADFIT_HD inline void vertex_normal(const OppositeEdges& opposite, const T* vertices, int64_t image, int64_t v,
                                     const Normals<T>& out) {
    const int64_t first = image * opposite.vertices;
    const Vec3<T> here = row_of(vertices, first + v);
    Vec3<T> sum{0, 0, 0};
    for (int32_t i = opposite.first[v]; i < opposite.first[v + 1]; ++i) {
        const int32_t a = opposite.edges[2 * int64_t(i)], b = opposite.edges[2 * int64_t(i) + 1];
        sum = sum + cross(row_of(vertices, first + a) - here, row_of(vertices, first + b) - here);
    }
    const T length = std::sqrt(dot(sum, sum));
    out.lengths[first + v] = length;
    store(out.normals, first + v, (length < T(kShortest) ? T(0) : T(1) / length) * sum);
}

// The gradient of S at row i of [B*V].
template <class T>
HEADFIT_HD inline Vec3<T> gradient_of_sum(const Normals<const T>& known, const T* grad_normals, int64_t i) {
    if (known.lengths[i] < T(kShortest)) return {0, 0, 0};
    const Vec3<T> n = row_of(known.normals, i), g = row_of(grad_normals, i);
    return T(1) / known.lengths[i] * (g - dot(n, g) * n);
}

// The gradient of vertex v from those of all sums [B,V,3].
template <class T>
HEADFIT_HD inline Vec3<T> gradient_of_vertex(const OppositeEdges& opposite, const T* vertices, const T* grad_sums,
                                             int64_t image, int64_t v) {
    const int64_t first = image * opposite.vertices;
    const Vec3<T> here = row_of(grad_sums, first + v);
    Vec3<T> total{0, 0, 0};
    for (int32_t i = opposite.first[v]; i < opposite.first[v + 1]; ++i) {
        const int64_t a = first + opposite.edges[2 * int64_t(i)], b = first + opposite.edges[2 * int64_t(i) + 1];
        const Vec3<T> of_face = here + row_of(grad_sums, a) + row_of(grad_sums, b);
        total = total + cross(row_of(vertices, a) - row_of(vertices, b), of_face);
    }
    return total;
}

}  // namespace headfit
