// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Several NR cells and their UEs: who is attached to whom, and what the cells hear of one another.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ns3/mobility-model.h"
#include "ns3/object.h"
#include "ns3/phased-array-model.h"
#include "ns3/traced-callback.h"

#include "nr-air.h"
#include "nr-cell.h"
#include "nr-connection.h"
#include "nr-slot-clock.h"

namespace edgelam::nr {

/// The cells of a network, on one carrier or on several that do not overlap. Cells have the numbers 0, 1, ... in the
/// order of AddCell; UEs have numbers of the whole network, and keep them when they change cells.
///
///     auto network = CreateObject<nr::Network>();
///     cell->SetGnb(channel, gnbMobility, gnbArray);
///     network->AddCell(cell);                                 // all cells before the first UE
///     const auto ue = network->AddUe(mobility, array, bearer);
///     network->Attach(ue, network->FirstCell(ue));
///     ...
///     network->Detach(ue);                                    // handover: in an event of its own
///     network->Attach(ue, target);
///
/// The cells of one carrier work in one rhythm (SlotClock): all have decided who sends in a slot before any block of
/// that slot is received. A receiver meets what the other cells of its carrier really send in that slot, on those
/// resource blocks, through their weights (Air). What is not heard: control channels, sounding and reference signals of
/// other cells, and their uplink in downlink slots (cross-link interference), as all cells of a carrier have one
/// pattern.
///
/// Nothing depends on the order in which cells are added, but for their numbers: contributions are added in an order
/// that follows from places, and a cell draws its random numbers from a stream that the first UE in it names.
class Network : public ns3::Object {
  public:
    static ns3::TypeId GetTypeId();
    Network();
    ~Network() override;

    /// Add a cell that has its gNB and no UE yet; before the first AddUe. Throws std::invalid_argument for a cell whose
    /// carrier overlaps that of another cell but differs in frequency, bandwidth, numerology or pattern, and for a
    /// second cell of a carrier at the same place with the same orientation of its array.
    /// \return its number
    std::uint32_t AddCell(ns3::Ptr<Cell> cell);
    std::uint32_t NumCells() const { return static_cast<std::uint32_t>(m_cells.size()); }
    /// Throws std::out_of_range for a cell that does not exist.
    const ns3::Ptr<Cell>& GetCell(std::uint32_t cell) const { return m_cells.at(cell); }

    /// Add a UE with its bearers (see Bearers); it is attached to no cell yet, and what it sends waits. Throws as
    /// Cell::CheckBearers and Cell::CheckPlace do, for what some cell could not carry.
    /// \return its number in the network
    std::uint32_t AddUe(ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array,
                        const std::vector<QosBearer>& bearers);
    std::uint32_t AddUe(ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array,
                        const BearerSettings& bearer = {}) {
        return AddUe(mobility, array, std::vector{QosBearer{bearer}});
    }
    std::uint32_t NumUes() const { return static_cast<std::uint32_t>(m_ues.size()); }

    /// Let a UE enter a cell. Its bearers (PDCP with its numbers, and RLC, see Connection) come along; HARQ, link
    /// adaptation, buffer status and scheduling requests begin anew. Throws std::invalid_argument for a cell that does
    /// not exist or has no room (HasRoom), std::logic_error for a UE that is attached.
    void Attach(std::uint32_t ue, std::uint32_t cell);
    /// Let a UE leave its cell: blocks that are on their way are lost (RLC AM sends their data again), packets wait in
    /// the bearers. Others in the cell notice nothing. Call this in an event of its own, not while the cell hands up a
    /// packet.
    void Detach(std::uint32_t ue);
    /// Whether one more UE may enter a cell, when so many are on their way to it.
    bool HasRoom(std::uint32_t cell, std::uint32_t coming = 0) const { return m_cells[cell]->HasRoom(coming); }
    /// The cell that a UE is attached to; empty: none.
    std::optional<std::uint32_t> ServingCell(std::uint32_t ue) const { return m_ues.at(ue).cell; }
    /// The cell that a UE is attached to, or was attached to last; empty: it has never been in one.
    std::optional<std::uint32_t> LastCell(std::uint32_t ue) const { return m_ues.at(ue).last; }

