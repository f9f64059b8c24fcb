// What the tests ask of the executor.
#pragma once

#include <cstdint>
#include <set>

namespace ptx {

// Seeds the order of blocks and threads.
void seed(unsigned value);

// Returns and forgets the streams that anything ran in.
std::set<uintptr_t> take_streams();

}  // namespace ptx
