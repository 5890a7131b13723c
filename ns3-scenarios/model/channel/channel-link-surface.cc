// SPDX-License-Identifier: GPL-2.0-only
// The part of a link that goes over reflecting surfaces.
#include <algorithm>
#include <stdexcept>

#include "ns3/log.h"

#include "channel-link.h"
#include "radio-channel.h"

NS_LOG_COMPONENT_DEFINE("EdgelamChannelLinkSurface");

namespace edgelam {

bool ChannelLink::IsOverSurface() const {
    const auto& surfaces = m_channel.GetSurfaces();
    return std::any_of(surfaces.begin(), surfaces.end(), [](const auto& surface) { return surface->GetArray(); }) &&
           std::none_of(surfaces.begin(), surfaces.end(), [&](const auto& surface) {
               return surface->GetMobility() == m_bs || surface->GetMobility() == m_ut;
           });
}

std::uint64_t ChannelLink::SettingsVersion() const {
    std::uint64_t sum = m_channel.GetSurfaces().size() + m_channel.m_surroundingsVersion + m_channel.m_screensVersion;
    for (const auto& surface : m_channel.GetSurfaces()) {
        sum += surface->GetVersion();
    }
    return sum;
}

void ChannelLink::AddSurfaceResponse(Direction direction, const PortWeights* rxWeights, const PortWeights* txWeights,
                                     std::span<const double> frequencyOffsetsHz, std::span<std::complex<float>> out) {
    const bool down = direction == Direction::Downlink;
    const auto transmitter = down ? m_bs : m_ut, receiver = down ? m_ut : m_bs;
    const auto txArray = down ? m_bsArray : m_utArray, rxArray = down ? m_utArray : m_bsArray;
    const std::size_t numFrequencies = frequencyOffsetsHz.size();
    const std::size_t numTx = txWeights ? txWeights->numPorts() : txArray->GetNumElems();
    const std::size_t numRx = rxWeights ? rxWeights->numPorts() : rxArray->GetNumElems();
    for (const auto& surface : m_channel.GetSurfaces()) {
        const auto& reflection = surface->GetReflection();
        const std::size_t elements = reflection.size();
        const auto first = m_channel.GetLink(transmitter, txArray, surface->GetMobility(), surface->GetArray());
        const auto second = m_channel.GetLink(surface->GetMobility(), surface->GetArray(), receiver, rxArray);
        const auto whole = PortWeights::Elements(elements);
        std::vector<std::complex<float>> to(elements * numTx * numFrequencies), from(numRx * elements * numFrequencies);
        first->Respond(first->From(*transmitter), txWeights ? &whole : nullptr, txWeights, frequencyOffsetsHz, to);
        second->Respond(second->From(*surface->GetMobility()), rxWeights, rxWeights ? &whole : nullptr,
                        frequencyOffsetsHz, from);
        // The straight line over the surface is longer than the direct one, whose arrival is time zero.
        const double longer =
            (ns3::CalculateDistance(transmitter->GetPosition(), surface->GetMobility()->GetPosition()) +
             ns3::CalculateDistance(surface->GetMobility()->GetPosition(), receiver->GetPosition()) -
             ns3::CalculateDistance(transmitter->GetPosition(), receiver->GetPosition())) /
            speed_of_light;
        NS_LOG_LOGIC("nodes " << m_bsNode << " and " << m_utNode << ": over a surface of " << elements
                              << " elements at " << surface->GetMobility()->GetPosition() << ", " << longer * 1e9
                              << " ns later than the direct line");
        std::vector<std::complex<float>> shift(numFrequencies);
        for (std::size_t f = 0; f < numFrequencies; ++f) {
            shift[f] = std::complex<float>(
                std::polar(1.0, -2 * std::numbers::pi * std::fmod(frequencyOffsetsHz[f] * longer, 1.0)));
        }
        for (std::size_t r = 0; r < numRx; ++r) {
            for (std::size_t m = 0; m < elements; ++m) {
                const auto* left = &from[(r * elements + m) * numFrequencies];
                for (std::size_t t = 0; t < numTx; ++t) {
                    const auto* right = &to[(m * numTx + t) * numFrequencies];
                    auto* sum = &out[(r * numTx + t) * numFrequencies];
                    for (std::size_t f = 0; f < numFrequencies; ++f) {
                        sum[f] += left[f] * reflection[m] * right[f] * shift[f];
                    }
                }
            }
        }
    }
}

double ChannelLink::SurfaceGain(Direction direction, const PortWeights& rxWeights, const PortWeights& txWeights) {
    const bool down = direction == Direction::Downlink;
    const auto transmitter = down ? m_bs : m_ut, receiver = down ? m_ut : m_bs;
    const auto txArray = down ? m_bsArray : m_utArray, rxArray = down ? m_utArray : m_bsArray;
    double gain = 0;
    for (const auto& surface : m_channel.GetSurfaces()) {
        const auto& reflection = surface->GetReflection();
        const auto whole = PortWeights::Elements(reflection.size());
        // Taps between the elements of the surface and the ports of one end, [tap, element, port].
        const auto taps = [&](ns3::Ptr<ns3::MobilityModel> end, ns3::Ptr<ns3::PhasedArrayModel> array,
                              const PortWeights& weights, std::vector<std::complex<double>>& out) {
            const auto link = m_channel.GetLink(end, array, surface->GetMobility(), surface->GetArray());
            const bool user = link->GetUser() == surface->GetMobility();
            Taps found;
            link->CollectTaps(user ? &whole : &weights, user ? &weights : &whole, found);
            const std::size_t elements = reflection.size(), ports = weights.numPorts();
            out.resize(found.re.size());
            for (std::size_t tap = 0; tap < found.delayS.size(); ++tap) {
                for (std::size_t m = 0; m < elements; ++m) {
                    for (std::size_t port = 0; port < ports; ++port) {
                        const std::size_t i = tap * elements * ports + (user ? m * ports + port : port * elements + m);
                        out[(tap * elements + m) * ports + port] = {found.re[i], found.im[i]};
                    }
                }
            }
            return found.delayS.size();
        };
        std::vector<std::complex<double>> to, from;
        const std::size_t tapsTo = taps(transmitter, txArray, txWeights, to);
        const std::size_t tapsFrom = taps(receiver, rxArray, rxWeights, from);
        const std::size_t elements = reflection.size(), numTx = txWeights.numPorts(), numRx = rxWeights.numPorts();
        for (std::size_t i = 0; i < tapsTo; ++i) {
            for (std::size_t j = 0; j < tapsFrom; ++j) {
                for (std::size_t t = 0; t < numTx; ++t) {
                    for (std::size_t r = 0; r < numRx; ++r) {
                        std::complex<double> cluster = 0; // the cluster that these two make
                        for (std::size_t m = 0; m < elements; ++m) {
                            cluster += to[(i * elements + m) * numTx + t] * std::complex<double>(reflection[m]) *
                                       from[(j * elements + m) * numRx + r];
                        }
                        gain += std::norm(cluster);
                    }
                }
            }
        }
    }
    return gain;
}

} // namespace edgelam
