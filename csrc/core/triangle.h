// One triangle against one pixel centre: coverage, barycentrics, depth, and their derivatives.
//
// Let E_k(q) = cross(p_i - q, p_j - q) for the edge (i, j) opposite corner k, with p on screen, and w = 1/z. The point
// of the face's plane seen at q has perspective-correct barycentrics
//     b_k = E_k w_k / S,   S = sum E_k w_k,   and depth   z = sum b_k z_k = sum E_k / S.
// Both are ratios of homogeneous polynomials in (x z, y z, z), so they also hold for vertices behind the camera.
// q is covered if all b_k >= 0 and z > near: clipping is done per pixel and creates no vertices. With s = sign(area),
// the conditions z > 0 and b_k >= 0 together are equivalent to  s sign(z_k) E_k >= 0  for each k.
#pragma once

#include <limits>

#include "core/mesh.h"
#include "core/three.h"

namespace headfit {

// A half-open range of pixels.
struct PixelBox {
    int x0, y0, x1, y1;
    HEADFIT_HD bool empty() const { return x0 >= x1 || y0 >= y1; }
};

// The corners of a face. V: Three<T>, or FourLanes<T> on the CPU.
template <class V>
struct Corners {
    V x, y, z;

    template <class Real, class Stored>
    HEADFIT_HD Corners(const Mesh<Real, Stored>& mesh, const int32_t id[3]) {
        const Vec3<Real> p0 = mesh.vertex(id[0]), p1 = mesh.vertex(id[1]), p2 = mesh.vertex(id[2]);
        x = V(p0.x, p1.x, p2.x);
        y = V(p0.y, p1.y, p2.y);
        z = V(p0.z, p1.z, p2.z);
    }
};

// Edge functions  t_k(q) = a_k (q.x - x_k) + b_k (q.y - y_k) = s sign(z_k) E_k(q),  with (x_k, y_k) the vertex of the
// edge that has the lower index. Two faces that share an edge then compute exactly the same number up to sign, because
// a and b of one are the negated a and b of the other: no pixel centre is covered twice or missed between them.
template <class V>
struct Triangle {
    using T = typename V::Scalar;

    V a, b, x, y;
    V threshold;  // covered if t_k >= threshold_k: 0 for top and left edges, else the smallest positive number
    V abs_w;      // |1/z|
    V side;       // sign(z)

