// What translated kernels (translate.py) call: the registers of the running thread, checked memory, and the instructions that
// are no operators of C++.
#pragma once

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace ptx {

struct Index3 {
    uint32_t x, y, z;
};

struct Thread {
    Index3 tid, ntid, ctaid, nctaid;
    uint32_t number;  // within the launch, from 1
};
extern Thread thread;

struct Registered {
    const char* name;
    void (*run)(const unsigned char* parameters);
    uint32_t max_threads;                      // of a block
    std::vector<std::pair<int, int>> parameters;  // offset and size in bytes

    Registered(const char* name, void (*run)(const unsigned char*), uint32_t max_threads,
               std::vector<std::pair<int, int>> parameters);
};

// source: the PTX statement that does it.
void fault(const std::string& what, const char* source);

enum class Access { load, load_volatile, store, atomic };
void check_access(uint64_t at, unsigned bytes, Access kind, const char* source);

template <class To, class From>
inline To bits(From x) {
    static_assert(sizeof(To) == sizeof(From), "");
    To y;
    memcpy(&y, &x, sizeof(y));
    return y;
}

template <class T>
inline T parameter(const unsigned char* at) {
    T x;
    memcpy(&x, at, sizeof(x));
    return x;
}

template <class T>
inline T load(uint64_t at, const char* source) {
    check_access(at, sizeof(T), Access::load, source);
    return *reinterpret_cast<const T*>(at);
}

template <class T>
inline T load_volatile(uint64_t at, const char* source) {
    check_access(at, sizeof(T), Access::load_volatile, source);
    return *reinterpret_cast<const T*>(at);
}

template <class T>
inline void store(uint64_t at, T x, const char* source) {
    check_access(at, sizeof(T), Access::store, source);
    *reinterpret_cast<T*>(at) = x;
}

template <class T, class Change>
inline T change(uint64_t at, const Change& changed, const char* source) {
    check_access(at, sizeof(T), Access::atomic, source);
    T& x = *reinterpret_cast<T*>(at);
    const T before = x;
    x = changed(before);
    return before;
}
template <class T>
inline T atomic_add(uint64_t at, T x, const char* source) {
    return change<T>(at, [=](T old) { return T(old + x); }, source);
}
template <class T>
inline T atomic_min(uint64_t at, T x, const char* source) {
    return change<T>(at, [=](T old) { return x < old ? x : old; }, source);
}
template <class T>
inline T atomic_max(uint64_t at, T x, const char* source) {
    return change<T>(at, [=](T old) { return x > old ? x : old; }, source);
}

// PTX clamps and makes 0 of NaN; no kernel should rely on it.
template <class I, class F>
inline I to_integer(F rounded, const char* source) {
    constexpr F low = F(std::numeric_limits<I>::min()), beyond = F(std::numeric_limits<I>::max());  // rounded up to a power of 2
    if (rounded >= low && rounded < beyond) return I(rounded);
    fault("conversion of a number beyond the integer's range", source);
    return rounded != rounded ? 0 : (rounded < 0 ? std::numeric_limits<I>::min() : std::numeric_limits<I>::max());
}
template <class I, class F>
inline I to_integer_rzi(F x, const char* source) {
    return to_integer<I>(std::trunc(x), source);
}
template <class I, class F>
inline I to_integer_rni(F x, const char* source) {
    return to_integer<I>(std::nearbyint(x), source);
}

template <class I>
inline I divide(I a, I b, const char* source) {
    if (b != 0) return a / b;
    fault("division by 0", source);
    return I(-1);
}
template <class I>
inline I remainder(I a, I b, const char* source) {
    if (b != 0) return a % b;
    fault("division by 0", source);
    return a;
}

inline float saturate(float x) { return x > 0 ? (x < 1 ? x : 1.f) : 0.f; }

inline float fma_down(float a, float b, float c) {
    const int before = fegetround();
    fesetround(FE_DOWNWARD);
    volatile float x = a, y = b, z = c;
    volatile float result = std::fma(x, y, z);
    fesetround(before);
    return result;
}

inline float exp2_approx(float x) {
    const float y = std::exp2(x);
    return std::abs(y) < std::numeric_limits<float>::min() ? 0.f : y;
}

// Reads and writes the upper 32 bits only.
inline double reciprocal_approx(double x) {
    constexpr uint64_t kept = ~0xffffffffull;
    return bits<double>(bits<uint64_t>(1.0 / bits<double>(bits<uint64_t>(x) & kept)) & kept);
}

}  // namespace ptx