    /// The bearers of a UE, in whatever cell it is.
    Connection& GetConnection(std::uint32_t ue) const { return *m_ues.at(ue).connection; }
    /// Send a packet through a bearer of the UE; it waits while the UE is attached to no cell. \return false if the
    /// buffer is full
    bool SendDown(std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority = 0, unsigned bearer = 0);
    bool SendUp(std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority = 0, unsigned bearer = 0);
    /// Set guaranteed rates, bit/s, [direction, ue, bearer], from now on. Throws as Cell::SetGuaranteed does; a rate is
    /// checked against the cell that the UE is in.
    void SetGuaranteed(std::span<const double> bps);
    /// Energy of the radio of a UE, in all cells and between them, up to the beginning of the present slot, J. Between
    /// two cells it listens, and sends the preambles that SendPreamble tells of.
    double UeJoules(std::uint32_t ue, Direction direction) const;
    void SendPreamble(std::uint32_t ue, double dbm);
    /// Set the receivers of packets at the UEs (downlink) and at the gNBs (uplink), for all cells: they are called with
    /// the UE's number.
    void SetDeliver(const Cell::Deliver& atUe, const Cell::Deliver& atGnb);

    /// Mean power gain from the first port of a cell to an antenna of a UE, with the gain of antennas that the
    /// attribute Rsrp asks for; no fading, no beam. Of the place where the UE was looked at last, within a metre.
    /// Linear.
    double CouplingGain(std::uint32_t cell, std::uint32_t ue) const { return AirOf(cell).MeanGain(cell, ue); }
    /// Reference signal received power at a UE: the power of one subcarrier that the whole power of the cell gives
    /// with this gain, dBm.
    double RsrpDbm(std::uint32_t cell, std::uint32_t ue) const;
    /// SINR of a cell's reference signals at a UE, if all cells of its carrier send on the whole band, dB.
    /// \param rsrpDbm [cell] of all cells at this UE
    double SinrDb(std::uint32_t cell, std::span<const double> rsrpDbm) const;
    /// The cell with the highest RSRP of those that are admitted; empty: none of them is.
    using Admits = std::function<bool(std::uint32_t cell)>;
    std::optional<std::uint32_t> StrongestCell(std::uint32_t ue, const Admits& admits) const {
        return CellWithin(ue, 0, admits);
    }
    std::uint32_t StrongestCell(std::uint32_t ue) const { return CellWithin(ue, 0, {}).value(); }
    /// The strongest cell that has room, or one that is at most AttachMargin weaker, each as likely: a function of
    /// seed, run and UE. Throws std::invalid_argument if no cell has room.
    std::uint32_t FirstCell(std::uint32_t ue) const;

    /// What the cells of this cell's carrier send.
    const Air& GetAir(std::uint32_t cell) const { return AirOf(cell); }
    /// The link between a cell's gNB and a UE, whether they serve each other or not.
    ns3::Ptr<ChannelLink> GetLink(std::uint32_t cell, std::uint32_t ue) const;

    /// Number of the UE and of the cell that it has entered, or left (`attached` false).
    using AttachmentCallback = void (*)(std::uint32_t ue, std::uint32_t cell, bool attached);

    /// Uses one stream for the cell that serves UE 0 first, and streams from 2^32 on for the others. \return 1
    std::int64_t AssignStreams(std::int64_t stream);

  protected:
    void DoDispose() override;

  private:
    struct CarrierGroup;
    struct Ue {
        ns3::Ptr<ns3::MobilityModel> mobility;
        ns3::Ptr<ns3::PhasedArrayModel> array;
        std::shared_ptr<Connection> connection;
        std::optional<std::uint32_t> cell, last;
        std::uint32_t opened; ///< cells that it was the first to enter
    };
    void Start();
    std::optional<std::uint32_t> CellWithin(std::uint32_t ue, double marginDb, const Admits& admits) const;
    void SetRsrp(std::string name);
    std::string GetRsrp() const { return m_rsrp; }
    Air& AirOf(std::uint32_t cell) const;

    unsigned m_explicit, m_rayCells;
    double m_relevanceDb, m_coherence, m_attachMarginDb;
    std::string m_rsrp;
    std::int64_t m_stream = 0;
    bool m_started = false;
    std::vector<ns3::Ptr<Cell>> m_cells;
    std::vector<CarrierGroup> m_groups;
    std::vector<std::uint32_t> m_groupOf; ///< [cell]
    std::vector<bool> m_isSeeded;         ///< [cell]
    std::vector<Ue> m_ues;
    ns3::TracedCallback<std::uint32_t, std::uint32_t, bool> m_attachmentTrace;
};

} // namespace edgelam::nr
