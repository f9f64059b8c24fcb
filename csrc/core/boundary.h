// The boundary between two neighbouring pixel centres A and B that see different faces, found by walking over the mesh.
//
// A's sheet is the surface reached from A's face by crossing edges towards B; it ends at t_a (at a fold or an open
// border, or 1 if it reaches B). B's sheet is reached from B likewise and begins at t_b. t is 0 at A and 1 at B.
#pragma once

#include "core/walk.h"

namespace headfit {

enum class Jump {
    none,          // one surface, one group: interpolation at fixed visibility already has the whole gradient
    label,         // one surface, different groups: the edge between the groups moves
    a_in_front,    // A's sheet ends in front of B's sheet or the background: a silhouette, fold or open border
    b_in_front,    // likewise B's sheet, in front of A's
    intersection,  // the sheets pass through each other
    open,          // neither sheet hides the other's border: two borders meet, or something unseen lies between them
};

template <class Real>
struct Boundary {
    Jump jump = Jump::none;
    Real t = 0;          // position between A and B
    Walk<Real> a, b;     // b was walked from B, so its t is 0 at B
    int32_t cross_a = -1, cross_b = -1;  // the faces that intersect
    int32_t label_face = -1;             // the label edge is opposite this face's label_corner; -1 if unknown
    int label_corner = -1;

    HEADFIT_HD Real t_a() const { return a.t; }
    HEADFIT_HD Real t_b() const { return 1 - b.t; }
};

template <class Real, class Stored>
HEADFIT_HD inline bool share_vertex(const Mesh<Real, Stored>& mesh, int32_t f, int32_t g) {
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j)
            if (mesh.vertex_id(f, i) == mesh.vertex_id(g, j)) return true;
    return false;
}

// The most common case, decided without a walk: f and g share an edge and do not fold there.
template <class Real, class Stored>
HEADFIT_HD inline bool side_by_side(const Surface<Real, Stored>& surface, int32_t f, int32_t g) {
    const int k = corner_towards(surface, f, g);
    return surface.across(f, k) == g && goes_on(surface, f, k, g, corner_towards(surface, g, f));
}

// Whether two open borders coincide on screen and in depth: a cut in one surface (duplicated vertices along a UV seam,
// a T-junction).
template <class Real, class Stored>
HEADFIT_HD inline bool is_seam(const Surface<Real, Stored>& surface, const Boundary<Real>& r, Vec2<Real> A,
                               Vec2<Real> B) {
    if (r.a.end != WalkEnd::edge || r.b.end != WalkEnd::edge || std::abs(r.t_a() - r.t_b()) >= Real(1e-3)) return false;
    if (surface.across(r.a.face, r.a.corner) >= 0 || surface.across(r.b.face, r.b.corner) >= 0) return false;
    const InverseDepth<Real> wa = inverse_depth(surface.mesh, r.a.face), wb = inverse_depth(surface.mesh, r.b.face);
    const Vec2<Real> P = A + r.t_a() * (B - A);
    const Real slopes = std::abs(dot(wa.gradient, B - A)) + std::abs(dot(wb.gradient, B - A));
    return std::abs(wa.at(P) - wb.at(P)) <= Real(1e-3) * slopes + Real(1e-6) * wa.at(P);
}

// Finds where w_a = w_b, given w_a - w_b at t_b and at t_a: a secant step, then Newton steps, each with the faces of
// the two sheets at the current point.
template <class Real, class Stored>
HEADFIT_HD inline void find_intersection(const Surface<Real, Stored>& surface, int32_t a, int32_t b, Vec2<Real> A,
                                         Vec2<Real> B, Real at_tb, Real at_ta, Boundary<Real>& r) {
    constexpr int kNewtonSteps = 2;
    const Real low = r.t_b(), high = r.t_a(), fall = at_tb - at_ta;
    const auto clamp = [](Real x, Real lo, Real hi) { return x < lo ? lo : (x > hi ? hi : x); };
    Real t = fall > 0 ? low + clamp(at_tb / fall, 0, 1) * (high - low) : (low + high) / 2;
    HEADFIT_NO_UNROLL
    for (int step = 0; step < kNewtonSteps; ++step) {
        const Vec2<Real> P = A + t * (B - A);
        HEADFIT_NO_UNROLL
        for (int side = 0; side < 2; ++side) {
            const int32_t face = walk(surface, side == 0 ? a : b, side == 0 ? A : B, P).face;
            if (side == 0)
                r.cross_a = face;
            else
                r.cross_b = face;
        }
        const InverseDepth<Real> wa = inverse_depth(surface.mesh, r.cross_a);
        const InverseDepth<Real> wb = inverse_depth(surface.mesh, r.cross_b);
        const Real slope = dot(wa.gradient - wb.gradient, B - A);
        if (slope < 0) t = clamp(t - (wa.at(P) - wb.at(P)) / slope, low, high);
    }
    r.jump = Jump::intersection;
    r.t = t;
}

