// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Through which weights the gNB sends: the interface of beamformers.
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

/// What the gNB knows of the channel to a UE: as of the last CSI report in use.
struct ChannelState {
    std::optional<PortWeights> beams; ///< [element, beam], orthonormal, over the whole band
    /// [layers - 1] of [element, layer], orthonormal, over the whole band: what a block of so many layers is sent
    /// through; empty: the first of the beams
    std::vector<PortWeights> precoders;
    std::vector<std::complex<float>> uplink;   ///< weights of the UE [antenna, layer], orthonormal
    std::vector<std::complex<float>> downlink; ///< H [group, antenna, element]; empty if the beamformer wants none
    /// [element, layer or more] for a block of so many layers.
    const PortWeights& Sent(unsigned layers) const { return precoders.empty() ? *beams : precoders[layers - 1]; }
};

/// One of the UEs that a resource block group is sent to.
struct ServedUe {
    std::uint32_t ue; ///< the cell's number of it
    unsigned layers;  ///< of its block, 1 to 4
    std::size_t antennas, elements;
    const ChannelState* state;
    std::uint32_t group;
    std::span<std::complex<float>> weights; ///< [element, layer], zeros: to be filled

    /// From an element to an antenna in the middle of the group: the received amplitude for a transmitted one of 1.
    std::complex<float> Channel(std::size_t antenna, std::size_t element) const {
        return state->downlink[(group * antennas + antenna) * elements + element];
    }
    /// Of the UE's own beams for a block of these layers, the strongest first.
    std::complex<float> Beam(std::size_t element, std::size_t beam) const {
        const PortWeights& sent = state->Sent(layers);
        return sent.values()[element * sent.numPorts() + beam];
    }
    std::complex<float>& Weight(std::size_t element, std::size_t layer) const {
        return weights[element * layers + layer];
    }
};

/// Chooses the gNB's weights. A cell has one, chosen by its attribute Beams; a class of your own is one derived from
/// this or from one of the others, with a TypeId that has a constructor.
///
/// What a UE reports, rank and CQI, is for what it would be sent alone: that is asked of Form, too.
class Beamformer : public ns3::Object {
  public:
    static ns3::TypeId GetTypeId();

    /// Weights of one resource block group. The gNB sends sum over UEs and layers of weights x symbol, with the power
    /// of a resource block times the sum of |weight|^2, over all UEs, which is to be at most `power`. A UE gets H
    /// weights, without a conjugate.
    virtual void Form(std::uint32_t group, std::span<const ServedUe> ues, double power) = 0;

    /// Beams of a UE alone over the whole band, by which the gNB also receives from it, and from which those of
    /// multicast groups are made. \return [element, beam], orthonormal, the best first; by default eigenvectors
    virtual std::vector<std::complex<float>> FindBeams(const BeamSearch& search) const { return EigenBeams(search); }
    /// The same where the best beams of few layers are not the first of those of many. \return [layers - 1] of
    /// [element, layer], orthonormal, for 1 to search.count layers; the last are those by which the gNB receives. By
    /// default none: FindBeams is asked.
    virtual std::vector<std::vector<std::complex<float>>> FindPrecoders(const BeamSearch&) const { return {}; }
    /// Throws std::invalid_argument for an array of the gNB that there are no beams for.
    virtual void CheckArray(const ns3::PhasedArrayModel&) const {}
    /// Layers that a block to this UE must have; 0: as many as it reports.
    virtual unsigned GivenLayers(std::uint32_t) const { return 0; }
    /// true: a UE that has all its groups for itself is sent its first beams, which share the power; Form is not asked.
    virtual bool SendsOwnBeams(std::uint32_t, unsigned) const { return false; }
    /// Whether ServedUe::Channel is to be known.
    virtual bool WantsChannel() const { return true; }

    /// \param name "eigen": dominant eigenvectors of the transmit covariance over the band; "codebook": the best of the
    /// Type I codebook; "direct": along the straight line to the UE; "external": weights from outside; or the TypeId
    /// of a class of your own. Throws std::invalid_argument for another name.
    static ns3::Ptr<Beamformer> Make(const std::string& name);

  protected:
    /// A UE's own beams as its weights, equally strong, with this power together.
    static void UseOwnBeams(const ServedUe& ue, double power);
};

} // namespace edgelam::nr
