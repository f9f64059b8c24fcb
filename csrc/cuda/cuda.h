// The operators of cpu/cpu.h on a GPU, with pointers to device memory, launched into a stream. No call waits for the
// device, so values cannot be checked: an index_img value out of range counts as background, and faces must be checked
// beforehand.
#pragma once

#include "core/gloss.h"
#include "core/normals.h"
#include "core/pair.h"
#include "core/shade.h"
#include "core/texture.h"
#include "cuda/launch.h"

namespace headfit {
namespace cuda {

// Bytes of workspace with which an operator that sums into `count` values does so in an order-independent way,
// bit-identical from run to run. Without workspace, sums are faster.
inline int64_t deterministic_bytes(int64_t count) { return 8 * (count + 1); }

// Bytes of workspace that rasterize should get; it needs at least those of the depth buffer, 8 (B H W + 1), and with
// few more draws large faces more slowly.
int64_t rasterize_bytes(const Sizes& sizes);

template <class T>
void rasterize(const Scene<T>& scene, const Raster<T>& out, const Queue& queue);

template <class T>
void rasterize_backward(const Scene<T>& scene, const T* grad_bary, const T* grad_depth, T* grad_v, const Queue& queue);

template <class T>
void interpolate(const Scene<T>& scene, const Attributes<T>& attributes, const T* bary, const T* background, T* image,
                 const Queue& queue);

template <class T>
void interpolate_backward(const Scene<T>& scene, const Attributes<T>& attributes, const T* bary, const T* grad_image,
                          const InterpolationGradients<T>& out, const Queue& queue);

template <class T, class Loss>
void edge_grad_backward(const Scene<T>& scene, const Loss& loss, T* grad_v, const Queue& queue);

template <class T>
void label_loss(const LabelView<T>& view, T* loss, const Queue& queue);

template <class T>
void sample_texture(const TextureView<T>& view, const Attributes<T>& pyramid, T* image, T* level, const Queue& queue);

template <class T>
void sample_texture_backward(const TextureView<T>& view, const Attributes<T>& pyramid, const T* level,
                             const T* grad_image, T* grad_pyramid, T* grad_uv, const Queue& queue);

// P of ShadeGradients::sums: a thread adds up the pixels of a part of a column.
int64_t shade_sums(int height, int width);

template <class T>
void shade(const ShadedView<T>& view, T* image, const Queue& queue);

template <class T>
void shade_backward(const ShadedView<T>& view, const bool* still, const T* grad_image, const ShadeGradients<T>& out,
                    const Queue& queue);

template <class T>
void vertex_normals(int64_t images, const OppositeEdges& opposite, const T* vertices, const Normals<T>& out,
                    const Queue& queue);

template <class T>
void vertex_normals_backward(int64_t images, const OppositeEdges& opposite, const T* vertices,
                             const Normals<const T>& known, const T* grad_normals, T* grad_sums, T* grad_vertices,
                             const Queue& queue);

template <class T>
void gloss(const GlossyView<T>& view, T* out, const Queue& queue);

template <class T>
void gloss_backward(const GlossyView<T>& view, const T* grad, const GlossGradients<T>& out, const Queue& queue);

}  // namespace cuda
}  // namespace headfit
