// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What the author of a scenario with an NR cell calls: the cell, its devices, and the IPv4 network around it. See
/// scenarios/nr-urban-micro.cc for a complete one.
///
///     edgelam::NrHelper nr;
///     nr.AddOptions(scenario.options());
///     ...                                                    // once the options are read:
///     nr.InstallGnb(gnbNode, channel);                       // nodes with a mobility model; the gNB first
///     nr.InstallUe(ueNode);
///     auto edge = nr.AddServer(edgelam::NrHelper::Place::Site, 10e9, 100e-6);
///     nr.Tune(scenario.Expose(edge, "edge0", "edge"));
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ns3/ipv4-address-helper.h"
#include "ns3/ipv4-routing-helper.h"
#include "ns3/ipv4.h"
#include "ns3/mobility-model.h"
#include "ns3/net-device-container.h"
#include "ns3/node.h"
#include "ns3/uniform-planar-array.h"

#include "antenna-options.h"
#include "attribute-values.h"
#include "nr-cell.h"
#include "nr-csi-options.h"
#include "nr-multicast.h"
#include "nr-net-device.h"
#include "nr-quality.h"
#include "options.h"
#include "radio-channel.h"
#include "transfer-application.h"

namespace edgelam {

/// The defaults that differ between kinds of sites, before the command line is read.
struct NrGnbDefaults {
    std::optional<double> powerDbm; ///< empty: that of nr::Cell
    std::uint32_t rows = 8, columns = 4;
    double downtiltDeg = 6;
};

/// One NR cell and its core network:
///
///     UEs 10.45.0.0/16 ~~~ gNB, a router ------- UPF, a router ----- servers there 10.47.0.0/16: edge, cloud
///                             |          N3
///                             servers at the site 10.46.0.0/16 (local breakout: they never cross the N3 link)
///
/// All nodes reach each other; UEs reach each other through the gNB. Packets are routed without change, without GTP-U
/// tunnels; only the 36 bytes of their headers (IPv4 20, UDP 8, GTP-U 8) are modelled, as a gap after each packet on
/// the N3 link, whose MTU is assumed to be large enough.
class NrHelper {
  public:
    explicit NrHelper(const NrGnbDefaults& defaults = {});

    /// Add the sections "Radio", "Antennas" and "Core" to a scenario's command line.
    void AddOptions(Options& options);
    double CarrierHz() const { return m_carrier.Number("Frequency"); }

    /// Scheduler, beamformer and user selection of the cell: the name of a TypeId derived from nr::Scheduler,
    /// nr::Beamformer or nr::UserSelection. Before AddOptions it becomes the default of the option, which still takes
    /// the others; afterwards it is what is used.
    void SetSchedulerTypeId(const std::string& typeId) { m_settings.Set("Scheduler", typeId); }
    void SetBeamformerTypeId(const std::string& typeId) { m_settings.Set("Beams", typeId); }
    void SetSelectionTypeId(const std::string& typeId) { m_settings.Set("Selection", typeId); }
    void SetUplinkSelectionTypeId(const std::string& typeId) { m_settings.Set("UplinkSelection", typeId); }

    /// The attributes of the cell, and of the carrier (RadioChannel::Frequency). Before AddOptions they become the
    /// defaults of the options.
    AttributeValues& CellValues() { return m_settings; }
    AttributeValues& CarrierValues() { return m_carrier; }

    /// The gNB's array is mounted at this angle below the horizon: 0 on a mast or wall (the default), 90 at a ceiling.
    void SetMountingDeg(double belowHorizon) { m_mountingDeg = belowHorizon; }

    /// Make the cell at this node, with the core network behind it. Throws std::invalid_argument for settings that do
    /// not go together; the text names the value and what is legal.
    void InstallGnb(ns3::Ptr<ns3::Node> gnb, ns3::Ptr<RadioChannel> channel);
    /// Make a channel known before its first cell: the first one gets the carrier of --frequency, others keep theirs.
    void AddChannel(ns3::Ptr<RadioChannel> channel);
    /// For a network of several cells (NrNetworkHelper): a cell at this node, with the radio's options, whose array
    /// faces this way (from the x axis towards y), with this power instead of --gnbPower. Throws like InstallGnb.
    ns3::Ptr<nr::Cell> MakeCell(ns3::Ptr<ns3::Node> gnb, ns3::Ptr<RadioChannel> channel, double bearingRad,
                                std::optional<double> powerDbm = {});
    /// The array of all UEs, once there is a cell; of UEs with panels, one like theirs.
    const ns3::Ptr<ns3::UniformPlanarArray>& GetUeArray() const { return m_ueArray; }
    /// The array of a UE of the one cell; with panels (--uePanels), its own: that of the first panel.
    const ns3::Ptr<ns3::UniformPlanarArray>& GetUeArray(std::uint32_t ue) const { return m_ues.at(ue).array; }
    bool UesHavePanels() const { return Whole(m_settings, "UePanels") > 0; }
    /// The option --joined.
    std::uint32_t Joined() const { return m_joined; }
    /// Of the N3 link, bit/s.
    double BackhaulRateBps() const { return m_backhaulRate; }
    /// \return the UE's number in the cell
    std::uint32_t InstallUe(ns3::Ptr<ns3::Node> ue);

