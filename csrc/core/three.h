// Three numbers, one for each corner of a triangle (or for the edge opposite it), with elementwise arithmetic. Code
// written for Three also compiles with FourLanes (cpu/lanes.h), which fits in one vector register.
#pragma once

#include <cstdint>

#include "core/vec.h"

namespace headfit {

template <class T>
struct Three {
    using Scalar = T;
    T v[3];

    HEADFIT_HD Three() : v{} {}
    HEADFIT_HD explicit Three(T all) : v{all, all, all} {}
    HEADFIT_HD Three(T a, T b, T c) : v{a, b, c} {}
    HEADFIT_HD T operator[](int k) const { return v[k]; }
};

template <class T>
HEADFIT_HD inline Three<T> operator+(const Three<T>& a, const Three<T>& b) {
    return {a[0] + b[0], a[1] + b[1], a[2] + b[2]};
}
template <class T>
HEADFIT_HD inline Three<T> operator-(const Three<T>& a, const Three<T>& b) {
    return {a[0] - b[0], a[1] - b[1], a[2] - b[2]};
}
template <class T>
HEADFIT_HD inline Three<T> operator*(const Three<T>& a, const Three<T>& b) {
    return {a[0] * b[0], a[1] * b[1], a[2] * b[2]};
}
template <class T>
HEADFIT_HD inline Three<T> operator/(const Three<T>& a, const Three<T>& b) {
    return {a[0] / b[0], a[1] / b[1], a[2] / b[2]};
}
template <class T>
HEADFIT_HD inline Three<bool> operator>(const Three<T>& a, const Three<T>& b) {
    return {a[0] > b[0], a[1] > b[1], a[2] > b[2]};
}
template <class T>
HEADFIT_HD inline Three<bool> operator>=(const Three<T>& a, const Three<T>& b) {
    return {a[0] >= b[0], a[1] >= b[1], a[2] >= b[2]};
}
template <class T>
HEADFIT_HD inline Three<bool> operator==(const Three<T>& a, const Three<T>& b) {
    return {a[0] == b[0], a[1] == b[1], a[2] == b[2]};
}
HEADFIT_HD inline Three<bool> operator&(const Three<bool>& a, const Three<bool>& b) {
    return {a[0] && b[0], a[1] && b[1], a[2] && b[2]};
}
HEADFIT_HD inline Three<bool> operator|(const Three<bool>& a, const Three<bool>& b) {
    return {a[0] || b[0], a[1] || b[1], a[2] || b[2]};
}
HEADFIT_HD inline bool all(const Three<bool>& a) { return a[0] && a[1] && a[2]; }

template <class T>
HEADFIT_HD inline Three<T> select(const Three<bool>& which, const Three<T>& a, const Three<T>& b) {
    return {which[0] ? a[0] : b[0], which[1] ? a[1] : b[1], which[2] ? a[2] : b[2]};
}

// Element k of the result is element k + 1 (k - 1) of `a`, cyclically.
template <class T>
HEADFIT_HD inline Three<T> next(const Three<T>& a) {
    return {a[1], a[2], a[0]};
}
template <class T>
HEADFIT_HD inline Three<T> previous(const Three<T>& a) {
    return {a[2], a[0], a[1]};
}

template <class V>
HEADFIT_HD inline typename V::Scalar sum(const V& a) {
    return a[0] + a[1] + a[2];
}

// Element k: whether the edge opposite corner k starts at the one of its vertices with the lower index.
template <class T>
HEADFIT_HD inline Three<bool> begins_lower(const int32_t id[3], const Three<T>&) {
    return {id[1] < id[2], id[2] < id[0], id[0] < id[1]};
}

}  // namespace headfit
