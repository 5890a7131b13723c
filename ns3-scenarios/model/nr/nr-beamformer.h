// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The interface of beamformers, which choose the weights that the gNB sends with.
#pragma once

#include <complex>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ns3/object.h"

#include "nr-beam-search.h"

namespace edgelam::nr {

/// What the gNB knows about the channel to a UE, from the last CSI report in use.
struct ChannelState {
    std::optional<PortWeights> beams; ///< [element, beam], orthonormal, over the whole band
    /// [layers - 1] of [element, layer], orthonormal, over the whole band: the precoder for a block with this number of
    /// layers; if empty, the first of the beams are used
    std::vector<PortWeights> precoders;
    std::vector<std::complex<float>> uplink;   ///< weights of the UE [antenna, layer], orthonormal
    std::size_t uplinkLayers = 1;              ///< columns of `uplink`
    std::vector<std::complex<float>> downlink; ///< H [group, antenna, element]; empty if the beamformer wants none
    /// [group, beam, element]: what the UE hears along each of its beams in the middle of the group, u^H H, where the u
    /// are the received beams H b made orthonormal in their order. Empty like `downlink`.
    std::vector<std::complex<float>> heard;
    /// [group, layer, port] what the gNB's ports hear of the layers that the UE sends with `uplink`, in the middle of
    /// the group; empty if several UEs are never received at once
    std::vector<std::complex<float>> sounded;
    /// Whether the UE's own beams, to which it is sent alone, are the conjugates of `heard`, and differ by sub-band.
    bool bySubband = false;
    double rise = 1; ///< noise and interference over noise, as the UE has measured it: a mean over band and antennas
    double uplinkRise = 1; ///< the same as the gNB has measured it
    const std::complex<float>* Heard(std::uint32_t group, unsigned beam) const {
        return heard.data() + (group * beams->numPorts() + beam) * beams->numElements();
    }
    const std::complex<float>* Sounded(std::uint32_t group, unsigned layer) const {
        return sounded.data() + (group * uplinkLayers + layer) * beams->numElements();
    }
    /// [element, layer or more] for a block with this number of layers.
    const PortWeights& Sent(unsigned layers) const { return precoders.empty() ? *beams : precoders[layers - 1]; }
};

/// One of the UEs to which a resource block group is sent.
struct ServedUe {
    std::uint32_t ue; ///< its number in the cell
    unsigned layers;  ///< of its block, 1 to 4
    std::size_t antennas, elements;
    const ChannelState* state;
    std::uint32_t group;
    std::span<std::complex<float>> weights; ///< [element, layer], zeros, to be filled in

    /// The channel from an element to an antenna in the middle of the group: the received amplitude if the transmitted
    /// one is 1.
    std::complex<float> Channel(std::size_t antenna, std::size_t element) const {
        return state->downlink[(group * antennas + antenna) * elements + element];
    }
    /// An entry of the UE's own beams for a block with these layers; the strongest beam is the first.
    std::complex<float> Beam(std::size_t element, std::size_t beam) const {
        const PortWeights& sent = state->Sent(layers);
        return sent.values()[element * sent.numPorts() + beam];
    }
    std::complex<float>& Weight(std::size_t element, std::size_t layer) const {
        return weights[element * layers + layer];
    }
};

/// Chooses the gNB's weights. A cell has one, chosen by its attribute Beams. To write another one, derive a class from
/// this or from one of the others, and give it a TypeId with a constructor.
///
/// The rank and CQI that a UE reports are for a transmission to this UE alone: Form is also called for that.
class Beamformer : public ns3::Object {
  public:
    static ns3::TypeId GetTypeId();

    /// Weights of one resource block group. The gNB sends sum over UEs and layers of weights x symbol, with the power
    /// of a resource block times the sum of |weight|^2 over all UEs; this sum must be at most `power`. A UE receives H
    /// weights, without a conjugate.
    virtual void Form(std::uint32_t group, std::span<const ServedUe> ues, double power) = 0;

    /// Beams of one UE over the whole band. The gNB also receives from the UE with them, and the beams of multicast
    /// groups are made from them. \return [element, beam], orthonormal, the best first; by default eigenvectors
    virtual std::vector<std::complex<float>> FindBeams(const BeamSearch& search) const { return EigenBeams(search); }
    /// The same, for beamformers whose best beams for few layers are not the first of those for many layers. \return
    /// [layers - 1] of [element, layer], orthonormal, for 1 to search.count layers; the gNB receives with the last
    /// ones. By default there are none, and FindBeams is called instead.
    virtual std::vector<std::vector<std::complex<float>>> FindPrecoders(const BeamSearch&) const { return {}; }
    /// Throws std::invalid_argument for an array of the gNB for which there are no beams.
    virtual void CheckArray(const ns3::PhasedArrayModel&) const {}
    /// The number of layers that a block to this UE must have; 0: as many as the UE reports.
    virtual unsigned GivenLayers(std::uint32_t) const { return 0; }
    /// true: a UE that shares none of its groups is served with its first beams, which share the power; Form is not
    /// called.
    virtual bool SendsOwnBeams(std::uint32_t, unsigned) const { return false; }
    /// true: also for this UE alone on its groups, weights are formed, and its MCS is chosen by them; what it reports
    /// is for its own beams.
    virtual bool FormsAlways(std::uint32_t, unsigned) const { return false; }
    /// Whether the beamformer needs ServedUe::Channel, and forms weights for several UEs by it.
    virtual bool WantsChannel() const { return true; }
    /// Whether it, or a selection beside it, asks for ChannelState::Heard; only if it wants the channel.
    virtual bool WantsHeard() const { return true; }
    /// Whether a UE may report by sub-band (attribute Csi of Cell): UseOwnBeams, or the rows ChannelState::heard, are
    /// all that it is sent by.
    virtual bool TakesSubbandReports() const { return false; }
    /// Whether all of this may be called on several threads at once, each for another UE (attribute Threads of Cell):
    /// it changes nothing, and copies no ns3::Ptr, whose counts are not atomic.
    virtual bool IsThreadSafe() const { return false; }
    /// Whether Form can limit the power of each element.
    virtual bool CanLimitElements() const { return false; }
    /// The user selection that attribute Selection of Cell means by "auto".
    virtual std::string DefaultSelection() const { return "none"; }

    /// For the cell, before anything else. \param snr power of a resource block that the gNB sends over a UE's noise in
    /// one \param limitElements whether each element may have its part of the power only, an equal one
    void Configure(double snr, bool limitElements) {
        m_snr = snr;
        m_limitElements = limitElements;
    }
    double Snr() const { return m_snr; }
    bool LimitsElements() const { return m_limitElements; }

    /// \param name "eigen": dominant eigenvectors of the transmit covariance over the band; "codebook": the best of the
    /// Type I codebook; "direct": along the straight line to the UE; "zf", "rzf": zero forcing and regularised zero
    /// forcing to several UEs; "external": weights from outside; "analog": eigenvectors behind an analog beam; or the
    /// TypeId of another class. Throws std::invalid_argument for another name.
    static ns3::Ptr<Beamformer> Make(const std::string& name);

  protected:
    /// Use a UE's own beams as its weights: all have the same power, and together they have `power`.
    static void UseOwnBeams(const ServedUe& ue, double power);
    /// Make all weights smaller until no element has more than its part of the power.
    static void ScaleToElements(std::span<const ServedUe> ues, double power);

  private:
    double m_snr = 0;
    bool m_limitElements = false;
};

/// Power of each element. \return [element]
std::vector<double> ElementPowers(std::span<const ServedUe> ues);

} // namespace edgelam::nr
