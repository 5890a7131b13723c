// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Whether a UE and its gNB reach each other: radio link monitoring and failure (TS 38.331 5.3.10, TS 38.133 8.1).
#pragma once

#include <cstdint>
#include <utility>

namespace edgelam::nr {

/// What layer 1 says about the link when it measures it.
enum class Sync : std::uint8_t {
    In,      ///< in-sync
    Between, ///< neither: no indication
    Out      ///< out-of-sync
};

/// Counts and times of TS 38.331, in slots.
struct RadioLinkTimers {
    unsigned n310 = 1, n311 = 1;
    std::uint64_t t310 = 0, t311 = 0;
};

/// The state of one link. N310 out-of-sync indications without an in-sync one between start T310; N311 in-sync ones
/// without an out-of-sync one between stop it. When it runs out, the link has failed. A failed link is up again with
/// the first in-sync indication (re-establishment, whose messages are not simulated). T311 runs as long as the link has
/// failed, and each time that it runs out the connection is released: the waiting data is dropped.
class RadioLink {
  public:
    enum class State : std::uint8_t { Connected, Failing, Failed };

    explicit RadioLink(const RadioLinkTimers& timers) : m_timers(timers) {}

    State GetState() const { return m_state; }
    bool Failed() const { return m_state == State::Failed; }
    /// Bring T310 and T311 up to date with this slot.
    void Advance(std::uint64_t slot);
    /// Whether T311 has run out since the last call, so that the connection is released.
    bool TakeRelease() { return std::exchange(m_release, false); }
    /// Take an indication of layer 1.
    void Indicate(Sync sync, std::uint64_t slot);
    /// Let the link fail for another reason: RLC or random access.
    void Fail(std::uint64_t slot);
    /// Called after a time in which there was nothing to send and the link was not watched: T311 begins again.
    void Resume(std::uint64_t slot);

  private:
    RadioLinkTimers m_timers;
    State m_state = State::Connected;
    unsigned m_out = 0, m_in = 0; ///< indications in a row
    bool m_release = false;
    std::uint64_t m_expiry = 0; ///< slot in which T310 (failing) or T311 (failed) runs out
};

} // namespace edgelam::nr
