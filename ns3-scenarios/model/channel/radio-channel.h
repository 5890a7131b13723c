// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A radio channel according to 3GPP TR 38.901 that evolves in time as a real one does. Start here; channel-link.h has
/// what a link can be asked.
///
///     auto channel = CreateObject<edgelam::RadioChannel>();
///     channel->SetAttribute("Deployment", StringValue("UMa"));
///     channel->SetAttribute("Frequency", DoubleValue(3.5e9));
///     channel->AssignStreams(1);
///     auto link = channel->GetLink(gnbMobility, gnbArray, ueMobility, ueArray);
///     link->GetFrequencyResponse(edgelam::Direction::Forward, offsetsHz, h);     // now, at the present positions
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "ns3/mobility-model.h"
#include "ns3/object.h"
#include "ns3/phased-array-model.h"
#include "ns3/random-variable-stream.h"
#include "ns3/traced-callback.h"

#include "blockage.h"
#include "channel-environment.h"
#include "channel-link.h"
#include "channel-statistics.h"
#include "reflecting-surface.h"
#include "user-surroundings.h"
#include "wrap-around.h"

namespace edgelam {

/// All links at one carrier frequency in one deployment. The channel between two places is a function of the places
/// alone (and of the seed): it does not matter when, how often or in what order it is asked for, or on which way a node
/// came there.
///
/// These parts of TR 38.901 are left out: blockage model A (7.6.4.1), large bandwidths (7.6.2), time-varying Doppler
/// from moving scatterers (7.6.10), and ground reflection (7.6.8). Waves are plane, unless Waves is Spherical.
class RadioChannel : public ns3::Object {
  public:
    static ns3::TypeId GetTypeId();
    RadioChannel();
    ~RadioChannel() override;

    /// The link between two nodes: the same object for both orders of the ends. Each mobility model must be aggregated
    /// to an ns3::Node. The end with SetDeploymentAt is the base station, or else the one with the higher antenna; at
    /// equal height, it is the end with the lower node id.
    /// Throws std::invalid_argument for an array without elements, a mobility model without a node, or the same node
    /// twice.
    ns3::Ptr<ChannelLink> GetLink(ns3::Ptr<ns3::MobilityModel> a, ns3::Ptr<ns3::PhasedArrayModel> aArray,
                                  ns3::Ptr<ns3::MobilityModel> b, ns3::Ptr<ns3::PhasedArrayModel> bArray);
    /// Whether the first is the base station of a link between them.
    bool IsBaseStation(const ns3::Ptr<ns3::MobilityModel>& a, const ns3::Ptr<ns3::MobilityModel>& b) const;

    /// From now on this node's links have a separate environment, independent of all others and of the earlier one: one
    /// more drop, in the sense of TR 38.901.
    void Redraw(ns3::Ptr<ns3::MobilityModel> ut);

    /// From now on this node's links go by these surroundings, and not by those of the place (IndoorFraction,
    /// BuildingLoss). Throws std::invalid_argument for values outside of their ranges, and for a building where the
    /// deployment has none.
    void SetSurroundings(ns3::Ptr<ns3::MobilityModel> ut, const GivenSurroundings& surroundings);

    /// The deployment of the links of a base station that differs from the others: a small cell below a macro cell, for
    /// example. Call it before the first GetLink to it. Throws std::invalid_argument for an unknown name.
    void SetDeploymentAt(ns3::Ptr<ns3::MobilityModel> baseStation, const std::string& deployment);

    /// Users see the nearest image of each base station. What is around a user is that of the place where it really is.
    /// Call it before the first GetLink.
    void SetWrapAround(const WrapAround& wrapAround);
    const WrapAround& GetWrapAround() const { return m_wrapAround; }

    /// From now on, these bodies block rays; they are in no large-scale gain. Throws std::invalid_argument for a size
    /// or a place that is not finite, and sizes that are not above 0.
    void SetScreens(std::vector<BlockingScreen> screens);
    const std::vector<BlockingScreen>& GetScreens() const { return m_screens; }

    void AddSurface(ns3::Ptr<ReflectingSurface> surface);
    const std::vector<ns3::Ptr<ReflectingSurface>>& GetSurfaces() const { return m_surfaces; }

    /// Uses one stream: everything random follows from one number drawn from it. \return 1
    std::int64_t AssignStreams(std::int64_t stream);

    const ChannelStatistics& GetStatistics() { return StatisticsOf(m_deployment); }
    double GetWavelengthM() const;

