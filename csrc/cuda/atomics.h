// Bit representations of floating-point numbers, and the atomics that the CUDA runtime lacks.
#pragma once

#include <cstring>

#include "cuda/launch.h"

namespace headfit {
namespace cuda {

using Bits64 = unsigned long long;

inline __device__ unsigned bits_of(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

inline __device__ Bits64 bits_of(double value) {
    Bits64 bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

inline __device__ double from_bits(Bits64 bits) {
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

// Reads a value that other threads of the same launch change atomically; the result may be out of date.
inline __device__ Bits64 read_relaxed(const Bits64* at) {
#ifdef HEADFIT_HOST_SHIM
    return host_shim::atomic_read(at);
#else
    return *static_cast<const volatile Bits64*>(at);
#endif
}

}  // namespace cuda
}  // namespace headfit