    enum class Place : std::uint8_t { Site, Upf };
    /// A new node with IPv4, behind the gNB or behind the UPF, on a link of this rate and one-way delay.
    ns3::Ptr<ns3::Node> AddServer(Place place, double rateBps, double delayS);

    /// Attributes of a transfer application that suit this network: segments that fill the MTU, and buffers that fill
    /// the path to a node of this one-way delay behind the gNB, whose farthest is `farthestDelayS` away.
    void Tune(TransferApplication& application, bool atUe, double farthestDelayS) const;

    const ns3::Ptr<nr::Cell>& GetCell() const { return m_cell; }
    const ns3::Ptr<nr::GnbNetDevice>& GetGnbDevice() const { return m_gnbDevice; }
    std::uint32_t NumUes() const { return static_cast<std::uint32_t>(m_ues.size()); }
    ns3::Ptr<nr::UeNetDevice> GetUeDevice(std::uint32_t ue) const { return m_ues.at(ue).device; }
    ns3::Ptr<ns3::MobilityModel> GetUeMobility(std::uint32_t ue) const { return m_ues.at(ue).mobility; }
    /// The radio channel to a UE.
    ns3::Ptr<ChannelLink> GetLink(std::uint32_t ue) const;
    /// Delay of the N3 link, one way, s.
    double BackhaulDelayS() const { return m_backhaulDelayS; }
    /// The bearers of each UE, once the gNB is installed.
    const NrQuality& Quality() const { return m_quality; }
    double BandwidthHz() const { return m_settings.Number("Bandwidth"); }
    /// Most layers of a downlink block; once the gNB is installed.
    std::uint32_t MaxLayers() const { return Whole(m_settings, "MaxLayers"); }
    /// Largest rate of the cell, bit/s: all resource blocks, most layers, the best MCS, nothing taken off.
    double PeakRateBps(bool uplink) const;

    /// RF chains of the gNB, each with a phase shifter for each of its elements; 0: each element has a chain.
    std::uint32_t RfChains() const { return m_rfChains; }
    const NrCsiOptions& Csi() const { return m_csi; }
    /// Whether each chain has a part of the elements of its own, instead of all of them.
    bool IsPartlyConnected() const { return m_rfStructure == "partly"; }

    /// Two streams. \return 2
    std::int64_t AssignStreams(std::int64_t stream);

  private:
    struct Ue {
        ns3::Ptr<nr::UeNetDevice> device;
        ns3::Ptr<ns3::MobilityModel> mobility;
        ns3::Ptr<ns3::UniformPlanarArray> array;
    };
    static std::uint32_t Whole(const AttributeValues& values, const std::string& attribute) {
        return static_cast<std::uint32_t>(values.Number(attribute));
    }
    void LimitLayers(const std::string& attribute, const std::string& option, std::uint32_t ports);
    /// The most layers that the antennas allow.
    std::uint32_t NumLayers(const ArrayLayout& gnb) const;
    bool HasAnalogBeams() const { return m_settings.Text("Beams") == "analog"; }
    void InstallBackhaul();
    void AllowTrains(nr::NrNetDevice& device) const;

    // Options.
    AttributeValues m_settings{"edgelam::nr::Cell"};
    AttributeValues m_carrier{"edgelam::RadioChannel"};
    AntennaOptions m_antennas;
    NrCsiOptions m_csi;
    std::string m_rlc = "am", m_bearers = "9";
    NrQuality m_quality;
    std::uint32_t m_joined = 1, m_rfChains = 0;
    std::string m_rfStructure = "fully";
    double m_mountingDeg = 0, m_backhaulDelayS = 2e-3, m_backhaulRate = 10e9;

    std::vector<ns3::Ptr<RadioChannel>> m_channels; ///< one for each carrier
    ns3::Ptr<nr::Cell> m_cell;
    ns3::Ptr<ns3::Node> m_gnb, m_upf;
    ns3::Ptr<ns3::UniformPlanarArray> m_gnbArray, m_ueArray;
    ns3::Ptr<nr::GnbNetDevice> m_gnbDevice;
    std::shared_ptr<NrMulticast> m_multicast;
    std::vector<Ue> m_ues;
    ns3::Ipv4AddressHelper m_ueAddresses, m_siteAddresses, m_upfAddresses;
    std::int64_t m_stream = 0;
};

} // namespace edgelam
