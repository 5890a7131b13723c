// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Rings, arena, hold counts and schema inside one process, against obvious references. Prints one line a test and
/// ends with status 1 if any failed. Usage: bridge-test [SEED]
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <thread>

#include <unistd.h>

#include "edgelam/bridge/arena_access.h"
#include "edgelam/bridge/attach.h"
#include "edgelam/bridge/control.h"

using namespace edgelam::bridge;

namespace {

int g_failures = 0;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            std::printf("  %s:%d: %s is false\n", __FILE__, __LINE__, #condition);                                     \
            ++g_failures;                                                                                              \
        }                                                                                                              \
    } while (false)

using Random = std::mt19937_64;

std::uint64_t Below(Random& random, std::uint64_t limit) {
    return random() % limit;
}

std::string ErrorOf(const std::function<void()>& f) {
    try {
        f();
    } catch (const BridgeError& error) {
        return error.what();
    }
    return "";
}

bool Contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::vector<std::byte> RandomBytes(Random& random, std::uint64_t size) {
    std::vector<std::byte> bytes(size);
    for (auto& byte : bytes) {
        byte = static_cast<std::byte>(random());
    }
    return bytes;
}

/// Random writes and reads against a deque.
void RingMatchesQueue(Random& random) {
    for (int round = 0; round < 50; ++round) {
        const std::uint64_t capacity = 4096;
        Control control = Control::Make(1, capacity, 4096);
        Ring producer = control.ToHost(0), consumer = control.ToHost(0);
        std::deque<std::vector<std::byte>> expected;
        std::uint64_t used = 0, sequence = 0, next = 0;
        for (int step = 0; step < 2000; ++step) {
            if (Below(random, 2) == 0) {
                const auto body = RandomBytes(random, Below(random, 200));
                const auto tail = RandomBytes(random, Below(random, Below(random, 20) == 0 ? 3800 : 100));
                const auto frame_bytes = Ring::FrameBytes(body.size(), tail.size());
                const FrameHeader header{
                    static_cast<std::uint32_t>(body.size()), static_cast<std::uint32_t>(tail.size()), sequence, 7, {}};
                CHECK(producer.HasSpace(frame_bytes) == (used + frame_bytes <= capacity));
                const bool written = producer.TryWrite(header, body, tail);
                CHECK(written == (used + frame_bytes <= capacity));
                if (written) {
                    ++sequence;
                    used += frame_bytes;
                    auto all = body;
                    all.insert(all.end(), tail.begin(), tail.end());
                    expected.push_back(all);
                }
            } else {
                OwnedFrame frame;
                const bool read = consumer.TryRead(frame);
                CHECK(read == !expected.empty());
                if (read) {
                    CHECK(frame.bytes == expected.front());
                    CHECK(frame.header.sequence == next && frame.header.type == 7);
                    CHECK(frame.body().size() + frame.tail().size() == frame.bytes.size());
                    ++next;
                    used -= Ring::FrameBytes(frame.bytes.size(), 0);
                    expected.pop_front();
                }
            }
            CHECK(consumer.Empty() == expected.empty());
        }
    }
}

/// One thread writes, another reads, both waiting on their doorbells.
void RingBetweenThreads(Random& random) {
    Control control = Control::Make(1, 4096, 4096);
    const int frames = 50'000;
    const std::uint64_t seed = random();
    std::thread writer([&] {
        Random sizes(seed);
        Ring ring = control.ToHost(0);
        Waiter waiter(control.doorbell(1));
        for (int i = 0; i < frames; ++i) {
            const std::vector<std::byte> tail(Below(sizes, 300), static_cast<std::byte>(i));
            const FrameHeader header{0, static_cast<std::uint32_t>(tail.size()), static_cast<std::uint64_t>(i), 0, {}};
            while (!ring.TryWrite(header, {}, tail)) {
                ring.SetProducerWaits(true);
                waiter.WaitUntil([&] { return ring.HasSpace(Ring::FrameBytes(0, tail.size())); }, std::nullopt);
                ring.SetProducerWaits(false);
            }
            control.doorbell(0).Ring();
        }
    });
    Random sizes(seed);
    Ring ring = control.ToHost(0);
    Waiter waiter(control.doorbell(0));
    int bad = 0;
    for (int i = 0; i < frames; ++i) {
        OwnedFrame frame;
        waiter.WaitUntil([&] { return !ring.Empty(); }, std::nullopt);
        ring.TryRead(frame);
        if (ring.ProducerWaits()) {
            control.doorbell(1).Ring();
        }
        const std::vector<std::byte> tail(Below(sizes, 300), static_cast<std::byte>(i));
        bad += frame.header.sequence != static_cast<std::uint64_t>(i) || frame.bytes != tail;
    }
    writer.join();
    CHECK(bad == 0);
}

