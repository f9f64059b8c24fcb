// What an operator is given: meshes, and the faces that were found visible in each image.
#pragma once

#include "core/sizes.h"
#include "core/walk.h"

namespace headfit {

// One image's mesh and its visible faces.
template <class Real, class Stored>
struct RasterView {
    Surface<Real, Stored> surface;
    const int32_t* index;  // [H,W]
    int32_t faces;         // F
    int height, width;

    HEADFIT_HD Vec2<Real> centre(int x, int y) const { return {Real(x) + Real(0.5), Real(y) + Real(0.5)}; }
    // An index out of range counts as background: a GPU kernel cannot raise an error.
    HEADFIT_HD int32_t face(int x, int y) const {
        const int32_t f = index[int64_t(y) * width + x];
        return f < faces ? f : -1;
    }
};

// A batch of images of one list of faces. Operators leave null what they do not need.
template <class T>
struct Scene {
    Sizes sizes;
    const T* v_pix;                      // [B,V,3] projected vertices, see Mesh
    const int32_t* faces;                // [F,3] vertex indices
    const int32_t* index_img = nullptr;  // [B,H,W] visible face, -1 for background
    const int32_t* adjacency = nullptr;  // [F,3] face across the edge opposite each corner, -1 for none
    const int32_t* group = nullptr;      // [F] label of each face; the image may jump where it changes

    template <class Real>
    HEADFIT_HD Mesh<Real, T> mesh(int64_t image) const {
        return {v_pix + 3 * image * sizes.vertices, faces};
    }

    template <class Real>
    HEADFIT_HD RasterView<Real, T> view(int64_t image) const {
        return {{mesh<Real>(image), adjacency, group},
                index_img + image * sizes.height * sizes.width,
                int32_t(sizes.faces),
                sizes.height,
                sizes.width};
    }
};

// Rows of C values, one for each vertex (or texel): [B,N,C], or [N,C] if all images share them.
template <class T>
struct Attributes {
    const T* values;
    int channels;
    bool shared;

    // The rows of one image; `rows`: N.
    HEADFIT_HD const T* of_image(int64_t image, int64_t rows) const {
        return values + (shared ? 0 : image * rows * channels);
    }
};

// The gradients of what an image is interpolated from.
template <class T>
struct InterpolationGradients {
    T* attributes;  // shaped like the attributes
    T* bary;        // [B,H,W,3]
    T* background;  // [B,H,W,C]
};

// The outputs of rasterize: visible face, or -1; perspective-correct barycentrics and depth, 0 on background.
template <class T>
struct Raster {
    int32_t* index_img;  // [B,H,W]
    T* bary;             // [B,H,W,3]
    T* depth;            // [B,H,W]
};

}  // namespace headfit
