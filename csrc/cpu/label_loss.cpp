#include <array>
#include <vector>

#include "cpu/check.h"
#include "cpu/cpu.h"
#include "cpu/parallel.h"
#include "cpu/runs.h"

namespace headfit {

template <class T>
void label_loss(const LabelView<T>& view, T* loss, int threads) {
    const Sizes& sizes = view.sizes;
    std::vector<std::array<T, 256>> cost_of_share(view.classes);  // looked up
    for (int c = 0; c < view.classes; ++c)
        for (int share = 0; share < 256; ++share) cost_of_share[c][share] = view.cost_of_share(c, uint8_t(share));
    parallel_for(sizes.images * sizes.height, threads, [&](int64_t row) {
        const int64_t b = row / sizes.height, first = row * sizes.width;
        check_rows(sizes, view.index_img + first, 1);
        for_each_run(view.index_img + first, sizes, [&](int32_t face, int x0, int x1) {
            const int k = view.class_of(b, face);
            for (int64_t pixel = first + x0; pixel < first + x1; ++pixel) {
                const uint8_t* shares = view.shares_at(pixel);
                T sum = view.template cost_of_class<T>(k, shares);
                for (int c = 0; c < view.classes; ++c) sum += cost_of_share[c][shares[c]];
                loss[pixel] = sum;
            }
        });
    });
}

template void label_loss<float>(const LabelView<float>&, float*, int);
template void label_loss<double>(const LabelView<double>&, double*, int);

}  // namespace headfit
