// The rasterizer on a GPU: the operations of cpu/cpu.h, with pointers to device memory, launched into a stream. No call
// waits for the device, so none can look at values: an index_img value that is no face counts as background, and faces
// must have been checked before.
#pragma once

#include "core/jump_loss.h"
#include "core/texture.h"
#include "cuda/launch.h"

namespace headfit {
namespace cuda {

// Bytes of scratch memory for deterministic sums of `count` values.
inline int64_t deterministic_bytes(int64_t count) { return 8 * (count + 1); }

// Bytes of workspace for rasterize; with less, large faces are drawn more slowly, down to the depth buffer's size.
int64_t rasterize_bytes(const Shape& shape);

template <class T>
void rasterize(const Shape& shape, const T* v_pix, const int32_t* faces, void* workspace, int64_t bytes,
               int32_t* index_img, T* bary, T* depth, const Queue& queue);

// scratch: deterministic_bytes of grad_v for sums that are bit-identical from run to run, null for fast ones.
template <class T>
void rasterize_backward(const Shape& shape, const T* v_pix, const int32_t* faces, const int32_t* index_img,
                        const T* grad_bary, const T* grad_depth, T* grad_v, void* scratch, const Queue& queue);

template <class T>
void interpolate(const Shape& shape, int channels, bool shared, const T* attributes, const int32_t* faces,
                 const int32_t* index_img, const T* bary, T* image, const Queue& queue);

// scratch: as above, of grad_attributes.
template <class T>
void interpolate_backward(const Shape& shape, int channels, bool shared, const T* attributes, const int32_t* faces,
                          const int32_t* index_img, const T* bary, const T* grad_image, T* grad_attributes,
                          T* grad_bary, void* scratch, const Queue& queue);

template <class T>
void edge_grad_backward(const Shape& shape, int channels, const T* grad_image, const T* image, const T* v_pix,
                        const int32_t* faces, const int32_t* adjacency, const int32_t* group,
                        const int32_t* index_img, T* grad_v, void* scratch, const Queue& queue);

template <class T>
void pixel_loss_backward(const Shape& shape, int channels, Penalty penalty, double scale, const T* grad_loss,
                         const T* image, const T* target, const T* v_pix, const int32_t* faces,
                         const int32_t* adjacency, const int32_t* group, const int32_t* index_img, T* grad_v,
                         void* scratch, const Queue& queue);

template <class T>
void sample_texture(const Shape& shape, const MipShape& mips, int channels, bool shared, const T* pyramid, const T* uv,
                    const int32_t* index_img, const int32_t* group, T* image, T* level, const Queue& queue);

// scratch: as above, of grad_pyramid. Without index_img, as level is -1 on background.
template <class T>
void sample_texture_backward(const Shape& shape, const MipShape& mips, int channels, bool shared, const T* pyramid,
                             const T* uv, const T* level, const T* grad_image, T* grad_pyramid, T* grad_uv,
                             void* scratch, const Queue& queue);

}  // namespace cuda
}  // namespace headfit
