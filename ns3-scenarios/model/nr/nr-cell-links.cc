// SPDX-License-Identifier: GPL-2.0-only
// A cell's links: channel state reports, link adaptation, power control, and whether a block is decoded.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "ns3/simulator.h"

#include "nr-cell.h"

namespace edgelam::nr {

namespace {

constexpr double smoothing_s = 0.1; ///< of the throughput that proportional fair looks at

double Watt(double dbm) {
    return std::pow(10, dbm / 10 - 3);
}

double Db(double linear) {
    return 10 * std::log10(std::max(linear, 1e-30));
}

} // namespace

/// Quality of each group: the SINR at which a flat channel would allow the same MCS.
void Cell::MeasureGroups(const SinrMap& map, bool asCqi, Quality& out) {
    out.layers = map.numLayers;
    out.sinrDb.resize(m_numGroups);
    out.mean = 0;
    const float most = static_cast<float>(std::pow(10, m_thresholdDb.back() / 10));
    for (unsigned g = 0; g < m_numGroups; ++g) {
        m_sinrs.clear();
        double mean = 0; // capacity over layers and samples: an MCS that is hardly too low
        for (unsigned l = 0; l < map.numLayers; ++l) {
            const float* at = map.Layer(l) + g * m_samplesPerGroup;
            double product = 1; // of at most 16 factors: a logarithm for each layer
            for (unsigned i = 0; i < m_samplesPerGroup; ++i) {
                product *= 1 + std::min(at[i], most);
            }
            mean += std::log2(product);
            m_sinrs.insert(m_sinrs.end(), at, at + m_samplesPerGroup);
        }
        mean /= map.numLayers * m_samplesPerGroup;
        unsigned mcs = HighestAt(Db(std::exp2(mean) - 1) + 0.1);
        double sinrDb = Db(EffectiveSinr(m_sinrs, m_beta[mcs]));
        while (mcs > 0 && sinrDb < m_thresholdDb[mcs]) {
            sinrDb = Db(EffectiveSinr(m_sinrs, m_beta[--mcs]));
        }
        double efficiency = McsAt(m_mcsTable, mcs).Efficiency();
        if (asCqi) { // the best CQI that this MCS allows, read as the MCS that it allows
            const unsigned cqi = std::max(1u, HighestCqi(m_cqiTable, efficiency + 1e-6));
            efficiency = CqiAt(m_cqiTable, cqi).Efficiency();
            sinrDb = m_thresholdDb[HighestMcs(m_mcsTable, efficiency + 1e-6)];
        }
        out.sinrDb[g] = static_cast<float>(sinrDb);
        out.mean += efficiency / m_numGroups;
    }
}

void Cell::KeepBetter(Side& side) {
    if (m_tried.mean * m_tried.layers > side.pending.mean * side.pending.layers) {
        std::swap(m_tried, side.pending);
    }
}

/// What was measured is used CsiDelay slots later.
template<class MeasureNow, class Adopt>
void Cell::Report(Reports& reports, std::uint64_t slot, MeasureNow measure, Adopt adopt) {
    const auto adoptIfDue = [&] {
        if (reports.pending && slot >= reports.adoptSlot) {
            adopt();
            reports.pending = false;
        }
    };
    adoptIfDue();
    if (reports.pending || (reports.measured && slot < reports.measuredSlot + m_csiPeriod)) {
        return;
    }
    // A first report is there when it is needed, and one after a pause has been going on.
    const bool paused = slot >= reports.measuredSlot + m_csiPeriod + m_csiDelay;
    reports = {slot, slot + (reports.measured && !paused ? m_csiDelay : 0), true, true};
    measure(paused);
    adoptIfDue();
}

/// A CSI report: beams, rank and a CQI for each group of resource blocks (downlink), and what the gNB measures itself
/// (uplink).
void Cell::Measure(Ue& ue, std::uint64_t slot) {
    const auto measure = [&](bool paused) {
        ue.link.Measure(true);
        ue.lossDb = -Db(ue.link.LargeScaleGain());
        if (paused) { // what was known of interference is old
            ue.down.meanRise.clear();
            ue.up.meanRise.clear();
        }
        Rise(ue, Direction::Downlink, slot);
        Rise(ue, Direction::Uplink, slot);
        const unsigned given = ue.link.GivenLayers(), most = std::min(ue.link.MaxLayers(), m_maxLayers);
        ue.down.pending.layers = ue.up.pending.layers = 0;
        for (unsigned layers = std::max(1u, given); layers <= (given > 0 ? given : most); ++layers) {
            MeasureGroups(ue.link.Downlink(layers, DownlinkSnr(), Beams::Measured, ue.down.meanRise), true, m_tried);
            KeepBetter(ue.down);
        }
        // Sounding: as strong as data on a quarter of the band would be.
        const double soundingSnr = UplinkPowerW(ue, SoundedPrbs()) / m_noiseUpW;
        for (unsigned layers = 1; layers <= ue.link.MaxUplinkLayers(); ++layers) {
            MeasureGroups(ue.link.Uplink(layers, soundingSnr, Beams::Measured, ue.up.meanRise), false, m_tried);
            KeepBetter(ue.up);
        }
        if (!m_csiTrace.IsEmpty()) {
            TraceReport(ue);
        }
    };
    Report(ue.reports, slot, measure, [&] {
        ue.link.Adopt();
        std::swap(ue.down.quality, ue.down.pending);
        std::swap(ue.up.quality, ue.up.pending);
    });
}

/// The quality of a multicast group is that of its worst receiver in each group of resource blocks.
void Cell::Measure(Multicast& multicast, std::uint64_t slot) {
    for (const auto& receiver : multicast.receivers) {
        Measure(*m_ues[receiver->ue], slot);
    }
    const auto measure = [&](bool) {
        FindBeam(multicast);
        Quality& worst = multicast.side.pending;
        worst.sinrDb.assign(m_numGroups, m_thresholdDb.back());
        for (const auto& receiver : multicast.receivers) {
            if (!receiver->reached) {
                continue;
            }
            Ue& ue = *m_ues[receiver->ue];
            MeasureGroups(ue.link.DownlinkOver(*multicast.pendingBeam, DownlinkSnr(), ue.down.meanRise), true, m_tried);
            for (unsigned g = 0; g < m_numGroups; ++g) {
                worst.sinrDb[g] = std::min(worst.sinrDb[g], m_tried.sinrDb[g]);
            }
        }
    };
    Report(multicast.reports, slot, measure, [&] {
        std::swap(multicast.side.quality, multicast.side.pending);
        std::swap(multicast.beam, multicast.pendingBeam);
    });
}

/// Before what was measured is used.
void Cell::TraceReport(const Ue& ue) const {
    const auto mean = [](const Quality& quality) {
        return std::accumulate(quality.sinrDb.begin(), quality.sinrDb.end(), 0.0F) /
               static_cast<float>(quality.sinrDb.size());
    };
    const Quality &down = ue.down.pending, &up = ue.up.pending;
    CsiReportRecord record{};
    record.time_ns = m_numerology->SlotStartNs(static_cast<std::int64_t>(ue.reports.measuredSlot));
    record.slot = ue.reports.measuredSlot;
    record.adopted_slot = ue.reports.adoptSlot;
    const auto self = std::find_if(m_ues.begin(), m_ues.end(), [&](const auto& each) { return each.get() == &ue; });
    record.ue = static_cast<std::uint32_t>(self - m_ues.begin());
    record.rank = static_cast<std::uint8_t>(down.layers);
    record.cqi = static_cast<std::uint8_t>(HighestCqi(m_cqiTable, down.mean + 1e-6));
    record.sinr_db = mean(down);
    record.uplink_rank = static_cast<std::uint8_t>(up.layers);
    record.uplink_sinr_db = mean(up);
    record.path_loss_db = static_cast<float>(ue.lossDb);
    m_csiTrace(record);
}

void Cell::TracePackets(Bearer& bearer, PacketRecord like) {
    bearer.SetTrace([this, like](ns3::Time arrived, std::uint32_t bytes) {
        if (m_packetTrace.IsEmpty()) {
            return;
        }
        PacketRecord record = like;
        record.time_ns = ns3::Simulator::Now().GetNanoSeconds();
        record.arrived_ns = arrived.GetNanoSeconds();
        record.bytes = bytes;
        m_packetTrace(record);
    });
}

double Cell::DownlinkSnr() const {
    return Watt(m_gnbPowerDbm) / m_numPrbs / m_noiseDownW;
}

/// What each group would carry, as the outer loop corrects it.
void Cell::FillRates(Side& side, unsigned symbols) const {
    const auto factor = static_cast<float>((12.0 * symbols - m_dmrsPerPrb) * side.quality.layers);
    for (unsigned g = 0; g < m_numGroups; ++g) {
        const unsigned mcs = side.givenMcs.value_or(HighestAt(side.quality.sinrDb[g] + side.outerLoopDb));
        side.bitsPerGroup[g] = m_efficiency[mcs] * factor * static_cast<float>(PrbsOf(g));
    }
}

void Cell::Average(Side& side, std::uint64_t slot, double bits) const {
    if (slot > side.averagedSlot) {
        const double slotS = 1e-9 * static_cast<double>(m_numerology->MeanSlotNs());
        side.averageBps *= std::exp(-static_cast<double>(slot - side.averagedSlot) * slotS / smoothing_s);
        side.averagedSlot = slot;
    }
    side.averageBps += bits / smoothing_s;
}

const SinrMap& Cell::DownlinkSinr(Ue& ue, unsigned layers, std::uint64_t slot) {
    SharedSlot& shared = m_sharedDown[slot & (m_sharedDown.size() - 1)];
    if (shared.Shares(slot, ue.number)) {
        return shared.Downlink(ue.number, *m_beamformer, DownlinkSnr(), Rise(ue, Direction::Downlink, slot));
    }
    return ue.link.Downlink(layers, DownlinkSnr(), Beams::InUse, Rise(ue, Direction::Downlink, slot));
}

const SinrMap& Cell::UplinkSinr(Ue& ue, const Process& process, std::uint64_t slot) {
    const auto rise = Rise(ue, Direction::Uplink, slot);
    SharedSlot& shared = m_sharedUp[slot & (m_sharedUp.size() - 1)];
    if (!shared.Shares(slot, ue.number)) {
        return ue.link.Uplink(process.layers, UplinkPowerW(ue, PrbsOf(process.groups)) / m_noiseUpW, Beams::InUse,
                              rise);
    }
    const auto snr = [&](std::uint32_t other, std::uint32_t groups) {
        unsigned prbs = 0;
        for (unsigned g = 0; g < m_numGroups; ++g) {
            prbs += (groups >> g & 1U) != 0 ? PrbsOf(g) : 0;
        }
        return UplinkPowerW(*m_ues[other], prbs) / m_noiseUpW;
    };
    return shared.Uplink(ue.number, snr, rise);
}

/// The highest MCS whose threshold is met.
unsigned Cell::HighestAt(double sinrDb) const {
    const auto above = std::upper_bound(m_thresholdDb.begin(), m_thresholdDb.end(), static_cast<float>(sinrDb + 1e-4));
    return above == m_thresholdDb.begin() ? 0 : static_cast<unsigned>(above - m_thresholdDb.begin() - 1);
}

/// For a block on these groups.
unsigned Cell::McsFor(const Side& side, const std::vector<std::uint32_t>& groups, double offsetDb) const {
    if (side.givenMcs) {
        return *side.givenMcs;
    }
    double sum = 0;
    for (const auto g : groups) {
        // What others on the group are given is off; what their layers do, the outer loop learns.
        const double partDb = m_layersOnGroup.empty() ? 0 : Db(double(side.quality.layers) / m_layersOnGroup[g]);
        sum += m_efficiency[HighestAt(side.quality.sinrDb[g] + side.outerLoopDb + offsetDb + partDb)];
    }
    return HighestMcs(m_mcsTable, sum / static_cast<double>(groups.size()) + 1e-4);
}

/// TS 38.213 7.1.1, open loop; power of one of `prbs` resource blocks, W.
double Cell::UplinkPowerW(const Ue& ue, unsigned prbs) const {
    const double wantedDbm = m_p0Dbm + 10 * std::log10(prbs * std::exp2(m_mu)) + m_alpha * ue.lossDb;
    return Watt(std::min(wantedDbm, m_uePowerDbm)) / prbs;
}

void Cell::Decode(const Process& process, Reception& reception, const SinrMap& map, unsigned symbols,
                  TransportBlockRecord record) {
    m_sinrs.clear();
    for (unsigned l = 0; l < map.numLayers; ++l) {
        for (const auto g : process.groups) {
            const float* at = map.Layer(l) + g * m_samplesPerGroup;
            m_sinrs.insert(m_sinrs.end(), at, at + m_samplesPerGroup);
        }
    }
    const unsigned prbs = PrbsOf(process.groups), bitsPerSymbol = McsAt(m_mcsTable, process.mcs).bitsPerSymbol;
    const double sinr = EffectiveSinr(m_sinrs, m_beta[process.mcs]);
    reception.soft.Add(sinr, static_cast<double>(DataElements(prbs, symbols)) * bitsPerSymbol * process.layers,
                       m_redundancy ? RedundancyVersion(process.attempts) : 0);
    const double bler = reception.soft.ErrorRate(*m_errors, process.blocks, bitsPerSymbol);
    reception.decoded = reception.luck >= bler;
    if (m_blockTrace.IsEmpty()) {
        return;
    }
    record.time_ns = m_numerology->SlotStartNs(static_cast<std::int64_t>(record.slot));
    record.attempt = static_cast<std::uint8_t>(process.attempts + 1);
    record.mcs = process.mcs;
    record.layers = process.layers;
    record.received = reception.decoded;
    record.prbs = static_cast<std::uint16_t>(prbs);
    record.first_prb = static_cast<std::uint16_t>(process.groups.front() * m_prbsPerGroup);
    for (const auto g : process.groups) {
        record.rbgs |= 1u << g;
    }
    record.bits = process.bits;
    record.sinr_db = static_cast<float>(Db(sinr));
    record.bler = static_cast<float>(bler);
    m_blockTrace(record);
}

} // namespace edgelam::nr
