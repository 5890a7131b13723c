// SPDX-License-Identifier: GPL-2.0-only
#include "planar-array.h"

#include <numbers>

#include "ns3/boolean.h"
#include "ns3/double.h"
#include "ns3/isotropic-antenna-model.h"
#include "ns3/pointer.h"
#include "ns3/three-gpp-antenna-model.h"
#include "ns3/uinteger.h"

using namespace ns3;

namespace edgelam {

Ptr<UniformPlanarArray> MakePlanarArray(std::uint32_t rows, std::uint32_t columns, bool dualPolarised,
                                        ElementPattern pattern, double tiltRad) {
    auto array = CreateObject<UniformPlanarArray>();
    array->SetAttribute("NumRows", UintegerValue(rows));
    array->SetAttribute("NumColumns", UintegerValue(columns));
    array->SetAttribute("DowntiltAngle", DoubleValue(tiltRad));
    // In this order: ns-3 takes the slant of the second polarisation from what it knows when it hears of it.
    array->SetAttribute("PolSlantAngle", DoubleValue(dualPolarised ? std::numbers::pi / 4 : 0));
    array->SetAttribute("IsDualPolarized", BooleanValue(dualPolarised));
    if (pattern == ElementPattern::Sector) {
        array->SetAttribute("AntennaElement", PointerValue(CreateObject<ThreeGppAntennaModel>()));
    } else {
        array->SetAttribute("AntennaElement", PointerValue(CreateObject<IsotropicAntennaModel>()));
    }
    return array;
}

} // namespace edgelam
