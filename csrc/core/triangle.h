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

// t_k(q) = a_k (q.x - x_k) + b_k (q.y - y_k) = s sign(z_k) E_k(q), relative to the edge's vertex of lower index: two faces
// that share an edge then see the very same number up to sign, since a and b of the one are those of the other negated.
template <class T>
struct Triangle {
    T a[3], b[3], x[3], y[3];
    T threshold[3];  // covered: t_k >= threshold_k; 0 on top and left edges, else the least positive number
    T abs_w[3];      // |1/z|
    T side[3];       // sign(z)

    HEADFIT_HD T edge(int k, T qx, T qy) const { return a[k] * (qx - x[k]) + b[k] * (qy - y[k]); }
};

// False for what cannot be seen: no area, or a vertex that is not finite. Free of branches that depend on the data but
// for the two returns: it is run for every face.
template <class T>
HEADFIT_HD inline bool setup_triangle(const Vec3<T> p[3], const int32_t id[3], Triangle<T>& tri) {
    if (!is_finite(p[0]) || !is_finite(p[1]) || !is_finite(p[2])) return false;
    for (int k = 0; k < 3; ++k) {
        const int i = next_corner(k), j = previous_corner(k);
        const bool lower = id[i] < id[j];
        tri.a[k] = p[i].y - p[j].y;
        tri.b[k] = p[j].x - p[i].x;
        tri.x[k] = lower ? p[i].x : p[j].x;
        tri.y[k] = lower ? p[i].y : p[j].y;
        tri.side[k] = front_or_behind(p[k]);
        tri.abs_w[k] = tri.side[k] / p[k].z;
    }
    const T area = tri.edge(0, p[0].x, p[0].y);
    if (!(area != 0)) return false;  // also when it overflowed to NaN
    const T facing = area > 0 ? T(1) : T(-1);
    for (int k = 0; k < 3; ++k) {
        tri.a[k] *= facing * tri.side[k];
        tri.b[k] *= facing * tri.side[k];
        const bool top_left = (tri.a[k] > 0) | ((tri.a[k] == 0) & (tri.b[k] > 0));
        tri.threshold[k] = top_left ? T(0) : std::numeric_limits<T>::denorm_min();
    }
    return true;
}

// Pixels from the first whose centre is not left of (above) the vertex up to the last whose centre is not right of
// (below) it: empty, but the boxes of a face's vertices unite to the pixels that the face may cover. Clamped to the
// picture. A vertex at or behind the near plane can make its face reach anywhere: the whole picture.
template <class T>
HEADFIT_HD inline PixelBox vertex_box(Vec3<T> v, int width, int height) {
    if (!(v.z > T(kNear))) return {0, 0, width, height};
    // The centre of pixel i is i + 1/2. Clamped before the conversion: a coordinate may be NaN or beyond any int.
    // Conversion rounds down, as nothing negative is left; std::floor and std::ceil are calls on plain x86-64.
    const auto clamp = [](T i, int size) { return !(i > 0) ? T(0) : (i < T(size) ? i : T(size)); };
    const auto first = [&](T at, int size) {
        const T i = clamp(at - T(0.5), size);
        return int(i) + (T(int(i)) < i);
    };
    const auto last = [&](T at, int size) { return int(clamp(at + T(0.5), size)); };
    return {first(v.x, width), first(v.y, height), last(v.x, width), last(v.y, height)};
}

HEADFIT_HD inline PixelBox unite(const PixelBox& a, const PixelBox& b) {
    return {a.x0 < b.x0 ? a.x0 : b.x0, a.y0 < b.y0 ? a.y0 : b.y0, a.x1 > b.x1 ? a.x1 : b.x1, a.y1 > b.y1 ? a.y1 : b.y1};
}

