// SPDX-License-Identifier: GPL-2.0-only
#include "radio-channel.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "ns3/boolean.h"
#include "ns3/double.h"
#include "ns3/log.h"
#include "ns3/node.h"
#include "ns3/string.h"
#include "ns3/trace-source-accessor.h"

namespace edgelam {

NS_LOG_COMPONENT_DEFINE("EdgelamRadioChannel");

NS_OBJECT_ENSURE_REGISTERED(RadioChannel);

namespace {

std::string Number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value);
    return text;
}

void RefuseOutside(const char* name, double value, double smallest, double largest, const char* unit) {
    if (!(value >= smallest && value <= largest)) {
        throw std::invalid_argument(std::string("radio channel: ") + name + " " + Number(value) + unit +
                                    "; legal are " + Number(smallest) + " to " + Number(largest) + unit);
    }
}

std::uint32_t NodeOf(const ns3::Ptr<ns3::MobilityModel>& mobility) {
    const auto node = mobility->GetObject<ns3::Node>();
    if (!node) {
        throw std::invalid_argument("radio channel: a mobility model without a node; aggregate it to one");
    }
    return node->GetId();
}

} // namespace

ns3::TypeId RadioChannel::GetTypeId() {
    using namespace ns3;
    const auto real = MakeDoubleChecker<double>();
    static TypeId tid =
        TypeId("edgelam::RadioChannel")
            .SetParent<Object>()
            .AddConstructor<RadioChannel>()
            .AddAttribute(
                "Deployment",
                "TR 38.901 deployment: RMa, UMa, UMi, InH-Mixed, InH-Open, InF-SL, InF-DL, InF-SH, InF-DH, "
                "InF-HH; RMa-LMLC, RMa with the path loss of ITU-R M.2412 for large cells; InH-A, its model A of "
                "indoor hotspots; Clarke, two-dimensional "
                "isotropic scattering; or Rayleigh, isotropic scattering at both ends, with free-space loss.",
                StringValue("UMa"), MakeStringAccessor(&RadioChannel::SetDeployment, &RadioChannel::GetDeployment),
                MakeStringChecker())
            .AddAttribute(
                "Frequency", "Carrier frequency, 0.5e9 to 450e9 Hz; above 100e9 Hz the statistics are extrapolated.",
                DoubleValue(3.5e9), MakeDoubleAccessor(&RadioChannel::SetFrequency, &RadioChannel::GetFrequency), real)
            .AddAttribute("LosState",
                          "Line of sight: Probability (soft state after TR 38.901 7.4.2 and 7.6.3.3), Hard (the same "
                          "without states between), Always or Never.",
                          StringValue("Probability"),
                          MakeStringAccessor(&RadioChannel::SetLosState, &RadioChannel::GetLosState),
                          MakeStringChecker())
            .AddAttribute("IndoorFraction", "Share of places that are inside a building; RMa, UMa and UMi only.",
                          DoubleValue(0),
                          MakeDoubleAccessor(&RadioChannel::SetIndoorFraction, &RadioChannel::GetIndoorFraction),
                          MakeDoubleChecker<double>(0, 1))
            .AddAttribute(
                "BuildingLoss", "Outer walls (TR 38.901 tables 7.4.3-2 and 7.4.3-3): Low, High or Legacy, 20 dB.",
                StringValue("Low"), MakeStringAccessor(&RadioChannel::SetBuildingLoss, &RadioChannel::GetBuildingLoss),
                MakeStringChecker())
            .AddAttribute("Shadowing", "Whether there is shadow fading.", BooleanValue(true),
                          MakeBooleanAccessor(&RadioChannel::m_shadowing), MakeBooleanChecker())
            .AddAttribute("KeepLargeScale",
                          "Whether a user's large-scale parameters, line of sight, clusters and directions stay those "
                          "of the place where it was first, and its motion only turns the phases of rays: the drops of "
                          "TR 38.901 7.5, as evaluations have them.",
                          BooleanValue(false), MakeBooleanAccessor(&RadioChannel::m_keepsLargeScale),
                          MakeBooleanChecker())
            .AddAttribute("Absorption",
                          "Whether air absorbs (ITU-R P.676) at 100e9 Hz and below too; above it always does.",
                          BooleanValue(false), MakeBooleanAccessor(&RadioChannel::m_absorption), MakeBooleanChecker())
            .AddAttribute("Angles",
                          "Directions of rays: Frozen within a window of WindowLength, then faded to the new ones; or "
                          "Drifting, exact in every place and slower.",
                          StringValue("Frozen"), MakeStringAccessor(&RadioChannel::SetAngles, &RadioChannel::GetAngles),
                          MakeStringChecker())
            .AddAttribute(
                "Waves",
                "Fronts of waves at the arrays: Plane; or Spherical, for arrays so large, or so near, that the "
                "distance to each element matters.",
                StringValue("Plane"), MakeStringAccessor(&RadioChannel::SetWaves, &RadioChannel::GetWaves),
                MakeStringChecker())
            .AddAttribute("WindowLength", "Length of a window of frozen directions in m, 0.001 to 10.",
                          DoubleValue(0.5),
                          MakeDoubleAccessor(&RadioChannel::SetWindowLength, &RadioChannel::GetWindowLength), real)
            .AddAttribute("CoherenceDistance",
                          "How far an end may move before an effective channel is computed again, in wavelengths, 0 to "
                          "0.5. The error of what is kept is at most 2 pi times this.",
                          DoubleValue(0.01),
                          MakeDoubleAccessor(&RadioChannel::SetCoherenceDistance, &RadioChannel::GetCoherenceDistance),
                          real)
            .AddAttribute("HallLength", "InF: length of the hall, along x, m.", DoubleValue(FactoryHall{}.lengthM),
                          MakeDoubleAccessor(&RadioChannel::m_hallLength), MakeDoubleChecker<double>(1, 16000))
            .AddAttribute("HallWidth", "InF: width of the hall, along y, m.", DoubleValue(FactoryHall{}.widthM),
                          MakeDoubleAccessor(&RadioChannel::m_hallWidth), MakeDoubleChecker<double>(1, 16000))
            .AddAttribute("HallHeight", "InF: height of the hall, from floor to ceiling, m.",
                          DoubleValue(FactoryHall{}.heightM), MakeDoubleAccessor(&RadioChannel::m_hallHeight),
                          MakeDoubleChecker<double>(5, 25))
            .AddAttribute("ClutterSize", "InF: size of the machines, m; 0: 10 (sparse clutter) or 2 (dense).",
                          DoubleValue(0), MakeDoubleAccessor(&RadioChannel::m_clutterSize),
                          MakeDoubleChecker<double>(0, 100))
            .AddAttribute(
                "ClutterDensity", "InF: share of the floor with machines; 0: 0.2 (sparse clutter) or 0.6 (dense).",
                DoubleValue(0), MakeDoubleAccessor(&RadioChannel::m_clutterDensity), MakeDoubleChecker<double>(0, 1))
            .AddAttribute("ClutterHeight", "InF: height of the machines, m; 0: 2 (sparse clutter) or 6 (dense).",
                          DoubleValue(0), MakeDoubleAccessor(&RadioChannel::m_clutterHeight),
                          MakeDoubleChecker<double>(0, 10))
            .AddTraceSource("LinkState", "State of a link, whenever it is looked at in a new place.",
                            MakeTraceSourceAccessor(&RadioChannel::m_stateTrace),
                            "edgelam::RadioChannel::LinkStateCallback")
            .AddTraceSource("NewDrop", "A link reached a cell whose clusters had to be drawn.",
                            MakeTraceSourceAccessor(&RadioChannel::m_dropTrace),
                            "edgelam::RadioChannel::NewDropCallback");
    return tid;
}

