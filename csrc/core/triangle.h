// One triangle against one pixel centre: coverage, barycentrics, depth, and their derivatives.
//
// Write E_k(q) = cross(p_i - q, p_j - q) for the edge (i, j) opposite corner k, p on screen, and w = 1/z. The
// point (x z, y z, z) of the plane that is seen at q has perspective-correct barycentrics
//     b_k = E_k w_k / S,   S = sum E_k w_k,   and depth   z = sum b_k z_k = sum E_k / S.
// Both are ratios of homogeneous polynomials in (x z, y z, z), so they hold for vertices behind the camera, too.
// q is covered where all b_k >= 0 and z > near: clipping happens per pixel and needs no new vertices. With
// s = sign(area), z > 0 and b_k >= 0 are together the same as  s sign(z_k) E_k >= 0  for each k.
#pragma once

#include <limits>

#include "core/mesh.h"

namespace headfit {

// Half-open range of pixels.
struct PixelBox {
    int x0, y0, x1, y1;
    HEADFIT_HD bool empty() const { return x0 >= x1 || y0 >= y1; }
};

// t_k(q) = a_k (q.x - x_k) + b_k (q.y - y_k) = s sign(z_k) E_k(q) is computed from the undirected edge (origin at
// the vertex of lower index, sign applied last), so two faces that share an edge see the same number up to sign.
template <class T>
struct Triangle {
    T a[3], b[3], x[3], y[3];
    T threshold[3];  // covered: t_k >= threshold_k; 0 on top and left edges, else the least positive number
    T abs_w[3];      // |1/z|
    T side[3];       // sign(z)

    HEADFIT_HD T edge(int k, T qx, T qy) const { return a[k] * (qx - x[k]) + b[k] * (qy - y[k]); }
};

// False for what cannot be seen: no area, or a vertex that is not finite.
template <class T>
HEADFIT_HD inline bool setup_triangle(const Vec3<T> p[3], const int32_t id[3], Triangle<T>& tri) {
    if (!is_finite(p[0]) || !is_finite(p[1]) || !is_finite(p[2])) return false;
    for (int k = 0; k < 3; ++k) {
        const int i = next_corner(k), j = previous_corner(k);
        const bool forward = id[i] < id[j];
        const Vec3<T> lo = forward ? p[i] : p[j], hi = forward ? p[j] : p[i];
        const T sign = forward ? T(1) : T(-1);
        tri.a[k] = sign * (lo.y - hi.y);
        tri.b[k] = sign * (hi.x - lo.x);
        tri.x[k] = lo.x;
        tri.y[k] = lo.y;
        tri.side[k] = front_or_behind(p[k]);
        tri.abs_w[k] = tri.side[k] / p[k].z;
    }
    const T area = tri.edge(0, p[0].x, p[0].y);
    if (!(area != 0)) return false;  // also when it overflowed to NaN
    for (int k = 0; k < 3; ++k) {
        const T sign = area > 0 ? tri.side[k] : -tri.side[k];
        tri.a[k] *= sign;
        tri.b[k] *= sign;
        const bool top_left = tri.a[k] > 0 || (tri.a[k] == 0 && tri.b[k] > 0);
        tri.threshold[k] = top_left ? T(0) : std::numeric_limits<T>::denorm_min();
    }
    return true;
}

// Pixels whose centres the triangle may cover. A triangle that crosses the near plane can reach anywhere.
template <class T>
HEADFIT_HD inline PixelBox pixel_box(const Vec3<T> p[3], int width, int height) {
    const T near = T(kNear);
    const int in_front = (p[0].z > near) + (p[1].z > near) + (p[2].z > near);
    if (in_front == 0) return {0, 0, 0, 0};
    if (in_front < 3) return {0, 0, width, height};
    const auto least = [](T a, T b, T c) { return a < b ? (a < c ? a : c) : (b < c ? b : c); };
    const auto most = [](T a, T b, T c) { return a > b ? (a > c ? a : c) : (b > c ? b : c); };
    // The centre of pixel i is i + 1/2. Clamped before the conversion: a coordinate may be NaN or beyond any int.
    // Conversion rounds down, as nothing negative is left; std::floor and std::ceil are calls on plain x86-64.
    const auto clamp = [](T i, int size) { return !(i > 0) ? T(0) : (i < T(size) ? i : T(size)); };
    const auto first = [&](T low, int size) {
        const T i = clamp(low - T(0.5), size);
        return int(i) + (T(int(i)) < i);
    };
    const auto last = [&](T high, int size) { return int(clamp(high + T(0.5), size)); };
    return {first(least(p[0].x, p[1].x, p[2].x), width), first(least(p[0].y, p[1].y, p[2].y), height),
            last(most(p[0].x, p[1].x, p[2].x), width), last(most(p[0].y, p[1].y, p[2].y), height)};
}

// False if no pixel centre of the box is covered. Exact in floating point: t_k is monotone in q.x and q.y, also
// after rounding, so its value at the most favourable corner bounds it everywhere in the box.
template <class T>
HEADFIT_HD inline bool may_touch(const Triangle<T>& tri, const PixelBox& box) {
    for (int k = 0; k < 3; ++k) {
        const T qx = T(tri.a[k] > 0 ? box.x1 - 1 : box.x0) + T(0.5);
        const T qy = T(tri.b[k] > 0 ? box.y1 - 1 : box.y0) + T(0.5);
        if (tri.edge(k, qx, qy) < tri.threshold[k]) return false;
    }
    return true;
}

// Adds to grad[3] the derivatives of  sum_k grad_bary_k b_k + grad_depth z  with respect to the three vertices.
//   depth:  z = sum b_k z_k                        ->  grad b_k += grad_depth z_k,   grad z_k += grad_depth b_k
//   b_k = F_k / S, F_k = E_k w_k                   ->  grad F_k  = (grad b_k - sum_m grad b_m b_m) / S
//   E_k = cross(p_i - q, p_j - q), w_k = 1 / z_k   ->  grad E_k  = grad F_k w_k,     grad z_k -= grad F_k E_k w_k^2
template <class Real>
HEADFIT_HD inline void bary_depth_backward(const Vec3<Real> p[3], Vec2<Real> q, const Real grad_bary[3],
                                           Real grad_depth, Vec3<Real> grad[3]) {
    Vec2<Real> r[3];
    for (int k = 0; k < 3; ++k) r[k] = screen(p[k]) - q;
    Real E[3], w[3], g[3], S = 0, mean = 0;
    for (int k = 0; k < 3; ++k) {
        E[k] = cross(r[next_corner(k)], r[previous_corner(k)]);
        w[k] = 1 / p[k].z;
        g[k] = grad_bary[k] + grad_depth * p[k].z;
        S += E[k] * w[k];
        mean += g[k] * E[k] * w[k];
    }
    if (S == 0) return;
    mean /= S;
    for (int k = 0; k < 3; ++k) {
        const int i = next_corner(k), j = previous_corner(k);
        const Real grad_F = (g[k] - mean) / S, grad_E = grad_F * w[k];
        grad[k].z += grad_depth * E[k] * w[k] / S - grad_F * E[k] * w[k] * w[k];
        grad[i].x += grad_E * r[j].y;
        grad[i].y -= grad_E * r[j].x;
        grad[j].x -= grad_E * r[i].y;
        grad[j].y += grad_E * r[i].x;
    }
}

}  // namespace headfit
