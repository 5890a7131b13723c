// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What is on the air on one carrier: who sends what in which slot, and what of it arrives at a receiver.
#pragma once

#include <complex>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ns3/mobility-model.h"
#include "ns3/phased-array-model.h"

#include "channel-link.h"
#include "nr-carrier.h"
#include "nr-channel-fetch.h"
#include "nr-covariance.h"
#include "power-rule.h"
#include "radio-channel.h"

namespace edgelam::nr {

/// What one gNB sends to one UE or group, or what one UE sends, in one slot.
struct Emission {
    std::uint32_t sender;  ///< the UE, or the cell
    std::uint32_t cell;    ///< whose resource blocks these are
    std::uint32_t groups;  ///< of resource blocks, as bits
    unsigned layers;       ///< columns of the weights
    bool perGroup = false; ///< whether each group has weights of its own
    double powerW = 0;     ///< of one resource block, if the squared magnitudes of its weights have the sum 1
    std::vector<std::complex<float>> weights; ///< [element, layer], or [group, element, layer]
    std::vector<double> sums;                 ///< of squared magnitudes of the weights of each group, if `perGroup`

    /// Take weights of all groups, [group, element, layer].
    void SetPerGroup(std::span<const std::complex<float>> values, unsigned numGroups);
};

/// The gNBs and UEs of one carrier. Only its cells' data is on the air, see Network.
///
/// Interference at a UE in a slot is what the other cells send in that slot: of the strongest (`explicitInterferers`)
/// the covariance between the UE's antennas that follows from channel and weights; of the others the mean power,
/// independent between antennas. At a gNB the same holds for the UEs of other cells. Who stays `relevanceDb` below the
/// noise is not heard at all. How strong somebody is on average, is looked at again when a UE has moved by a metre.
class Air {
  public:
    struct Settings {
        unsigned explicitInterferers = 8;
        double relevanceDb = 30; ///< below the receiver's noise
        double coherence = 3;    ///< in CoherenceDistances: how far a UE moves until channels are computed again
        PowerRule meanPower{};
    };

    explicit Air(const Settings& settings) : m_settings(settings) {}
    Air(const Air&) = delete;
    Air& operator=(const Air&) = delete;

    /// \param cell its number, at most once
    /// \param rank the order of cells where all else is equal; it must follow from their places
    /// \param carrier must live as long as this object; the same frequencies for all cells
    void AddCell(std::uint32_t cell, std::uint64_t rank, ns3::Ptr<RadioChannel> channel,
                 ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array, const Carrier& carrier);
    /// Add the next UE, 0, 1, ...
    void AddUe(ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array);
    std::size_t NumCells() const { return m_order.size(); }
    /// A UE hears through ports from now on, [antenna, port], orthonormal; before, each antenna is one.
    void SetUePorts(std::uint32_t ue, const PortWeights& ports) { m_ues.at(ue).ports = ports; }

    ns3::Ptr<ChannelLink> GetLink(std::uint32_t cell, std::uint32_t ue) const;
    /// Mean power gain from the first port of the gNB to an antenna of the UE, as the settings' rule takes it, where
    /// the UE was looked at last (Locate).
    double MeanGain(std::uint32_t cell, std::uint32_t ue);

    /// A new entry in what is sent in a slot, to be filled in by the caller: everything but the sender and the cell.
    Emission& SendDown(std::uint64_t slot, std::uint32_t cell);
    Emission& SendUp(std::uint64_t slot, std::uint32_t cell, std::uint32_t ue);
    /// What a cell, or what all UEs have sent in one of the last slots (`memory`).
    std::span<const Emission> SentDown(std::uint64_t slot, std::uint32_t cell) const {
        return m_cells.at(cell)->sent[slot % memory].In(slot);
    }
    std::span<const Emission> SentUp(std::uint64_t slot) const { return m_up[slot % memory].In(slot); }

    /// Add the channels that HearDown, or HearUp, takes with these arguments. They must have been fetched before, in
    /// the same event; then others may be heard on several threads.
    void FetchDown(std::uint32_t cell, std::uint32_t ue, std::uint64_t slot, std::uint32_t groups, ChannelFetch& fetch);
    void FetchUp(std::uint32_t cell, std::uint64_t slot, std::uint32_t groups, ChannelFetch& fetch);

