# The kernels of csrc/cuda. The CUDA runtime is linked statically and looks for the driver only when it is first used, so
# the same module loads on a machine without a GPU.

# Those of torch's own CUDA builds (release 2.13, CUDA 13.0); machine code for each, and PTX for whatever comes later.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 90-real 100-real 120)
endif()
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)

add_library(headfit_cuda STATIC csrc/cuda/rasterize.cu csrc/cuda/rasterize_backward.cu csrc/cuda/interpolate.cu
                                csrc/cuda/edge_grad.cu csrc/cuda/gloss.cu csrc/cuda/label_loss.cu csrc/cuda/normals.cu
                                csrc/cuda/shade.cu csrc/cuda/texture.cu)
set_target_properties(headfit_cuda PROPERTIES POSITION_INDEPENDENT_CODE ON CUDA_VISIBILITY_PRESET hidden)
target_include_directories(headfit_cuda PUBLIC csrc)
target_link_libraries(headfit_cuda PUBLIC CUDA::cudart_static)
# The kernels compute the numbers of the CPU, so nothing is contracted into fused multiply-adds: visibility must agree bit for
# bit, and the area of a collapsed face must be exactly 0, not the rounding error of one of two products.
# The host compiler also sees "#pragma unroll".
target_compile_options(headfit_cuda PRIVATE -fmad=false --expt-relaxed-constexpr -Xcompiler=-Wall,-Wextra,-Wno-unknown-pragmas)
if(HEADFIT_CUDA_REPORT)
  target_compile_options(headfit_cuda PRIVATE -Xptxas=-v)
else()
  target_compile_options(headfit_cuda PRIVATE --threads=2)
endif()
if(HEADFIT_WERROR)
  target_compile_options(headfit_cuda PRIVATE -Werror=all-warnings -Xcompiler=-Werror)
endif()
