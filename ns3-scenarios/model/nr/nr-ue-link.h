// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One UE's link as a cell uses it: the physical channel, what the gNB knows about it, and the weights that the gNB
/// uses to send.
#pragma once

#include "nr-beamformer.h"
#include "nr-channel-fetch.h"
#include "nr-phy-link.h"
#include "nr-subband-reports.h"

namespace edgelam::nr {

/// Which channel state: the one in use, or the one measured last.
enum class Beams : std::uint8_t { InUse, Measured };

class UeLink {
  public:
    /// \param ue its number in the cell
    /// \param groupCentresHz of the groups of resource blocks, relative to the carrier; the number of samples of `phy`
    /// is a multiple of their number
    UeLink(std::uint32_t ue, PhyLink phy, ns3::Ptr<Beamformer> beamformer, std::vector<double> groupCentresHz);

    std::uint32_t GetUe() const { return m_ue; }
    PhyLink& Phy() { return m_phy; }
    unsigned MaxLayers() const { return m_phy.MaxLayers(); }
    unsigned MaxUplinkLayers() const { return m_phy.MaxUplinkLayers(); }
    std::size_t NumGroups() const { return m_groupCentresHz.size(); }
    /// The number of layers that a downlink block must have; 0: any number.
    unsigned GivenLayers() const { return m_beamformer->GivenLayers(m_ue); }
    double LargeScaleGain() { return m_phy.LargeScaleGain(); }

    /// Measure the channel state where the UE is now. \param later true: Adopt puts it into use; false: it is in use at
    /// once
    /// \param snr power of a resource block that the gNB sends, over noise; the default is so small that noise
    /// dominates
    void Measure(bool later = false, double snr = 1);
    void Adopt() { m_inUse = m_measured; }
    /// Put analog beams in front (PhyLink::UseAnalog) and measure the channel state, which is in use at once.
    void UseAnalog(ns3::Ptr<ChannelLink> link, const PortWeights& gnb, const PortWeights& ue, double snr);
    /// The noise and interference that the UE and the gNB have measured, ChannelState::rise and uplinkRise, with the
    /// channel state measured last.
    void SetMeasuredRise(double rise, double uplinkRise = 1) {
        m_measured.rise = rise;
        m_measured.uplinkRise = uplinkRise;
    }
    /// The gNB receives from the UE over all of its ports, not over the UE's beams, and measures what they hear of it
    /// (ChannelState::sounded). Before the first Measure.
    void ReceiveOverPorts() { m_overPorts = true; }
    /// The UE reports by sub-band. Before the first Measure.
    void ReportBySubband(std::shared_ptr<const SubbandReports> reports) { m_reports = std::move(reports); }
    /// What the gNB would know of the channel state measured last from a report for so many layers. Nothing changes
    /// unless precoders are reported from a codebook.
    void Report(unsigned layers);
    /// The UE reports so many layers; all that Report was called for are there. The gNB takes the gains of the layers
    /// from the CQIs. \param sinrDb [group] that the CQIs stand for; \param snr as in Measure
    void AdoptReport(unsigned layers, std::span<const float> sinrDb, double snr);
    /// Bits of the precoders of the last report; 0: they are not from a codebook.
    unsigned ReportBits() const { return m_reportBits; }
    /// What the gNB receives from the UE with.
    const PortWeights& Receivers(Beams which = Beams::InUse) {
        return m_overPorts ? m_phy.GnbElements() : *State(which).beams;
    }
    /// Throws std::logic_error before the first Measure.
    const ChannelState& State(Beams which = Beams::InUse) const;

    /// SINR of layers that are sent to this UE alone; see PhyLink.
    const SinrMap& Downlink(unsigned layers, double snr, Beams which = Beams::InUse, const Noise& noise = {});
    /// Add the channel that Downlink with the state in use (`alone`), or a transmission beside others, or Uplink takes.
    void Fetch(Direction direction, unsigned layers, bool alone, ChannelFetch& fetch);
    /// SINR of one layer over a beam that other UEs share (multicast), with maximum ratio combining.
    const SinrMap& DownlinkOver(const PortWeights& beam, double snr, const Noise& noise = {}) {
        return m_phy.Downlink(beam, 1, snr, noise);
    }
    /// The strongest of the beams: [element], unit norm.
    std::vector<std::complex<float>> FirstBeam(Beams which = Beams::InUse) const;
    /// [antenna, layer] with which the UE sends; behind an analog beam, those of its elements.
    std::vector<std::complex<float>> UplinkWeights() const;
    /// What the UE sends, for PhyLink::Uplink.
    PhyLink::UplinkSignal Signal(unsigned layers, double snr, Beams which = Beams::InUse) {
        return {&m_phy, &State(which).uplink, layers, snr};
    }
    const SinrMap& Uplink(unsigned layers, double snr, Beams which = Beams::InUse, const Noise& noise = {},
                          std::span<const PhyLink::UplinkSignal> others = {}) {
        return m_phy.Uplink(Receivers(which), Signal(layers, snr, which), others, noise);
    }

    /// For Beamformer::Form. \param weights of a precoder of all groups, whose group it becomes
    ServedUe Served(std::uint32_t group, Precoder& precoder, Beams which = Beams::InUse) const;
    /// Make a precoder all zeros.
    void Clear(Precoder& precoder, unsigned layers) const;
    /// The weights of layers that are sent to this UE alone: those of the whole band, if the UE has its own beams, of
    /// which the first `layers` share the power; otherwise null, and the precoder is formed.
    const PortWeights* Alone(unsigned layers, Beams which, Precoder& precoder) const;

  private:
    void MeasureHeard();
    void MeasureSounded(std::span<const std::complex<float>> downlink);
    /// Make the rows from `first` to before `last` of what is heard those of reported weights.
    void UseReport(const SubbandReports::Reported& reported, unsigned first, unsigned last,
                   std::span<const double> amplitude);
    /// Whether a block to it alone is sent over its own beams, or reported for them.
    bool IsSentOwnBeams(unsigned layers) const;

    std::uint32_t m_ue;
    PhyLink m_phy;
    ns3::Ptr<Beamformer> m_beamformer;
    std::vector<double> m_groupCentresHz;
    ChannelState m_inUse, m_measured;
    bool m_overPorts = false;
    std::shared_ptr<const SubbandReports> m_reports;  ///< null: for the whole band
    std::vector<std::complex<float>> m_subbandBeams;  ///< [sub-band, element, beam] of the last measurement
    std::vector<SubbandReports::Reported> m_reported; ///< [layers - 1]
    unsigned m_reportBits = 0;
    Precoder m_alone; ///< used within one call
};

/// Asks the beamformer for weights with all of the power. Throws std::logic_error, with the name of the beamformer, if
/// weights are not finite or together have more power than that.
void FormWeights(Beamformer& beamformer, std::uint32_t group, std::span<const ServedUe> ues);

} // namespace edgelam::nr
