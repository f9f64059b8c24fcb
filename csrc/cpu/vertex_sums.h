// Scatter-add from pixels to vertices, without atomics and bit-identical for any number of threads.
//
// Images are split into bands of rows, independently of the number of threads. Each band accumulates into its worker's
// buffer [V,C] of doubles, which records the vertices it touched; their sums are then packed and the buffer is cleared
// for the next band. In the end, the packed sums are added up in the order of the bands.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpu/parallel.h"
#include "cpu/zeros.h"

namespace headfit {

// One worker's buffer.
class BandSums {
  public:
    struct Packed {
        std::vector<int32_t> vertices;
        std::vector<double> sums;  // [vertices, components]
    };

    BandSums(int64_t vertices, int components)
        : components_(components), sums_(zeros<double>(vertices * components)), touched_(zeros<uint8_t>(vertices)) {}

    // The sums of one vertex, to add to.
    double* at(int32_t vertex) {
        if (!touched_[vertex]) {
            touched_[vertex] = 1;
            order_.push_back(vertex);
        }
        return sums_.get() + int64_t(vertex) * components_;
    }

    Packed take() {
        Packed packed;
        packed.sums.reserve(order_.size() * components_);
        for (const int32_t vertex : order_) {
            double* sum = sums_.get() + int64_t(vertex) * components_;
            packed.sums.insert(packed.sums.end(), sum, sum + components_);
            std::fill(sum, sum + components_, 0.0);
            touched_[vertex] = 0;
        }
        packed.vertices = order_;
        order_.clear();
        return packed;
    }

  private:
    int components_;
    Zeros<double> sums_;
    Zeros<uint8_t> touched_;
    std::vector<int32_t> order_;
};

struct SumSizes {
    int64_t images, vertices;
    int components;
    bool shared;  // all images add to the same rows
};

constexpr int kBandRows = 32;

// Calls band(image, y0, y1, sums) for the bands of rows of all images, and writes the totals to out: [images,V,C], or
// [V,C] if shared. If out is null, nothing is summed.
template <class T, class Band>
void sum_over_bands(const SumSizes& sizes, int rows, T* out, int threads, const Band& band) {
    const int64_t bands = (rows + kBandRows - 1) / kBandRows, count = sizes.images * bands;
    std::vector<BandSums::Packed> packed(count);
    std::atomic<int64_t> next{0};
    run_workers(int(std::min<int64_t>(std::max(threads, 1), std::max<int64_t>(count, 1))), [&](int) {
        BandSums sums(out ? sizes.vertices : 0, sizes.components);
        for (int64_t i = next++; i < count; i = next++) {
            const int y0 = int(i % bands) * kBandRows;
            band(i / bands, y0, std::min(y0 + kBandRows, rows), sums);
            packed[i] = sums.take();
        }
    });
    if (!out) return;
    const int64_t size = sizes.vertices * sizes.components, totals = sizes.shared ? 1 : sizes.images;
    parallel_for(totals, threads, [&](int64_t image) {
        T* total = out + image * size;
        std::fill(total, total + size, T(0));
        const int64_t first = image * bands, last = sizes.shared ? count : first + bands;
        for (int64_t i = first; i < last; ++i) {
            const double* sum = packed[i].sums.data();
            for (const int32_t vertex : packed[i].vertices)
                for (int c = 0; c < sizes.components; ++c, ++sum) {
                    T& t = total[int64_t(vertex) * sizes.components + c];
                    t = T(double(t) + *sum);
                }
        }
    });
}

}  // namespace headfit
