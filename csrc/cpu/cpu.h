// The operators on the CPU. Arrays are contiguous and T is float or double. B images of H x W pixels with C channels, V
// vertices, F faces. Outputs are overwritten. Throws std::invalid_argument if an index is out of range.
#pragma once

#include <cstdint>

#include "core/gloss.h"
#include "core/normals.h"
#include "core/pair.h"
#include "core/shade.h"
#include "core/texture.h"

namespace headfit {

template <class T>
void rasterize(const Scene<T>& scene, const Raster<T>& out, int threads);

// grad_v [B,V,3] from grad_bary [B,H,W,3] and grad_depth [B,H,W], at fixed visibility.
template <class T>
void rasterize_backward(const Scene<T>& scene, const T* grad_bary, const T* grad_depth, T* grad_v, int threads);

// image [B,H,W,C] from the attributes of the V vertices, and from background [B,H,W,C], or 0 if that is null, where no
// face is visible. scene: sizes, faces (corresponding to the rasterized ones) and index_img.
template <class T>
void interpolate(const Scene<T>& scene, const Attributes<T>& attributes, const T* bary, const T* background, T* image,
                 int threads);

// Any of the gradients may be null.
template <class T>
void interpolate_backward(const Scene<T>& scene, const Attributes<T>& attributes, const T* bary, const T* grad_image,
                          const InterpolationGradients<T>& out, int threads);

// grad_v [B,V,3]: what moving edges change in the loss. Loss: LossByGradient<T>, LossByPenalty<T> or LossOfLabels<T>.
template <class T, class Loss>
void edge_grad_backward(const Scene<T>& scene, const Loss& loss, T* grad_v, int threads);

// loss [B,H,W]: the weighted squared difference of labels and masks.
template <class T>
void label_loss(const LabelView<T>& view, T* loss, int threads);

// image [B,H,W,C], 0 on background, from a pyramid that has all levels' texels as rows; level [B,H,W], which the
// backward pass needs, -1 on background.
template <class T>
void sample_texture(const TextureView<T>& view, const Attributes<T>& pyramid, T* image, T* level, int threads);

// grad_pyramid (shaped like the pyramid) and grad_uv [B,H,W,2], at fixed levels; either may be null.
template <class T>
void sample_texture_backward(const TextureView<T>& view, const Attributes<T>& pyramid, const T* level,
                             const T* grad_image, T* grad_pyramid, T* grad_uv, int threads);

// image [B,H,W,3], 0 where index_img is negative.
template <class T>
void shade(const ShadedView<T>& view, T* image, int threads);

// still: [B,H,W], pixels whose surface gets no gradient, or null. P of out.sums is 1.
template <class T>
void shade_backward(const ShadedView<T>& view, const bool* still, const T* grad_image, const ShadeGradients<T>& out,
                    int threads);

// out: normals [B,V,3] and lengths [B,V] from vertices [B,V,3].
template <class T>
void vertex_normals(int64_t images, const OppositeEdges& opposite, const T* vertices, const Normals<T>& out,
                    int threads);

// grad_vertices [B,V,3] from grad_normals [B,V,3] and what vertex_normals found. grad_sums [B,V,3]: workspace.
template <class T>
void vertex_normals_backward(int64_t images, const OppositeEdges& opposite, const T* vertices,
                             const Normals<const T>& known, const T* grad_normals, T* grad_sums, T* grad_vertices,
                             int threads);

// out [B,V]: what vertices mirror; forms must be symmetric.
template <class T>
void gloss(const GlossyView<T>& view, T* out, int threads);

// grad: of gloss, [B,V].
template <class T>
void gloss_backward(const GlossyView<T>& view, const T* grad, const GlossGradients<T>& out, int threads);

}  // namespace headfit
