// The part of the CUDA runtime that csrc/cuda and nvcc's launch stubs call. A launch runs the kernel's translation, its blocks
// and their threads in random order, one thread after the other; the limits are those of all architectures since 7.5.
#include <cuda_runtime.h>

#include <map>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>
#include <utility>

#include "executor.h"
#include "memory.h"

namespace ptx {

Thread thread;

namespace {

struct Launch {
    dim3 grid, block;
    size_t shared;
    cudaStream_t stream;
};

// Made at their first use, since translations and stubs register before this file's own variables exist.
std::map<std::string, const Registered*>& registered() {
    static std::map<std::string, const Registered*> by_name;
    return by_name;
}
std::map<const void*, std::string>& names() {
    static std::map<const void*, std::string> of_stubs;
    return of_stubs;
}
std::vector<Launch> pending;
std::set<uintptr_t> streams;
std::mt19937 engine;
cudaError_t last_error = cudaSuccess;

cudaError_t fail(cudaError_t error, const std::string& why, const std::string& where) {
    fault(why, where.c_str());
    return last_error = error;
}

bool is_valid(const Launch& launch, const Registered& kernel) {
    const dim3 &grid = launch.grid, &block = launch.block;
    const uint64_t threads = uint64_t(block.x) * block.y * block.z;
    return grid.x >= 1 && grid.x <= 2147483647u && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535 &&
           threads >= 1 && threads <= kernel.max_threads && block.z <= 64 && launch.shared == 0;
}

void run(const Registered& kernel, const Launch& launch, const unsigned char* parameters) {
    const dim3 &grid = launch.grid, &block = launch.block;
    std::vector<uint32_t> blocks(size_t(grid.x) * grid.y * grid.z), threads(block.x * block.y * block.z);
    std::iota(blocks.begin(), blocks.end(), 0u);
    std::iota(threads.begin(), threads.end(), 0u);
    std::shuffle(blocks.begin(), blocks.end(), engine);
    for (const uint32_t b : blocks) {
        std::shuffle(threads.begin(), threads.end(), engine);
        for (const uint32_t t : threads) {
            thread = {{t % block.x, t / block.x % block.y, t / block.x / block.y},
                      {block.x, block.y, block.z},
                      {b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y},
                      {grid.x, grid.y, grid.z},
                      b * uint32_t(threads.size()) + t + 1};
            kernel.run(parameters);
        }
    }
}

}  // namespace

Registered::Registered(const char* name, void (*run)(const unsigned char*), uint32_t max_threads,
                       std::vector<std::pair<int, int>> parameters)
    : name(name), run(run), max_threads(max_threads), parameters(std::move(parameters)) {
    registered()[name] = this;
}

void seed(unsigned value) { engine.seed(value); }

std::set<uintptr_t> take_streams() { return std::exchange(streams, {}); }

}  // namespace ptx

using namespace ptx;

extern "C" {
void** CUDARTAPI __cudaRegisterFatBinary(void*) {
    static void* handle = nullptr;
    return &handle;
}
void CUDARTAPI __cudaRegisterFatBinaryEnd(void**) {}
void CUDARTAPI __cudaUnregisterFatBinary(void**) {}

void CUDARTAPI __cudaRegisterFunction(void**, const char* stub, char*, const char* name, int, uint3*, uint3*, dim3*, dim3*,
                                      int*) {
    names()[stub] = name;
}

cudaError_t CUDARTAPI __cudaGetKernel(cudaKernel_t* kernel, const void* stub) {
    *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(stub));
    return cudaSuccess;
}

unsigned CUDARTAPI __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, CUstream_st* stream) {
    pending.push_back({grid, block, shared, stream});
    return 0;
}

cudaError_t CUDARTAPI __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
    const Launch launch = pending.back();
    pending.pop_back();
    *grid = launch.grid;
    *block = launch.block;
    *shared = launch.shared;
    *static_cast<cudaStream_t*>(stream) = launch.stream;
    return cudaSuccess;
}

cudaError_t CUDARTAPI __cudaLaunchKernel(cudaKernel_t stub, dim3 grid, dim3 block, void** arguments, size_t shared,
                                         cudaStream_t stream) {
    const std::string& name = names()[reinterpret_cast<const void*>(stub)];
    const auto found = registered().find(name);
    if (found == registered().end()) return fail(cudaErrorInvalidDeviceFunction, "no such kernel", name);
    const Registered& kernel = *found->second;
    const Launch launch{grid, block, shared, stream};
    if (!is_valid(launch, kernel)) return fail(cudaErrorInvalidConfiguration, "invalid launch", name);
    const auto& [offset, size] = kernel.parameters.back();
    std::vector<unsigned char> parameters(size_t(offset + size));
    for (size_t i = 0; i < kernel.parameters.size(); ++i)
        memcpy(&parameters[size_t(kernel.parameters[i].first)], arguments[i], size_t(kernel.parameters[i].second));
    streams.insert(reinterpret_cast<uintptr_t>(stream));
    begin_launch(name);
    try {
        run(kernel, launch, parameters.data());
    } catch (const std::out_of_range&) {  // was reported
        return last_error = cudaErrorIllegalAddress;
    }
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaMemsetAsync(void* memory, int byte, size_t bytes, cudaStream_t stream) {
    streams.insert(reinterpret_cast<uintptr_t>(stream));
    fill(memory, byte, bytes);
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
const char* CUDARTAPI cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorIllegalAddress ? "illegal address" : "invalid launch";
}
cudaError_t CUDARTAPI cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
cudaError_t CUDARTAPI cudaSetDevice(int) {
    fault("cudaSetDevice was called for the current device", "");
    return cudaSuccess;
}
}
