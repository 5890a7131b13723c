// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The energy of the radio of a cell, and the discontinuous reception of its UEs: what the MAC tells of each slot.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "nr-gnb-energy.h"
#include "nr-harq-entity.h"
#include "nr-links.h"
#include "nr-ue-energy.h"

namespace edgelam::nr {

class RadioEnergy {
  public:
    using Trace = ns3::TracedCallback<const PowerRecord&>;
    /// \param elements of the gNB's array
    RadioEnergy(const Carrier& carrier, Links& links, std::size_t elements, const Trace& trace);

    /// Add a UE. \param slot the first that counts
    void AddUe(std::uint32_t ue, unsigned antennas, std::uint64_t slot);
    /// The UE leaves the cell for none: from this slot on it listens in every slot.
    void Leave(std::uint32_t ue, std::uint64_t slot);
    /// A UE that is in no cell sends a preamble, which takes what a block of this power takes.
    void SendPreamble(std::uint32_t ue, std::uint64_t slot, double dbm);
    /// The UE enters a cell, this one or another: what follows does not count here, if it is not added again. A UE that
    /// is not here is no fault. \param slot the first that does not count
    void RemoveUe(std::uint32_t ue, std::uint64_t slot);

    /// Whether a UE listens to grants in this slot.
    bool Listens(std::uint32_t ue, std::uint64_t slot) const { return m_ues[ue]->GetDrx().Active(slot); }
    /// A UE gets a grant in this slot. \param fresh for a new block
    void Grant(std::uint32_t ue, std::uint64_t slot, Direction direction, unsigned harq, bool fresh);
    /// A scheduling request is sent.
    void Request(std::uint32_t ue, std::uint64_t slot);
    /// A CSI report is due in this slot; it, or sounding, is sent in the next slot with uplink symbols.
    void Report(std::uint32_t ue, std::uint64_t slot);
    /// A block is sent to a UE, whose feedback follows.
    void SendDown(std::uint32_t ue, std::uint64_t slot, unsigned harq, bool decoded);
    /// A block is sent to a UE as one of a multicast group. \param answers it sends HARQ feedback
    void SendMulticast(std::uint32_t ue, std::uint64_t slot, bool answers);
    /// A grant to several UEs for an analog transfer, and what a UE sends for it, with all of its power.
    void GrantAnalog(std::uint64_t slot, unsigned cces) { m_gnb.SendGrant(slot, cces); }
    void SendAnalog(std::uint32_t ue, std::uint64_t slot);
    void SendUp(std::uint32_t ue, std::uint64_t slot, const HarqProcess& process, unsigned harq);
    /// What the gNB sends for one UE or group.
    void SendGroups(std::uint64_t slot, const std::vector<std::uint32_t>& groups) { m_gnb.SendBlock(slot, groups); }
    /// A UE resets its MAC.
    void Reset(std::uint32_t ue, std::uint64_t slot) { m_ues[ue]->GetDrx().Reset(slot); }

    /// Account for all slots before this one. May be called at any time; slots are kept until then.
    void Advance(std::uint64_t slot);
    /// So far, J.
    double UeJoules(std::uint32_t ue, Direction direction) const {
        return ue >= m_ues.size() ? 0
                                  : m_earlier[ue][static_cast<std::size_t>(direction)] +
                                        (m_ues[ue] ? m_ues[ue]->Joules(direction) : 0);
    }
    double GnbJoules(Direction direction) const { return m_gnb.Joules(direction); }
    /// The most that the radio of a UE takes that is or was here, W; 0: there was none.
    double UePeakW() const;

  private:
    /// A short PUCCH in one resource block.
    void SendShort(std::uint32_t ue, std::uint64_t slot, std::uint64_t known);
    double PowerDbm(std::uint32_t ue, unsigned prbs) const { return 30 + DbOf(m_links.UplinkPowerW(ue, prbs) * prbs); }

    const Carrier& m_carrier;
    Links& m_links;
    const Trace& m_trace;
    const DrxTimes m_drx, m_always; ///< m_always: without DRX
    GnbEnergy m_gnb;
    std::vector<std::unique_ptr<UeEnergy>> m_ues; ///< by number; null: neither in this cell nor last in it
    std::vector<std::array<double, 2>> m_earlier; ///< [ue][direction] J of earlier stays in the cell, and after them
    std::vector<unsigned> m_antennas;             ///< [ue]
    std::uint64_t m_advanced = 0;                 ///< all slots before it have been accounted for
};

} // namespace edgelam::nr
