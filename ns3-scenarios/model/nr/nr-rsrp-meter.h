// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Layer 1 reference signal received power (L1-RSRP) of analog beams, as a UE measures it (TS 38.215 5.1.1 and 5.1.2).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ns3/random-variable-stream.h"

#include "nr-analog-codebook.h"
#include "nr-carrier.h"
#include "nr-phy-link.h"

namespace edgelam::nr {

/// RSRP of one of the UE's beams: the mean over four frequencies of the 20 resource blocks in the middle of the band
/// and over the ports of the gNB, which share its power, at the stronger port of the UE.
///
/// A UE estimates the channel of each frequency and port as the mean over its part of the signal's resource elements,
/// and what it measures is the power of these estimates. So the error follows from the SINR of a resource element and
/// from how many there are: the power of n of them is that of the channel plus 1 / n of the noise, and spreads around
/// it. A beam that is not heard is measured as noise. The noise is thermal; other errors (of the UE's calibration,
/// which are the same for all of its beams and for which TS 38.133 10.1.19 allows several decibels) are not modelled.
class RsrpMeter {
  public:
    /// The secondary synchronisation signal of an SSB, 127 elements (TS 38.211 7.4.2.3), or CSI-RS of density 3 in one
    /// symbol (TS 38.214 5.1.6.1.2), 3 elements in each of these resource blocks.
    enum class Signal : std::uint8_t { Ssb, CsiRs };
    /// With what a UE measures, and when.
    struct Listener {
        std::uint32_t ue, beam;     ///< its number, and that of its beam
        ns3::Ptr<ChannelLink> link; ///< to the panel behind that beam
        const PortWeights* ports;   ///< of the panel
        const PortWeights* gnb;     ///< the elements of the gNB
        std::uint64_t slot;
    };

    /// \param random the noise is named after a seed from it, which is drawn at the first measurement
    RsrpMeter(const Carrier& carrier, AnalogCodebook& codebook, ns3::Ptr<ns3::UniformRandomVariable> random);

    /// \param beams of the gNB. \return [beam] dBm; the noise depends on UE, slot, both beams and the signal alone
    std::vector<double> Measure(const Listener& listener, std::span<const std::uint32_t> beams, Signal signal);
    /// Without noise, dBm.
    double Exact(const Listener& listener, std::uint32_t beam);
    /// SINR of a resource element, linear, as the UE knows it after it has measured this power of an SSB: less the mean
    /// of the noise in it, and 0 if nothing is left.
    double Sinr(double ssbDbm) const;
    /// What the gNB sends on a subcarrier, dBm.
    double SubcarrierDbm() const;
    /// Mean power of the noise in a measured power, W.
    double NoiseW(Signal signal) const;

  private:
    /// \param signal empty: no noise
    std::vector<double> Powers(const Listener& listener, std::span<const std::uint32_t> beams,
                               std::optional<Signal> signal);
    std::uint64_t Seed();

    const Carrier& m_carrier;
    AnalogCodebook& m_codebook;
    ns3::Ptr<ns3::UniformRandomVariable> m_random;
    std::optional<std::uint64_t> m_seed;
    std::vector<double> m_offsetsHz;
};

} // namespace edgelam::nr
