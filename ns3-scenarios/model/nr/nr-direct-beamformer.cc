// SPDX-License-Identifier: GPL-2.0-only
#include "nr-direct-beamformer.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrDirectBeamformer");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(DirectBeamformer);

namespace {

using Complex = std::complex<float>;

constexpr double pi = std::numbers::pi;

} // namespace

ns3::TypeId DirectBeamformer::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::DirectBeamformer")
                                       .SetParent<WidebandBeamformer>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<DirectBeamformer>();
    return tid;
}

std::vector<Complex> DirectBeamformer::FindBeams(const BeamSearch& search) const {
    const unsigned count = search.count;
    const auto& array = search.link.GetBaseStationArray();
    const ns3::Vector way = search.link.GetUserPlace() - search.link.GetBaseStationPlace();
    const double length = way.GetLength();
    const std::size_t elements = array->GetNumElems(), polarisations = array->GetNumPols();
    const std::size_t places = elements / polarisations;
    NS_LOG_LOGIC("UE at " << search.link.GetUserPlace() << ": " << count << " beams along " << way);
    std::vector<Complex> beams(elements * count);
    for (unsigned c = 0; c < count; ++c) {
        const std::size_t p = c % polarisations;
        for (std::size_t i = 0; i < places; ++i) {
            const auto at = array->GetElementLocation(i);
            const double turns = (way.x * at.x + way.y * at.y + way.z * at.z) / length +
                                 double(c / polarisations) * double(i) / double(places); // further layers: beside it
            beams[(p * places + i) * count + c] = Complex(std::polar(1.0, -2 * pi * turns));
        }
    }
    Orthonormalise(beams, elements, count);
    return beams;
}

} // namespace edgelam::nr
