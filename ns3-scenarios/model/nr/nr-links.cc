// SPDX-License-Identifier: GPL-2.0-only
#include "nr-links.h"

#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrLinks");

namespace edgelam::nr {

namespace {

constexpr float newest_interference = 0.1f; ///< weight of the newest slot in the mean of what was measured
constexpr double outer_loop_step_db = 0.3;  ///< down for a lost first transmission; up by what balances it
constexpr unsigned interference_slots = 4;  ///< with data, over which others are measured
constexpr double least_loop_db = -20, most_loop_db = 10;
constexpr double power_step_db = 1e-6; ///< below it, the power per resource block is the same

} // namespace

Links::Links(const Carrier& carrier, ns3::Ptr<Beamformer> beamformer, const Trace& trace)
    : m_carrier(carrier), m_beamformer(beamformer), m_trace(trace),
      m_sharedDown(std::bit_ceil(carrier.longestDelay + 2)), m_sharedUp(m_sharedDown.size()),
      m_workers(Workers::Shared(carrier.settings.threads)) {}

void Links::Add(std::uint32_t ue, ns3::Ptr<ChannelLink> link) {
    if (m_ues.size() <= ue) {
        m_ues.resize(ue + 1);
    }
    m_ues[ue] = std::make_unique<Ue>(UeLink(ue, PhyLink(link, m_carrier.offsetsHz, m_carrier.settings.maxUplinkLayers),
                                            m_beamformer, m_carrier.GroupCentresHz()),
                                     m_carrier.linkTimers);
    if (m_carrier.ReceivesTogether()) {
        m_ues[ue]->link.ReceiveOverPorts();
    }
    if (m_reports) {
        m_ues[ue]->link.ReportBySubband(m_reports);
    }
    m_ues[ue]->down.sharedIsComputed = m_beamformer->WantsChannel();
    m_numbers.insert(std::ranges::lower_bound(m_numbers, ue), ue);
}

void Links::Remove(std::uint32_t ue) {
    for (auto* slots : {&m_sharedDown, &m_sharedUp}) {
        for (auto& shared : *slots) {
            shared.Remove(ue);
        }
    }
    std::erase(m_numbers, ue);
    std::erase(m_measured, ue);
    m_ues[ue].reset();
}

std::string Links::Names() const {
    if (m_numbers.empty()) {
        return "none";
    }
    if (m_numbers.back() - m_numbers.front() + 1 == NumUes()) {
        return std::to_string(m_numbers.front()) + " to " + std::to_string(m_numbers.back());
    }
    std::string names;
    for (const auto each : m_numbers) {
        names += (names.empty() ? "" : ", ") + std::to_string(each);
    }
    return names;
}

void Links::SetInterference(std::shared_ptr<InterferenceSource> source) {
    m_interference = std::move(source);
    if (!m_interference) {
        for (const auto ue : m_numbers) {
            m_ues[ue]->down.meanRise.clear();
            m_ues[ue]->up.meanRise.clear();
        }
    }
}

std::span<const float> Links::Rise(std::uint32_t ue, Direction direction, std::uint64_t slot) {
    if (!m_interference) {
        return {};
    }
    m_rise.resize(m_carrier.offsetsHz.size());
    m_interference->GetPower(direction, ue, slot, m_rise);
    auto& mean = Adaptation(ue, direction).meanRise;
    const auto noiseW =
        static_cast<float>(direction == Direction::Downlink ? m_carrier.noiseDownW : m_carrier.noiseUpW);
    const float weight = mean.empty() ? 1 : newest_interference;
    mean.resize(m_rise.size());
    for (std::size_t i = 0; i < m_rise.size(); ++i) {
        m_rise[i] = 1 + m_rise[i] / noiseW;
        mean[i] += weight * (m_rise[i] - mean[i]);
    }
    return m_rise;
}

std::uint32_t Links::Bits(const std::vector<std::uint32_t>& groups) const {
    std::uint32_t bits = 0;
    for (const auto g : groups) {
        bits |= 1U << g;
    }
    return bits;
}

void Links::FetchOthers(std::uint32_t ue, Direction direction, std::uint64_t slot, std::uint32_t groups,
                        ChannelFetch& fetch) {
    if (direction == Direction::Downlink) {
        m_air->FetchDown(m_cell, ue, slot, groups, fetch);
    } else {
        m_air->FetchUp(m_cell, slot, groups, fetch);
    }
}

/// The slots of a direction, the newest first, over which others are measured.
template<class F>
void Links::ForMeasuredSlots(Direction direction, std::uint64_t slot, F body) const {
    unsigned slots = 0;
    for (std::uint64_t back = 1; back < Air::memory && back <= slot && slots < interference_slots; ++back) {
        const SlotPlan& plan = m_carrier.PlanOf(slot - back);
        if ((direction == Direction::Downlink ? plan.downSymbols : plan.upSymbols) > 0) {
            ++slots;
            body(slot - back);
        }
    }
}

void Links::MeasureOthers(std::uint32_t ue, Direction direction, std::uint64_t slot) {
    LinkAdaptation& adaptation = Adaptation(ue, direction);
    adaptation.around.Clear();
    if (!AreHeard()) {
        return;
    }
    UeLink& link = m_ues[ue]->link;
    const PortWeights& beams = link.Receivers(Beams::Measured);
    const bool down = direction == Direction::Downlink;
    Covariance& sum = adaptation.around;
    sum.Reset(down ? link.Phy().NumUeAntennas() : beams.numPorts(), m_carrier.offsetsHz.size());
    unsigned slots = 0;
    bool any = false;
    ForMeasuredSlots(direction, slot, [&](std::uint64_t then) {
        ++slots;
        any |= down ? m_air->HearDown(m_cell, ue, then, AllGroups(), sum)
                    : m_air->HearUp(m_cell, beams, then, AllGroups(), sum);
    });
    if (!any) {
        sum.Clear();
        return;
    }
    // The sum has the noise once and all that was heard; with the interference of the source beside it.
    Covariance noise;
    noise.Reset(sum.NumReceivers(), sum.NumSamples());
    sum.Mix(1.0 / slots, noise, 1 - 1.0 / slots);
    for (std::size_t f = 0; f < adaptation.meanRise.size(); ++f) {
        sum.AddWhite(f, 1, adaptation.meanRise[f] - 1);
    }
}

double Links::MeanRise(const LinkAdaptation& adaptation) {
    if (adaptation.around.Empty() && adaptation.meanRise.empty()) {
        return 1;
    }
    std::vector<float> rise = adaptation.meanRise;
    if (!adaptation.around.Empty()) {
        adaptation.around.MeanRise(rise);
    }
    return std::accumulate(rise.begin(), rise.end(), 0.0) / static_cast<double>(rise.size());
}

void Links::PutOnAir(Direction direction, std::uint64_t slot, std::uint32_t ue, const HarqProcess& process) {
    UeLink& link = m_ues[ue]->link;
    const auto fill = [&](Emission& emission, const std::vector<std::complex<float>>& weights, std::size_t columns,
                          double power) {
        // The first layers of [row, column]; they share the power.
        const auto amplitude = static_cast<float>(std::sqrt(power));
        const std::size_t rows = weights.size() / columns, used = std::min<std::size_t>(emission.layers, columns);
        emission.perGroup = false;
        emission.weights.resize(rows * used);
        for (std::size_t row = 0; row < rows; ++row) {
            for (std::size_t i = 0; i < used; ++i) {
                emission.weights[row * used + i] = amplitude * weights[row * columns + i];
            }
        }
    };
    const bool down = direction == Direction::Downlink;
    Emission& emission = down ? m_air->SendDown(slot, m_cell) : m_air->SendUp(slot, m_cell, ue);
    emission.groups = Bits(process.groups);
    emission.layers = process.layers;
    if (!down) {
        emission.powerW = UplinkPowerW(ue, m_carrier.PrbsOf(process.groups));
        fill(emission, link.UplinkWeights(), link.MaxUplinkLayers(), 1.0 / process.layers);
        return;
    }
    emission.powerW = WattOfDbm(m_carrier.settings.gnbPowerDbm) / m_carrier.numPrbs;
    SharedSlot& shared = Shared(direction, slot);
    if (!shared.Shares(slot, ue)) {
        if (const PortWeights* own = link.Alone(process.layers, Beams::InUse, m_alone)) {
            fill(emission, own->values(), own->numPorts(), 1.0 / process.layers);
            return;
        }
    }
    emission.SetPerGroup(shared.Shares(slot, ue) ? shared.Weights(ue, *m_beamformer).weights : m_alone.weights,
                         m_carrier.numGroups);
}

void Links::PutOnAir(std::uint64_t slot, const PortWeights& beam, const std::vector<std::uint32_t>& groups) {
    Emission& emission = m_air->SendDown(slot, m_cell);
    emission.groups = Bits(groups);
    emission.layers = 1;
    emission.perGroup = false;
    emission.powerW = WattOfDbm(m_carrier.settings.gnbPowerDbm) / m_carrier.numPrbs;
    emission.weights = beam.values();
}

Links::Allowed Links::HighestOver(std::span<const float> sinrs) const {
    const float most = static_cast<float>(std::pow(10, m_carrier.thresholdDb.back() / 10));
    double mean = 0; // capacity: an MCS that is hardly too low
    for (std::size_t i = 0; i < sinrs.size();) {
        double product = 1; // of at most 16 factors: a logarithm for all of them
        for (const std::size_t end = std::min(i + 16, sinrs.size()); i < end; ++i) {
            product *= 1 + std::min(sinrs[i], most);
        }
        mean += std::log2(product);
    }
    mean /= static_cast<double>(sinrs.size());
    unsigned mcs = m_carrier.HighestAt(DbOf(std::exp2(mean) - 1) + 0.1);
    double sinrDb = DbOf(EffectiveSinr(sinrs, m_carrier.beta[mcs]));
    while (mcs > 0 && sinrDb < m_carrier.thresholdDb[mcs]) {
        sinrDb = DbOf(EffectiveSinr(sinrs, m_carrier.beta[--mcs]));
    }
    return {mcs, sinrDb};
}

void Links::MeasureGroups(const SinrMap& map, bool asCqi, LinkQuality& out) const {
    out.layers = map.numLayers;
    out.sinrDb.resize(m_carrier.numGroups);
    out.mean = 0;
    // The best CQI that is allowed, and the SINR that a CQI stands for: of the highest MCS that it allows. CQI 0: this
    // many layers carry nothing here.
    const double outOfRangeDb = DbOf(m_carrier.outOfRange);
    const auto cqiOf = [&](const Allowed& allowed) {
        const double efficiency = McsAt(m_carrier.mcsTable, allowed.mcs).Efficiency();
        return allowed.sinrDb < outOfRangeDb ? 0 : std::max(1u, HighestCqi(m_carrier.cqiTable, efficiency + 1e-6));
    };
    const auto efficiencyOf = [&](unsigned cqi) { return cqi == 0 ? 0 : CqiAt(m_carrier.cqiTable, cqi).Efficiency(); };
    const auto read = [&](unsigned cqi, double sinrDb) {
        return cqi == 0 ? static_cast<float>(sinrDb)
                        : m_carrier.thresholdDb[HighestMcs(m_carrier.mcsTable, efficiencyOf(cqi) + 1e-6)];
    };
    std::vector<float> sinrs;
    const Allowed wideband = asCqi ? HighestOver(map.values) : Allowed{};
    out.cqi = asCqi ? cqiOf(wideband) : 0;
    const unsigned step = asCqi ? m_carrier.groupsPerSubband : 1;
    for (unsigned first = 0; first < m_carrier.numGroups; first += step) {
        const unsigned count = std::min(step, m_carrier.numGroups - first);
        if (count == m_carrier.numGroups && asCqi) { // the band is too narrow for sub-bands
            std::fill(out.sinrDb.begin(), out.sinrDb.end(), read(out.cqi, wideband.sinrDb));
            out.mean = efficiencyOf(out.cqi);
            return;
        }
        sinrs.clear();
        for (unsigned l = 0; l < map.numLayers; ++l) {
            const float* at = map.Layer(l) + first * m_carrier.samplesPerGroup;
            sinrs.insert(sinrs.end(), at, at + count * m_carrier.samplesPerGroup);
        }
        const Allowed allowed = HighestOver(sinrs);
        double efficiency = allowed.sinrDb < outOfRangeDb ? 0 : McsAt(m_carrier.mcsTable, allowed.mcs).Efficiency();
        auto sinrDb = static_cast<float>(allowed.sinrDb);
        if (asCqi) {
            const unsigned cqi = cqiOf(allowed);
            efficiency = efficiencyOf(cqi);
            sinrDb = read(ReportedCqi(cqi, out.cqi), allowed.sinrDb);
        }
        std::fill_n(out.sinrDb.begin() + first, count, sinrDb);
        out.mean += efficiency * count / m_carrier.numGroups;
    }
}

template<class Map>
double Links::MeasureRanks(LinkAdaptation& adaptation, unsigned least, unsigned most, bool asCqi, Map map) const {
    LinkQuality& best = adaptation.pending;
    LinkQuality tried;
    double first = 0;
    best.layers = 0;
    for (unsigned layers = least; layers <= most; ++layers) {
        const SinrMap& sinrs = map(layers);
        if (layers == least) {
            first = EffectiveSinr(sinrs.values, m_carrier.beta[0]);
        }
        MeasureGroups(sinrs, asCqi, tried);
        if (best.layers == 0 || tried.mean * tried.layers > best.mean * best.layers) {
            std::swap(tried, best);
        }
    }
    return first;
}

void Links::UpdateSelfNoise(Ue& ue) {
    if (m_carrier.settings.HasSelfNoise()) {
        const auto& link = *ue.link.Phy().link();
        const ns3::Vector speed = link.GetUser()->GetVelocity() - link.GetBaseStation()->GetVelocity();
        ue.link.Phy().SetSelfNoise(m_carrier.SelfNoise(speed.GetLength()));
    }
}

void Links::Begin(std::uint32_t number, std::uint64_t slot, bool paused, ChannelFetch& fetch) {
    Ue& ue = *m_ues[number];
    UpdateSelfNoise(ue);
    if (paused) { // what was known of interference is old
        ue.radio.Resume(slot);
        ue.down.meanRise.clear();
        ue.up.meanRise.clear();
    }
    Rise(number, Direction::Downlink, slot);
    Rise(number, Direction::Uplink, slot);
    if (AreHeard()) {
        m_air->Locate(number);
        for (const auto direction : {Direction::Downlink, Direction::Uplink}) {
            ForMeasuredSlots(direction, slot,
                             [&](std::uint64_t then) { FetchOthers(number, direction, then, AllGroups(), fetch); });
        }
    }
}

void Links::MeasureOne(std::uint32_t number, std::uint64_t slot) {
    Ue& ue = *m_ues[number];
    ue.lossDb = -DbOf(ue.link.LargeScaleGain());
    ue.link.Measure(true, m_carrier.DownlinkSnr());
    MeasureOthers(number, Direction::Downlink, slot);
    MeasureOthers(number, Direction::Uplink, slot);
    ue.link.SetMeasuredRise(MeanRise(ue.down), MeanRise(ue.up));
    const unsigned given = ue.link.GivenLayers(), most = std::min(ue.link.MaxLayers(), m_carrier.settings.maxLayers);
    ue.down.pending.wideband =
        MeasureRanks(ue.down, std::max(1u, given), given > 0 ? given : most, true, [&](unsigned layers) -> auto& {
            ue.link.Report(layers);
            return ue.link.Downlink(layers, m_carrier.DownlinkSnr(), Beams::Measured, ue.down.Known());
        });
    ue.link.AdoptReport(ue.down.pending.layers, ue.down.pending.sinrDb, m_carrier.DownlinkSnr());
    // Sounding: as strong as data on a quarter of the band would be.
    const double soundingSnr = UplinkPowerW(number, m_carrier.SoundedPrbs()) / m_carrier.noiseUpW;
    ue.up.pending.wideband = MeasureRanks(ue.up, 1, ue.link.MaxUplinkLayers(), false, [&](unsigned layers) -> auto& {
        return ue.link.Uplink(layers, soundingSnr, Beams::Measured, ue.up.Known());
    });
}

void Links::PrepareReports(std::span<const std::uint32_t> ues, std::uint64_t slot, SlotWork& work) {
    const std::size_t before = m_measured.size();
    for (const auto number : ues) {
        Ue& ue = *m_ues[number];
        Adopt(ue, slot);
        if (const auto paused = ue.reports.Begin(m_carrier.settings, slot)) {
            work.Use(m_workers);
            Begin(number, slot, *paused, work.Channels());
            m_measured.push_back(number);
        }
    }
    const std::span due = std::span(m_measured).subspan(before);
    const bool onThreads = m_beamformer->IsThreadSafe() && std::ranges::all_of(due, [this](std::uint32_t each) {
                               return m_ues[each]->link.Phy().link()->CanBeHeld();
                           });
    for (const auto number : due) {
        const auto measure = [this, number, slot] { MeasureOne(number, slot); };
        if (onThreads) {
            work.AddAsking(*m_ues[number]->link.Phy().link(), measure);
        } else {
            work.AddAlone(measure);
        }
    }
}

const std::vector<std::uint32_t>& Links::Measure(std::span<const std::uint32_t> ues, std::uint64_t slot) {
    m_reported.clear();
    FinishReports(slot);
    if (std::ranges::any_of(ues,
                            [&](std::uint32_t each) { return m_ues[each]->reports.Due(m_carrier.settings, slot); })) {
        SlotWork work;
        PrepareReports(ues, slot, work);
        work.Run();
        FinishReports(slot);
    }
    return m_reported;
}

void Links::FinishReports(std::uint64_t slot) {
    for (const auto number : m_measured) {
        Ue& ue = *m_ues[number];
        Monitor(ue, slot);
        NS_LOG_LOGIC("slot " << slot << " UE " << number << ": rank " << ue.down.pending.layers << ", path loss "
                             << ue.lossDb << " dB");
        if (!m_trace.IsEmpty()) {
            TraceReport(ue);
        }
        Adopt(ue, slot);
        m_reported.push_back(number);
    }
    m_measured.clear();
}

void Links::Adopt(Ue& ue, std::uint64_t slot) {
    if (ue.reports.Adopts(slot)) {
        ue.link.Adopt();
        std::swap(ue.down.quality, ue.down.pending);
        std::swap(ue.up.quality, ue.up.pending);
    }
}

void Links::Monitor(Ue& ue, std::uint64_t slot) {
    LinkQuality &down = ue.down.pending, &up = ue.up.pending;
    down.reaches = down.wideband >= m_carrier.outOfRange;
    // On how many groups the power may be spread: at least as many as the smallest block takes.
    const std::uint32_t number = ue.link.GetUe();
    const double sounded = UplinkPowerW(number, m_carrier.SoundedPrbs());
    const auto sinrDbOn = [&](unsigned groups) {
        const unsigned prbs = std::min(groups * m_carrier.prbsPerGroup, m_carrier.numPrbs);
        return DbOf(up.wideband * UplinkPowerW(number, prbs) / sounded);
    };
    up.mostGroups = m_carrier.numGroups;
    while (up.mostGroups > m_carrier.leastGroups && sinrDbOn(up.mostGroups) < m_carrier.thresholdDb[0]) {
        --up.mostGroups;
    }
    up.reaches = sinrDbOn(up.mostGroups) >= m_carrier.leastUplinkDb;
    ue.radio.Indicate(up.reaches ? SyncAt(down.wideband) : Sync::Out, slot);
}

Sync Links::SyncAt(double sinr) const {
    const ControlChannel& control = m_carrier.control;
    return sinr < std::max(m_carrier.outOfRange, control.outOfSync) ? Sync::Out
           : sinr >= control.inSync                                 ? Sync::In
                                                                    : Sync::Between;
}

void Links::Watch(std::uint32_t number, std::uint64_t slot) {
    Ue& ue = *m_ues[number];
    ue.radio.Advance(slot);
    if (ue.reports.measured &&
        slot < ue.reports.measuredSlot + m_carrier.settings.csiPeriod + m_carrier.settings.csiDelay) {
        return; // its reports tell
    }
    Adopt(ue, slot);
    if (AreHeard()) {
        ChannelFetch fetch;
        m_air->Locate(number);
        ForMeasuredSlots(Direction::Downlink, slot, [&](std::uint64_t then) {
            FetchOthers(number, Direction::Downlink, then, AllGroups(), fetch);
        });
        fetch.Run(*m_workers);
    }
    UpdateSelfNoise(ue);
    ue.link.Measure(true, m_carrier.DownlinkSnr());
    MeasureOthers(number, Direction::Downlink, slot);
    const SinrMap& sinrs = ue.link.Downlink(std::max(1u, ue.link.GivenLayers()), m_carrier.DownlinkSnr(),
                                            Beams::Measured, ue.down.Known());
    ue.radio.Indicate(SyncAt(EffectiveSinr(sinrs.values, m_carrier.beta[0])), slot);
}

bool Links::Reaches(std::uint32_t ue) const {
    const Ue& each = *m_ues[ue];
    return each.down.quality.reaches && each.up.quality.reaches && !each.radio.Failed();
}

std::uint32_t Links::ReportBytes(std::uint32_t ue) const {
    const unsigned precoders = m_ues[ue]->link.ReportBits();
    if (precoders == 0) {
        return 0;
    }
    const unsigned rank = 2, cqis = 4 + 2 * m_carrier.NumSubbands();
    return (precoders + rank + cqis + 7) / 8;
}

double Links::RequestLoss(std::uint32_t ue) const {
    const double gain = UplinkPowerW(ue, 1) / UplinkPowerW(ue, m_carrier.SoundedPrbs());
    return nr::RequestLoss(m_ues[ue]->up.quality.wideband * gain);
}

const SinrMap& Links::MeasuredDownlink(std::uint32_t ue) {
    return m_ues[ue]->link.Downlink(1, m_carrier.DownlinkSnr(), Beams::Measured, m_ues[ue]->down.Known());
}

const SinrMap& Links::MeasuredDownlinkOver(std::uint32_t ue, const PortWeights& beam) {
    return m_ues[ue]->link.DownlinkOver(beam, m_carrier.DownlinkSnr(), m_ues[ue]->down.Known());
}

/// Before what was measured is used.
void Links::TraceReport(const Ue& ue) const {
    const auto mean = [](const LinkQuality& quality) {
        return std::accumulate(quality.sinrDb.begin(), quality.sinrDb.end(), 0.0F) /
               static_cast<float>(quality.sinrDb.size());
    };
    const LinkQuality &down = ue.down.pending, &up = ue.up.pending;
    CsiReportRecord record{};
    record.time_ns = m_carrier.numerology.SlotStartNs(static_cast<std::int64_t>(ue.reports.measuredSlot));
    record.slot = ue.reports.measuredSlot;
    record.adopted_slot = ue.reports.adoptSlot;
    record.ue = ue.link.GetUe();
    record.rank = static_cast<std::uint8_t>(down.layers);
    record.cqi = static_cast<std::uint8_t>(down.reaches ? std::max(1u, down.cqi) : 0);
    record.sinr_db = mean(down);
    record.uplink_rank = static_cast<std::uint8_t>(up.layers);
    record.uplink_sinr_db = mean(up);
    record.path_loss_db = static_cast<float>(ue.lossDb);
    m_trace(record);
}

SharedSlot& Links::Shared(Direction direction, std::uint64_t slot) {
    auto& slots = direction == Direction::Downlink ? m_sharedDown : m_sharedUp;
    return slots[slot & (slots.size() - 1)];
}

void Links::Share(Direction direction, std::uint64_t slot, std::uint32_t ue, const HarqProcess& process,
                  const Precoder* weights) {
    SharedSlot& shared = Shared(direction, slot);
    if (weights) {
        shared.AddFormed(slot, m_ues[ue]->link, process.groups, *weights,
                         m_beamformer->FormsAlways(ue, process.layers));
    } else {
        shared.Add(slot, m_ues[ue]->link, process.groups, process.layers);
    }
}

unsigned Links::McsFor(const LinkAdaptation& adaptation, const std::vector<std::uint32_t>& groups,
                       double offsetDb) const {
    if (adaptation.givenMcs) {
        return *adaptation.givenMcs;
    }
    double sum = 0;
    for (const auto g : groups) {
        sum +=
            m_carrier.efficiency[m_carrier.HighestAt(adaptation.quality.sinrDb[g] + adaptation.outerLoopDb + offsetDb)];
    }
    return HighestMcs(m_carrier.mcsTable, sum / static_cast<double>(groups.size()) + 1e-4);
}

unsigned Links::McsBeside(const LinkAdaptation& adaptation, std::span<const float> expected) {
    const auto loop = static_cast<float>(std::pow(10, adaptation.sharedLoopDb / 10));
    m_expected.clear();
    for (const float each : expected) {
        m_expected.push_back(loop * each);
    }
    return HighestOver(m_expected).mcs;
}

void Links::FillRates(const LinkAdaptation& adaptation, unsigned symbols, double offsetDb,
                      std::vector<float>& bitsPerGroup) const {
    const double correctionDb = adaptation.outerLoopDb + offsetDb;
    const auto factor = static_cast<float>((12.0 * symbols - m_carrier.ReservedPerPrb()) * adaptation.quality.layers);
    for (unsigned g = 0; g < m_carrier.numGroups; ++g) {
        const unsigned mcs =
            adaptation.givenMcs.value_or(m_carrier.HighestAt(adaptation.quality.sinrDb[g] + correctionDb));
        bitsPerGroup[g] = m_carrier.efficiency[mcs] * factor * static_cast<float>(m_carrier.PrbsOf(g));
    }
}

void Links::LimitRates(std::uint32_t ue, unsigned symbols, std::uint64_t bytes,
                       std::vector<float>& bitsPerGroup) const {
    const LinkAdaptation& up = m_ues[ue]->up;
    const double mean = std::accumulate(bitsPerGroup.begin(), bitsPerGroup.end(), 0.0) / m_carrier.numGroups;
    const double most = up.quality.mostGroups > 0 ? up.quality.mostGroups : m_carrier.numGroups;
    const auto groups =
        static_cast<unsigned>(std::min(most, mean > 0 ? std::ceil(8.0 * static_cast<double>(bytes) / mean) : most));
    const double offsetDb = UplinkOffsetDb(ue, std::min(groups * m_carrier.prbsPerGroup, m_carrier.numPrbs));
    if (offsetDb < -power_step_db) {
        FillRates(up, symbols, offsetDb, bitsPerGroup);
    }
}

/// Nothing above the highest MCS, nor below the lowest, can be learnt. In downlink, what is computed from the channel
/// is no worse than what comes if the noise is white: beside other UEs the loop then only goes down from it and back.
/// Where other cells are heard, receivers reject more of them than the gNB reckons with.
void Links::Adapt(LinkAdaptation& adaptation, const HarqProcess& process, bool decoded) const {
    double& loopDb = process.shares ? adaptation.sharedLoopDb : adaptation.outerLoopDb;
    if (!decoded && !process.lowest) {
        loopDb = std::max(loopDb - outer_loop_step_db, least_loop_db);
    } else if (decoded && process.mcs + 1u < m_carrier.thresholdDb.size()) {
        const double target = m_carrier.settings.blerTarget, up = outer_loop_step_db * target / (1 - target);
        const bool atMost = process.shares && adaptation.sharedIsComputed && !AreHeard();
        loopDb = std::min(loopDb + up, atMost ? 0 : most_loop_db);
    }
}

double Links::UplinkSnr(std::uint32_t ue, std::uint32_t groups) const {
    unsigned prbs = 0;
    for (unsigned g = 0; g < m_carrier.numGroups; ++g) {
        prbs += (groups >> g & 1U) != 0 ? m_carrier.PrbsOf(g) : 0;
    }
    return UplinkPowerW(ue, prbs) / m_carrier.noiseUpW;
}

double Links::UplinkOffsetDb(std::uint32_t ue, unsigned prbs) const {
    return 10 * std::log10(UplinkPowerW(ue, prbs) / UplinkPowerW(ue, m_carrier.SoundedPrbs()));
}

double Links::UplinkPowerW(std::uint32_t ue, unsigned prbs) const {
    return m_carrier.UplinkPowerW(m_ues[ue]->lossDb, prbs);
}

} // namespace edgelam::nr
