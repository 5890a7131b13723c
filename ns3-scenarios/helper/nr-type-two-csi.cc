// SPDX-License-Identifier: GPL-2.0-only
#include "nr-type-two-csi.h"

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrTypeTwoCsi");

namespace edgelam {

namespace {

constexpr unsigned rank_bits = 2, band_cqi_bits = 4, subband_cqi_bits = 2; ///< as in Links::ReportBytes

} // namespace

NrTypeTwoCsi::NrTypeTwoCsi(const NrCells& cells, const NrPairs& pairs)
    : m_cells(cells), m_beamformer(nr::Beamformer::Make("zf")),
      m_occasions(cells, pairs, Direction::Downlink,
                  [this](const CellUe& pair, std::uint64_t slot) { return Measure(pair, slot); }) {
    const nr::Carrier& carrier = cells.Front().GetCarrier();
    nr::CellSettings settings = carrier.settings;
    settings.csi = "etype2";
    settings.uplinkSelection = "none";
    m_carrier = std::make_unique<const nr::Carrier>(settings, carrier.frequencyHz);
    m_beamformer->Configure(m_carrier->DownlinkSnr(), false);
    m_reports = std::make_shared<const nr::SubbandReports>(*m_carrier, *m_beamformer, *cells.Front().GetGnbArray());
}

NrTypeTwoCsi::Measured NrTypeTwoCsi::Measure(const CellUe& pair, std::uint64_t slot) const {
    static const nr::Links::Trace no_trace;
    nr::Links links(*m_carrier, m_beamformer, no_trace);
    links.SetReports(m_reports);
    links.Add(pair.ue, m_cells.GetLink(pair.cell, pair.ue));
    links.Measure({&pair.ue, 1}, slot); // the first one, which is used at once
    const nr::UeLink& link = links.Of(pair.ue);
    const nr::LinkQuality& quality = links.Adaptation(pair.ue, Direction::Downlink).quality;
    const unsigned bits = link.ReportBits() + rank_bits + band_cqi_bits + subband_cqi_bits * m_carrier->NumSubbands();
    const auto& known = link.State().downlink; // [group, antenna, element]
    Measured measured{slot, {quality.layers, quality.cqi, bits}, std::vector<Complex>(known.size())};
    const std::size_t groups = m_carrier->numGroups, each = known.size() / groups;
    for (std::size_t g = 0; g < groups; ++g) {
        for (std::size_t i = 0; i < each; ++i) {
            measured.channel[i * groups + g] = known[g * each + i];
        }
    }
    NS_LOG_LOGIC("slot " << slot << ": cell " << pair.cell << " and UE " << pair.ue << ": rank " << quality.layers
                         << ", CQI " << quality.cqi << ", " << bits << " bits");
    return measured;
}

} // namespace edgelam
