// Memory that is 0, from calloc, which provides large blocks as pages that take memory only once they are written.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace headfit {

struct FreeZeros {
    void operator()(void* memory) const { std::free(memory); }
};

template <class N>
using Zeros = std::unique_ptr<N[], FreeZeros>;

template <class N>
Zeros<N> zeros(int64_t count) {
    void* memory = std::calloc(std::max<int64_t>(count, 1), sizeof(N));
    if (!memory) throw std::bad_alloc();
    return Zeros<N>(static_cast<N*>(memory));
}

}  // namespace headfit
