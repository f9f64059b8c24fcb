// Launching kernels. The tests compile the same sources for the host with HEADFIT_HOST_SHIM defined; a header of theirs
// then replaces the CUDA runtime.
#pragma once

#ifdef HEADFIT_HOST_SHIM
#include "host_shim.h"
#else
#include <cuda_runtime.h>
#endif

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "core/sizes.h"

namespace headfit {
namespace cuda {

inline void check(cudaError_t error, const char* what) {
    if (error != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

// Where a call runs, and its temporary device memory. Nothing waits for the stream: a call never synchronizes with the
// host.
struct Queue {
    int device;
    cudaStream_t stream;
    void* workspace = nullptr;
    int64_t workspace_bytes = 0;
};

// Makes a device the current one of this thread. This library links the CUDA runtime statically, so its current device
// is separate from that of torch's runtime.
class DeviceGuard {
  public:
    explicit DeviceGuard(int device) {
        check(cudaGetDevice(&previous_), "cudaGetDevice");
        if (device == previous_) return;
        check(cudaSetDevice(device), "cudaSetDevice");
        changed_ = true;
    }
    // cudaSetDevice creates a context on its device, so it is not called needlessly.
    ~DeviceGuard() {
        if (changed_) cudaSetDevice(previous_);
    }
    DeviceGuard(const DeviceGuard&) = delete;
    DeviceGuard& operator=(const DeviceGuard&) = delete;

  private:
    int previous_ = 0;
    bool changed_ = false;
};

#if defined(__CUDACC__) || defined(HEADFIT_HOST_SHIM)
// Launches a kernel, unless the grid is empty.
template <class... Parameters>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, const Queue& queue, Parameters... arguments) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
#ifdef HEADFIT_HOST_SHIM
    host_shim::run(grid, block, queue.stream, [=] { kernel(arguments...); });
#else
    kernel<<<grid, block, 0, queue.stream>>>(arguments...);
    check(cudaGetLastError(), "kernel launch");
#endif
}

#endif

inline void fill_bytes(void* memory, int byte, int64_t bytes, const Queue& queue) {
    if (bytes > 0) check(cudaMemsetAsync(memory, byte, size_t(bytes), queue.stream), "cudaMemsetAsync");
}

// Blocks of pixels: a warp is 32 neighbours in a row, so that it reads and writes whole sectors of memory.
constexpr int kBlockX = 32, kBlockY = 8, kBlock = kBlockX * kBlockY;

inline unsigned blocks_for(int64_t count, int block) { return unsigned((count + block - 1) / block); }

inline void check_limit(int64_t count, int64_t most, const char* what) {
    if (count > most)
        throw std::invalid_argument("CUDA: " + std::to_string(count) + " " + what + " are too many for one call, at most " +
                                    std::to_string(most));
}

// The grid for images of `rows` rows of `columns` elements, with one layer of blocks for each image (or several). Throws if a
// launch cannot have as many, so callers make their grids before they enqueue anything. Columns fit an int, also after they are
// rounded up to whole blocks.
inline dim3 grid_of(int64_t columns, int64_t rows, int64_t images, int rows_per_block = kBlockY, int layers_per_image = 1) {
    constexpr int64_t kMaxBlocksYZ = 65535;
    check_limit(columns, std::numeric_limits<int32_t>::max() - kBlockX, "values in a row of pixels");
    check_limit(rows, kMaxBlocksYZ * rows_per_block, "rows");
    check_limit(images, kMaxBlocksYZ / layers_per_image, "images");
    return dim3(blocks_for(columns, kBlockX), blocks_for(rows, rows_per_block), unsigned(images * layers_per_image));
}

// The grid of blocks of kBlock threads for one thread per vertex of each image.
inline dim3 grid_of_rows(int64_t rows) {
    check_limit(rows, int64_t(std::numeric_limits<int32_t>::max()) * kBlock, "vertices of all images");
    return dim3(blocks_for(rows, kBlock));
}

}  // namespace cuda
}  // namespace headfit
