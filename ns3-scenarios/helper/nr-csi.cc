// SPDX-License-Identifier: GPL-2.0-only
#include "nr-csi.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "ns3/log.h"
#include "ns3/simulator.h"

NS_LOG_COMPONENT_DEFINE("NrCsi");

namespace edgelam {

namespace {

std::int64_t Signed(std::size_t n) {
    return static_cast<std::int64_t>(n);
}

} // namespace

void QuantiseCsi(std::span<std::complex<float>> values, std::uint32_t bits) {
    float most = 0;
    for (const auto& each : values) {
        most = std::max({most, std::abs(each.real()), std::abs(each.imag())});
    }
    if (most == 0) {
        return;
    }
    const double step = 2 * double(most) / std::exp2(bits), last = std::exp2(bits) / 2 - 0.5;
    const auto round = [&](float value) {
        return static_cast<float>(step * std::clamp(std::floor(value / step) + 0.5, -last, last));
    };
    for (auto& each : values) {
        each = {round(each.real()), round(each.imag())};
    }
}

NrCsi::NrCsi(const NrCells& cells, NrPairs& pairs, const NrCsiOptions& options)
    : m_cells(cells), m_pairs(pairs), m_bits(options.bits), m_groupsHz(cells.Front().GroupCentresHz()) {
    if (options.source == "etype2") {
        if (m_bits > 0) {
            throw std::invalid_argument("option --csiBits=" + std::to_string(m_bits) +
                                        " is not legal with --csiSource=etype2: its reports are quantised; legal is 0");
        }
        m_typeTwo.emplace(cells, pairs);
    } else if (options.source != "perfect") {
        m_sounding.emplace(cells, pairs, options.source == "srs" ? NrSounding::Pilots::Srs : NrSounding::Pilots::CsiRs);
    }
    const auto link = cells.GetLink(0); // all UEs have the same antennas, and all cells
    m_antennas = {{"ue_antenna", Signed(link->NumRx(Direction::Downlink))},
                  {"element", Signed(link->NumTx(Direction::Downlink))}};
}

std::uint64_t NrCsi::SlotOf(const CellUe& pair) {
    if (m_sounding || m_typeTwo) {
        return m_sounding ? m_sounding->Newest(pair).slot : m_typeTwo->Newest(pair).slot;
    }
    const auto& numerology = m_cells.Front().GetNumerology();
    return static_cast<std::uint64_t>(numerology.SlotAt(ns3::Simulator::Now().GetNanoSeconds()));
}

template<class T, class F>
Array<T> NrCsi::OfEachPair(F get) const {
    const auto pairs = m_pairs.Now();
    Array<T> array{m_pairs.Shape(pairs.size(), {}), {}};
    for (const auto& pair : pairs) {
        array.values.push_back(get(pair));
    }
    return array;
}

SharedArray<NrCsi::Complex> NrCsi::EachPair(Registry& registry, const std::vector<Axis>& more,
                                            const std::function<void(const CellUe&, std::span<Complex>)>& fill) const {
    const auto pairs = m_pairs.Now();
    std::size_t perPair = 1;
    for (const auto& axis : more) {
        perPair *= static_cast<std::size_t>(axis.size);
    }
    // Refused, with both sizes, before anything is computed that does not fit.
    const auto block = registry.memory().Allocate(pairs.size() * perPair * sizeof(Complex));
    const std::span all(reinterpret_cast<Complex*>(block->bytes().data()), pairs.size() * perPair);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        fill(pairs[i], all.subspan(i * perPair, perPair));
    }
    return {m_pairs.Shape(pairs.size(), more), block};
}

