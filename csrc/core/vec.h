// Small vectors. Everything in core/ is plain C++ that works on one triangle, one pixel or one pair of pixels; under
// nvcc, HEADFIT_HD compiles it for the GPU as well.
#pragma once

#ifndef HEADFIT_HD
#ifdef __CUDACC__
#define HEADFIT_HD __host__ __device__
#else
#define HEADFIT_HD
#endif
#endif

// Keeps a loop with a long body from being unrolled: copies of the body would cost a kernel registers.
#ifdef __CUDACC__
#define HEADFIT_NO_UNROLL _Pragma("unroll 1")
#else
#define HEADFIT_NO_UNROLL
#endif

namespace headfit {

template <class T>
struct Vec2 {
    T x, y;
};

template <class T>
struct Vec3 {
    T x, y, z;
};

template <class T>
HEADFIT_HD inline Vec2<T> operator-(Vec2<T> a, Vec2<T> b) {
    return {a.x - b.x, a.y - b.y};
}

template <class T>
HEADFIT_HD inline Vec2<T> operator+(Vec2<T> a, Vec2<T> b) {
    return {a.x + b.x, a.y + b.y};
}

template <class T>
HEADFIT_HD inline Vec2<T> operator*(T s, Vec2<T> a) {
    return {s * a.x, s * a.y};
}

template <class T>
HEADFIT_HD inline T dot(Vec2<T> a, Vec2<T> b) {
    return a.x * b.x + a.y * b.y;
}

template <class T>
HEADFIT_HD inline T cross(Vec2<T> a, Vec2<T> b) {
    return a.x * b.y - a.y * b.x;
}

template <class T>
HEADFIT_HD inline Vec2<T> screen(Vec3<T> v) {
    return {v.x, v.y};
}

template <class T>
HEADFIT_HD inline T component(Vec2<T> a, int axis) {
    return axis == 0 ? a.x : a.y;
}

}  // namespace headfit
