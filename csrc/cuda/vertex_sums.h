// Scatter-add from pixels to vertices.
//
// Fast: floating-point atomics, whose order, and hence rounding, changes from run to run. Deterministic: integer
// atomics in fixed point. Integer sums do not depend on the order, so the result is bit-identical from run to run. The
// unit is a power of two chosen from the data: the kernel first runs once to find the largest contribution (a maximum
// does not depend on the order either). With an upper bound on the number of contributions, that determines the finest
// unit that cannot overflow: for 2^20 pixels 2^-37 of the largest contribution, or finer.
#pragma once

#include "cuda/atomics.h"
#include "cuda/cuda.h"

namespace headfit {
namespace cuda {

enum class Sum { fast, find_largest, fixed_point };

constexpr int kNotFinite = 1024;  // exponent of infinity and NaN

template <class T>
struct VertexSums {
    Sum how;
    T* out;
    Bits64* fixed;    // shaped like out
    Bits64* largest;  // bits of a non-negative double, which are ordered like the number
    int count_bits;   // there are fewer than 2^count_bits contributions

    __device__ int exponent_of_largest() const { return int(*largest >> 52) - 1023; }

    // Units per 1, a power of two such that the largest possible sum is below 2^62 units.
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

// Converts fixed point to floating point. A contribution that is not finite makes all sums NaN, because in fixed point
// it is unknown which sum it belongs to.
template <class T>
__global__ void __launch_bounds__(kBlock) finish_sums(VertexSums<T> sums, int64_t count) {
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const bool finite = sums.exponent_of_largest() < kNotFinite;
    sums.out[i] = T(finite ? double((long long)(sums.fixed[i])) / sums.units() : from_bits(~Bits64(0)));
}

// Overwrites out[count] with the sums of what run(sums) adds, in at most `contributions` calls of add:
// deterministically if the queue has a workspace, else the fast way.
template <class T, class Run>
void sum_to(T* out, int64_t count, double contributions, const Queue& queue, const Run& run) {
    if (count == 0) return;
    VertexSums<T> sums{Sum::fast, out, nullptr, nullptr, 0};
    if (queue.workspace_bytes == 0) {
        fill_bytes(out, 0, count * int64_t(sizeof(T)), queue);
        return run(sums);
    }
    if (queue.workspace_bytes < deterministic_bytes(count))
        throw std::invalid_argument("deterministic sums: the workspace is too small");
    fill_bytes(queue.workspace, 0, deterministic_bytes(count), queue);
    sums.largest = static_cast<Bits64*>(queue.workspace);
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
