// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Who gets which resource blocks of a slot.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace edgelam::nr {

/// One UE that wants something in this slot and direction.
struct Candidate {
    std::uint32_t ue;              ///< the cell's number of it
    std::uint64_t wantedBytes;     ///< backlog as known to the gNB, > 0
    std::uint32_t fixedGroups;     ///< groups of a retransmission, which needs just as many as before; 0: new data
    const float* bitsPerGroup;     ///< [group]: what one group would carry in this slot, estimated; > 0
    double averageBps;             ///< throughput so far, smoothed
    double share = 0;              ///< external: part of the band, 0 to 1
    std::uint32_t leastGroups = 0; ///< external: at least so many groups when there is that much to send
    std::uint32_t groups = 0;      ///< result: how many it got
};

/// Frequency is given out in groups of resource blocks (RBGs, TS 38.214 5.1.2.2.1). A scheduler looks at candidates and
/// fills `owner`; it never gives a UE more than its backlog needs. Retransmissions come first. No memory is allocated
/// once the vectors have grown.
class Scheduler {
  public:
    virtual ~Scheduler() = default;

    static constexpr std::uint32_t nobody = UINT32_MAX;

    /// \param owner [group]: index into candidates, or nobody; filled
    /// \param contiguous uplink: each UE's groups lie side by side (resource allocation type 1)
    /// \param lastGroup size of the last group, as a part of the others'
    void Allocate(std::vector<Candidate>& candidates, std::uint32_t numGroups, bool contiguous,
                  std::vector<std::uint32_t>& owner, double lastGroup = 1);

    /// "rr": round robin, equal numbers of groups in turn; "pf": proportional fair, each group to the largest ratio of
    /// rate to throughput so far; "max-rate": each group to the largest rate; "external": each UE its share of the band
    /// and at least its minimum, what is left over in turn. Throws std::invalid_argument for another name.
    static std::unique_ptr<Scheduler> Make(const std::string& name);

  protected:
    /// Fill m_want: how many groups each candidate is to have.
    virtual void Divide(const std::vector<Candidate>& candidates, std::uint32_t free) = 0;
    /// Fill `owner` where it is nobody, for downlink; by default side by side.
    virtual void Place(std::vector<Candidate>& candidates, std::vector<std::uint32_t>& owner);
    /// Everybody's groups are in `owner`.
    virtual void Placed(const std::vector<Candidate>&, const std::vector<std::uint32_t>&) {}

    std::vector<std::uint32_t> m_want, m_needed; ///< [candidate]: groups it gets; that its backlog fills
    std::vector<float> m_meanBits;               ///< [candidate]
    std::uint32_t m_numGroups = 0;
    double m_lastGroup = 1;
    std::uint32_t m_turn = 0;  ///< whose turn it is, as a UE number
    std::uint32_t m_first = 0; ///< whose groups come first, as an index of candidates modulo their number
};

} // namespace edgelam::nr