void CorruptRingIsNoticed(Random&) {
    Control control = Control::Make(1, 4096, 4096);
    Ring ring = control.ToHost(0);
    const FrameHeader header{1u << 31, 1u << 31, 0, 0, {}};
    CHECK(ring.TryWrite(header, {}, {}));
    OwnedFrame frame;
    CHECK(Contains(ErrorOf([&] { ring.TryRead(frame); }), "bytes in a ring that holds"));
}

/// Random allocation and release by several holders: no two live blocks overlap, and all comes back.
void ArenaNeverOverlaps(Random& random) {
    const std::uint64_t size = 64 * 4096;
    Control control = Control::Make(2, 4096, size);
    const UniqueFd memory = MakeMemory("test", size);
    HoldTable holds = control.holds();
    Arena arena(memory.get(), size, 1, holds);
    struct Live {
        ArrayRef ref;
        int held[3];
    };
    std::vector<Live> live;
    for (int step = 0; step < 20'000; ++step) {
        if (Below(random, 2) == 0) {
            ArrayRef ref{};
            const std::uint64_t bytes = Below(random, 6 * 4096);
            if (ErrorOf([&] { arena.Allocate(bytes, ref); }).empty()) {
                CHECK(ref.offset % 4096 == 0 && ref.size_bytes == bytes && ref.offset + bytes <= size);
                for (const auto& other : live) {
                    CHECK(ref.slot != other.ref.slot);
                    CHECK(ref.offset >= other.ref.offset + std::max<std::uint64_t>(other.ref.size_bytes, 1) ||
                          other.ref.offset >= ref.offset + std::max<std::uint64_t>(bytes, 1));
                }
                live.push_back({ref, {0, 1, 0}});
            }
        } else if (!live.empty()) {
            const auto i = Below(random, live.size());
            auto& item = live[i];
            const int process = static_cast<int>(Below(random, 3));
            if (Below(random, 3) == 0) {
                holds.Add(1, item.ref.slot, process, 1);
                ++item.held[process];
            } else if (item.held[process] > 0) {
                process == 1 ? arena.Release(item.ref) : holds.Add(1, item.ref.slot, process, -1);
                --item.held[process];
            }
            if (item.held[0] + item.held[1] + item.held[2] == 0) {
                live.erase(live.begin() + static_cast<std::ptrdiff_t>(i));
            }
        }
    }
    holds.ForgetProcess(0);
    holds.ForgetProcess(2);
    for (auto& item : live) {
        for (; item.held[1] > 0; --item.held[1]) {
            arena.Release(item.ref);
        }
    }
    CHECK(arena.UsedBytes() == 0);
    ArrayRef all{};
    CHECK(arena.Allocate(size, all).size() == size); // in one piece again
}

void ArenaErrorsNameTheSetting(Random&) {
    const std::uint64_t size = 4 * 4096;
    Control control = Control::Make(1, 4096, size);
    const UniqueFd memory = MakeMemory("test", size);
    HoldTable holds = control.holds();
    Arena arena(memory.get(), size, 0, holds);
    ArrayRef a{}, b{};
    CHECK(Contains(ErrorOf([&] { arena.Allocate(size + 1, a); }), "arena_bytes"));
    arena.Allocate(3 * 4096, a);
    holds.Add(0, a.slot, 1, 1);
    arena.Release(a); // participant 0 still holds it
    const std::string text = ErrorOf([&] { arena.Allocate(2 * 4096, b); });
    CHECK(Contains(text, "participant 0 holds 12.3 kB in 1 array") && Contains(text, "arena_bytes"));
    CHECK(Contains(ErrorOf([&] { holds.Add(0, a.slot, 1, -2); }), "more often"));
    CHECK(holds.Count(0, a.slot, 1) == 1);
    holds.ForgetProcess(1); // a dead holder
    CHECK(ErrorOf([&] { arena.Allocate(4 * 4096, b); }).empty());
    arena.Release(b);
    std::vector<ArrayRef> refs;
    const std::uint64_t many = 4096ull * (HoldTable::max_slots + 1);
    const UniqueFd large = MakeMemory("test", many);
    Control other = Control::Make(1, 4096, many);
    Arena slots(large.get(), many, 0, other.holds());
    for (std::uint32_t i = 0; i < HoldTable::max_slots; ++i) {
        slots.Allocate(1, a);
    }
    CHECK(Contains(ErrorOf([&] { slots.Allocate(1, a); }), "8192 arrays"));
}