RadioChannel::RadioChannel() : m_random(ns3::CreateObject<ns3::UniformRandomVariable>()) {}

RadioChannel::~RadioChannel() = default;

void RadioChannel::DoDispose() {
    m_links.clear();
    m_shared.clear();
    m_environments.clear();
    m_surfaces.clear();
    ns3::Object::DoDispose();
}

void RadioChannel::RefuseLate(const char* attribute) const {
    if (!m_statistics.empty()) {
        throw std::logic_error(std::string("radio channel: ") + attribute +
                               " cannot change any more: the channel is in use. Set it before the first GetLink");
    }
}

void RadioChannel::SetDeployment(std::string name) {
    RefuseLate("Deployment");
    m_deployment = DeploymentOf(name);
}

void RadioChannel::SetFrequency(double hz) {
    RefuseLate("Frequency");
    RefuseOutside("Frequency", hz, smallest_carrier_hz, largest_carrier_hz, " Hz");
    m_frequencyHz = hz;
}

void RadioChannel::SetLosState(std::string state) {
    RefuseLate("LosState");
    if (state == "Probability" || state == "Hard") {
        m_los = {{}, state == "Hard"};
    } else if (state == "Always" || state == "Never") {
        m_los = {state == "Always"};
    } else {
        throw std::invalid_argument("radio channel: LosState '" + state +
                                    "'; legal are Probability, Hard, Always, Never");
    }
}