    /// Signatures of the trace sources LinkState and NewDrop.
    using LinkStateCallback = void (*)(std::uint32_t bsNode, std::uint32_t utNode, const LinkState& state);
    using NewDropCallback = void (*)(std::uint32_t bsNode, std::uint32_t utNode, std::uint64_t dropsSoFar);

  protected:
    void DoDispose() override;

  private:
    friend class ChannelLink;
    /// Refuses to change a setting that is fixed once a link has been asked for.
    void RefuseLate(const char* attribute) const;
    void SetDeployment(std::string name);
    std::string GetDeployment() const { return NameOf(m_deployment); }
    void SetFrequency(double hz);
    double GetFrequency() const { return m_frequencyHz; }
    void SetLosState(std::string state);
    std::string GetLosState() const;
    void SetIndoorFraction(double fraction);
    double GetIndoorFraction() const { return m_indoorFraction; }
    void SetBuildingLoss(std::string name);
    std::string GetBuildingLoss() const;
    void SetAngles(std::string mode);
    std::string GetAngles() const { return m_drifting ? "Drifting" : "Frozen"; }
    void SetWindowLength(double metres);
    void SetWaves(std::string waves);
    std::string GetWaves() const { return m_spherical ? "Spherical" : "Plane"; }
    double GetWindowLength() const { return m_windowM; }
    void SetCoherenceDistance(double wavelengths);
    double GetCoherenceDistance() const { return m_coherence; }

    std::uint64_t Seed();
    std::uint64_t RealisationOf(std::uint32_t utNode) const;
    const ChannelStatistics& StatisticsOf(Deployment deployment);
    Deployment DeploymentAt(std::uint32_t bsNode) const;
    std::shared_ptr<ChannelEnvironment> Environment(const ns3::Vector& baseStation, Deployment deployment,
                                                    std::uint64_t realisation);
    /// Of a user at a place, for its links in this environment.
    Surroundings SurroundingsOf(std::uint32_t utNode, const ChannelEnvironment& environment,
                                const ns3::Vector& place) const;
    /// Where the large-scale parameters of a user that is at this place are taken.
    ns3::Vector LargeScalePlaceOf(std::uint32_t utNode, const ns3::Vector& place);

    Deployment m_deployment = Deployment::UMa;
    double m_frequencyHz = 3.5e9;
    LosRule m_los;
    double m_indoorFraction = 0;
    double m_hallLength, m_hallWidth, m_hallHeight, m_clutterSize, m_clutterDensity, m_clutterHeight; ///< FactoryHall
    BuildingLoss m_buildingLoss = BuildingLoss::Low;
    bool m_shadowing = true, m_drifting = false, m_absorption = false, m_spherical = false, m_keepsLargeScale = false;
    double m_windowM = 0.5, m_coherence = 0.01;

    std::map<Deployment, std::unique_ptr<ChannelStatistics>> m_statistics; ///< made when first needed
    std::map<std::uint32_t, Deployment> m_deployments;                     ///< of base stations that differ
    std::map<std::uint32_t, GivenSurroundings> m_surroundings;             ///< of each node that has its own
    std::uint64_t m_surroundingsVersion = 0;
    std::map<std::uint32_t, ns3::Vector> m_homes; ///< of each user, if large-scale parameters are kept
    WrapAround m_wrapAround;
    ns3::Ptr<ns3::UniformRandomVariable> m_random;
    std::uint64_t m_seed = 0;
    bool m_seeded = false;
    std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t>, ns3::Ptr<ChannelLink>> m_links;
    std::map<std::uint32_t, std::uint64_t> m_redraws; ///< of each node
    std::map<std::tuple<double, double, double, Deployment, std::uint64_t>, std::weak_ptr<ChannelEnvironment>>
        m_environments;
    std::vector<std::shared_ptr<ChannelEnvironment>> m_shared;
    std::vector<ns3::Ptr<ReflectingSurface>> m_surfaces;
    std::vector<BlockingScreen> m_screens;
    std::uint64_t m_screensVersion = 0;
    /// base station's node id, user's node id, state; fired when a link is evaluated in a new place
    ns3::TracedCallback<std::uint32_t, std::uint32_t, const LinkState&> m_stateTrace;
    /// base station's node id, user's node id, number of drops the environment has made so far
    ns3::TracedCallback<std::uint32_t, std::uint32_t, std::uint64_t> m_dropTrace;
};

} // namespace edgelam
