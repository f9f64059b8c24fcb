// Replaces the CUDA runtime, so that the unchanged kernels of csrc/cuda run on the host.
//
// The threads of a launch are fibers, started in random order, a few dozen at a time, and switched at random at every memory
// access: the kernels are compiled with -fsanitize=thread, and the functions that this calls at each read and write are
// defined in host_shim.cpp instead of the sanitizer. They also check each access: it must lie in an array of the call, and
// no two threads of one launch may access the same word unless both only read or both are atomic.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define HEADFIT_NOT_WATCHED __attribute__((no_sanitize("thread")))

struct dim3 {
    unsigned x, y, z;
    explicit dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

namespace host_shim {

// The indices of the running thread.
struct Place {
    dim3 grid_dim, block_dim, block_index, thread_index;
};
Place here();

// A kernel with its arguments.
struct Call {
    const void* arguments;
    size_t bytes;
    void (*run)(const void* arguments);
};
void run_threads(dim3 grid, dim3 block, void* stream, const Call& call);

template <class Kernel>
void run(dim3 grid, dim3 block, void* stream, const Kernel& kernel) {
    const auto call = [](const void* arguments) { (*static_cast<const Kernel*>(arguments))(); };
    run_threads(grid, block, stream, {&kernel, sizeof(kernel), call});
}

void fill(void* memory, int byte, size_t bytes, void* stream);

// Reports a fault: the only device is already the current one.
void device_set();

// Lets kernels access this memory until the faults are taken.
void allow(const void* memory, size_t bytes);

// Possibly switches threads; everything from here to the next access is atomic.
void before_atomic(const void* at, size_t bytes);

template <class T, class Change>
HEADFIT_NOT_WATCHED T change(T* at, const Change& changed) {
    before_atomic(at, sizeof(T));
    const T old = *at;
    *at = changed(old);
    return old;
}

template <class T>
HEADFIT_NOT_WATCHED T atomic_read(const T* at) {
    before_atomic(at, sizeof(T));
    return *at;
}

}  // namespace host_shim

#define gridDim (host_shim::here().grid_dim)
#define blockDim (host_shim::here().block_dim)
#define blockIdx (host_shim::here().block_index)
#define threadIdx (host_shim::here().thread_index)

template <class T>
T atomicAdd(T* at, T value) {
    return host_shim::change(at, [value](T old) { return T(old + value); });
}
template <class T>
T atomicMin(T* at, T value) {
    return host_shim::change(at, [value](T old) { return value < old ? value : old; });
}
template <class T>
T atomicMax(T* at, T value) {
    return host_shim::change(at, [value](T old) { return value > old ? value : old; });
}

using cudaStream_t = void*;
enum cudaError_t { cudaSuccess };
inline const char* cudaGetErrorString(cudaError_t) { return ""; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaSetDevice(int) { return host_shim::device_set(), cudaSuccess; }
inline cudaError_t cudaMemsetAsync(void* memory, int byte, size_t bytes, cudaStream_t stream) {
    host_shim::fill(memory, byte, bytes, stream);
    return cudaSuccess;
}
