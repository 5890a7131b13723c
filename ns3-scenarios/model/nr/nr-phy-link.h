// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The physical channel between one gNB and one UE: how layers arrive at the receiver, and their SINR.
#pragma once

#include <algorithm>
#include <complex>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ns3/ptr.h"

#include "channel-link.h"
#include "nr-covariance.h"
#include "nr-precoder.h"

namespace edgelam::nr {

constexpr unsigned max_layers = 4;

/// SINR of each layer at each sample of frequency, linear.
struct SinrMap {
    unsigned numLayers = 0;
    std::size_t numGroups = 0;
    std::vector<float> values; ///< [layer, sample]
    const float* Layer(unsigned layer) const { return values.data() + layer * numGroups; }
};

/// The channel at several samples of frequency in each group of resource blocks, and the SINR of transmissions over it
/// after an MMSE receiver. By reciprocity it serves both directions. It is computed anew when an end has moved by the
/// channel's CoherenceDistance.
class PhyLink {
  public:
    using Complex = std::complex<float>;

    /// What a UE sends.
    struct UplinkSignal {
        PhyLink* link;
        const std::vector<Complex>* weights; ///< [antenna, layer of MaxUplinkLayers]
        unsigned layers;                     ///< they share the power
        double snr;                          ///< power of a resource block over noise
        /// The groups on which it is sent, as bits, out of `numGroups` groups; if `numGroups` is 0, it is sent in all.
        std::uint32_t groups = 0, numGroups = 0;
    };

    /// \param offsetsHz of the samples, relative to the carrier
    /// \param uplinkLayers the most that the UE sends, at most MaxLayers
    PhyLink(ns3::Ptr<ChannelLink> link, std::vector<double> offsetsHz, unsigned uplinkLayers = 1);

    /// Put analog beams of both ends in front, so that the antennas below are the ports of the UE, and the gNB has few
    /// of its own: MaxLayers. The number of ports is always the same.
    /// \param link between the gNB and one of the UE's panels; \param gnb, ue [element, port], orthonormal
    void UseAnalog(ns3::Ptr<ChannelLink> link, const PortWeights& gnb, const PortWeights& ue);
    /// The ports of the gNB behind its analog beam; null: each element is a port.
    const PortWeights* GnbPorts() const { return m_gnbPorts ? &*m_gnbPorts : nullptr; }

    std::size_t NumUeAntennas() const { return m_ueElements.numPorts(); }
    std::size_t NumElements() const { return m_link->NumTx(Direction::Downlink); }
    std::size_t NumGroups() const { return m_offsets.size(); }
    const std::vector<double>& OffsetsHz() const { return m_offsets; }
    /// The number of layers that the antennas allow, at most 4.
    unsigned MaxLayers() const;
    unsigned MaxUplinkLayers() const { return std::min(MaxLayers(), m_uplinkLayers); }

    /// SINR of `layers` layers that share the power, over the first `layers` of orthonormal beams.
    /// \param snr transmit power per resource block / noise per resource block at the antenna
    /// \param noise between the UE's antennas; the receiver knows its covariance (MMSE with interference rejection
    /// combining)
    /// \return the map, which is valid until the next call
    const SinrMap& Downlink(const PortWeights& beams, unsigned layers, double snr, const Noise& noise = {});
    /// SINR of layers that are sent through separate weights in each group, while the gNB also sends to `others`; the
    /// receiver knows the covariance of that, too. Layers with zero weights are not sent.
    const SinrMap& Downlink(const Precoder& own, std::span<const Precoder* const> others, double snr,
                            const Noise& noise = {});
    /// SINR of a UE's layers behind the gNB's beams for it, or at its ports, while `others` also send; the gNB knows
    /// their channels (JointSinr). `noise` is that between the beams.
    const SinrMap& Uplink(const PortWeights& beams, const UplinkSignal& own, std::span<const UplinkSignal> others = {},
                          const Noise& noise = {});

    /// Weights of the UE's layers: dominant right singular vectors of the channel to the gNB's beams over the whole
    /// band, which the UE knows by reciprocity (PUSCH without a codebook, TS 38.214 6.1.1.2).
    /// \param weights [antenna, layer], orthonormal: on entry the earlier ones, or empty; on return the new ones
    void FindUplinkWeights(const PortWeights& beams, std::vector<Complex>& weights);

    /// From now on, this part of the power of each layer becomes noise (nr-self-noise).
    void SetSelfNoise(double share) { m_selfNoise = static_cast<float>(share); }
    /// SINRs of layers with it.
    void AddSelfNoise(std::span<float> sinrs) const;

    /// Path gain between the ends without small-scale fading, linear, for power control.
    double LargeScaleGain() { return m_link->GetLargeScaleGain(); }
    const ns3::Ptr<ChannelLink>& link() const { return m_link; }

    /// What Downlink and Uplink ask the link for: GetEffectiveChannel from beams, or for precoders from these elements,
    /// to the antennas, at OffsetsHz.
    const PortWeights& UeElements() const { return m_ueElements; }
    const PortWeights& GnbElements();

  private:
    /// [UE antenna, beam, sample], kept by the link until it is asked for other beams or places.
    const std::vector<Complex>& Response(const PortWeights& beams);
    /// The layers of this UE after the beams, [beam, layer, sample].
    void ReceiveBehind(const PortWeights& beams, const std::vector<Complex>& weights, std::vector<Complex>& out);
    /// A channel [receiver, layer of `columns`, sample] with noise that is white and 1, in the samples of `noise`.
    /// \param columns of the result, on return
    const Complex* Whiten(const std::vector<Complex>& channel, std::size_t receivers, std::size_t& columns,
                          unsigned layers, const Noise& noise);
    /// SINR of layers with a channel [receiver, layer of `columns`, sample].
    void Receive(const std::vector<Complex>& channel, std::size_t receivers, std::size_t columns, unsigned layers,
                 double snr, const Noise& noise, SinrMap& out);
    /// Noise, and the layers of others beside it: a covariance to add to, with `receivers` antennas or beams.
    Covariance& Around(const Noise& noise, std::size_t receivers);

    ns3::Ptr<ChannelLink> m_link;
    std::vector<double> m_offsets;
    PortWeights m_ueElements; ///< or ports
    unsigned m_uplinkLayers;
    std::vector<Complex> m_sent, m_whitened; ///< of one call
    std::vector<Complex> m_otherSent;        ///< of one call
    std::vector<Complex> m_together;         ///< of one call
    Covariance m_around;                     ///< of one call
    PrecodedChannel m_precoded;
    std::optional<PortWeights> m_bsElements; ///< for precoders
    std::optional<PortWeights> m_gnbPorts;   ///< empty: no analog beams
    float m_selfNoise = 0;
    SinrMap m_down, m_up;
};

} // namespace edgelam::nr