// Finds the boundary between A and B. a, b: the faces seen there, different, -1 for background.
//
// Ties (a centre exactly on an edge or on an intersection) must be found as jumps, so two sheets are one surface only
// if the walk ends in a face that shares a vertex with the face seen there; never because their depths are close.
//
// The CPU path skips a pair without calling this (surely_one_surface in cpu/fast_walk.h) if a and b have the same group
// and either
//   - side_by_side(a, b), which is the first test below; or
//   - walk_reaches(a, b). That is true only if the straight path from A along the pair's axis enters b after at most 8
//     edges, each crossed through its interior into a face in front of the near plane that does not fold back. Those
//     are the steps that walk() takes from A towards B, which b covers, so walk() ends as `reached` in b (or, with B
//     within rounding of an edge of b, in the face on the other side of that edge). Either shares a vertex with b, and
//     the first turn of the loop below returns `none`.
// Both shortcuts are one-sided: what they do not recognise comes here. A change to these rules has to keep them true,
// which tests/raster/test_shortcuts.py checks on random pairs.
template <class Real, class Stored>
HEADFIT_HD inline Boundary<Real> find_boundary(const Surface<Real, Stored>& surface, int32_t a, int32_t b,
                                               Vec2<Real> A, Vec2<Real> B) {
    Boundary<Real> r;
    const bool two_faces = a >= 0 && b >= 0;
    const bool same_group = two_faces && surface.group[a] == surface.group[b];
    if (same_group && side_by_side(surface, a, b)) return r;

    HEADFIT_NO_UNROLL
    for (int side = 0; side < 2; ++side) {
        const bool from_a = side == 0;
        const int32_t seen = from_a ? a : b, other = from_a ? b : a;
        if (seen < 0) continue;
        const Walk<Real> path = walk(surface, seen, from_a ? A : B, from_a ? B : A);
        if (two_faces && path.end == WalkEnd::reached && share_vertex(surface.mesh, path.face, other)) {
            if (same_group) return r;
            r.jump = Jump::label;
            r.label_face = path.label_face >= 0 ? path.label_face : path.face;
            r.label_corner = path.label_corner;
            r.t = from_a ? path.label_t : 1 - path.label_t;
            return r;
        }
        if (from_a)
            r.a = path;
        else
            r.b = path;
    }
    if (!two_faces) {
        r.jump = a >= 0 ? Jump::a_in_front : Jump::b_in_front;
        r.t = a >= 0 ? r.t_a() : r.t_b();
        return r;
    }
    if (is_seam(surface, r, A, B)) {
        if (same_group) return r;
        r.jump = Jump::open;
        r.t = (r.t_a() + r.t_b()) / 2;
        return r;
    }
    if (r.t_a() <= r.t_b()) {
        r.jump = Jump::open;
        r.t = (r.t_a() + r.t_b()) / 2;
        return r;
    }
    // Both sheets exist between t_b and t_a: which is nearer where B's begins, and which where A's ends?
    const Vec2<Real> P_a = A + r.t_a() * (B - A), P_b = A + r.t_b() * (B - A);
    Real at_tb = 0, at_ta = 0;  // w_a - w_b
    HEADFIT_NO_UNROLL
    for (int side = 0; side < 2; ++side) {
        const bool b_begins = side == 0;
        const Vec2<Real> P = b_begins ? P_b : P_a;
        const int32_t passing = walk(surface, b_begins ? a : b, b_begins ? A : B, P).face;
        const Real beyond = inverse_depth(surface.mesh, passing).at(P) -
                            inverse_depth(surface.mesh, b_begins ? r.b.face : r.a.face).at(P);
        if (b_begins)
            at_tb = beyond;
        else
            at_ta = -beyond;
    }
    // A sheet that reaches the other's centre in front of it, yet is not seen there, has its border exactly on that
    // centre; unless the sheets intersect there and their depths are equal up to rounding.
    constexpr Real kTie = Real(1e-3);
    if (at_tb < 0 && (r.b.end != WalkEnd::reached || -at_tb > kTie * std::abs(at_ta))) {
        r.jump = Jump::b_in_front;
        r.t = r.t_b();
    } else if (at_ta > 0 && (r.a.end != WalkEnd::reached || at_ta > kTie * std::abs(at_tb))) {
        r.jump = Jump::a_in_front;
        r.t = r.t_a();
    } else {
        find_intersection(surface, a, b, A, B, at_tb, at_ta, r);
    }
    return r;
}

}  // namespace headfit
