// The Python side of the operators, written once for both backends. Arrays arrive through DLPack and outputs are
// allocated by the caller, so nothing here depends on torch. headfit/raster checks shapes and types before it calls.
//
// A Backend provides Array<T, Dims>, a contiguous array in its memory; data(array); the sizes of workspaces in bytes;
// and Call(workspace, queue), whose run() is the last argument of its operators: how many threads, or which CUDA
// stream.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>

#include "core/gloss.h"
#include "core/labels.h"
#include "core/normals.h"
#include "core/pair.h"
#include "core/shade.h"
#include "core/texture.h"

namespace headfit {

namespace nb = nanobind;

inline Penalty penalty_named(const std::string& name) {
    for (size_t i = 0; i < std::size(kPenaltyNames); ++i)
        if (name == kPenaltyNames[i]) return Penalty(i);
    throw std::invalid_argument("penalty: there is no '" + name + "'");
}

template <class Backend, class T>
class Operators {
    template <class Value, int Dims>
    using Array = typename Backend::template Array<Value, Dims>;
    using Faces = Array<const int32_t, 2>;
    using Index = Array<const int32_t, 3>;
    using Groups = Array<const int32_t, 1>;
    using Bytes = Array<uint8_t, 1>;
    using Call = typename Backend::Call;

    template <class AnyArray>
    static auto data(const AnyArray& array) {
        return Backend::data(array);
    }
    template <class AnyArray>
    static auto data(const std::optional<AnyArray>& array) -> decltype(array->data()) {
        return array ? Backend::data(*array) : nullptr;
    }

    template <class IndexImage>
    static Sizes sizes_of(int64_t vertices, const Faces& faces, const IndexImage& index_img) {
        return {int64_t(index_img.shape(0)), vertices, int64_t(faces.shape(0)), int(index_img.shape(1)),
                int(index_img.shape(2))};
    }
    static Scene<T> scene_of(const Array<const T, 3>& v_pix, const Faces& faces, const Index& index_img) {
        return {sizes_of(v_pix.shape(1), faces, index_img), data(v_pix), data(faces), data(index_img)};
    }
    // For attributes in place of vertices.
    static Scene<T> scene_of(const Faces& faces, const Index& index_img, const Array<const T, 3>& attributes) {
        return {sizes_of(attributes.shape(1), faces, index_img), nullptr, data(faces), data(index_img)};
    }
    // attributes [1,N,C] are shared by all images.
    static Attributes<T> attributes_of(const Array<const T, 3>& attributes) {
        return {data(attributes), int(attributes.shape(2)), attributes.shape(0) == 1};
    }

    static void rasterize_(const Array<const T, 3>& v_pix, const Faces& faces, const Array<int32_t, 3>& index_img,
                           const Array<T, 4>& bary, const Array<T, 3>& depth, const Bytes& workspace, uint64_t queue) {
        const Call call(workspace, queue);
        const Scene<T> scene{sizes_of(v_pix.shape(1), faces, index_img), data(v_pix), data(faces)};
        rasterize(scene, Raster<T>{data(index_img), data(bary), data(depth)}, call.run());
    }

    static void rasterize_backward_(const Array<const T, 3>& v_pix, const Faces& faces, const Index& index_img,
                                    const Array<const T, 4>& grad_bary, const Array<const T, 3>& grad_depth,
                                    const Array<T, 3>& grad_v, const Bytes& workspace, uint64_t queue) {
        const Call call(workspace, queue);
        rasterize_backward(scene_of(v_pix, faces, index_img), data(grad_bary), data(grad_depth), data(grad_v),
                           call.run());
    }

    static void interpolate_(const Array<const T, 3>& attributes, const Faces& faces, const Index& index_img,
                             const Array<const T, 4>& bary, const Array<T, 4>& image, const Bytes& workspace,
                             uint64_t queue, const std::optional<Array<const T, 4>>& background) {
        const Call call(workspace, queue);
        interpolate(scene_of(faces, index_img, attributes), attributes_of(attributes), data(bary), data(background),
                    data(image), call.run());
    }

    static void interpolate_backward_(const Array<const T, 3>& attributes, const Faces& faces, const Index& index_img,
                                      const Array<const T, 4>& bary, const Array<const T, 4>& grad_image,
                                      const std::optional<Array<T, 3>>& grad_attributes,
                                      const std::optional<Array<T, 4>>& grad_bary, const Bytes& workspace,
                                      uint64_t queue, const std::optional<Array<T, 4>>& grad_background) {
        const Call call(workspace, queue);
        const InterpolationGradients<T> out{data(grad_attributes), data(grad_bary), data(grad_background)};
        interpolate_backward(scene_of(faces, index_img, attributes), attributes_of(attributes), data(bary),
                             data(grad_image), out, call.run());
    }