// Pixels whose centres the triangle may cover.
template <class T>
HEADFIT_HD inline PixelBox pixel_box(const Vec3<T> p[3], int width, int height) {
    const T near = T(kNear);
    if (!(p[0].z > near) && !(p[1].z > near) && !(p[2].z > near)) return {0, 0, 0, 0};
    return unite(unite(vertex_box(p[0], width, height), vertex_box(p[1], width, height)),
                 vertex_box(p[2], width, height));
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

// Depth where q is covered, from t_k(q). V is T or a vector of T, for several pixels at once.
template <class T, class V>
HEADFIT_HD inline void depth_at(const Triangle<T>& tri, const V t[3], V& depth) {
    depth = (t[0] * tri.side[0] + t[1] * tri.side[1] + t[2] * tri.side[2]) /
            (t[0] * tri.abs_w[0] + t[1] * tri.abs_w[1] + t[2] * tri.abs_w[2]);
}

// Perspective-correct barycentrics of a covered q.
template <class T>
HEADFIT_HD inline void bary_at(const Triangle<T>& tri, T qx, T qy, T bary[3]) {
    for (int k = 0; k < 3; ++k) bary[k] = tri.edge(k, qx, qy) * tri.abs_w[k];
    const T sum = bary[0] + bary[1] + bary[2], inverse = sum > 0 ? 1 / sum : T(0);
    for (int k = 0; k < 3; ++k) bary[k] *= inverse;
}

// Derivatives of  L = sum over pixels of  sum_k grad_bary_k b_k + grad_depth z  for pixels of one row that see the same
// face. Per pixel, with F_k = E_k w_k:
//   depth:  z = sum b_k z_k                        ->  grad b_k += grad_depth z_k,   grad z_k += grad_depth b_k
//   b_k = F_k / S                                  ->  grad F_k  = (grad b_k - sum_m grad b_m b_m) / S
//   E_k = cross(p_i - q, p_j - q), w_k = 1 / z_k   ->  grad E_k  = grad F_k w_k,     grad z_k -= grad F_k E_k w_k^2
// Along the row, q = (d, 0) from the first pixel, F_k is linear in d and so is the rest of the chain to p: it needs
// only sum grad F_k and sum grad F_k d.
template <class Real>
class BaryDepthBackward {
  public:
    // p: the face's corners; q: centre of the first pixel.
    HEADFIT_HD BaryDepthBackward(const Vec3<Real> p[3], Vec2<Real> q) {
        for (int k = 0; k < 3; ++k) {
            r_[k] = screen(p[k]) - q;
            z_[k] = p[k].z;
            w_[k] = 1 / p[k].z;
        }
        for (int k = 0; k < 3; ++k) {
            const Vec2<Real> i = r_[next_corner(k)], j = r_[previous_corner(k)];
            F_[k] = cross(i, j) * w_[k];
            F_step_[k] = (i.y - j.y) * w_[k];
        }
    }

    // d: pixels to the right of the first one.
    template <class Stored>
    HEADFIT_HD void add_pixel(int d, const Stored grad_bary[3], Real grad_depth) {
        Real b[3], g[3], S = 0, mean = 0;
        for (int k = 0; k < 3; ++k) S += b[k] = F_[k] + Real(d) * F_step_[k];
        if (S == 0) return;
        const Real inverse = 1 / S;
        for (int k = 0; k < 3; ++k) {
            b[k] *= inverse;
            g[k] = Real(grad_bary[k]) + grad_depth * z_[k];
            mean += g[k] * b[k];
        }
        for (int k = 0; k < 3; ++k) {
            const Real grad_F = (g[k] - mean) * inverse;
            grad_F_[k] += grad_F;
            grad_F_d_[k] += grad_F * Real(d);
            grad_z_[k] += (grad_depth - (g[k] - mean) * w_[k]) * b[k];
        }
    }

    // The three vertices' gradients.
    HEADFIT_HD void vertices(Vec3<Real> grad[3]) const {
        for (int k = 0; k < 3; ++k) grad[k] = {0, 0, grad_z_[k]};
        for (int k = 0; k < 3; ++k) {
            const int i = next_corner(k), j = previous_corner(k);
            const Real grad_E = grad_F_[k] * w_[k], grad_E_d = grad_F_d_[k] * w_[k];
            grad[i].x += grad_E * r_[j].y;
            grad[i].y -= grad_E * r_[j].x - grad_E_d;
            grad[j].x -= grad_E * r_[i].y;
            grad[j].y += grad_E * r_[i].x - grad_E_d;
        }
    }

  private:
    Vec2<Real> r_[3];
    Real z_[3], w_[3], F_[3], F_step_[3];
    Real grad_F_[3] = {}, grad_F_d_[3] = {}, grad_z_[3] = {};
};

}  // namespace headfit
