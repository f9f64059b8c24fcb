// The rasterizer on the CPU. Contiguous arrays, B images of H x W pixels with C channels, V vertices, F faces.
// T is float or double. Errors in the arguments' values are thrown as std::invalid_argument.
#pragma once

#include <cstdint>

#include "core/jump_loss.h"
#include "core/texture.h"
#include "core/shape.h"

namespace headfit {

// index_img [B,H,W] (-1 background), bary [B,H,W,3] perspective-correct, depth [B,H,W]; 0 on background.
template <class T>
void rasterize(const Shape& shape, const T* v_pix, const int32_t* faces, int32_t* index_img, T* bary, T* depth,
               int threads);

// grad_v [B,V,3] is overwritten.
template <class T>
void rasterize_backward(const Shape& shape, const T* v_pix, const int32_t* faces, const int32_t* index_img,
                        const T* grad_bary, const T* grad_depth, T* grad_v, int threads);

// attributes [B,V,C], or [V,C] if `shared`; image [B,H,W,C].
template <class T>
void interpolate(const Shape& shape, int channels, bool shared, const T* attributes, const int32_t* faces,
                 const int32_t* index_img, const T* bary, T* image, int threads);

// grad_attributes (shaped like attributes) and grad_bary [B,H,W,3] are overwritten; either may be null.
template <class T>
void interpolate_backward(const Shape& shape, int channels, bool shared, const T* attributes, const int32_t* faces,
                          const int32_t* index_img, const T* bary, const T* grad_image, T* grad_attributes,
                          T* grad_bary, int threads);

// The micro-edge gradient. adjacency [F,3]: face across the edge opposite each corner or -1; group [F].
// grad_v [B,V,3] is overwritten.
template <class T>
void edge_grad_backward(const Shape& shape, int channels, const T* grad_image, const T* image, const T* v_pix,
                        const int32_t* faces, const int32_t* adjacency, const int32_t* group,
                        const int32_t* index_img, T* grad_v, int threads);

// The same for a loss that is a sum over pixels: sum of grad_loss [B,H,W] times penalty(image, target), both [B,H,W,C].
template <class T>
void pixel_loss_backward(const Shape& shape, int channels, Penalty penalty, double scale, const T* grad_loss,
                         const T* image, const T* target, const T* v_pix, const int32_t* faces,
                         const int32_t* adjacency, const int32_t* group, const int32_t* index_img, T* grad_v,
                         int threads);

// pyramid [B,N,C], or [N,C] if `shared`, the texels of all levels; uv [B,H,W,2]; group [F] the chart of each face, or
// null. image [B,H,W,C], 0 on background; level [B,H,W], which the backward pass needs again, -1 on background.
template <class T>
void sample_texture(const Shape& shape, const MipShape& mips, int channels, bool shared, const T* pyramid, const T* uv,
                    const int32_t* index_img, const int32_t* group, T* image, T* level, int threads);

// At fixed levels. grad_pyramid (shaped like pyramid) and grad_uv [B,H,W,2] are overwritten; either may be null.
template <class T>
void sample_texture_backward(const Shape& shape, const MipShape& mips, int channels, bool shared, const T* pyramid,
                             const T* uv, const int32_t* index_img, const T* level, const T* grad_image,
                             T* grad_pyramid, T* grad_uv, int threads);

}  // namespace headfit
