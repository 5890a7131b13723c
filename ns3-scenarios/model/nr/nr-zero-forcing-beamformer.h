// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Zero forcing and regularised zero forcing to several UEs.
#pragma once

#include "nr-beamformer.h"

namespace edgelam::nr {

/// The directions of layers are the columns of R^H (R R^H)^-1, where the rows of R are what each UE hears along its own
/// beams (ChannelState::heard): a layer arrives nowhere but at its own UE, matched to its beam. All layers of a group
/// have the same power. A UE alone is sent its own beams, the eigenvectors of the whole band, with the MCS that follows
/// from the channel that the gNB knows, as beside others. With a limit for each element the weights of a group are made
/// smaller together, until the element with the most power obeys it.
class ZeroForcingBeamformer : public Beamformer {
  public:
    static ns3::TypeId GetTypeId();
    void Form(std::uint32_t group, std::span<const ServedUe> ues, double power) override;
    bool SendsOwnBeams(std::uint32_t, unsigned) const override { return true; }
    bool FormsAlways(std::uint32_t, unsigned) const override { return true; }
    bool CanLimitElements() const override { return true; }
    bool IsThreadSafe() const override { return true; }
    bool TakesSubbandReports() const override { return true; }
    std::string DefaultSelection() const override { return "greedy"; }

  protected:
    /// What is added to the diagonal of R R^H, whose rows are scaled to noise and interference of 1 and all of the
    /// power. \param layers on the group
    virtual double Regularisation(std::size_t layers) const;
};

/// R^H (R R^H + n I)^-1 for n layers (Peel, Hochwald and Swindlehurst, IEEE Trans. Commun. 2005), with the noise and
/// interference that each UE has measured.
class RegularisedBeamformer : public ZeroForcingBeamformer {
  public:
    static ns3::TypeId GetTypeId();

  protected:
    double Regularisation(std::size_t layers) const override { return static_cast<double>(layers); }
};

} // namespace edgelam::nr
