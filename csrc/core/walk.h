// Walking over the mesh along a segment on screen, from face to face across shared edges.
#pragma once

#include "core/mesh.h"

namespace headfit {

// A mesh with its connectivity. adjacency[f,k] is the face across the edge opposite corner k of face f, or -1 if that
// edge is open or non-manifold.
template <class Real, class Stored>
struct Surface {
    Mesh<Real, Stored> mesh;
    const int32_t* adjacency;  // [F,3]
    const int32_t* group;      // [F]

    HEADFIT_HD int32_t across(int32_t face, int corner) const { return adjacency[3 * int64_t(face) + corner]; }
};

// The inverse depth w = 1/z over a face. It is linear on screen under any perspective.
template <class Real>
struct InverseDepth {
    Vec2<Real> origin, gradient;
    Real value;

    HEADFIT_HD Real at(Vec2<Real> q) const { return value + dot(gradient, q - origin); }
};

template <class Real, class Stored>
HEADFIT_HD inline InverseDepth<Real> inverse_depth(const Mesh<Real, Stored>& mesh, int32_t face) {
    const Vec3<Real> p0 = mesh.corner(face, 0), p1 = mesh.corner(face, 1), p2 = mesh.corner(face, 2);
    const Vec2<Real> e1 = screen(p1) - screen(p0), e2 = screen(p2) - screen(p0);
    const Real w0 = 1 / p0.z, d1 = 1 / p1.z - w0, d2 = 1 / p2.z - w0, area = cross(e1, e2);
    if (area == 0) return {screen(p0), {0, 0}, w0};
    return {screen(p0), {(d1 * e2.y - d2 * e1.y) / area, (d2 * e1.x - d1 * e2.x) / area}, w0};
}

enum class WalkEnd {
    reached,  // the end of the segment, in `face`
    edge,     // the surface ends at the edge opposite `corner` of `face`: an open border, or the next face folds back
    clipped,  // `face` reaches the near plane
};

template <class Real>
struct Walk {
    WalkEnd end = WalkEnd::reached;
    int32_t face = -1;
    int corner = -1;
    Real t = 1;  // where the walk ended: 0 at the start of the segment, 1 at its end
    // The first edge crossed between faces of different groups; label_face < 0 if there is none.
    int32_t label_face = -1;
    int label_corner = -1;
    Real label_t = 1;
};

// The side (sign) of the screen line through p and q on which the face with third corner r lies. A corner behind the
// camera appears mirrored.
template <class Real>
HEADFIT_HD inline Real side_of_edge(Vec3<Real> p, Vec3<Real> q, Vec3<Real> r) {
    return cross(screen(q) - screen(p), screen(r) - screen(p)) * front_or_behind(r);
}

// The corner of `face` opposite the edge it shares with `other`.
template <class Real, class Stored>
HEADFIT_HD inline int corner_towards(const Surface<Real, Stored>& surface, int32_t face, int32_t other) {
    return surface.across(face, 0) == other ? 0 : (surface.across(face, 1) == other ? 1 : 2);
}

// Whether the surface continues, without folding back on screen, across the edge opposite corner k of `face` into
// `next`, whose corner opposite that edge is k_next.
template <class Real, class Stored>
HEADFIT_HD inline bool goes_on(const Surface<Real, Stored>& surface, int32_t face, int k, int32_t next, int k_next) {
    const Vec3<Real> opposite = surface.mesh.corner(next, k_next);
    if (!is_finite(opposite)) return false;
    const Vec3<Real> p = surface.mesh.corner(face, next_corner(k)), q = surface.mesh.corner(face, previous_corner(k));
    return !(side_of_edge(p, q, opposite) * side_of_edge(p, q, surface.mesh.corner(face, k)) > 0);
}

constexpr int kMaxWalk = 256;

// Walks from `face`, which covers `from`, along the surface towards `to`.
template <class Real, class Stored>
HEADFIT_HD inline Walk<Real> walk(const Surface<Real, Stored>& surface, int32_t face, Vec2<Real> from, Vec2<Real> to) {
    Walk<Real> result;
    const Vec2<Real> d = to - from;
    Real t = 0;
    int entered = -1;
    for (int step = 0; step < kMaxWalk; ++step) {
        // The edge functions l_k at the start (positive inside) and their decrease c_j - c_i over the segment: l_k at
        // the end is
        //   cross(r_i - d, r_j - d) = cross(r_i, r_j) - (cross(d, r_j) - cross(d, r_i)),   r = p - from, d = to - from.
        Vec3<Real> p[3];
        Vec2<Real> r[3];
        Real l[3], c[3];
        for (int k = 0; k < 3; ++k) {
            p[k] = surface.mesh.corner(face, k);
            r[k] = screen(p[k]) - from;
            c[k] = cross(d, r[k]);
        }
        for (int k = 0; k < 3; ++k) l[k] = cross(r[next_corner(k)], r[previous_corner(k)]);
        const Real facing = l[0] + l[1] + l[2] >= 0 ? Real(1) : Real(-1);
        int exit = -1;
        Real t_exit = 1;
        for (int k = 0; k < 3; ++k) {
            const Real inside = facing * front_or_behind(p[k]);
            const Real fall = inside * (c[previous_corner(k)] - c[next_corner(k)]);
            if (k == entered || !(fall > 0) || !(inside * l[k] < t_exit * fall)) continue;
            t_exit = inside * l[k] / fall;
            exit = k;
        }
        t_exit = exit < 0 ? Real(1) : (t_exit > t ? t_exit : t);
        result.face = face;

        if (!(p[0].z > Real(kNear) && p[1].z > Real(kNear) && p[2].z > Real(kNear))) {
            const InverseDepth<Real> w = inverse_depth(surface.mesh, face);
            const Real w0 = w.at(from), rise = w.at(to) - w0, t_near = (1 / Real(kNear) - w0) / rise;
            if (rise > 0 && t_near < t_exit) {
                result.end = WalkEnd::clipped;
                result.t = t_near > t ? t_near : t;
                return result;
            }
        }
        if (exit < 0) return result;

        const int32_t next = surface.across(face, exit);
        const int k_next = next < 0 ? -1 : corner_towards(surface, next, face);
        if (next < 0 || !goes_on(surface, face, exit, next, k_next)) {
            result.end = WalkEnd::edge;
            result.corner = exit;
            result.t = t_exit;
            return result;
        }
        if (result.label_face < 0 && surface.group[next] != surface.group[face]) {
            result.label_face = face;
            result.label_corner = exit;
            result.label_t = t_exit;
        }
        t = t_exit;
        entered = k_next;
        face = next;
    }
    result.face = face;
    return result;  // too many faces to cross: treated as reached
}

}  // namespace headfit
