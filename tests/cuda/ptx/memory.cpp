#include "memory.h"

#include <map>
#include <stdexcept>

namespace ptx {
namespace {

constexpr uint32_t kSeveral = ~0u;

struct Array {
    uint64_t begin, end;
    bool writable, workspace;
    std::vector<bool> written;                     // words, since the call began
    std::vector<uint32_t> writer, reader, atomic;  // words: thread of this launch, 0 for none, kSeveral

    size_t words() const { return (end - begin + 3) / 4; }
};

std::vector<Array> arrays;
std::map<std::string, int> faults;
std::string running;  // kernel
bool enqueued = false;
size_t last_found = 0;

Array* find(uint64_t at, uint64_t bytes) {
    const auto holds = [&](const Array& array) { return at >= array.begin && at + bytes <= array.end; };
    if (last_found < arrays.size() && holds(arrays[last_found])) return &arrays[last_found];
    for (last_found = 0; last_found < arrays.size(); ++last_found)
        if (holds(arrays[last_found])) return &arrays[last_found];
    return nullptr;
}

bool by_another(uint32_t who) { return who != 0 && who != thread.number; }

void mark(uint32_t& who) { who = who == 0 || who == thread.number ? thread.number : kSeveral; }

bool races(const Array& array, size_t word, Access kind) {
    const bool wrote = by_another(array.writer[word]), read = by_another(array.reader[word]),
               changed = by_another(array.atomic[word]);
    switch (kind) {
        case Access::load: return wrote || changed;
        case Access::load_volatile: return wrote;  // of what others change atomically: some value that it has or had
        case Access::store: return wrote || changed || read;
        default: return wrote || read;
    }
}

}  // namespace

void fault(const std::string& what, const char* source) { ++faults[what + " in " + running + ": " + source]; }

void check_access(uint64_t at, unsigned bytes, Access kind, const char* source) {
    if (at % bytes) fault("misaligned access", source);
    Array* array = find(at, bytes);
    if (!array) {
        fault("access outside of all arrays", source);
        throw std::out_of_range("access outside of all arrays");
    }
    const bool writes = kind == Access::store || kind == Access::atomic, reads = kind != Access::store;
    if (writes && !array->writable) fault("write to an input", source);
    if (!array->writable) return;
    const size_t first = (at - array->begin) / 4, last = (at - array->begin + bytes - 1) / 4;
    for (size_t word = first; word <= last; ++word) {
        if (reads && !array->written[word]) fault("read of memory that nothing wrote", source);
        if (races(*array, word, kind)) fault("data race", source);
        if (kind == Access::store) mark(array->writer[word]);
        if (kind == Access::load) mark(array->reader[word]);
        if (kind == Access::atomic) mark(array->atomic[word]);
        if (writes) array->written[word] = true;
    }
}

void begin_call() {
    end_call();
    arrays.clear();
    enqueued = false;
}

void end_call() {
    for (const Array& array : arrays) {
        if (!enqueued || !array.writable || array.workspace) continue;
        const auto missing = std::count(array.written.begin(), array.written.end(), false);
        if (missing > 0) fault(std::to_string(missing) + " words of an output were not written", "end of the call");
    }
    arrays.clear();
}

void allow(const void* memory, size_t bytes, bool writable, bool workspace) {
    if (bytes == 0) return;
    const uint64_t begin = reinterpret_cast<uint64_t>(memory);
    Array array{begin, begin + bytes, writable, workspace, {}, {}, {}, {}};
    array.written.resize(writable ? array.words() : 0);
    arrays.push_back(array);
}

void begin_launch(const std::string& kernel) {
    running = kernel;
    enqueued = true;
    for (Array& array : arrays) {
        if (!array.writable) continue;
        for (auto* threads : {&array.writer, &array.reader, &array.atomic}) threads->assign(array.words(), 0);
    }
}

void fill(void* memory, int byte, size_t bytes) {
    running = "cudaMemsetAsync";
    enqueued = true;
    const uint64_t at = reinterpret_cast<uint64_t>(memory);
    Array* array = find(at, bytes);
    if (!array || !array->writable) return fault("access outside of all outputs", "");
    std::fill_n(array->written.begin() + long((at - array->begin) / 4), (bytes + 3) / 4, true);
    memset(memory, byte, bytes);
}

std::vector<std::string> take_faults() {
    end_call();
    std::vector<std::string> found;
    for (const auto& [what, times] : faults) found.push_back(what + " (" + std::to_string(times) + " times)");
    faults.clear();
    return found;
}

}  // namespace ptx
