// SPDX-License-Identifier: GPL-2.0-only
#include "surfaces.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <sstream>
#include <stdexcept>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/double.h"
#include "ns3/log.h"
#include "ns3/node.h"

#include "nr-split.h"
#include "planar-array.h"

NS_LOG_COMPONENT_DEFINE("EdgelamSurfaces");

using namespace ns3;

namespace edgelam {

namespace {

constexpr double nearest_m = 1;                  ///< to the gNB
constexpr double element_gain = 3.1622776601684; ///< 5 dBi

std::string Text(double value) {
    std::ostringstream text;
    text << value;
    return text.str();
}

} // namespace

void Surfaces::AddOptions(Options& options) {
    options.Section("Reflecting surfaces");
    options.Integer("surfaces", m_count, "surfaces, whose phases are the control ris_phase", 0, 16);
    options.Integer("surfaceRows", m_rows, "rows of elements of a surface", 1, 32);
    options.Integer("surfaceColumns", m_columns, "columns of elements of a surface", 1, 32);
    options.Real("surfaceSpacing", m_spacing, "wavelengths", "from element to element of a surface", 0.1, 1);
    options.Integer("surfaceBits", m_bits, "bits of a phase: it is rounded to one of 2^bits; 0: any phase", 0, 8);
    options.Text("surfacePlaces", m_places,
                 "places of the surfaces, m, and the direction that each faces, degrees from the x axis towards y, as "
                 "x/y/z/direction,...; empty: chosen by the scenario");
}

std::vector<SurfacePlace> Surfaces::ReadPlaces() const {
    std::vector<SurfacePlace> places;
    for (const auto one : nr::SplitAt(m_places, ',')) {
        std::vector<double> numbers;
        for (const auto field : nr::SplitAt(one, '/')) {
            std::istringstream text{std::string(field)};
            double value = 0;
            if (text >> value && text.eof() && std::isfinite(value)) {
                numbers.push_back(value);
            }
        }
        if (numbers.size() != 4) {
            throw std::invalid_argument("option --surfacePlaces=" + m_places + " is not legal: '" + std::string(one) +
                                        "' is not x/y/z/direction, four numbers");
        }
        places.push_back({{numbers[0], numbers[1], numbers[2]}, numbers[3]});
    }
    return places;
}

void Surfaces::Install(const Ptr<RadioChannel>& channel, const Vector& gnb, const Box& room,
                       const std::vector<SurfacePlace>& chosen) {
    const auto places = m_places.empty() ? chosen : ReadPlaces();
    if (places.size() != m_count) {
        throw std::invalid_argument("option --surfacePlaces=" + m_places + " is not legal: it has " +
                                    std::to_string(places.size()) +
                                    " places for --surfaces=" + std::to_string(m_count));
    }
    // A patch of d x d wavelengths receives at most what an antenna of gain 4 pi d^2 does.
    m_amplitude = std::min(1.0, 4 * std::numbers::pi * m_spacing * m_spacing / element_gain);
    for (const auto& [place, bearing] : places) {
        const std::string where =
            "a surface at (" + Text(place.x) + ", " + Text(place.y) + ", " + Text(place.z) + ") m";
        if (!room.IsInside(place)) {
            throw std::invalid_argument(where + " is outside of the room; legal are x from " + Text(room.xMin) +
                                        " to " + Text(room.xMax) + ", y from " + Text(room.yMin) + " to " +
                                        Text(room.yMax) + " and z from " + Text(room.zMin) + " to " + Text(room.zMax) +
                                        " m");
        }
        if (const double distance = CalculateDistance(place, gnb); distance < nearest_m) {
            throw std::invalid_argument(where + " is " + Text(distance) + " m from the gNB; legal are 1 m or more");
        }
        auto node = CreateObject<Node>();
        auto mobility = CreateObject<ConstantPositionMobilityModel>();
        mobility->SetPosition(place);
        node->AggregateObject(mobility);
        auto surface = CreateObject<ReflectingSurface>();
        surface->SetAttribute("Amplitude", DoubleValue(m_amplitude));
        surface->SetArray(mobility, MakeArray({.rows = m_rows,
                                               .columns = m_columns,
                                               .polarisations = 1,
                                               .verticalSpacing = m_spacing,
                                               .horizontalSpacing = m_spacing,
                                               .pattern = ElementPattern::Indoor,
                                               .bearingDeg = bearing}));
        channel->AddSurface(surface);
        m_surfaces.push_back(surface);
        NS_LOG_INFO("surface of " << m_rows << " x " << m_columns << " at " << place);
    }
}

std::string Surfaces::SetPhases(const std::vector<double>& radians) {
    const std::size_t elements = std::size_t{m_rows} * m_columns;
    for (std::size_t i = 0; i < radians.size(); ++i) {
        if (!std::isfinite(radians[i])) {
            return "ris_phase: phase " + Text(radians[i]) + " of element " + std::to_string(i % elements) +
                   " of surface " + std::to_string(i / elements) + "; legal are finite numbers, in radians";
        }
    }
    const double step = 2 * std::numbers::pi / static_cast<double>(1U << m_bits);
    for (std::size_t s = 0; s < m_surfaces.size(); ++s) {
        std::vector<double> phases(radians.begin() + static_cast<std::ptrdiff_t>(s * elements),
                                   radians.begin() + static_cast<std::ptrdiff_t>((s + 1) * elements));
        for (auto& each : phases) {
            each = std::remainder(m_bits > 0 ? step * std::round(each / step) : each, 2 * std::numbers::pi);
        }
        m_surfaces[s]->SetPhases(phases);
    }
    m_slot = m_helper->GetCell()->NextSlot();
    return {};
}

std::vector<Surfaces::Complex> Surfaces::Response(const Ptr<MobilityModel>& from, const Ptr<PhasedArrayModel>& array,
                                                  const Ptr<MobilityModel>& to,
                                                  const Ptr<PhasedArrayModel>& toArray) const {
    const auto link = m_helper->GetCell()->GetChannel()->GetLink(from, array, to, toArray);
    const Direction direction = link->From(*from);
    std::vector<Complex> h(link->NumRx(direction) * link->NumTx(direction) * m_groupsHz.size());
    link->GetFrequencyResponse(direction, m_groupsHz, h);
    return h;
}

std::vector<Surfaces::Complex> Surfaces::FromGnb(std::size_t surface) const {
    const auto& cell = *m_helper->GetCell();
    return Response(cell.GetGnbMobility(), cell.GetGnbArray(), m_surfaces[surface]->GetMobility(),
                    m_surfaces[surface]->GetArray());
}

std::vector<Surfaces::Complex> Surfaces::ToUe(std::size_t surface, std::uint32_t ue) const {
    const auto mobility = m_helper->GetUeMobility(ue);
    auto h =
        Response(m_surfaces[surface]->GetMobility(), m_surfaces[surface]->GetArray(), mobility, m_helper->GetUeArray());
    const Vector at = m_surfaces[surface]->GetMobility()->GetPosition(),
                 gnb = m_helper->GetCell()->GetGnbMobility()->GetPosition(), end = mobility->GetPosition();
    const double longerS =
        (CalculateDistance(gnb, at) + CalculateDistance(at, end) - CalculateDistance(gnb, end)) / speed_of_light;
    for (std::size_t i = 0; i < h.size(); ++i) {
        const double turns = std::fmod(m_groupsHz[i % m_groupsHz.size()] * longerS, 1.0);
        h[i] *= Complex(std::polar(1.0, -2 * std::numbers::pi * turns));
    }
    return h;
}

/// What is left of the whole channel without what comes over the surfaces.
std::vector<Surfaces::Complex> Surfaces::Direct(std::uint32_t ue) const {
    const auto link = m_helper->GetLink(ue);
    const std::size_t groups = m_groupsHz.size(), antennas = link->NumRx(Direction::Downlink),
                      elements = link->NumTx(Direction::Downlink);
    std::vector<Complex> whole(antennas * elements * groups);
    link->GetFrequencyResponse(Direction::Downlink, m_groupsHz, whole);
    std::vector<std::complex<double>> direct(whole.begin(), whole.end());
    for (std::size_t s = 0; s < m_surfaces.size(); ++s) {
        const auto to = FromGnb(s), from = ToUe(s, ue);
        const auto& reflection = m_surfaces[s]->GetReflection();
        for (std::size_t a = 0; a < antennas; ++a) {
            for (std::size_t m = 0; m < reflection.size(); ++m) {
                for (std::size_t e = 0; e < elements; ++e) {
                    for (std::size_t g = 0; g < groups; ++g) {
                        direct[(a * elements + e) * groups + g] -=
                            std::complex<double>(from[(a * reflection.size() + m) * groups + g]) *
                            std::complex<double>(reflection[m]) *
                            std::complex<double>(to[(m * elements + e) * groups + g]);
                    }
                }
            }
        }
    }
    return {direct.begin(), direct.end()};
}

void Surfaces::Publish(Registry& registry, const NrHelper& helper) {
    m_helper = &helper;
    if (m_count == 0) {
        return;
    }
    const auto& cell = *helper.GetCell();
    m_groupsHz = cell.GroupCentresHz();
    const std::int64_t surfaces = m_count, elements = std::int64_t{m_rows} * m_columns, ues = helper.NumUes(),
                       groups = cell.NumGroups();
    const auto gnbElements = static_cast<std::int64_t>(cell.GetGnbArray()->GetNumElems()),
               antennas = static_cast<std::int64_t>(helper.GetUeArray()->GetNumElems());
    const std::vector<Axis> phases{{"surface", surfaces}, {"element", elements}};
    registry.Publish<Array<double>>(
        "ris_phase", "rad", "phase of each element of each surface, after quantisation",
        [this, surfaces, elements] {
            Array<double> array{{surfaces, elements}, {}};
            for (const auto& surface : m_surfaces) {
                array.values.insert(array.values.end(), surface->GetPhases().begin(), surface->GetPhases().end());
            }
            return array;
        },
        phases);
    registry.Publish<double>("surface_amplitude", "", "of the reflection of an element, times exp(j ris_phase)",
                             [this] { return m_amplitude; });
    registry.Publish<std::uint64_t>("ris_slot", "", "first slot for which the newest ris_phase holds",
                                    [this] { return m_slot; });
    registry.Publish<Array<Complex>>(
        "surface_gnb_channel", "", "from each gNB element to each element of each surface, as ue_channel",
        [this, surfaces, elements, gnbElements, groups] {
            Array<Complex> array{{surfaces, elements, gnbElements, groups}, {}};
            for (std::size_t s = 0; s < m_surfaces.size(); ++s) {
                const auto h = FromGnb(s);
                array.values.insert(array.values.end(), h.begin(), h.end());
            }
            return array;
        },
        {{"surface", surfaces}, {"element", elements}, {"gnb_element", gnbElements}, {"prb_group", groups}});
    registry.Publish<Array<Complex>>(
        "surface_ue_channel", "",
        "from each element of each surface to each UE, with the delay by which this way is longer than the direct one",
        [this, surfaces, ues, antennas, elements, groups] {
            Array<Complex> array{{surfaces, ues, antennas, elements, groups}, {}};
            for (std::size_t s = 0; s < m_surfaces.size(); ++s) {
                for (std::uint32_t ue = 0; ue < m_helper->NumUes(); ++ue) {
                    const auto h = ToUe(s, ue);
                    array.values.insert(array.values.end(), h.begin(), h.end());
                }
            }
            return array;
        },
        {{"surface", surfaces}, {"ue", ues}, {"ue_antenna", antennas}, {"element", elements}, {"prb_group", groups}});
    registry.Publish<Array<Complex>>(
        "direct_channel", "", "ue_channel without the surfaces",
        [this, ues, antennas, gnbElements, groups] {
            Array<Complex> array{{ues, antennas, gnbElements, groups}, {}};
            for (std::uint32_t ue = 0; ue < m_helper->NumUes(); ++ue) {
                const auto h = Direct(ue);
                array.values.insert(array.values.end(), h.begin(), h.end());
            }
            return array;
        },
        {{"ue", ues}, {"ue_antenna", antennas}, {"element", gnbElements}, {"prb_group", groups}});
    registry.Control<Array<double>>(
        "ris_phase", "rad", "phase of each element of each surface, at once",
        [this](const Array<double>& radians) { return SetPhases(radians.values); }, phases);
}

} // namespace edgelam
