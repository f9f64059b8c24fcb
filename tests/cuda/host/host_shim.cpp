#include "host_shim.h"

#include <ucontext.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "faults.h"

namespace host_shim {
namespace {

constexpr size_t kStack = 256 * 1024;
constexpr size_t kLive = 40;  // fibers at a time
constexpr int kSwitchOneIn = 4;

struct Fiber {
    std::unique_ptr<char[]> stack{new char[kStack]};
    ucontext_t context;
    Place place;
    int64_t thread = -1;
    bool done = true;
};

// The thread that accessed a word in this launch: -1 for none, -2 for several.
struct Touched {
    int64_t wrote = -1, read = -1, atomic = -1;
};

struct Range {
    uintptr_t begin, end;
};

std::mt19937 engine;
std::vector<Range> allowed;
std::vector<std::string> found;
std::set<uintptr_t> streams;
std::unordered_map<uintptr_t, Touched> touched;
ucontext_t scheduler;
Fiber* running = nullptr;
const Call* call_now = nullptr;

unsigned below(unsigned n) { return engine() % n; }

bool by_others(int64_t who, int64_t me) { return who != -1 && who != me; }

void mark(int64_t& who, int64_t me) { who = who == -1 || who == me ? me : -2; }

void report(const std::string& what, uintptr_t at) {
    constexpr size_t kMost = 20;
    if (found.size() >= kMost) return;
    std::string where = "an unknown place";
    for (const Range& range : allowed)
        if (at >= range.begin && at < range.end) where = "byte " + std::to_string(at - range.begin) + " of an array";
    found.push_back("thread " + std::to_string(running->thread) + ": " + what + " at " + where);
}

enum class Kind { read, write, atomic };

// Checks and records an access, then possibly switches to another thread before it happens.
void access(const void* memory, size_t bytes, Kind kind) {
    if (!running) return;
    const uintptr_t at = reinterpret_cast<uintptr_t>(memory);
    const uintptr_t stack = reinterpret_cast<uintptr_t>(running->stack.get());
    const uintptr_t arguments = reinterpret_cast<uintptr_t>(call_now->arguments);
    if (at - stack < kStack || at - arguments < call_now->bytes) return;
    const bool inside = std::any_of(allowed.begin(), allowed.end(),
                                    [&](const Range& range) { return at >= range.begin && at + bytes <= range.end; });
    if (!inside) report("access outside of all arrays", at);
    const int64_t me = running->thread;
    for (uintptr_t word = at / 4; word <= (at + bytes - 1) / 4; ++word) {
        Touched& t = touched[word];
        const bool race = kind == Kind::write    ? by_others(t.wrote, me) || by_others(t.read, me) || by_others(t.atomic, me)
                          : kind == Kind::atomic ? by_others(t.wrote, me) || by_others(t.read, me)
                                                 : by_others(t.wrote, me) || by_others(t.atomic, me);
        if (race) report("data race", at);
        mark(kind == Kind::write ? t.wrote : (kind == Kind::atomic ? t.atomic : t.read), me);
    }
    if (below(kSwitchOneIn) == 0) swapcontext(&running->context, &scheduler);
}

void fiber_main() {
    call_now->run(call_now->arguments);
    running->done = true;
    swapcontext(&running->context, &scheduler);
}

void start(Fiber& fiber, int64_t thread, dim3 grid, dim3 block) {
    const auto split = [](int64_t i, dim3 size) {
        return dim3(unsigned(i % size.x), unsigned(i / size.x % size.y), unsigned(i / (int64_t(size.x) * size.y)));
    };
    const int64_t per_block = int64_t(block.x) * block.y * block.z;
    fiber.place = {grid, block, split(thread / per_block, grid), split(thread % per_block, block)};
    fiber.thread = thread;
    fiber.done = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, fiber_main, 0);
}

}  // namespace

Place here() { return running->place; }

void allow(const void* memory, size_t bytes) {
    const uintptr_t begin = reinterpret_cast<uintptr_t>(memory);
    allowed.push_back({begin, begin + bytes});
}

void before_atomic(const void* at, size_t bytes) { access(at, bytes, Kind::atomic); }

void run_threads(dim3 grid, dim3 block, void* stream, const Call& call) {
    streams.insert(reinterpret_cast<uintptr_t>(stream));
    std::vector<int64_t> order(size_t(grid.x) * grid.y * grid.z * block.x * block.y * block.z);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), engine);
    static std::vector<Fiber> fibers(kLive);
    std::vector<Fiber*> live;
    for (Fiber& fiber : fibers) live.push_back(&fiber);
    call_now = &call;
    touched.clear();
    for (size_t next = 0; !live.empty();) {
        const size_t i = below(unsigned(live.size()));
        Fiber& fiber = *live[i];
        if (fiber.done) {
            if (next == order.size()) {
                live.erase(live.begin() + i);
                continue;
            }
            start(fiber, order[next++], grid, block);
        }
        running = &fiber;
        swapcontext(&scheduler, &fiber.context);
        running = nullptr;
    }
}

void fill(void* memory, int byte, size_t bytes, void* stream) {
    streams.insert(reinterpret_cast<uintptr_t>(stream));
    std::memset(memory, byte, bytes);
}

void device_set() { found.push_back("cudaSetDevice was called for the current device"); }

std::set<uintptr_t> take_streams() { return std::exchange(streams, {}); }

void seed(unsigned value) { engine.seed(value); }

std::vector<std::string> take_faults() {
    allowed.clear();
    return std::exchange(found, {});
}

}  // namespace host_shim

// The functions that GCC and Clang call under -fsanitize=thread.
#define WATCH(bytes)                                                                                                  \
    extern "C" void __tsan_read##bytes(void* at) { host_shim::access(at, bytes, host_shim::Kind::read); }             \
    extern "C" void __tsan_write##bytes(void* at) { host_shim::access(at, bytes, host_shim::Kind::write); }           \
    extern "C" void __tsan_unaligned_read##bytes(void* at) { host_shim::access(at, bytes, host_shim::Kind::read); }   \
    extern "C" void __tsan_unaligned_write##bytes(void* at) { host_shim::access(at, bytes, host_shim::Kind::write); }
WATCH(1)
WATCH(2)
WATCH(4)
WATCH(8)
WATCH(16)
extern "C" void __tsan_read_range(void* at, size_t bytes) { host_shim::access(at, bytes, host_shim::Kind::read); }
extern "C" void __tsan_write_range(void* at, size_t bytes) { host_shim::access(at, bytes, host_shim::Kind::write); }
extern "C" void __tsan_vptr_update(void**, void*) {}
extern "C" void __tsan_vptr_read(void**) {}
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit() {}
extern "C" void __tsan_init() {}
