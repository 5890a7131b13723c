// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What UEs receive of each cell before any packet is sent: RSRP, coupling gain, geometry.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ns3/mobility-model.h"
#include "ns3/phased-array-model.h"

#include "attribute-values.h"
#include "named-random.h"
#include "options.h"
#include "radio-channel.h"
#include "registry.h"

namespace edgelam {

/// Add --rsrp, --rayCells and --attachMargin, which give attributes of nr::Network their values, to a scenario's
/// command line.
void AddReceivedPowerOptions(Options& options, AttributeValues& network);

/// Received powers of all cells at all UEs, at their present places, and what follows from them.
///
/// The coupling gain is the power gain from the first port of a cell to a UE's antennas (ChannelLink::GetPortGain), in
/// dB; the coupling loss is its negative. Geometry is the received power of the serving cell over that of all other
/// cells and noise, SIR the same without noise. All cells send with their whole power in the whole band. A cell with
/// several beams serves a UE over the best one, and disturbs the UEs of others over any of them. A UE with several
/// receives over the one that is best for its cell, and hears all others over the same.
class LinkBudget {
  public:
    struct Cell {
        ns3::Ptr<ns3::MobilityModel> mobility;
        std::vector<ns3::Ptr<ns3::PhasedArrayModel>> beams; ///< one array for each beam
        double powerDbm;
    };
    struct Ue {
        ns3::Ptr<ns3::MobilityModel> mobility;
        std::vector<ns3::Ptr<ns3::PhasedArrayModel>> beams; ///< one array for each beam
    };

    /// Add the section "Received power" to a scenario's command line.
    void AddOptions(Options& options);

    /// \param subcarriers over which a cell's power is spread, for RSRP; \param noiseDbm in the whole band
    /// \param random chooses among cells that are alike for a UE (--attachMargin)
    void Set(ns3::Ptr<RadioChannel> channel, std::vector<Cell> cells, std::vector<Ue> ues, double subcarriers,
             double noiseDbm, NamedRandom random);

    /// The strongest cell of a UE, or one that is weaker by at most --attachMargin, each as likely. Stays once it is
    /// known.
    std::uint32_t ServingCell(std::uint32_t ue);
    /// Linear, at the present places.
    struct CellGains {
        std::vector<double> best;             ///< [cell] over the beams of both ends that are best together
        std::vector<std::size_t> ueBeam;      ///< [cell] that of the UE among them
        std::vector<std::vector<double>> any; ///< [UE beam, cell] over any beam of the cell, each as likely: it uses
                                              ///< that one for somebody else
    };
    CellGains CouplingGains(std::uint32_t ue);

    /// Publish rsrp and coupling_gain [ue, cell], serving_cell, geometry and sir [ue].
    void Publish(Registry& registry);

  private:
    /// Of all UEs, at one time: all observables that are read at that time come from it.
    struct Table {
        std::int64_t timeNs = -1;
        std::vector<CellGains> gains; ///< [ue]
    };
    const CellGains& GainsNow(std::uint32_t ue);
    double SinrDb(std::uint32_t ue, bool withNoise);

    AttributeValues m_network{"edgelam::nr::Network"}; ///< how a network takes received powers
    ns3::Ptr<RadioChannel> m_channel;
    std::vector<Cell> m_cells;
    std::vector<Ue> m_ues;
    std::vector<double> m_choices;                  ///< [ue], uniform
    std::vector<std::vector<double>> m_beamChoices; ///< [ue][cell], uniform
    std::vector<std::int64_t> m_serving;            ///< [ue]; -1: not known yet
    double m_subcarriers = 1, m_noiseDbm = 0;
    Table m_now;
};

} // namespace edgelam
