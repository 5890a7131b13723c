// SPDX-License-Identifier: GPL-2.0-only
#include "edgelam/bridge/control.h"

#include <bit>
#include <cstring>

namespace edgelam::bridge {

namespace {

/// What a host may have made: everything behind the header is placed by these numbers.
bool Plausible(const ControlHeader& header) {
    return header.magic == control_magic && header.participants >= 1 && header.participants <= max_participants &&
           std::has_single_bit(header.ring_bytes) && header.ring_bytes >= min_ring_bytes &&
           header.ring_bytes <= max_ring_bytes && header.arena_bytes >= min_arena_bytes &&
           header.arena_bytes <= max_arena_bytes && header.arena_bytes == PageAlign(header.arena_bytes);
}

} // namespace

std::string WrongSizeText(const FrameHeader& header) {
    return (header.type < ProtocolMessages::size ? "a " : "") + ProtocolMessages::NameOf(header.type) + " of " +
           std::to_string(header.body_bytes) + " bytes" +
           (header.type < ProtocolMessages::size ? ", not " + std::to_string(ProtocolMessages::SizeOf(header.type))
                                                 : ", which there is not");
}

Control::Places Control::PlacesFor(std::uint64_t participants, std::uint64_t ring_bytes) {
    Places places{};
    std::uint64_t end = 0;
    const auto take = [&](std::uint64_t bytes) {
        const std::uint64_t at = end;
        end += (bytes + 63) / 64 * 64;
        return at;
    };
    take(sizeof(ControlHeader));
    places.doorbells = take(sizeof(Doorbell) * (participants + 1));
    places.participants = take(sizeof(ParticipantState) * participants);
    places.rings = take(sizeof(RingState) * participants * 2);
    places.used_slots = take(sizeof(std::uint32_t) * (participants + 1));
    places.ring_data = take(ring_bytes * participants * 2);
    places.holds = take(HoldTable::SizeBytes(static_cast<int>(participants) + 1));
    places.total = PageAlign(end);
    return places;
}

Control Control::Make(int participants, std::uint64_t ring_bytes, std::uint64_t arena_bytes) {
    const Places places = PlacesFor(participants, ring_bytes);
    UniqueFd fd = MakeMemory("edgelam-control", places.total);
    {
        // Fresh memory is all zeros, which is the initial state of everything but this.
        Mapping memory(fd.get(), places.total, Access::shared);
        auto& header = *reinterpret_cast<ControlHeader*>(memory.data());
        header.magic = control_magic;
        header.participants = static_cast<std::uint32_t>(participants);
        header.ring_bytes = ring_bytes;
        header.arena_bytes = arena_bytes;
        header.total_bytes = places.total;
    }
    return Control(std::move(fd));
}

Control::Control(UniqueFd fd) : m_fd(std::move(fd)) {
    const std::size_t size = MemorySize(m_fd.get());
    bool whole = false;
    if (size >= sizeof(ControlHeader)) {
        m_memory = Mapping(m_fd.get(), size, Access::shared);
        if (Plausible(header())) {
            m_places = PlacesFor(header().participants, header().ring_bytes);
            whole = header().total_bytes == size && m_places.total == size;
        }
    }
    if (!whole) {
        throw BridgeError("the control segment (" + std::to_string(size) + " bytes) is not one of this version");
    }
}

Ring Control::RingAt(int index) const {
    const std::uint64_t capacity = header().ring_bytes;
    return Ring(At<RingState>(m_places.rings) + index,
                At<std::byte>(m_places.ring_data) + static_cast<std::uint64_t>(index) * capacity, capacity);
}

HoldTable Control::holds() const {
    return HoldTable(At<std::atomic<std::uint32_t>>(m_places.holds),
                     At<std::atomic<std::uint32_t>>(m_places.used_slots), static_cast<int>(header().participants) + 1);
}

void Control::Abort(AbortCause cause, int participant, const std::string& text) {
    if (!Aborted()) {
        header().aborted_by = participant;
        std::strncpy(header().abort_text, text.c_str(), sizeof(header().abort_text) - 1);
        header().aborted.store(cause);
    }
    RingAll();
}

void Control::RingAll() const {
    for (std::uint32_t process = 0; process <= header().participants; ++process) {
        doorbell(static_cast<int>(process)).Ring();
    }
}

} // namespace edgelam::bridge
