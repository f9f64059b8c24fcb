// Kernels that are wrong on purpose, to show that the shim reports them.
#include "broken.h"

#include "cuda/launch.h"

namespace {

__global__ void count_racy(int64_t threads, int* sum) {
    if (int64_t(blockIdx.x) * blockDim.x + threadIdx.x < threads) *sum += 1;
}

__global__ void count_atomic(int64_t threads, int* sum) {
    if (int64_t(blockIdx.x) * blockDim.x + threadIdx.x < threads) atomicAdd(sum, 1);
}

__global__ void count_beside_atomic(int64_t threads, int* sum) {
    const int64_t thread = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (thread < threads) atomicAdd(sum, 1);
    if (thread == threads) *sum = 0;
}

__global__ void write_beyond(int64_t threads, int* out) { out[blockIdx.x * blockDim.x + threadIdx.x] = int(threads); }

}  // namespace

void run_broken(const std::string& kind, int64_t threads, int* out) {
    using namespace headfit::cuda;
    const auto start = [&](void (*kernel)(int64_t, int*)) {
        launch(kernel, dim3(blocks_for(threads, 32)), dim3(32), Queue{0, nullptr}, threads, out);
    };
    if (kind == "racy") start(count_racy);
    if (kind == "atomic") start(count_atomic);
    if (kind == "beside_atomic") start(count_beside_atomic);
    if (kind == "beyond") start(write_beyond);
}