std::string RadioChannel::GetLosState() const {
    return m_los.fixed ? (*m_los.fixed ? "Always" : "Never") : m_los.hard ? "Hard" : "Probability";
}

void RadioChannel::SetIndoorFraction(double fraction) {
    RefuseLate("IndoorFraction");
    m_indoorFraction = fraction;
}

void RadioChannel::SetBuildingLoss(std::string name) {
    RefuseLate("BuildingLoss");
    m_buildingLoss = BuildingLossOf(name);
}

std::string RadioChannel::GetBuildingLoss() const {
    return NameOf(m_buildingLoss);
}

void RadioChannel::SetAngles(std::string mode) {
    if (mode != "Frozen" && mode != "Drifting") {
        throw std::invalid_argument("radio channel: Angles '" + mode + "'; legal are Frozen, Drifting");
    }
    m_drifting = mode == "Drifting";
}

void RadioChannel::SetWaves(std::string waves) {
    RefuseLate("Waves");
    if (waves != "Plane" && waves != "Spherical") {
        throw std::invalid_argument("radio channel: Waves '" + waves + "'; legal are Plane, Spherical");
    }
    m_spherical = waves == "Spherical";
}

void RadioChannel::SetScreens(std::vector<BlockingScreen> screens) {
    for (const auto& [centre, width, height] : screens) {
        for (const double each : {centre.x, centre.y, centre.z}) {
            RefuseOutside("place of a screen", each, -1e6, 1e6, " m");
        }
        RefuseOutside("width of a screen", width, 1e-3, 1e3, " m");
        RefuseOutside("height of a screen", height, 1e-3, 1e3, " m");
    }
    m_screens = std::move(screens);
    ++m_screensVersion;
}

void RadioChannel::SetWindowLength(double metres) {
    RefuseOutside("WindowLength", metres, 1e-3, 10, " m");
    m_windowM = metres;
}

void RadioChannel::SetCoherenceDistance(double wavelengths) {
    RefuseOutside("CoherenceDistance", wavelengths, 0, 0.5, " wavelengths");
    m_coherence = wavelengths;
}

