// From the derivative of the loss with respect to a boundary's position to the vertices that move the boundary.
//
// If the boundary between pixels A and B moves by dp along the pair's axis, A's colour spreads over B's:
//     dL = G dp,   G = g . (I_A - I_B),   all at the boundary; jump_loss.h derives G.
// Horizontal pairs account for the x component of the boundary's velocity v, vertical pairs for the y component;
// together they are the contour integral of (jump) (v . n) ds = (jump) v_x dy + (jump) v_y dx. Method: "Rasterized Edge
// Gradients", Pidhorskyi et al., ECCV 2024 (arXiv 2405.02508). Different here: what moves is found by walking over the
// mesh, colours are extrapolated to the boundary, and the loss gradient is sharpened.
#pragma once

#include "core/boundary.h"

namespace headfit {

template <class Real>
struct EdgePoint {
    int32_t vertex[2];
    Real weight[2];
};

// The point nearest to P on screen on the edge opposite `corner`, as weights of the edge's vertices. The weights are
// linear on screen: that is how the velocities of two vertices combine at P on the line through them, under any
// perspective.
template <class Real, class Stored>
HEADFIT_HD inline EdgePoint<Real> point_on_edge(const Mesh<Real, Stored>& mesh, int32_t face, int corner, Vec2<Real> P) {
    const int32_t i = mesh.vertex_id(face, next_corner(corner)), j = mesh.vertex_id(face, previous_corner(corner));
    const Vec3<Real> p = mesh.vertex(i), q = mesh.vertex(j);
    const Vec2<Real> e = screen(q) - screen(p);
    const Real length2 = dot(e, e);
    Real s = length2 > 0 ? dot(P - screen(p), e) / length2 : Real(0.5);
    // Only rounding takes s out of [0, 1], unless the edge passes behind the camera: its visible part then lies
    // outside.
    if (p.z > 0 && q.z > 0) s = s < 0 ? Real(0) : (s > 1 ? Real(1) : s);
    return {{i, j}, {1 - s, s}};
}

// The screen-linear barycentrics of P in a face; 1/3 each if the face has no area.
template <class Real, class Stored>
HEADFIT_HD inline void screen_bary(const Mesh<Real, Stored>& mesh, int32_t face, Vec2<Real> P, Real lambda[3]) {
    Vec2<Real> r[3];
    for (int k = 0; k < 3; ++k) r[k] = screen(mesh.corner(face, k)) - P;
    for (int k = 0; k < 3; ++k) lambda[k] = cross(r[next_corner(k)], r[previous_corner(k)]);
    const Real area = lambda[0] + lambda[1] + lambda[2];
    for (int k = 0; k < 3; ++k) lambda[k] = area != 0 ? lambda[k] / area : Real(1) / 3;
}

// Moves a surface point along the axis: a point of an edge, or of the face if no edge is known (corner < 0, a tie).
template <class Real, class Stored, class Add>
HEADFIT_HD inline void move_point(const Mesh<Real, Stored>& mesh, int32_t face, int corner, Vec2<Real> P, int axis,
                                  Real G, const Add& add) {
    if (corner >= 0) {
        const EdgePoint<Real> e = point_on_edge(mesh, face, corner, P);
        for (int i = 0; i < 2; ++i) add(e.vertex[i], axis, e.weight[i] * G);
        return;
    }
    Real lambda[3], total = 0;
    screen_bary(mesh, face, P, lambda);
    for (Real& l : lambda) total += l = l < 0 ? Real(0) : (l > 1 ? Real(1) : l);
    for (int k = 0; k < 3; ++k) add(mesh.vertex_id(face, k), axis, lambda[k] / total * G);
}

// Adds scale * dw(P), the change of a face's inverse depth at the fixed screen point P when its vertices move:
//   w(P) = sum lambda_k w_k;  dw / dz_k = -lambda_k w_k^2,  dw / d(x, y)_k = -lambda_k grad w
template <class Real, class Stored, class Add>
HEADFIT_HD inline void change_inverse_depth(const Mesh<Real, Stored>& mesh, int32_t face, Vec2<Real> P,
                                            Vec2<Real> gradient, Real scale, const Add& add) {
    Real lambda[3];
    screen_bary(mesh, face, P, lambda);
    for (int k = 0; k < 3; ++k) {
        const int32_t id = mesh.vertex_id(face, k);
        const Real w = 1 / mesh.vertex(id).z, l = scale * lambda[k];
        add(id, 0, -l * gradient.x);
        add(id, 1, -l * gradient.y);
        add(id, 2, -l * w * w);
    }
}

// Moves the line w_a = w_b, whose velocity is v = -(dw_a - dw_b) g / |g|^2, g = grad(w_a - w_b). |g| is bounded from
// below for nearly parallel faces: the line moves by at most 100 pixels per pixel that the faces move. face_b < 0: the
// line w_a = const along which the near plane clips face_a.
template <class Real, class Stored, class Add>
HEADFIT_HD inline void move_intersection(const Mesh<Real, Stored>& mesh, int32_t face_a, int32_t face_b, Vec2<Real> P,
                                         int axis, Real G, const Add& add) {
    constexpr Real kGuard = Real(1e-4);  // squared
    const Vec2<Real> ga = inverse_depth(mesh, face_a).gradient;
    const Vec2<Real> gb = face_b >= 0 ? inverse_depth(mesh, face_b).gradient : Vec2<Real>{0, 0};
    const Vec2<Real> g = ga - gb;
    const Real steepest = dot(ga, ga) > dot(gb, gb) ? dot(ga, ga) : dot(gb, gb);
    const Real floor = kGuard * steepest, g2 = dot(g, g) > floor ? dot(g, g) : floor;
    if (!(g2 > 0)) return;
    const Real scale = -G * component(g, axis) / g2;
    HEADFIT_NO_UNROLL
    for (int side = 0; side < (face_b >= 0 ? 2 : 1); ++side)
        change_inverse_depth(mesh, side == 0 ? face_a : face_b, P, side == 0 ? ga : gb, side == 0 ? scale : -scale, add);
}

// Calls add(vertex, component, value) with the derivatives of dL = G dp. axis: 0 for a horizontal pair, 1 for a
// vertical one. What moves is the end of a sheet (its border, its fold, or its intersection with the near plane), a
// label edge, or the line where two sheets intersect. Two borders that meet get half of G each.
template <class Real, class Stored, class Add>
HEADFIT_HD inline void move_boundary(const Mesh<Real, Stored>& mesh, const Boundary<Real>& r, Vec2<Real> A,
                                     Vec2<Real> B, int axis, Real G, const Add& add) {
    const bool open = r.jump == Jump::open, label = r.jump == Jump::label, cross = r.jump == Jump::intersection;
    HEADFIT_NO_UNROLL
    for (int side = 0; side < 2; ++side) {
        const bool of_a = side == 0;
        const Jump mine = of_a ? Jump::a_in_front : Jump::b_in_front;
        if (!(open || r.jump == mine || (of_a && (label || cross)))) continue;
        const Real t = !open ? r.t : (of_a ? r.t_a() : r.t_b()), share = open ? G / 2 : G;
        const Vec2<Real> P = A + t * (B - A);
        const int32_t face = cross ? r.cross_a : (label ? r.label_face : (of_a ? r.a.face : r.b.face));
        const bool clipped = (of_a ? r.a.end : r.b.end) == WalkEnd::clipped;
        if (cross || (clipped && !label))
            move_intersection(mesh, face, cross ? r.cross_b : int32_t(-1), P, axis, share, add);
        else
            move_point(mesh, face, label ? r.label_corner : (of_a ? r.a.corner : r.b.corner), P, axis, share, add);
    }
}

// How far beyond its pixel centre the colour of the sheet in front has to be extrapolated to reach the silhouette, in
// units of the step from the outer neighbour to the centre. `linear` is the distance in pixels. Where the surface turns
// away from the camera, colour changes with depth rather than with pixels: the result is then the ratio of the steps in
// inverse depth, clamped to [linear, max_reach].
template <class Real, class Stored>
HEADFIT_HD inline Real silhouette_extrapolation(const Mesh<Real, Stored>& mesh, const Walk<Real>& end, Vec2<Real> P,
                                                int32_t face, Vec2<Real> centre, int32_t outer_face,
                                                Vec2<Real> outer_centre, Real linear, Real max_reach) {
    if (end.end != WalkEnd::edge) return linear;
    const EdgePoint<Real> e = point_on_edge(mesh, end.face, end.corner, P);
    const Real w_end = e.weight[0] / mesh.vertex(e.vertex[0]).z + e.weight[1] / mesh.vertex(e.vertex[1]).z;
    const Real w = inverse_depth(mesh, face).at(centre), w_outer = inverse_depth(mesh, outer_face).at(outer_centre);
    const Real step = std::abs(w - w_outer);
    if (!(step > Real(1e-6) * w)) return linear;
    const Real reach = std::abs(w_end - w) / step, bound = linear > max_reach ? linear : max_reach;
    return reach < linear ? linear : (reach > bound ? bound : reach);
}

}  // namespace headfit