    // Without a target, grad [B,H,W,C] is the gradient of the loss with respect to the image. With one, the loss is a
    // sum over pixels of penalty(image, target), and grad [B,H,W,1] the gradient of the loss with respect to its terms.
    static void edge_grad_backward_(const Array<const T, 4>& grad, const Array<const T, 4>& image,
                                    const std::optional<Array<const T, 4>>& target, const std::string& penalty,
                                    double scale, const Array<const T, 3>& v_pix, const Faces& faces,
                                    const Faces& adjacency, const Groups& group, const Index& index_img,
                                    const Array<T, 3>& grad_v, const Bytes& workspace, uint64_t queue) {
        const Call call(workspace, queue);
        Scene<T> scene = scene_of(v_pix, faces, index_img);
        scene.adjacency = data(adjacency);
        scene.group = data(group);
        const int channels = int(image.shape(3));
        if (target) {
            const Penalty kind = penalty_named(penalty);
            const LossByPenalty<T> loss{data(image), data(*target), data(grad), channels, kind, scale};
            edge_grad_backward(scene, loss, data(grad_v), call.run());
        } else {
            edge_grad_backward(scene, LossByGradient<T>{data(image), data(grad), channels}, data(grad_v), call.run());
        }
    }

    using Shares = Array<const uint8_t, 4>;

    static LabelView<T> label_view_of(const Shares& shares, const Array<const T, 1>& class_weight,
                                      const Groups& class_of_face, const std::optional<Faces>& shown_as,
                                      const Index& index_img) {
        const Sizes sizes{int64_t(index_img.shape(0)), 0, int64_t(class_of_face.shape(0)), int(index_img.shape(1)),
                          int(index_img.shape(2))};
        return {sizes,          int(shares.shape(3)), data(shares), data(class_weight), data(class_of_face),
                data(shown_as), data(index_img)};
    }

    static void label_loss_(const Shares& shares, const Array<const T, 1>& class_weight, const Groups& class_of_face,
                            const std::optional<Faces>& shown_as, const Index& index_img, const Array<T, 3>& loss,
                            const Bytes& workspace, uint64_t queue) {
        const Call call(workspace, queue);
        label_loss(label_view_of(shares, class_weight, class_of_face, shown_as, index_img), data(loss), call.run());
    }

    // grad [B,H,W]: the gradient of the loss of each pixel.
    static void label_loss_backward_(const Array<const T, 3>& grad, const Shares& shares,
                                     const Array<const T, 1>& class_weight, const Groups& class_of_face,
                                     const std::optional<Faces>& shown_as, const Array<const T, 3>& v_pix,
                                     const Faces& faces, const Faces& adjacency, const Index& index_img,
                                     const Array<T, 3>& grad_v, const Bytes& workspace, uint64_t queue) {
        const Call call(workspace, queue);
        Scene<T> scene = scene_of(v_pix, faces, index_img);
        scene.adjacency = data(adjacency);
        scene.group = data(class_of_face);
        const LossOfLabels<T> loss{label_view_of(shares, class_weight, class_of_face, shown_as, index_img), data(grad)};
        edge_grad_backward(scene, loss, data(grad_v), call.run());
    }

    // height, width, levels: of the mip pyramid; faces: F.
    static void sample_texture_(const Array<const T, 3>& pyramid, int height, int width, int levels,
                                const Array<const T, 4>& uv, const Index& index_img,
                                const std::optional<Groups>& group, int64_t faces, const Array<T, 4>& image,
                                const Array<T, 3>& level, const Bytes& workspace, uint64_t queue) {
        const Call call(workspace, queue);
        const Sizes sizes{int64_t(uv.shape(0)), 0, faces, int(uv.shape(1)), int(uv.shape(2))};
        const TextureView<T> view{sizes, {height, width, levels}, data(uv), data(index_img), data(group)};
        sample_texture(view, attributes_of(pyramid), data(image), data(level), call.run());
    }

    static void sample_texture_backward_(const Array<const T, 3>& pyramid, int height, int width, int levels,
                                         const Array<const T, 4>& uv, const Array<const T, 3>& level,
                                         const Array<const T, 4>& grad_image,
                                         const std::optional<Array<T, 3>>& grad_pyramid,
                                         const std::optional<Array<T, 4>>& grad_uv, const Bytes& workspace,
                                         uint64_t queue) {
        const Call call(workspace, queue);
        const Sizes sizes{int64_t(uv.shape(0)), 0, 0, int(uv.shape(1)), int(uv.shape(2))};
        const TextureView<T> view{sizes, {height, width, levels}, data(uv), nullptr, nullptr};
        sample_texture_backward(view, attributes_of(pyramid), data(level), data(grad_image), data(grad_pyramid),
                                data(grad_uv), call.run());
    }