    /// Add what a UE of a cell hears of other cells in a slot, relative to the UE's noise, to a covariance of its
    /// antennas (or ports) at the samples of these groups. \return whether there was anything
    bool HearDown(std::uint32_t cell, std::uint32_t ue, std::uint64_t slot, std::uint32_t groups,
                  Covariance& around) const;
    /// Add what a cell hears of other cells' UEs in a slot, relative to the gNB's noise, to a covariance of these
    /// orthonormal beams. \return whether there was anything
    bool HearUp(std::uint32_t cell, const PortWeights& beams, std::uint64_t slot, std::uint32_t groups,
                Covariance& around) const;
    /// Look again at how strong the cells are at this UE, if it has moved by a metre since the last time.
    void Locate(std::uint32_t ue);

    /// Slots that are remembered.
    static constexpr std::size_t memory = 64;

  private:
    /// A list whose entries keep their memory.
    struct Sent {
        std::uint64_t slot = UINT64_MAX;
        std::size_t count = 0;
        std::vector<Emission> emissions;
        Emission& Add(std::uint64_t now);
        std::span<const Emission> In(std::uint64_t asked) const {
            return {emissions.data(), asked == slot ? count : 0};
        }
    };
    /// The emissions of other cells' UEs that a cell hears in a slot, the strongest first.
    struct Heard {
        std::uint64_t slot = UINT64_MAX;
        std::size_t emissions = 0; ///< of that slot, when this was made
        struct One {
            double power;         ///< of a resource block, over noise
            std::uint32_t number; ///< in the list of the slot
        };
        std::vector<One> list;
    };
    struct CellEnd {
        std::uint64_t rank;
        ns3::Ptr<RadioChannel> channel;
        ns3::Ptr<ns3::MobilityModel> mobility;
        ns3::Ptr<ns3::PhasedArrayModel> array;
        const Carrier* carrier;
        PortWeights elements;
        double powerW; ///< of one resource block
        std::vector<Sent> sent = std::vector<Sent>(memory);
        std::vector<Heard> heard = std::vector<Heard>(memory);
    };
    /// Between a gNB and a UE.
    struct Path {
        ns3::Ptr<ChannelLink> link;
        std::uint64_t fetch = 0; ///< by which the channel was fetched last
        /// H [chunk of 4 samples, UE antenna, element, 4] from then
        const std::vector<std::complex<float>>* channel = nullptr;
    };
    struct UeEnd {
        ns3::Ptr<ns3::MobilityModel> mobility;
        ns3::Ptr<ns3::PhasedArrayModel> array;
        PortWeights elements;
        std::optional<PortWeights> ports; ///< empty: each element is one
        bool located = false;
        ns3::Vector place;                    ///< of the last look
        std::vector<double> gain;             ///< [cell] mean, at that place
        std::vector<std::uint32_t> strongest; ///< cells by received power, descending
        std::vector<Path> paths;              ///< [cell] empty before the first look
    };
    const ns3::Ptr<ChannelLink>& Link(std::uint32_t cell, std::uint32_t ue);
    void Fetch(std::uint32_t cell, std::uint32_t ue, ChannelFetch& fetch);
    /// Find out whom a cell hears in a slot.
    void HearAll(CellEnd& at, std::uint32_t cell, std::uint64_t slot);
    /// Calls body(emission, whether it is explicit, the other cell) for what a UE of a cell hears in these groups.
    template<class F>
    void ForHeardDown(std::uint32_t cell, std::uint32_t ue, std::uint64_t slot, std::uint32_t groups, F body) const;
    /// The same for what a cell hears: body(emission, whether it is explicit, power over noise).
    template<class F>
    void ForHeardUp(std::uint32_t cell, std::uint64_t slot, std::uint32_t groups, F body) const;
    /// Add layers of an emission on the samples of `groups`. \param arrive puts those of a chunk of 4 samples, through
    /// the weights of a group, where it is told: [receiver, layer, 4]
    template<class Arrive>
    static void AddExplicit(const Carrier& carrier, const Emission& emission, std::uint32_t groups, double noiseW,
                            std::size_t receivers, Covariance& around, Arrive arrive);
    static void AddWhite(const Carrier& carrier, const Emission& emission, std::uint32_t groups, double power,
                         Covariance& around);

    Settings m_settings;
    std::vector<std::unique_ptr<CellEnd>> m_cells; ///< by number; null: a cell of another carrier
    std::vector<std::uint32_t> m_order;            ///< their numbers, by rank
    std::vector<UeEnd> m_ues;
    std::vector<Sent> m_up = std::vector<Sent>(memory); ///< of all UEs
};

} // namespace edgelam::nr
