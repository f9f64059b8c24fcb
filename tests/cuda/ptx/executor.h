// What the tests ask of the executor.
#pragma once

#include <cstdint>
#include <set>

namespace ptx {

// Of the order of blocks and threads.
void seed(unsigned value);

// The streams that anything ran in since the last call.
std::set<uintptr_t> take_streams();

}  // namespace ptx