    HEADFIT_HD T edge(int k, T qx, T qy) const { return a[k] * (qx - x[k]) + b[k] * (qy - y[k]); }
    HEADFIT_HD V edges(T qx, T qy) const { return a * (V(qx) - x) + b * (V(qy) - y); }
};

// Sets up `tri`; false if the face cannot be seen because it has no area or a vertex is not finite. Has no
// data-dependent branches besides the two returns, since it runs for every face.
template <class V>
HEADFIT_HD inline bool setup_triangle(const Corners<V>& p, const int32_t id[3], Triangle<V>& tri) {
    using T = typename V::Scalar;
    const V zero(T(0)), one(T(1)), minus_one(T(-1));
    // NaN and infinity times 0 are NaN.
    if (!all((p.x * zero + p.y * zero + p.z * zero == zero) & ((p.z > zero) | (zero > p.z)))) return false;
    const V xi = next(p.x), yi = next(p.y), xj = previous(p.x), yj = previous(p.y);
    const auto from_i = begins_lower(id, p.x);
    tri.a = yi - yj;
    tri.b = xj - xi;
    tri.x = select(from_i, xi, xj);
    tri.y = select(from_i, yi, yj);
    tri.side = select(p.z > zero, one, minus_one);
    tri.abs_w = tri.side / p.z;
    const T area = tri.edge(0, p.x[0], p.y[0]);
    if (!(area != 0)) return false;
    const V sign = V(area > 0 ? T(1) : T(-1)) * tri.side;
    tri.a = tri.a * sign;
    tri.b = tri.b * sign;
    const auto top_left = (tri.a > zero) | ((tri.a == zero) & (tri.b > zero));
    tri.threshold = select(top_left, zero, V(std::numeric_limits<T>::denorm_min()));
    return true;
}

// The pixel box of one vertex, clamped to the image: from the first pixel whose centre is not left of (above) it to the
// last whose centre is not right of (below) it. It is empty by itself; the union of the boxes of a face's vertices
// contains all pixels that the face may cover. A face with a vertex at or behind the near plane may reach anywhere, so
// the box of such a vertex is the whole image.
template <class T>
HEADFIT_HD inline PixelBox vertex_box(Vec3<T> v, int width, int height) {
    if (!(v.z > T(kNear))) return {0, 0, width, height};
    // The centre of pixel i is i + 1/2. Clamped before the conversion, because a coordinate may be NaN or exceed any
    // int. The conversion rounds down since nothing negative is left; on baseline x86-64, std::floor and std::ceil are
    // calls.
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

// The pixels whose centres the triangle may cover.
template <class V>
HEADFIT_HD inline PixelBox pixel_box(const Corners<V>& p, int width, int height) {
    using T = typename V::Scalar;
    const T near = T(kNear);
    if (!(p.z[0] > near) && !(p.z[1] > near) && !(p.z[2] > near)) return {0, 0, 0, 0};
    const auto box = [&](int k) { return vertex_box(Vec3<T>{p.x[k], p.y[k], p.z[k]}, width, height); };
    return unite(unite(box(0), box(1)), box(2));
}

// False only if no pixel centre of the box is covered. Holds exactly in floating point: t_k is monotone in q.x and q.y
// even after rounding, so its value at the most favourable corner bounds it everywhere in the box.
template <class V>
HEADFIT_HD inline bool may_touch(const Triangle<V>& tri, const PixelBox& box) {
    using T = typename V::Scalar;
    for (int k = 0; k < 3; ++k) {
        const T qx = T(tri.a[k] > 0 ? box.x1 - 1 : box.x0) + T(0.5);
        const T qy = T(tri.b[k] > 0 ? box.y1 - 1 : box.y0) + T(0.5);
        if (tri.edge(k, qx, qy) < tri.threshold[k]) return false;
    }
    return true;
}

// The depth of one covered pixel, from its t_k.
template <class V>
HEADFIT_HD inline typename V::Scalar depth_at(const Triangle<V>& tri, const V& t) {
    return sum(t * tri.side) / sum(t * tri.abs_w);
}

// The depths of a vector of pixels.
template <class V, class Pixels>
HEADFIT_HD inline void depth_at(const Triangle<V>& tri, const Pixels t[3], Pixels& depth) {
    depth = (t[0] * tri.side[0] + t[1] * tri.side[1] + t[2] * tri.side[2]) /
            (t[0] * tri.abs_w[0] + t[1] * tri.abs_w[1] + t[2] * tri.abs_w[2]);
}

// The perspective-correct barycentrics at a covered point q.
template <class V>
HEADFIT_HD inline V bary_at(const Triangle<V>& tri, typename V::Scalar qx, typename V::Scalar qy) {
    const V b = tri.edges(qx, qy) * tri.abs_w;
    const auto total = sum(b);
    return b * V(total > 0 ? 1 / total : 0);
}

// Derivatives of  L = sum over pixels of (sum_k grad_bary_k b_k + grad_depth z)  with respect to the face's vertices,
// for a run of pixels of one row that see the same face. Per pixel, with F_k = E_k w_k:
//   depth:  z = sum b_k z_k                        ->  grad b_k += grad_depth z_k,   grad z_k += grad_depth b_k
//   b_k = F_k / S                                  ->  grad F_k  = (grad b_k - sum_m grad b_m b_m) / S
//   E_k = cross(p_i - q, p_j - q), w_k = 1 / z_k   ->  grad E_k  = grad F_k w_k,     grad z_k -= grad F_k E_k w_k^2
// Along the row, at q = (d, 0) from the first pixel, F_k is linear in d, and so is the rest of the chain to p: it needs
// only sum grad F_k and sum grad F_k d. V: Three or FourLanes, in the precision of the computation.
template <class V>
class BaryDepthBackward {
  public:
    using Real = typename V::Scalar;

    // p: the face's corners; q: the centre of the first pixel.
    HEADFIT_HD BaryDepthBackward(const Corners<V>& p, Vec2<Real> q)
        : x_(p.x - V(q.x)), y_(p.y - V(q.y)), z_(p.z), w_(V(Real(1)) / p.z) {
        F_ = (next(x_) * previous(y_) - next(y_) * previous(x_)) * w_;
        F_step_ = (next(y_) - previous(y_)) * w_;
    }

    // Adds the pixel d steps to the right of the first one.
    template <class Stored>
    HEADFIT_HD void add_pixel(int d, const Stored grad_bary[3], Real grad_depth) {
        const V steps = V(Real(d)), grad_z = V(grad_depth), F = F_ + steps * F_step_;
        const Real S = sum(F);
        if (S == 0) return;
        const V inverse = V(1 / S), b = F * inverse;
        const V g = V(Real(grad_bary[0]), Real(grad_bary[1]), Real(grad_bary[2])) + grad_z * z_;
        const V beyond_mean = g - V(sum(g * b)), grad_F = beyond_mean * inverse;
        grad_F_ = grad_F_ + grad_F;
        grad_F_d_ = grad_F_d_ + grad_F * steps;
        grad_z_ = grad_z_ + (grad_z - beyond_mean * w_) * b;
    }

    // The gradients of the vertices' x, y and z.
    HEADFIT_HD void vertices(V& x, V& y, V& z) const {
        const V grad_E = grad_F_ * w_, grad_E_d = grad_F_d_ * w_;
        x = previous(grad_E) * next(y_) - next(grad_E) * previous(y_);
        y = (next(grad_E) * previous(x_) - next(grad_E_d)) - (previous(grad_E) * next(x_) - previous(grad_E_d));
        z = grad_z_;
    }

  private:
    V x_, y_, z_, w_, F_, F_step_;
    V grad_F_{}, grad_F_d_{}, grad_z_{};
};

}  // namespace headfit
