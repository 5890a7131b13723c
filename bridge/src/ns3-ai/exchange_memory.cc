// SPDX-License-Identifier: GPL-2.0-only
#include "exchange_memory.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <string>
#include <utility>

#include "edgelam/bridge/errors.h"
#include "exchange_texts.h"

namespace edgelam::bridge {

std::size_t ExchangeMessageOffset(std::size_t memory_bytes, int sender) {
    const auto room = PageAlign(Exchange::message_room_bytes + memory_bytes);
    return PageAlign(sizeof(ExchangeHeader)) + static_cast<std::size_t>(sender) * room;
}

void CheckSizes(const ExchangeOptions& options) {
    const auto &a = options.from_cpp, &b = options.from_python;
    const std::size_t needed = options.vector ? std::max(a.size_bytes, b.size_bytes) : a.size_bytes + b.size_bytes;
    if (options.creator && needed > options.memory_bytes) {
        throw BridgeError("the messages do not fit into segment " + Quote(options.segment) + ": " + a.type + " has " +
                          std::to_string(a.size_bytes) + " bytes, " + b.type + " " + std::to_string(b.size_bytes) +
                          ", the memory " + std::to_string(options.memory_bytes) +
                          ". Raise shmSize of Experiment, or SetMemorySize where C++ makes the memory");
    }
}

void KeepMapped(Mapping memory) {
    constexpr std::size_t limit = std::size_t(64) << 20;
    static std::mutex mutex;
    static auto& kept = *new std::deque<Mapping>; // other static objects may refer to it until the very end
    static std::size_t bytes = 0;
    const std::lock_guard lock(mutex);
    bytes += memory.size();
    kept.push_back(std::move(memory));
    while (bytes > limit) {
        bytes -= kept.front().size();
        kept.pop_front();
    }
}

} // namespace edgelam::bridge
