// Tells the executor which arrays a call has. Only csrc/cuda/bindings.cpp is compiled with HEADFIT_HOST_SHIM and so with this
// header; nvcc compiles the kernels without it.
#pragma once

#include <cuda_runtime.h>

#include "memory.h"

namespace host_shim {

inline void allow(const void* input, size_t bytes) { ptx::allow(input, bytes, false, false); }
inline void allow(void* output, size_t bytes) { ptx::allow(output, bytes, true, false); }

// The workspace, the only array of bytes, comes first in each call.
inline void allow(unsigned char* workspace, size_t bytes) {
    ptx::begin_call();
    ptx::allow(workspace, bytes, true, true);
}

template <class Kernel>
void run(dim3, dim3, cudaStream_t, const Kernel&);  // not called by the bindings

}  // namespace host_shim
