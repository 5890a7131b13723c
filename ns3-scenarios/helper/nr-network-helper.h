// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A network of NR cells with handover, and the IPv4 network around it, with servers in three tiers. See
/// scenarios/nr-highway.cc for a complete scenario.
///
///     edgelam::NrNetworkHelper nr;
///     nr.AddOptions(scenario.options());
///     ...                                                 // once the options are read:
///     nr.AddGnb(gnbNode, channel, {{0}});                 // nodes with a mobility model; all gNBs before the UEs
///     nr.AddUe(ueNode);
///     nr.Install(scenario);                               // servers, handover, observables and controls
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "attribute-values.h"
#include "carriers.h"
#include "nr-helper.h"
#include "nr-network-devices.h"
#include "nr-reports.h"
#include "scenario.h"
#include "sites-file.h"
#include "wired-servers.h"

namespace edgelam {

/// gNBs around one user plane function (UPF), each with its own N3 link, over which Xn goes as well:
///
///     UEs ~~~ gnb0 (a router) ---+
///               | edge0          +--- UPF (a router) --- edge servers behind it --- cloud0 (WAN)
///     UEs ~~~ gnb1 (a router) ---+
///               | edge1
///
/// UEs 10.45.0.0/16, servers at site k 10.46.k.0/24, behind the UPF 10.47.0.0/16, N3 links 10.48.0.0/16. A UE keeps its
/// address when it changes gNBs: the UPF has a route to each UE. Packets to a UE that come to a gNB where it is not,
/// from a server there or from another UE, go on through a tunnel over Xn.
class NrNetworkHelper {
  public:
    explicit NrNetworkHelper(const NrGnbDefaults& defaults = {}) : m_radio(defaults) {}

    /// Add the sections of NrHelper, "Interference and received power", "Handover" and "Tiers" to a scenario's command
    /// line.
    void AddOptions(Options& options);
    /// \return number of streams used
    std::int64_t AssignStreams(std::int64_t stream);
    NrHelper& Radio() { return m_radio; }

    /// A cell of a gNB.
    struct Sector {
        double bearingDeg;                   ///< of its array, from the x axis towards y
        std::optional<double> powerDbm = {}; ///< instead of the radio's --gnbPower
        ns3::Ptr<RadioChannel> channel = {}; ///< instead of that of the gNB
    };
    /// A gNB with these cells. Throws std::invalid_argument for settings that do not go together. The first channel has
    /// the carrier of --frequency; each further one has its own (its attribute Frequency), with the same bandwidth.
    /// \return its number
    std::uint32_t AddGnb(ns3::Ptr<ns3::Node> node, ns3::Ptr<RadioChannel> channel, const std::vector<Sector>& sectors);
    /// gNBs at the places of cells, each with those of one site. \param deployment where a cell has none of its own
    void AddGnbs(const std::vector<SiteCell>& cells, Carriers& carriers, const std::string& deployment);
    std::uint32_t AddUe(ns3::Ptr<ns3::Node> node);
    /// After the last AddUe: attach all UEs to their strongest cells, make servers, expose ue0, ..., edge0, ... (one or
    /// more at each gNB, then those behind the UPF), cloud0, gnb0, ..., and begin with measurements. Publishes what
    /// NrReports has for a network, and
    ///
    ///     serving_cell, handover_phase       [ue]; gnb_of_cell [cell]
    ///     coupling_gain, rsrp_dbm,           [ue, cell]
    ///     cell_sinr_db                       [ue, cell]; SINR if all cells send on the whole band
    ///     handover_counts, handover_last     [ue]: nr::HandoverCounts, nr::HandoverRecord
    ///     handovers                          [record]: all nr::HandoverRecord so far
    ///     edge_hops, edge_round_trip_s       [ue, edge]; nearest_edge [ue]
    ///     trace_handovers, trace_measurements
    ///
    /// and takes, with the controls of NrReports, handover [ue], and a3_offset_db, a3_hysteresis_db, cell_offset_db,
    /// time_to_trigger_ms [serving, cell].
    void Install(Scenario& scenario);

    const ns3::Ptr<nr::Network>& GetNetwork() const { return m_network; }
    nr::Handover& GetHandover() const { return *m_ues->handover; }
    std::uint32_t NumUes() const { return static_cast<std::uint32_t>(m_ueNodes.size()); }
    std::uint32_t NumGnbs() const { return static_cast<std::uint32_t>(m_gnbs.size()); }

  private:
    struct Gnb {
        ns3::Ptr<ns3::Node> node;
        ns3::Ptr<NrNetworkGnbDevice> device;
        ns3::Ipv4Address address, upfAddress; ///< of the ends of its N3 link
        std::uint32_t n3Interface, upfInterface;
        ns3::Ipv4AddressHelper siteAddresses;
        ns3::Ipv4Address ueSideAddress = {};
    };
    struct Edge {
        std::int64_t gnb; ///< -1: behind the UPF
    };
    void MakeUpf();
    void RouteTo(std::uint32_t ue, std::uint32_t gnb);
    void InstallServers(Scenario& scenario);
    void PublishCells(Registry& registry);
    void PublishHandovers(Registry& registry);
    void PublishTiers(Registry& registry);
    void AddControls(Registry& registry);
    double EdgeDelayS(std::uint32_t ue, std::size_t edge, std::uint32_t& hops) const;
    std::string SetPairs(const std::function<void(nr::EventA3Settings&, std::size_t)>& set);

    NrHelper m_radio;
    AttributeValues m_networkValues{"edgelam::nr::Network"};
    nr::HandoverSettings m_settings;
    std::string m_decision = "a3";
    double m_offsetDb = 3, m_hysteresisDb = 1, m_timeToTriggerS = 0.16, m_t304S = 1, m_backoffS = 0.02;
    std::uint32_t m_filter = 4, m_numSiteEdge = 1, m_numUpfEdge = 1, m_numEdge = 0;
    bool m_noForwarding = false;
    ServerLinks m_links{1e-4};
    std::int64_t m_stream = 0;

    ns3::Ptr<nr::Network> m_network;
    std::shared_ptr<NrNetworkUes> m_ues = std::make_shared<NrNetworkUes>();
    std::unique_ptr<NrBackhaul> m_backhaul;
    std::unique_ptr<NrReports> m_reports;
    ns3::Ptr<ns3::Node> m_upf;
    std::vector<Gnb> m_gnbs;
    std::vector<std::uint32_t> m_gnbOf; ///< [cell]
    std::vector<ns3::Ptr<ns3::Node>> m_ueNodes;
    std::vector<ns3::Ptr<NrNetworkUeDevice>> m_ueDevices;
    std::vector<ns3::Ipv4Address> m_ueAddresses;
    ns3::Ipv4AddressHelper m_ueNetwork{"10.45.0.0", "255.255.0.0"}, m_n3{"10.48.0.0", "255.255.255.252"},
        m_upfAddresses{"10.47.0.0", "255.255.255.252"};
    std::vector<Edge> m_edges;
    std::vector<nr::HandoverRecord> m_allHandovers, m_handovers; ///< since the beginning; since the trace was read
    bool m_traces = false;                                       ///< whether somebody subscribes to it
    std::vector<nr::MeasurementRecord> m_measurements;
};

} // namespace edgelam
