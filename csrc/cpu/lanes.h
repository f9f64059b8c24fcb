// A few pixels of a row at once, in the vector extensions that GCC and Clang share: plain arithmetic, compiled to
// whatever the target has (SSE2 on any x86-64, NEON on arm64). Passed by reference, since how such types are
// passed by value depends on the instruction set.
#pragma once

#include <cstdint>
#include <cstring>

namespace headfit {

constexpr int kLanes = 4;

template <class T>
struct Lanes {
    typedef T Vector __attribute__((vector_size(kLanes * sizeof(T))));
    using Mask = decltype(Vector{} < Vector{});  // all bits set in the lanes where it holds

    static bool any(const Mask& mask) {
        int64_t words[sizeof(Mask) / sizeof(int64_t)], all = 0;
        std::memcpy(words, &mask, sizeof(mask));
        for (int64_t word : words) all |= word;
        return all != 0;
    }

    // Writes the lanes that hold to memory.
    static void store(const Mask& mask, const Vector& value, T* at) {
        Vector old;
        std::memcpy(&old, at, sizeof(old));
        old = mask ? value : old;
        std::memcpy(at, &old, sizeof(old));
    }

    static void store(const Mask& mask, int32_t value, int32_t* at) {
        typedef int32_t Integers __attribute__((vector_size(kLanes * sizeof(int32_t))));
        const Integers holds = __builtin_convertvector(mask, Integers);
        Integers old;
        std::memcpy(&old, at, sizeof(old));
        old = (holds & value) | (~holds & old);
        std::memcpy(at, &old, sizeof(old));
    }
};

}  // namespace headfit
