// SPDX-License-Identifier: GPL-2.0-only
// A link's channel over frequency, made of its taps.
#include <algorithm>
#include <numbers>
#include <stdexcept>
#include <string>
#include <utility>

#include "ns3/log.h"

#include "channel-link.h"
#include "radio-channel.h"

NS_LOG_COMPONENT_DEFINE("EdgelamChannelLinkResponse");

namespace edgelam {

namespace {

using ns3::Vector;

constexpr std::size_t kept_channels = 16; ///< effective channels that a link remembers

/// exp(-j 2 pi f tau), planar [tap, frequency], rows padded to whole chunks of 16.
struct DelayPhasors {
    std::size_t stride;
    RawVector<float> re, im;
    RawVector<double> turns;

    void Set(const std::vector<double>& delayS, std::span<const double> frequenciesHz) {
        stride = (frequenciesHz.size() + 15) / 16 * 16;
        re.resize(delayS.size() * stride);
        im.resize(re.size());
        turns.resize(re.size());
        for (std::size_t tap = 0; tap < delayS.size(); ++tap) {
            for (std::size_t f = 0; f < frequenciesHz.size(); ++f) {
                turns[tap * stride + f] = -frequenciesHz[f] * delayS[tap];
            }
            std::fill_n(&turns[tap * stride + frequenciesHz.size()], stride - frequenciesHz.size(), 0.0);
        }
        kernels::Phasors(turns.data(), turns.size(), re.data(), im.data());
    }
};

/// The memory of one call, for the next one.
struct Work {
    Taps taps;
    DelayPhasors phasors;
};
thread_local Work work;

} // namespace

void ChannelLink::Respond(Direction direction, const PortWeights* rxWeights, const PortWeights* txWeights,
                          std::span<const double> frequencyOffsetsHz, std::span<std::complex<float>> out) {
    const bool down = direction == Direction::Downlink;
    const auto* utWeights = down ? rxWeights : txWeights;
    const auto* bsWeights = down ? txWeights : rxWeights;
    auto& [taps, phasors] = work;
    CollectTaps(utWeights, bsWeights, taps);
    const std::size_t numUt = utWeights ? utWeights->numPorts() : m_utArray->GetNumElems();
    const std::size_t numBs = bsWeights ? bsWeights->numPorts() : m_bsArray->GetNumElems();
    std::vector<std::size_t> row(numUt * numBs); // pairs are user x base station; rows of `out` receiver x transmitter
    for (std::size_t u = 0; u < numUt; ++u) {
        for (std::size_t s = 0; s < numBs; ++s) {
            row[u * numBs + s] = down ? u * numBs + s : s * numUt + u;
        }
    }
    phasors.Set(taps.delayS, frequencyOffsetsHz);
    kernels::AddDelays(taps.re.data(), taps.im.data(), taps.delayS.size(), row.size(), row.data(), phasors.re.data(),
                       phasors.im.data(), frequencyOffsetsHz.size(), phasors.stride, out.data());
    if (IsOverSurface()) {
        AddSurfaceResponse(direction, rxWeights, txWeights, frequencyOffsetsHz, out);
    }
}

void ChannelLink::RespondByFour(std::span<const double> frequencyOffsetsHz, std::vector<std::complex<float>>& out) {
    constexpr std::size_t four = 4;
    const std::size_t pairs = NumRx(Direction::Downlink) * NumTx(Direction::Downlink);
    const std::size_t frequencies = frequencyOffsetsHz.size();
    out.resize((frequencies + four - 1) / four * four * pairs);
    if (IsOverSurface()) {
        std::vector<std::complex<float>> response(pairs * frequencies);
        Respond(Direction::Downlink, nullptr, nullptr, frequencyOffsetsHz, response);
        for (std::size_t j = 0; j < pairs; ++j) {
            for (std::size_t f = 0; f < frequencies; ++f) {
                out[(f / four * pairs + j) * four + f % four] = response[j * frequencies + f];
            }
        }
        return;
    }
    auto& [taps, phasors] = work;
    CollectTaps(nullptr, nullptr, taps);
    phasors.Set(taps.delayS, frequencyOffsetsHz);
    kernels::AddDelaysByFour(taps.re.data(), taps.im.data(), taps.delayS.size(), pairs, phasors.re.data(),
                             phasors.im.data(), frequencies, phasors.stride, out.data());
}

void ChannelLink::GetFrequencyResponse(Direction direction, std::span<const double> frequencyOffsetsHz,
                                       std::span<std::complex<float>> out) {
    const std::size_t size = NumRx(direction) * NumTx(direction) * frequencyOffsetsHz.size();
    if (out.size() != size || size == 0) {
        throw std::invalid_argument("frequency response: the output has " + std::to_string(out.size()) +
                                    " values; it takes rx x tx x subcarriers = " + std::to_string(NumRx(direction)) +
                                    " x " + std::to_string(NumTx(direction)) + " x " +
                                    std::to_string(frequencyOffsetsHz.size()) + ", at least 1");
    }
    Respond(direction, nullptr, nullptr, frequencyOffsetsHz, out);
}

ChannelLink::Effective* ChannelLink::FindEffective(Direction direction, const PortWeights& rxWeights,
                                                   const PortWeights& txWeights,
                                                   std::span<const double> frequencyOffsetsHz) {
    const auto found = std::ranges::find_if(m_effective, [&](const Effective& kept) {
        return kept.direction == direction && kept.rxId == rxWeights.id() && kept.txId == txWeights.id() &&
               std::ranges::equal(kept.frequenciesHz, frequencyOffsetsHz);
    });
    if (found == m_effective.end()) {
        return nullptr;
    }
    m_effective.splice(m_effective.begin(), m_effective, found);
    return &m_effective.front();
}

bool ChannelLink::Holds(const KeptValues& kept, double wavelengths) const {
    if (m_frozen) {
        if (kept.values.empty()) {
            throw std::logic_error("a frozen link is asked for a channel that it has not kept");
        }
        return true;
    }
    const double near = wavelengths * m_channel.GetWavelengthM();
    return !kept.values.empty() && kept.arrayVersion == m_arrayVersion && kept.settingsVersion == SettingsVersion() &&
           kept.realisation == m_channel.RealisationOf(m_utNode) &&
           ns3::CalculateDistance(GetUserPlace(), kept.utPlace) <= near &&
           ns3::CalculateDistance(GetBaseStationPlace(), kept.bsPlace) <= near;
}

void ChannelLink::Keep(std::vector<std::complex<float>> values, KeptValues& kept) const {
    kept = {m_arrayVersion, SettingsVersion(), m_realisation, m_utPlace, m_bsPlace, std::move(values)};
}

const std::vector<std::complex<float>>* ChannelLink::FindKeptResponse(std::span<const double> frequencyOffsetsHz,
                                                                      double times) {
    CheckArrays();
    return std::ranges::equal(m_keptFrequenciesHz, frequencyOffsetsHz) && Holds(m_kept, times * m_channel.m_coherence)
               ? &m_kept.values
               : nullptr;
}

const std::vector<std::complex<float>>& ChannelLink::GetKeptResponse(std::span<const double> frequencyOffsetsHz,
                                                                     double times) {
    if (!FindKeptResponse(frequencyOffsetsHz, times)) {
        auto values = std::move(m_kept.values); // its memory
        RespondByFour(frequencyOffsetsHz, values);
        Keep(std::move(values), m_kept);
        m_keptFrequenciesHz.assign(frequencyOffsetsHz.begin(), frequencyOffsetsHz.end());
    }
    return m_kept.values;
}

const std::vector<std::complex<float>>* ChannelLink::FindEffectiveChannel(Direction direction,
                                                                          const PortWeights& rxWeights,
                                                                          const PortWeights& txWeights,
                                                                          std::span<const double> frequencyOffsetsHz) {
    CheckArrays();
    const Effective* found = FindEffective(direction, rxWeights, txWeights, frequencyOffsetsHz);
    return found && Holds(*found, m_channel.m_coherence) ? &found->values : nullptr;
}

const std::vector<std::complex<float>>& ChannelLink::GetEffectiveChannel(Direction direction,
                                                                         const PortWeights& rxWeights,
                                                                         const PortWeights& txWeights,
                                                                         std::span<const double> frequencyOffsetsHz) {
    CheckArrays();
    std::vector<std::complex<float>> values;
    if (!FindEffective(direction, rxWeights, txWeights, frequencyOffsetsHz)) {
        if (m_effective.size() < kept_channels) {
            m_effective.emplace_front();
        } else { // with the memory of the oldest
            m_effective.splice(m_effective.begin(), m_effective, std::prev(m_effective.end()));
        }
        Effective& made = m_effective.front();
        values = std::exchange(made.values, {});
        made.direction = direction;
        made.rxId = rxWeights.id();
        made.txId = txWeights.id();
        made.frequenciesHz.assign(frequencyOffsetsHz.begin(), frequencyOffsetsHz.end());
    }
    Effective& kept = m_effective.front();
    if (!Holds(kept, m_channel.m_coherence)) {
        if (!kept.values.empty()) {
            values = std::move(kept.values);
        }
        NS_LOG_LOGIC("nodes " << m_bsNode << " and " << m_utNode << ": effective channel " << m_computed + 1 << ", "
                              << rxWeights.numPorts() << " x " << txWeights.numPorts() << " ports at "
                              << frequencyOffsetsHz.size() << " frequencies, user at " << GetUserPlace());
        values.resize(rxWeights.numPorts() * txWeights.numPorts() * frequencyOffsetsHz.size());
        Respond(direction, &rxWeights, &txWeights, frequencyOffsetsHz, values);
        Keep(std::move(values), kept);
        kept.version = ++m_computed;
    }
    return kept.values;
}

double ChannelLink::GetWidebandGain(Direction direction, const PortWeights& rxWeights, const PortWeights& txWeights) {
    const bool down = direction == Direction::Downlink;
    Taps taps;
    CollectTaps(down ? &rxWeights : &txWeights, down ? &txWeights : &rxWeights, taps);
    double gain = 0;
    for (std::size_t i = 0; i < taps.re.size(); ++i) {
        gain += taps.re[i] * taps.re[i] + taps.im[i] * taps.im[i];
    }
    return IsOverSurface() ? gain + SurfaceGain(direction, rxWeights, txWeights) : gain;
}

} // namespace edgelam
