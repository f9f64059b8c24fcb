// SIMD types for several pixels of a row, in the vector extensions shared by GCC and Clang: plain arithmetic, compiled
// to whatever the target has. They are passed by reference, because passing them by value depends on the instruction
// set.
#pragma once

#include <cstdint>
#include <cstring>

// Compiles a function both for AVX2 and for baseline x86-64; the loader chooses. Everything it calls has to be inlined
// into it, or would be compiled for baseline x86-64 only.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && !defined(HEADFIT_SANITIZED)
#define HEADFIT_CLONES __attribute__((target_clones("avx2", "default"), flatten))
#else
#define HEADFIT_CLONES
#endif
#define HEADFIT_INLINE inline __attribute__((always_inline))

namespace headfit {

constexpr int kLanes = 8;

template <class T, int N = kLanes>
struct Lanes {
    typedef T Vector __attribute__((vector_size(N * sizeof(T))));
    typedef int32_t Integers __attribute__((vector_size(N * sizeof(int32_t))));
    using Mask = decltype(Vector{} < Vector{});  // all bits of a lane set where the comparison holds

    static HEADFIT_INLINE bool any(const Mask& mask) {
        int64_t words[sizeof(Mask) / sizeof(int64_t)], all = 0;
        std::memcpy(words, &mask, sizeof(mask));
        for (int64_t word : words) all |= word;
        return all != 0;
    }

    // Stores `value` in the lanes of the mask and `old` in the others.
    static HEADFIT_INLINE void store(const Mask& mask, const Vector& value, const Vector& old, T* at) {
        const Vector chosen = mask ? value : old;
        std::memcpy(at, &chosen, sizeof(chosen));
    }

    static HEADFIT_INLINE void store(const Mask& mask, int32_t value, int32_t* at) {
        const Integers holds = __builtin_convertvector(mask, Integers);
        Integers old;
        std::memcpy(&old, at, sizeof(old));
        old = (holds & value) | (~holds & old);
        std::memcpy(at, &old, sizeof(old));
    }
};

// Three<T> (core/three.h) in one vector register; the fourth lane repeats the third. Aligned no more strictly than
// memory from the heap is.
template <class T>
struct FourLanes {
    using Scalar = T;
    typedef T Vector __attribute__((vector_size(4 * sizeof(T)), aligned(16)));
    using Mask = decltype(Vector{} < Vector{});
    Vector v;

    FourLanes() = default;
    HEADFIT_INLINE FourLanes(const Vector& v) : v(v) {}
    HEADFIT_INLINE explicit FourLanes(T all) : v{all, all, all, all} {}
    HEADFIT_INLINE FourLanes(T a, T b, T c) : v{a, b, c, c} {}
    HEADFIT_INLINE T operator[](int k) const { return v[k]; }
};

// Three consecutive numbers.
template <class T>
HEADFIT_INLINE FourLanes<T> three_lanes(const T* from) {
    return FourLanes<T>(from[0], from[1], from[2]);
}

// Stores three lanes. If one more number may be overwritten, a single store does it.
template <class T>
HEADFIT_INLINE void store_three(const FourLanes<T>& a, bool one_more, T* to) {
    if (one_more)
        std::memcpy(to, &a, 4 * sizeof(T));
    else
        std::memcpy(to, &a, 3 * sizeof(T));
}

template <class T>
HEADFIT_INLINE FourLanes<double> in_double(const FourLanes<T>& a) {
    return FourLanes<double>(__builtin_convertvector(a.v, FourLanes<double>::Vector));
}

template <class T>
struct FourMask {
    typename FourLanes<T>::Mask v;
};

#define HEADFIT_FOUR_LANES(op)                                                                        \
    template <class T>                                                                                \
    HEADFIT_INLINE FourLanes<T> operator op(const FourLanes<T>& a, const FourLanes<T>& b) {           \
        return a.v op b.v;                                                                            \
    }
HEADFIT_FOUR_LANES(+)
HEADFIT_FOUR_LANES(-)
HEADFIT_FOUR_LANES(*)
HEADFIT_FOUR_LANES(/)
#undef HEADFIT_FOUR_LANES

#define HEADFIT_FOUR_LANES(op)                                                                        \
    template <class T>                                                                                \
    HEADFIT_INLINE FourMask<T> operator op(const FourLanes<T>& a, const FourLanes<T>& b) {            \
        return {a.v op b.v};                                                                          \
    }
HEADFIT_FOUR_LANES(>)
HEADFIT_FOUR_LANES(>=)
HEADFIT_FOUR_LANES(==)
#undef HEADFIT_FOUR_LANES

template <class T>
HEADFIT_INLINE FourMask<T> operator&(const FourMask<T>& a, const FourMask<T>& b) {
    return {a.v & b.v};
}
template <class T>
HEADFIT_INLINE FourMask<T> operator|(const FourMask<T>& a, const FourMask<T>& b) {
    return {a.v | b.v};
}
template <class T>
HEADFIT_INLINE bool all(const FourMask<T>& mask) {
    int64_t words[sizeof(mask) / sizeof(int64_t)], every = -1;
    std::memcpy(words, &mask, sizeof(mask));
    for (int64_t word : words) every &= word;
    return every == -1;
}
template <class T>
HEADFIT_INLINE FourLanes<T> select(const FourMask<T>& which, const FourLanes<T>& a, const FourLanes<T>& b) {
    return which.v ? a.v : b.v;
}
template <class T>
HEADFIT_INLINE FourLanes<T> next(const FourLanes<T>& a) {
    return FourLanes<T>(a.v[1], a.v[2], a.v[0]);
}
template <class T>
HEADFIT_INLINE FourLanes<T> previous(const FourLanes<T>& a) {
    return FourLanes<T>(a.v[2], a.v[0], a.v[1]);
}
template <class T>
HEADFIT_INLINE FourMask<T> begins_lower(const int32_t id[3], const FourLanes<T>&) {
    using Mask = typename FourLanes<T>::Mask;
    return {Mask{id[1], id[2], id[0], id[0]} < Mask{id[2], id[0], id[1], id[1]}};
}

}  // namespace headfit
