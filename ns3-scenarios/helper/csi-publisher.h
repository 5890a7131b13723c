// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Publishes channel state information: H(t, f) of chosen links as observables, without a copy.
///
///     auto csi = ns3::CreateObject<edgelam::CsiPublisher>();
///     csi->SetAttribute("Period", ns3::TimeValue(ns3::MicroSeconds(500)));
///     csi->SetAttribute("Snapshots", ns3::UintegerValue(20));
///     csi->AddLink("ue0", channel, ueMobility, ueArray, gnbMobility, gnbArray, edgelam::Tones(96, 180e3));
///     csi->Start(scenario.registry());
#pragma once

#include <complex>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ns3/event-id.h"
#include "ns3/mobility-model.h"
#include "ns3/nstime.h"
#include "ns3/object.h"
#include "ns3/phased-array-model.h"
#include "ns3/traced-callback.h"

#include "block-feed.h"
#include "channel-link.h"
#include "radio-channel.h"
#include "registry.h"

namespace edgelam {

/// One end's antennas. Elements are numbered polarisation by polarisation; within a polarisation row by row, from the
/// lowest row; within a row column by column.
struct CsiArray {
    std::uint32_t rows, columns, polarisations, node; ///< `node`: ns-3 node id
    double vertical_spacing, horizontal_spacing;      ///< wavelengths; NaN where it is not a uniform planar array
};
EDGELAM_MESSAGE(CsiArray, rows, columns, polarisations, node, vertical_spacing, horizontal_spacing)

/// The constants of a link, the same for all blocks.
struct CsiInfo {
    double carrier_hz;
    double snapshot_period_s;
    double transmit_power_dbm;
    double noise_dbm; ///< thermal noise and noise figure, over all tones
    CsiArray rx, tx;
};
EDGELAM_MESSAGE(CsiInfo, carrier_hz, snapshot_period_s, transmit_power_dbm, noise_dbm, rx, tx)

/// One block. All but the gain and SNR, which are the block's mean, hold for the time of its first snapshot.
struct CsiState {
    double time_s; ///< simulated time of the first snapshot
    std::array<double, 3> rx_position_m, rx_velocity_mps, tx_position_m, tx_velocity_mps;
    double speed_mps;    ///< of one end relative to the other
    double mean_gain_db; ///< mean of |H|^2 over all elements, tones and snapshots
    double snr_db;       ///< at one receiving element: transmit power on one element, mean gain, noise
    LinkState link;      ///< large-scale state, see channel-link.h
};
EDGELAM_MESSAGE(CsiState, time_s, rx_position_m, rx_velocity_mps, tx_position_m, tx_velocity_mps, speed_mps,
                mean_gain_db, snr_db, link)

/// Frequencies of `count` tones `spacing_hz` apart, centred on the carrier: offsets from it in Hz.
/// Throws std::invalid_argument for 0 tones or a spacing that is not positive and finite.
std::vector<double> Tones(std::uint32_t count, double spacing_hz);

/// Samples links every Period into blocks of Snapshots, and publishes for each link NAME:
///
///     csi/NAME              complex64 [time, rx, tx, subcarrier], the newest finished block, where it was sampled
///     csi-state/NAME        CsiState of that block
///     csi-info/NAME         CsiInfo
///     csi-tones/NAME        double [subcarrier], Hz from the carrier
///     rays/NAME             Ray [ray] at the block's first snapshot (attribute Rays)
///
/// A block begins every Snapshots * Period, whether somebody reads it or not. It is finished with its last snapshot,
/// and each subscriber then gets it once. With one snapshot per block, it is the live channel.
class CsiPublisher : public ns3::Object {
  public:
    static ns3::TypeId GetTypeId();
    ~CsiPublisher() override;

    /// Also publish the link from `tx` to `rx` in `channel`, at `tonesHz` from the carrier. Both mobility models are
    /// aggregated to nodes. Call before Start. Throws std::invalid_argument: no tones, one that is not finite, and what
    /// RadioChannel::GetLink refuses.
    void AddLink(const std::string& name, ns3::Ptr<RadioChannel> channel, ns3::Ptr<ns3::MobilityModel> tx,
                 ns3::Ptr<ns3::PhasedArrayModel> txArray, ns3::Ptr<ns3::MobilityModel> rx,
                 ns3::Ptr<ns3::PhasedArrayModel> rxArray, std::vector<double> tonesHz);

    /// Publish the links and sample from now on. Throws std::invalid_argument: no links, Period 0, Snapshots 0,
    /// a name that is taken.
    void Start(Registry& registry);

    /// Blocks finished so far, of each link.
    std::uint64_t GetBlocks() const { return m_blocks; }

    /// Signature of the trace source BlockFinished.
    using BlockCallback = void (*)(std::uint64_t blocks);

  protected:
    void DoDispose() override;

  private:
    struct Link;
    void Publish(Registry& registry, const std::shared_ptr<Link>& self);
    void Sample();
    void BeginBlock(Link& link);
    void FinishBlock(Link& link);

    ns3::Time m_period;
    std::uint32_t m_snapshots = 1;
    double m_transmitPowerDbm = 0, m_noiseFigureDb = 0;
    bool m_withRays = false;
    std::vector<std::shared_ptr<Link>> m_links; ///< shared with the reading functions
    Registry* m_registry = nullptr;
    std::uint32_t m_snapshot = 0; ///< the next one of the block
    std::uint64_t m_blocks = 0;
    ns3::EventId m_event;
    ns3::TracedCallback<std::uint64_t> m_finished;
};

} // namespace edgelam
