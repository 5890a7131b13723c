// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Beam failure: its detection, and the random access that brings a UE back (TS 38.321 5.17, TS 38.213 6).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "nr-access-carrier.h"

namespace edgelam::nr {

/// One UE's counter of beam failure instances (BFI_COUNTER).
class BeamFailureCounter {
  public:
    /// \param most beamFailureInstanceMaxCount; \param timer beamFailureDetectionTimer, in measurements
    BeamFailureCounter(unsigned most, unsigned timer) : m_most(most), m_timer(timer) {}
    /// One measurement of the serving beam. Each bad one counts and restarts the timer, and when that runs out the
    /// count is 0 again. \return whether the beam has failed with it
    bool Measure(bool bad);
    void Reset() { m_count = m_good = 0; }

  private:
    unsigned m_most, m_timer;
    unsigned m_count = 0, m_good = 0; ///< instances; measurements since the last one
};

/// After a failure, a UE that knows a beam which is strong enough sends preambles that the gNB has for this (the 10
/// that are not for contention, one for each UE that is in need), and, once beamFailureRecoveryTimer has run out,
/// preambles for contention. The gNB's answer ends the recovery, see RandomAccessChannel.
class BeamRecovery {
  public:
    BeamRecovery(const Carrier& carrier, ns3::Ptr<ns3::UniformRandomVariable> random,
                 std::function<void(std::uint32_t ue, double dbm)> sent);

    /// A measurement of the serving beam of a UE. \return whether it fails with it
    bool Measure(std::uint32_t ue, bool bad, std::uint64_t slot);
    bool HasFailed(std::uint32_t ue) const { return Of(ue).failed; }
    /// Whether random access of a UE is under way.
    bool Seeks(std::uint32_t ue) const { return m_access.Runs(ue); }
    /// \param lossDb between both ends over the UE's candidate, asked for with each preamble; \param done, problem see
    /// RandomAccessChannel
    void Seek(std::uint32_t ue, RandomAccessChannel::LossDb lossDb, std::function<void()> done,
              std::function<void()> problem);
    /// All is well again.
    void Reset(std::uint32_t ue);
    const RandomAccessChannel& Access() const { return m_access; }

  private:
    struct Ue {
        BeamFailureCounter counter;
        bool failed = false;
        std::uint64_t failedSlot = 0;
    };
    const Ue& Of(std::uint32_t ue) const { return m_ues.at(ue); }
    Ue& Make(std::uint32_t ue);

    const Carrier& m_carrier;
    RandomAccessChannel m_access;
    std::vector<Ue> m_ues; ///< by number
};

} // namespace edgelam::nr