    static ShadedView<T> shaded_view_of(const Array<const T, 4>& albedo, const Array<const T, 4>& surface,
                                        const Array<const T, 3>& light, const Array<const T, 2>& gain,
                                        const Index& index_img) {
        const Sizes sizes{int64_t(index_img.shape(0)), 0, 0, int(index_img.shape(1)), int(index_img.shape(2))};
        return {sizes, data(albedo), data(surface), data(light), data(gain), data(index_img)};
    }

    static void shade_(const Array<const T, 4>& albedo, const Array<const T, 4>& surface,
                       const Array<const T, 3>& light, const Array<const T, 2>& gain, const Index& index_img,
                       const Array<T, 4>& image, const Bytes& workspace, uint64_t queue) {
        const Call call(workspace, queue);
        shade(shaded_view_of(albedo, surface, light, gain, index_img), data(image), call.run());
    }

    // sums: [B,kShadeSums,P], with P by Backend::shade_sums.
    static void shade_backward_(const Array<const T, 4>& albedo, const Array<const T, 4>& surface,
                                const Array<const T, 3>& light, const Array<const T, 2>& gain, const Index& index_img,
                                const std::optional<Array<const bool, 3>>& still, const Array<const T, 4>& grad_image,
                                const std::optional<Array<T, 4>>& grad_albedo,
                                const std::optional<Array<T, 4>>& grad_surface,
                                const std::optional<Array<T, 3>>& sums, const Bytes& workspace, uint64_t queue) {
        const Call call(workspace, queue);
        const ShadeGradients<T> out{data(grad_albedo), data(grad_surface), data(sums)};
        shade_backward(shaded_view_of(albedo, surface, light, gain, index_img), data(still), data(grad_image), out,
                       call.run());
    }

    static OppositeEdges opposite_of(const Groups& first, const Faces& edges) {
        return {int64_t(first.shape(0)) - 1, int64_t(edges.shape(0)), data(first), data(edges)};
    }

    static void vertex_normals_(const Array<const T, 3>& vertices, const Groups& first, const Faces& edges,
                                const Array<T, 3>& normals, const Array<T, 2>& lengths, const Bytes& workspace,
                                uint64_t queue) {
        const Call call(workspace, queue);
        vertex_normals(int64_t(vertices.shape(0)), opposite_of(first, edges), data(vertices),
                       Normals<T>{data(normals), data(lengths)}, call.run());
    }

    static void vertex_normals_backward_(const Array<const T, 3>& vertices, const Groups& first, const Faces& edges,
                                         const Array<const T, 3>& normals, const Array<const T, 2>& lengths,
                                         const Array<const T, 3>& grad_normals, const Array<T, 3>& grad_sums,
                                         const Array<T, 3>& grad_vertices, const Bytes& workspace, uint64_t queue) {
        const Call call(workspace, queue);
        const Normals<const T> known{data(normals), data(lengths)};
        vertex_normals_backward(int64_t(vertices.shape(0)), opposite_of(first, edges), data(vertices), known,
                                data(grad_normals), data(grad_sums), data(grad_vertices), call.run());
    }

    static GlossyView<T> glossy_view_of(const Array<const T, 3>& vertices, const Array<const T, 3>& normals,
                                        const Array<const T, 2>& centres, const Array<const T, 3>& forms,
                                        const Groups& kind) {
        return {int64_t(vertices.shape(0)), int64_t(vertices.shape(1)), int64_t(forms.shape(0)), data(vertices),
                data(normals), data(centres), data(forms), data(kind)};
    }

    static void gloss_(const Array<const T, 3>& vertices, const Array<const T, 3>& normals,
                       const Array<const T, 2>& centres, const Array<const T, 3>& forms, const Groups& kind,
                       const Array<T, 2>& out, const Bytes& workspace, uint64_t queue) {
        const Call call(workspace, queue);
        gloss(glossy_view_of(vertices, normals, centres, forms, kind), data(out), call.run());
    }

    static void gloss_backward_(const Array<const T, 3>& vertices, const Array<const T, 3>& normals,
                                const Array<const T, 2>& centres, const Array<const T, 3>& forms, const Groups& kind,
                                const Array<const T, 2>& grad, const Array<T, 3>& grad_vertices,
                                const Array<T, 3>& grad_normals, const Array<T, 4>& grad_forms, const Bytes& workspace,
                                uint64_t queue) {
        const Call call(workspace, queue);
        gloss_backward(glossy_view_of(vertices, normals, centres, forms, kind), data(grad),
                       GlossGradients<T>{data(grad_vertices), data(grad_normals), data(grad_forms)}, call.run());
    }

