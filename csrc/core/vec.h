// Small vectors. Everything in core/ is plain C++ that works on one triangle, one pixel or one pair of pixels; under
// nvcc, HEADFIT_HD compiles it for the GPU as well.
#pragma once

#include <cstdint>

#ifndef HEADFIT_HD
#ifdef __CUDACC__
#define HEADFIT_HD __host__ __device__
#else
#define HEADFIT_HD
#endif
#endif

// Keeps a loop with a long body from being unrolled: copies of the body would cost a kernel registers.
// HEADFIT_UNROLL unrolls a loop over a small array, which a kernel can keep in registers only if all indices are constant.
#ifdef __CUDACC__
#define HEADFIT_NO_UNROLL _Pragma("unroll 1")
#define HEADFIT_UNROLL _Pragma("unroll")
#else
#define HEADFIT_NO_UNROLL
#define HEADFIT_UNROLL
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
HEADFIT_HD inline Vec3<T> operator-(Vec3<T> a, Vec3<T> b) {
    return {a.x - b.x, a.y - b.y, a.z - b.z};
}

template <class T>
HEADFIT_HD inline Vec3<T> operator+(Vec3<T> a, Vec3<T> b) {
    return {a.x + b.x, a.y + b.y, a.z + b.z};
}

template <class T>
HEADFIT_HD inline Vec3<T> operator*(T s, Vec3<T> a) {
    return {s * a.x, s * a.y, s * a.z};
}

template <class T>
HEADFIT_HD inline T dot(Vec3<T> a, Vec3<T> b) {
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

template <class T>
HEADFIT_HD inline Vec3<T> cross(Vec3<T> a, Vec3<T> b) {
    return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

// Rows of arrays [N,3].
template <class T>
HEADFIT_HD inline Vec3<T> row_of(const T* rows, int64_t i) {
    return {rows[3 * i], rows[3 * i + 1], rows[3 * i + 2]};
}

template <class T>
HEADFIT_HD inline void store(T* rows, int64_t i, Vec3<T> value) {
    rows[3 * i] = value.x;
    rows[3 * i + 1] = value.y;
    rows[3 * i + 2] = value.z;
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
