// Sums over pixels that land on vertices.
//
// Fast: floating-point atomics, whose order and so whose rounding changes from run to run. Deterministic: integer
// atomics. Integers add up to the same in any order, so the result is bit-identical from run to run. The unit is a power
// of two that follows from the data: the kernel first runs once to find the largest contribution (a maximum has no order
// either), which with an upper bound of the number of contributions says how fine the unit can be without overflow. For
// 2^20 pixels that is 2^-37 of the largest contribution, or finer.
#pragma once

#include "cuda/atomics.h"
#include "cuda/cuda.h"

namespace headfit {
namespace cuda {

enum class Sum { fast, find_largest, fixed_point };

constexpr int kNotFinite = 1024;  // the exponent of infinity and NaN

template <class T>
struct VertexSums {
    Sum how;
    T* out;
    Bits64* fixed;     // as out
    Bits64* largest;   // bits of a positive double: ordered like the number
    int count_bits;    // there are less than 2^count_bits contributions

    __device__ int exponent_of_largest() const { return int(*largest >> 52) - 1023; }

    // 2^n is at most the unit's inverse: the largest sum in units is below 2^62.
    __device__ double units() const {
        const int n = 61 - count_bits - exponent_of_largest();
        return from_bits(Bits64(1023 + (n > 1023 ? 1023 : n)) << 52);
    }

    __device__ void add(int64_t i, T value) const {
        if (how == Sum::fast) {
            atomicAdd(out + i, value);
        } else if (how == Sum::find_largest) {
            const Bits64 bits = bits_of(double(value < 0 ? -value : value)) & ~(Bits64(1) << 63);
            if (bits > read_relaxed(largest)) atomicMax(largest, bits);
        } else if (exponent_of_largest() < kNotFinite) {
            atomicAdd(fixed + i, Bits64(llrint(double(value) * units())));
        }
    }
};


// One contribution that is not finite makes all sums NaN: in fixed point it cannot be told whose it was.
template <class T>
__global__ void __launch_bounds__(kBlock) finish_sums(VertexSums<T> sums, int64_t count) {
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const bool finite = sums.exponent_of_largest() < kNotFinite;
    sums.out[i] = T(finite ? double((long long)(sums.fixed[i])) / sums.units() : from_bits(~Bits64(0)));
}

// Overwrites out[count] with what run(sums) adds; at most `contributions` calls of add. scratch: deterministic_bytes,
// or null for the fast way.
template <class T, class Run>
void sum_to(T* out, int64_t count, double contributions, void* scratch, const Queue& queue, const Run& run) {
    if (count == 0) return;
    VertexSums<T> sums{Sum::fast, out, nullptr, nullptr, 0};
    if (!scratch) {
        fill_bytes(out, 0, count * int64_t(sizeof(T)), queue);
        return run(sums);
    }
    fill_bytes(scratch, 0, deterministic_bytes(count), queue);
    sums.largest = static_cast<Bits64*>(scratch);
    sums.fixed = sums.largest + 1;
    while (double(Bits64(1) << sums.count_bits) <= contributions) ++sums.count_bits;
    sums.how = Sum::find_largest;
    run(sums);
    sums.how = Sum::fixed_point;
    run(sums);
    launch(finish_sums<T>, dim3(blocks_for(count, kBlock)), dim3(kBlock), queue, sums, count);
}

}  // namespace cuda
}  // namespace headfit