  public:
    // Defines the operators for T. Arrays are never converted: a converted output would be lost.
    static void define(nb::module_& m) {
        using namespace nb::literals;
        const nb::call_guard<nb::gil_scoped_release> unlocked;
        const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
        const auto optional = [](const char* name) { return nb::arg(name).noconvert().none(); };
        const auto absent = [](const char* name) { return nb::arg(name).noconvert() = nb::none(); };
        m.def("rasterize", &rasterize_, array("v_pix"), array("faces"), array("index_img"), array("bary"),
              array("depth"), array("workspace"), "queue"_a, unlocked);
        m.def("rasterize_backward", &rasterize_backward_, array("v_pix"), array("faces"), array("index_img"),
              array("grad_bary"), array("grad_depth"), array("grad_v"), array("workspace"), "queue"_a, unlocked);
        m.def("interpolate", &interpolate_, array("attributes"), array("faces"), array("index_img"), array("bary"),
              array("image"), array("workspace"), "queue"_a, absent("background"), unlocked);
        m.def("interpolate_backward", &interpolate_backward_, array("attributes"), array("faces"), array("index_img"),
              array("bary"), array("grad_image"), optional("grad_attributes"), optional("grad_bary"),
              array("workspace"), "queue"_a, absent("grad_background"), unlocked);
        m.def("edge_grad_backward", &edge_grad_backward_, array("grad"), array("image"), optional("target"),
              "penalty"_a, "scale"_a, array("v_pix"), array("faces"), array("adjacency"), array("group"), array("index_img"),
              array("grad_v"), array("workspace"), "queue"_a, unlocked);
        m.def("label_loss", &label_loss_, array("shares"), array("class_weight"), array("class_of_face"),
              optional("shown_as"), array("index_img"), array("loss"), array("workspace"), "queue"_a, unlocked);
        m.def("label_loss_backward", &label_loss_backward_, array("grad"), array("shares"), array("class_weight"),
              array("class_of_face"), optional("shown_as"), array("v_pix"), array("faces"), array("adjacency"),
              array("index_img"), array("grad_v"), array("workspace"), "queue"_a, unlocked);
        m.def("sample_texture", &sample_texture_, array("pyramid"), "height"_a, "width"_a, "levels"_a, array("uv"),
              array("index_img"), optional("group"), "faces"_a, array("image"), array("level"), array("workspace"),
              "queue"_a, unlocked);
        m.def("sample_texture_backward", &sample_texture_backward_, array("pyramid"), "height"_a, "width"_a, "levels"_a,
              array("uv"), array("level"), array("grad_image"), optional("grad_pyramid"), optional("grad_uv"),
              array("workspace"), "queue"_a, unlocked);
        m.def("shade", &shade_, array("albedo"), array("surface"), array("light"), array("gain"), array("index_img"),
              array("image"), array("workspace"), "queue"_a, unlocked);
        m.def("shade_backward", &shade_backward_, array("albedo"), array("surface"), array("light"), array("gain"),
              array("index_img"), optional("still"), array("grad_image"), optional("grad_albedo"),
              optional("grad_surface"), optional("sums"), array("workspace"), "queue"_a, unlocked);
        m.def("vertex_normals", &vertex_normals_, array("vertices"), array("first"), array("edges"), array("normals"),
              array("lengths"), array("workspace"), "queue"_a, unlocked);
        m.def("vertex_normals_backward", &vertex_normals_backward_, array("vertices"), array("first"), array("edges"),
              array("normals"), array("lengths"), array("grad_normals"), array("grad_sums"), array("grad_vertices"),
              array("workspace"), "queue"_a, unlocked);
        m.def("gloss", &gloss_, array("vertices"), array("normals"), array("centres"), array("forms"), array("kind"),
              array("out"), array("workspace"), "queue"_a, unlocked);
        m.def("gloss_backward", &gloss_backward_, array("vertices"), array("normals"), array("centres"), array("forms"),
              array("kind"), array("grad"), array("grad_vertices"), array("grad_normals"), array("grad_forms"),
              array("workspace"), "queue"_a, unlocked);
    }
};

// Defines all operators of a backend, and how large a workspace they need.
template <class Backend>
void define_backend(nb::module_& m) {
    using namespace nb::literals;
    Operators<Backend, float>::define(m);
    Operators<Backend, double>::define(m);
    m.def("rasterize_bytes", &Backend::rasterize_bytes, "images"_a, "height"_a, "width"_a);
    m.def("deterministic_bytes", &Backend::deterministic_bytes, "count"_a);
    m.def("shade_sums", &Backend::shade_sums, "height"_a, "width"_a);
}

}  // namespace headfit