const ChannelStatistics& RadioChannel::StatisticsOf(Deployment deployment) {
    const auto known = m_statistics.find(deployment);
    if (known != m_statistics.end()) {
        return *known->second;
    }
    const FactoryHall hall{m_hallLength, m_hallWidth, m_hallHeight, m_clutterSize, m_clutterDensity, m_clutterHeight};
    auto made = std::make_unique<ChannelStatistics>(deployment, m_frequencyHz, hall, m_buildingLoss, m_absorption);
    if (m_indoorFraction > 0 && made->LongestIndoorDistanceM() == 0) {
        throw std::invalid_argument("radio channel: IndoorFraction " + Number(m_indoorFraction) + " with Deployment " +
                                    NameOf(deployment) +
                                    "; legal is 0: buildings are entered in RMa, UMa and UMi only");
    }
    return *(m_statistics[deployment] = std::move(made));
}

double RadioChannel::GetWavelengthM() const {
    return speed_of_light / m_frequencyHz;
}

ns3::Ptr<ChannelLink> RadioChannel::GetLink(ns3::Ptr<ns3::MobilityModel> a, ns3::Ptr<ns3::PhasedArrayModel> aArray,
                                            ns3::Ptr<ns3::MobilityModel> b, ns3::Ptr<ns3::PhasedArrayModel> bArray) {
    const auto node = [](const ns3::Ptr<ns3::MobilityModel>& mobility, const ns3::Ptr<ns3::PhasedArrayModel>& array) {
        if (!mobility || !array) {
            throw std::invalid_argument("radio channel: a link needs a mobility model and an array at both ends");
        }
        return NodeOf(mobility);
    };
    std::uint32_t aNode = node(a, aArray), bNode = node(b, bArray);
    if (aNode == bNode) {
        throw std::invalid_argument("radio channel: a link from node " + std::to_string(aNode) +
                                    " to itself; it takes two nodes");
    }
    if (bNode < aNode) {
        std::swap(a, b);
        std::swap(aArray, bArray);
        std::swap(aNode, bNode);
    }
    auto& link = m_links[{aNode, bNode, aArray->GetId(), bArray->GetId()}];
    if (!link) {
        if (IsBaseStation(b, a)) {
            std::swap(a, b);
            std::swap(aArray, bArray);
        }
        StatisticsOf(DeploymentAt(a->GetObject<ns3::Node>()->GetId()));
        link = ns3::Create<ChannelLink>(*this, a, aArray, b, bArray);
        NS_LOG_INFO("link " << m_links.size() << ": nodes " << a->GetObject<ns3::Node>()->GetId() << " (higher) and "
                            << b->GetObject<ns3::Node>()->GetId() << ", " << aArray->GetNumElems() << " x "
                            << bArray->GetNumElems() << " elements");
    }
    return link;
}

/// A node with a deployment of its own is the base station, even of a user who is higher up in a building.
bool RadioChannel::IsBaseStation(const ns3::Ptr<ns3::MobilityModel>& a, const ns3::Ptr<ns3::MobilityModel>& b) const {
    const std::uint32_t aNode = NodeOf(a), bNode = NodeOf(b);
    const bool aGiven = m_deployments.contains(aNode), bGiven = m_deployments.contains(bNode);
    const double aHigher = a->GetPosition().z - b->GetPosition().z;
    return aGiven != bGiven ? aGiven : aHigher != 0 ? aHigher > 0 : aNode < bNode;
}

void RadioChannel::Redraw(ns3::Ptr<ns3::MobilityModel> ut) {
    const auto node = NodeOf(ut);
    ++m_redraws[node];
    m_homes.erase(node);
    NS_LOG_LOGIC("node " << node << " is elsewhere, in another environment");
}

void RadioChannel::SetSurroundings(ns3::Ptr<ns3::MobilityModel> ut, const GivenSurroundings& surroundings) {
    const auto node = NodeOf(ut);
    RefuseOutside("way inside a building", surroundings.wayInM, 0, 1000, " m");
    RefuseOutside("deviation of a building's loss", surroundings.deviation, -10, 10, " standard deviations");
    RefuseOutside("loss of a car", surroundings.carDb, 0, 100, " dB");
    if (surroundings.indoor && StatisticsOf(m_deployment).LongestIndoorDistanceM() == 0) {
        throw std::invalid_argument("radio channel: a user in a building with Deployment " + NameOf(m_deployment) +
                                    "; buildings are entered in RMa, UMa and UMi only");
    }
    m_surroundings[node] = surroundings;
    ++m_surroundingsVersion;
}