/// A write through a view changes neither the owner's data nor, once the view has gone, the next one's.
void ViewsAreCopyOnWrite(Random&) {
    const std::uint64_t size = 1 << 20;
    auto control = std::make_shared<Control>(Control::Make(1, 4096, size));
    const UniqueFd host_memory = MakeMemory("test", size), memory = MakeMemory("test", size);
    const auto fds = [&] {
        std::vector<UniqueFd> list;
        list.emplace_back(::dup(host_memory.get()));
        list.emplace_back(::dup(memory.get()));
        return list;
    };
    ArenaAccess access(control, fds(), 1);
    Arena host(host_memory.get(), size, 0, control->holds());
    ArrayRef ref{};
    const auto owned = host.Allocate(10'000, ref);
    owned[0] = std::byte{1};
    std::byte* view = access.AddView(ref, false);
    std::byte* second = access.AddView(ref, false);
    CHECK(view == second && view[0] == std::byte{1});
    owned[0] = std::byte{2};
    CHECK(view[0] == std::byte{2}); // no copy was made
    view[0] = std::byte{99};
    CHECK(owned[0] == std::byte{2});
    access.DropView(ref);
    CHECK(second[0] == std::byte{99}); // still somebody's
    access.DropView(ref);
    host.Release(ref);
    CHECK(host.UsedBytes() == 0);
    const auto again = host.Allocate(10'000, ref);
    again[0] = std::byte{3};
    CHECK(access.AddView(ref, false)[0] == std::byte{3});
    access.DropView(ref);
    CHECK(Contains(ErrorOf([&] { access.AddView({0, 0, size - 4096, 4097}, false); }), "outside"));
    CHECK(Contains(ErrorOf([&] { access.AddView({7, 0, 0, 1}, false); }), "outside"));
}

void SchemasAreCompared(Random&) {
    const std::string ours = ProtocolMessages::DescribeAllLines();
    CHECK(CompareSchemas("participant 4", ours, ours).empty());
    std::string theirs = ours;
    const std::string fact = "Wait.deadline_ns\t\"<i8\" at byte 0";
    theirs.replace(theirs.find(fact), fact.size(), "Wait.deadline_ns\t\"<i4\" at byte 0");
    CHECK(CompareSchemas("participant 4", theirs, ours) ==
          "\n  Wait.deadline_ns: participant 4 has \"<i4\" at byte 0, the scenario has \"<i8\" at byte 0");
    theirs = ours + "Shout\ttype 99, 4 bytes\n";
    CHECK(Contains(CompareSchemas("participant 4", theirs, ours), "Shout: participant 4 has type 99, 4 bytes, the "
                                                                  "scenario has nothing"));
    const Hello hello{1, 2, 3, "a\tb\nc", ours};
    const Hello read = Hello::FromText(hello.ToText());
    CHECK(read.version == 1 && read.participant == 2 && read.pid == 3 && read.name == "a b c" && read.schema == ours);
    CHECK(!ErrorOf([] { Hello::FromText("GET / HTTP/1.0\n\n"); }).empty());
}

} // namespace

int main(int argc, char** argv) {
    const std::uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
    const std::pair<const char*, void (*)(Random&)> tests[] = {
        {"a ring behaves as a queue", RingMatchesQueue},
        {"a ring carries frames between threads", RingBetweenThreads},
        {"a corrupt ring is noticed", CorruptRingIsNoticed},
        {"arena blocks never overlap", ArenaNeverOverlaps},
        {"arena errors name the setting", ArenaErrorsNameTheSetting},
        {"views are copy-on-write", ViewsAreCopyOnWrite},
        {"schemas are compared", SchemasAreCompared},
    };
    for (const auto& [name, test] : tests) {
        Random random(seed);
        const int before = g_failures;
        test(random);
        std::printf("%s: %s\n", g_failures == before ? "ok" : "FAILED", name);
    }
    return g_failures == 0 ? 0 : 1;
}
