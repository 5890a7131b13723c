// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The physical channel between one gNB and one UE: beams, layers, and the SINR of every group of resource blocks.
#pragma once

#include <algorithm>
#include <complex>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ns3/nstime.h"
#include "ns3/ptr.h"

#include "channel-link.h"
#include "nr-precoder.h"

namespace edgelam::nr {

/// How the gNB finds its beams.
enum class BeamMethod : std::uint8_t {
    Eigen,    ///< dominant eigenvectors of the transmit covariance over the whole band
    Codebook, ///< best of a grid of DFT beams, for both polarisations (a type I codebook, TS 38.214 5.2.2.2.1,
              ///< wideband)
    Direct,   ///< steered along the straight line to the UE, one beam a polarisation
    External  ///< downlink precoders set from outside; before, and for uplink always, as Eigen
};
BeamMethod BeamMethodOf(const std::string& name);
std::string NameOf(BeamMethod method);

constexpr unsigned max_layers = 4;

/// Which beams: those in use, or those measured last.
enum class Beams : std::uint8_t { InUse, Measured };

/// SINR of each layer in each group of resource blocks, linear.
struct SinrMap {
    unsigned numLayers = 0;
    std::size_t numGroups = 0;
    std::vector<float> values; ///< [layer, group]
    const float* Layer(unsigned layer) const { return values.data() + layer * numGroups; }
};

/// G(f) = H(f) W for orthonormal beams W, at the middle of each group of resource blocks, and what follows from it. By
/// reciprocity it serves both directions: the gNB receives with the beams it sends with.
///
/// H is taken anew when an end has moved by the channel's CoherenceDistance; beams when Measure is called.
class PhyLink {
  public:
    /// \param groupOffsetsHz centre of each group relative to the carrier
    /// \param uplinkLayers most that the UE sends, at most MaxLayers
    PhyLink(ns3::Ptr<ChannelLink> link, BeamMethod method, std::vector<double> groupOffsetsHz,
            unsigned uplinkLayers = 1);

    std::size_t NumUeAntennas() const { return m_ueElements.numElements(); }
    std::size_t NumGroups() const { return m_offsets.size(); }
    /// Layers that the antennas allow, at most 4.
    unsigned MaxLayers() const;
    unsigned MaxUplinkLayers() const { return std::min(MaxLayers(), m_uplinkLayers); }

    /// Choose beams for where the UE is now. \param later they are put into use by Adopt, otherwise at once
    void Measure(bool later = false);
    void Adopt() { m_inUse = m_measured; }

    /// Downlink blocks go through these weights from now on, `layers` 0: through the link's own beams again. Blocks of
    /// other numbers of layers (sent before, and now again) go through the newest weights for so many, or else the
    /// beams.
    void SetPrecoder(const Precoder& precoder);
    /// Layers that a downlink block must have; 0: any number.
    unsigned GivenLayers() const { return m_precoded.Layers(); }

    /// SINR after an MMSE receiver of `layers` layers that share the power.
    /// \param snr power over noise (and interference) of one resource block at the antenna: transmit power per resource
    /// block / noise per resource block
    /// \param rise [group] noise and interference over noise, the same at each antenna and independent between them;
    /// empty: 1
    /// \return the map, which holds until the next call
    const SinrMap& Downlink(unsigned layers, double snr, Beams which = Beams::InUse, std::span<const float> rise = {});
    /// One layer over a beam that other UEs share (multicast), one port, with maximum ratio combining.
    const SinrMap& DownlinkOver(const PortWeights& beam, double snr, std::span<const float> rise = {});
    /// The strongest of the beams: [element], unit norm.
    std::vector<std::complex<float>> FirstBeam(Beams which = Beams::InUse) const;
    /// `layers` layers, up to MaxUplinkLayers, share the power. The UE sends them through the dominant right singular
    /// vectors of the channel to the gNB's beams over the whole band, which it knows by reciprocity (PUSCH without a
    /// codebook, TS 38.214 6.1.1.2); the gNB has an MMSE receiver behind its beams. `rise` is that at each beam.
    const SinrMap& Uplink(unsigned layers, double snr, Beams which = Beams::InUse, std::span<const float> rise = {});

    /// Path gain between the ends without small-scale fading, linear: for power control.
    double LargeScaleGain() { return m_link->GetLargeScaleGain(); }
    const ns3::Ptr<ChannelLink>& link() const { return m_link; }

  private:
    using Complex = std::complex<float>;
    std::vector<Complex> EigenBeams(unsigned count);
    std::vector<Complex> CodebookBeams(unsigned count);
    std::vector<Complex> DirectBeams(unsigned count);
    std::vector<Complex> SampledResponse(std::size_t samples) const;
    struct BeamSet {
        std::optional<PortWeights> weights; ///< [element, layer], orthonormal
        std::vector<Complex> ue;            ///< uplink [UE antenna, layer], orthonormal
    };
    /// [UE antenna, beam, group], kept by the link until asked for other beams or places.
    const std::vector<Complex>& Response(const PortWeights& beams);
    const BeamSet& Set(Beams which) const;
    void FindUplinkWeights();
    /// SINR of layers with a channel [receiver, layer of `columns`, group].
    void Receive(const std::vector<Complex>& channel, std::size_t receivers, std::size_t columns, unsigned layers,
                 double snr, std::span<const float> rise, SinrMap& out);

    ns3::Ptr<ChannelLink> m_link;
    BeamMethod m_method;
    std::vector<double> m_offsets;
    PortWeights m_ueElements;
    unsigned m_uplinkLayers;
    BeamSet m_inUse, m_measured;
    std::vector<Complex> m_sent, m_whitened; ///< of one call
    PrecodedChannel m_precoded;
    std::optional<PortWeights> m_bsElements; ///< for precoders
    SinrMap m_down, m_up;
};

} // namespace edgelam::nr