void NrCsi::FillChannel(const CellUe& pair, std::span<Complex> h) {
    if (m_typeTwo) {
        std::ranges::copy(m_typeTwo->Newest(pair).channel, h.begin());
    } else if (!m_sounding) {
        m_cells.GetLink(pair.cell, pair.ue)->GetFrequencyResponse(Direction::Downlink, m_groupsHz, h);
    } else {
        const auto& samples = m_sounding->Newest(pair).samples;
        const std::size_t groups = m_groupsHz.size(), prbs = m_sounding->PrbCentresHz().size(),
                          perGroup = m_cells.Front().PrbsPerGroup();
        for (std::size_t i = 0; i < h.size(); ++i) {
            const std::size_t first = i % groups * perGroup, count = std::min(perGroup, prbs - first);
            const auto* at = samples.data() + i / groups * prbs + first;
            Complex sum = 0;
            for (std::size_t prb = 0; prb < count; ++prb) {
                sum += at[prb];
            }
            h[i] = sum / static_cast<float>(count);
        }
    }
    if (m_bits > 0) {
        QuantiseCsi(h, m_bits);
    }
}

void NrCsi::Publish(Registry& registry, std::function<void()> changed) {
    registry.Publish<Array<std::uint32_t>>("csi_pairs", "", "cell and UE of each row of ue_channel and precoder",
                                           [this] {
                                               Array<std::uint32_t> array;
                                               for (const auto& [cell, ue] : m_pairs.Now()) {
                                                   array.values.insert(array.values.end(), {cell, ue});
                                               }
                                               array.shape = {Signed(array.values.size() / 2), 2};
                                               return array;
                                           },
                                           {{"pair", -1}, {"cell_ue", 2}});
    if (m_pairs.AreSelected()) {
        registry.Control<Array<std::uint32_t>>(
            "csi_pairs", "", "cell and UE of each row of ue_channel and precoder: different pairs, at least one",
            [this, changed](const Array<std::uint32_t>& pairs) {
                auto refusal = m_pairs.Select(pairs.values);
                if (refusal.empty()) {
                    changed();
                }
                return refusal;
            },
            {{"pair", -1}, {"cell_ue", 2}});
    }
    std::vector<Axis> channel = m_antennas;
    channel.push_back({"prb_group", Signed(m_groupsHz.size())});
    registry.Publish<SharedArray<Complex>>(
        "ue_channel", "",
        "downlink channel of each UE in the middle of each PRB group of the scheduler, large-scale gain and element "
        "patterns included: received amplitude for a transmitted one of 1; uplink is its transpose",
        [this, &registry, channel] {
            return EachPair(registry, channel,
                            [this](const CellUe& pair, std::span<Complex> h) { FillChannel(pair, h); });
        },
        m_pairs.Axes(channel));
    registry.Publish<Array<std::uint64_t>>(
        "ue_channel_slot", "", "the slot of which ue_channel tells",
        [this] { return OfEachPair<std::uint64_t>([this](const CellUe& pair) { return SlotOf(pair); }); },
        m_pairs.Axes({}));
    if (m_sounding) {
        PublishPilots(registry);
    }
    if (m_typeTwo) {
        PublishReports(registry);
    }
}

void NrCsi::PublishPilots(Registry& registry) {
    std::vector<Axis> pilots = m_antennas;
    pilots.push_back({"prb", Signed(m_sounding->PrbCentresHz().size())});
    registry.Publish<SharedArray<Complex>>(
        "ue_pilots", "", "pilots as received: the channel in the middle of each resource block, and noise",
        [this, &registry, pilots] {
            return EachPair(registry, pilots, [this](const CellUe& pair, std::span<Complex> to) {
                std::ranges::copy(m_sounding->Newest(pair).samples, to.begin());
            });
        },
        m_pairs.Axes(pilots));
    registry.Publish<Array<double>>(
        "ue_pilot_noise", "", "mean |noise|^2 of ue_pilots, as a power gain",
        [this] { return OfEachPair<double>([this](const CellUe& pair) { return m_sounding->Newest(pair).noise; }); },
        m_pairs.Axes({}));
}

void NrCsi::PublishReports(Registry& registry) {
    registry.Publish<Array<NrTypeTwoReport>>(
        "ue_report", "", "rank, CQI of the band and size of the report from which ue_channel is",
        [this] {
            return OfEachPair<NrTypeTwoReport>([this](const CellUe& pair) { return m_typeTwo->Newest(pair).report; });
        },
        m_pairs.Axes({}));
}

} // namespace edgelam