void RadioChannel::SetDeploymentAt(ns3::Ptr<ns3::MobilityModel> baseStation, const std::string& deployment) {
    m_deployments[NodeOf(baseStation)] = DeploymentOf(deployment);
}

void RadioChannel::SetWrapAround(const WrapAround& wrapAround) {
    RefuseLate("the wrap-around");
    m_wrapAround = wrapAround;
}

Deployment RadioChannel::DeploymentAt(std::uint32_t bsNode) const {
    const auto found = m_deployments.find(bsNode);
    return found == m_deployments.end() ? m_deployment : found->second;
}

Surroundings RadioChannel::SurroundingsOf(std::uint32_t utNode, const ChannelEnvironment& environment,
                                          const ns3::Vector& place) const {
    const auto found = m_surroundings.find(utNode);
    if (found == m_surroundings.end()) {
        return environment.SurroundingsAt(m_indoorFraction, place);
    }
    const GivenSurroundings& given = found->second;
    if (!given.indoor) {
        return {.carDb = given.carDb};
    }
    const double loss = environment.statistics().PenetrationMeanDb(given.building, given.wayInM) +
                        ChannelStatistics::PenetrationStdDb(given.building) * given.deviation;
    return {1, given.wayInM, loss, 0};
}

ns3::Vector RadioChannel::LargeScalePlaceOf(std::uint32_t utNode, const ns3::Vector& place) {
    return m_keepsLargeScale ? m_homes.try_emplace(utNode, place).first->second : place;
}

void RadioChannel::AddSurface(ns3::Ptr<ReflectingSurface> surface) {
    if (!surface || !surface->GetArray() || !surface->GetMobility()->GetObject<ns3::Node>()) {
        throw std::invalid_argument(
            "radio channel: a reflecting surface needs its array, and a mobility model on a node");
    }
    m_surfaces.push_back(surface);
    NS_LOG_INFO("surface " << m_surfaces.size() << ": " << surface->GetArray()->GetNumElems() << " elements");
}

std::int64_t RadioChannel::AssignStreams(std::int64_t stream) {
    if (m_seeded) {
        throw std::logic_error("radio channel: AssignStreams comes before the first link is looked at");
    }
    m_random->SetStream(stream);
    return 1;
}

std::uint64_t RadioChannel::Seed() {
    if (!m_seeded) {
        const std::uint64_t high = m_random->GetInteger(0, 0xffffffffu - 1);
        m_seed = high << 32 | m_random->GetInteger(0, 0xffffffffu - 1);
        m_seeded = true;
        NS_LOG_INFO("seed of the channel: " << m_seed);
    }
    return m_seed;
}

std::uint64_t RadioChannel::RealisationOf(std::uint32_t utNode) const {
    const auto found = m_redraws.find(utNode);
    return found == m_redraws.end() ? 0 : NamedRandom(utNode, {found->second}).Bits() | 1;
}

std::shared_ptr<ChannelEnvironment> RadioChannel::Environment(const ns3::Vector& baseStation, Deployment deployment,
                                                              std::uint64_t realisation) {
    auto& known = m_environments[{baseStation.x, baseStation.y, baseStation.z, deployment, realisation}];
    auto environment = known.lock();
    if (!environment) {
        environment = std::make_shared<ChannelEnvironment>(StatisticsOf(deployment), GetWavelengthM(), Seed(),
                                                           realisation, baseStation);
        known = environment;
        if (realisation == 0) {
            m_shared.push_back(environment); // for the next user who comes
        } else {
            std::erase_if(m_environments, [](const auto& entry) { return entry.second.expired(); });
        }
    }
    return environment;
}

} // namespace edgelam
