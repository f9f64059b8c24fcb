// How a pixel's label differs from what a mask shows there: the squared difference of the one-hot image of the classes
// that the model shows and the shares of the pixel that the mask gives them.
#pragma once

#include <cstdint>

#include "core/sizes.h"

namespace headfit {

// B pictures of labels and of masks with C classes; class 0 is background.
template <class T>
struct LabelView {
    Sizes sizes;
    int classes;                   // C
    const uint8_t* shares;         // [B,H,W,C] 255 times each class's share of the pixel
    const T* class_weight;         // [C] of each class in the loss
    const int32_t* class_of_face;  // [F] in [0, C); any other value: no class, whose image is 0 in every class
    const int32_t* shown_as;       // [B,C] as which class each one is compared in each image; null: as itself
    const int32_t* index_img;      // [B,H,W] visible face, -1 for background

    // The class of a face in an image, or -1 for no class.
    HEADFIT_HD int class_of(int64_t image, int32_t face) const {
        if (face >= sizes.faces) return 0;  // counts as background, as in RasterView
        const int32_t own = face < 0 ? 0 : class_of_face[face];
        if (own < 0 || own >= classes) return -1;
        const int32_t shown = shown_as ? shown_as[image * classes + own] : own;
        return shown >= 0 && shown < classes ? shown : -1;
    }

    HEADFIT_HD const uint8_t* shares_at(int64_t pixel) const { return shares + pixel * classes; }

    // The part of the loss that depends on the class k:
    //     sum over c of weight_c ([c = k] - p_c)^2 = sum over c of weight_c p_c^2 + weight_k (1 - 2 p_k).
    // This is the second term, 0 for no class.
    template <class Real>
    HEADFIT_HD Real cost_of_class(int k, const uint8_t* of_pixel) const {
        return k < 0 ? Real(0) : Real(class_weight[k]) * (1 - 2 * Real(of_pixel[k]) / 255);
    }

    // The first term's part of class c.
    HEADFIT_HD T cost_of_share(int c, uint8_t share) const {
        const T p = T(share) / 255;
        return class_weight[c] * p * p;
    }
};

}  // namespace headfit
