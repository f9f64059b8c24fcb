// Sums over pixels that land on vertices, without atomics: every worker adds to a buffer of its own, in double.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpu/parallel.h"

namespace headfit {

class VertexSums {
  public:
    VertexSums(int64_t vertices, int components, int threads)
        : size_(vertices * components), workers_(std::max(threads, 1)), sums_(size_ * workers_, 0.0) {}

    // Calls row(y, sum) for y in [0, rows); `sum` is [vertices, components], to be added to. Blocks of rows are
    // dealt out in turn: balanced, since a head sits in the middle, and the same in each run.
    template <class Row>
    void add_rows(int rows, const Row& row) {
        run_workers(workers_, [&](int worker) {
            double* sum = sums_.data() + worker * size_;
            for (int64_t block = worker; block * kBlock < rows; block += workers_) {
                const int end = int(std::min<int64_t>((block + 1) * kBlock, rows));
                for (int y = int(block * kBlock); y < end; ++y) row(y, sum);
            }
        });
    }

    // Writes the total to out and starts again from zero.
    template <class T>
    void move_to(T* out) {
        for (int64_t i = 0; i < size_; ++i) {
            double total = 0;
            for (int worker = 0; worker < workers_; ++worker) total += sums_[worker * size_ + i];
            out[i] = T(total);
        }
        std::fill(sums_.begin(), sums_.end(), 0.0);
    }

  private:
    static constexpr int64_t kBlock = 8;
    int64_t size_;
    int workers_;
    std::vector<double> sums_;
};

}  // namespace headfit
