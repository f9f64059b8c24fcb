// A few pixels of a row at once, in the vector extensions that GCC and Clang share: plain arithmetic, compiled to
// whatever the target has. Passed by reference, since how such types are passed by value depends on the instruction
// set.
#pragma once

#include <cstdint>
#include <cstring>

// Functions that are compiled for AVX2 as well as for any x86-64, and chosen by the machine when the library is loaded.
// What they call is inlined into them, or it would be compiled for any x86-64.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && !defined(HEADFIT_SANITIZED)
#define HEADFIT_CLONES __attribute__((target_clones("avx2", "default"), flatten))
#else
#define HEADFIT_CLONES
#endif
#define HEADFIT_INLINE inline __attribute__((always_inline))

namespace headfit {

constexpr int kLanes = 8;

template <class T>
struct Lanes {
    typedef T Vector __attribute__((vector_size(kLanes * sizeof(T))));
    typedef int32_t Integers __attribute__((vector_size(kLanes * sizeof(int32_t))));
    using Mask = decltype(Vector{} < Vector{});  // all bits set in the lanes where it holds

    static HEADFIT_INLINE bool any(const Mask& mask) {
        int64_t words[sizeof(Mask) / sizeof(int64_t)], all = 0;
        std::memcpy(words, &mask, sizeof(mask));
        for (int64_t word : words) all |= word;
        return all != 0;
    }

    // Writes the lanes that hold to memory.
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

}  // namespace headfit
