// Sums over pixels that land on vertices: no atomics, and bit-identical for any number of threads.
//
// An image is cut into bands of rows, whatever the number of threads. A band adds to a worker's buffer [V,C] in
// double, which remembers the rows it touched; these are then packed away and the buffer is clean for the next band.
// At the end the packed rows are added up, band after band.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "cpu/parallel.h"

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

    // Sums of one vertex, to be added to.
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
    struct Free {
        void operator()(void* memory) const { std::free(memory); }
    };
    template <class N>
    using Zeros = std::unique_ptr<N[], Free>;

    // From calloc, which hands out large blocks as pages that exist once they are written to.
    template <class N>
    static Zeros<N> zeros(int64_t count) {
        void* memory = std::calloc(std::max<int64_t>(count, 1), sizeof(N));
        if (!memory) throw std::bad_alloc();
        return Zeros<N>(static_cast<N*>(memory));
    }

    int components_;
    Zeros<double> sums_;
    Zeros<uint8_t> touched_;
    std::vector<int32_t> order_;
};

struct SumShape {
    int64_t images, vertices;
    int components;
    bool shared;  // all images add to the same vertices
};

constexpr int kBandRows = 32;

// Calls band(image, y0, y1, sums) for the bands of rows of all images, and writes the total to out: [images, V, C], or
// [V, C] if shared. Null `out`: only the calls.
template <class T, class Band>
void sum_over_bands(const SumShape& shape, int rows, T* out, int threads, const Band& band) {
    const int64_t bands = (rows + kBandRows - 1) / kBandRows, count = shape.images * bands;
    std::vector<BandSums::Packed> packed(count);
    std::atomic<int64_t> next{0};
    run_workers(int(std::min<int64_t>(std::max(threads, 1), std::max<int64_t>(count, 1))), [&](int) {
        BandSums sums(out ? shape.vertices : 0, shape.components);
        for (int64_t i = next++; i < count; i = next++) {
            const int y0 = int(i % bands) * kBandRows;
            band(i / bands, y0, std::min(y0 + kBandRows, rows), sums);
            packed[i] = sums.take();
        }
    });
    if (!out) return;
    const int64_t size = shape.vertices * shape.components, totals = shape.shared ? 1 : shape.images;
    parallel_for(totals, threads, [&](int64_t image) {
        T* total = out + image * size;
        std::fill(total, total + size, T(0));
        const int64_t first = image * bands, last = shape.shared ? count : first + bands;
        for (int64_t i = first; i < last; ++i) {
            const double* sum = packed[i].sums.data();
            for (const int32_t vertex : packed[i].vertices)
                for (int c = 0; c < shape.components; ++c, ++sum) {
                    T& t = total[int64_t(vertex) * shape.components + c];
                    t = T(double(t) + *sum);
                }
        }
    });
}

}  // namespace headfit
