// SPDX-License-Identifier: GPL-2.0-only
#include "reflecting-surface.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include "ns3/double.h"
#include "ns3/log.h"

namespace edgelam {

NS_LOG_COMPONENT_DEFINE("EdgelamReflectingSurface");

NS_OBJECT_ENSURE_REGISTERED(ReflectingSurface);

ns3::TypeId ReflectingSurface::GetTypeId() {
    static ns3::TypeId tid =
        ns3::TypeId("edgelam::ReflectingSurface")
            .SetParent<ns3::Object>()
            .AddConstructor<ReflectingSurface>()
            .AddAttribute("Amplitude", "Amplitude of the reflection of each element, 0 to 1 (no unit).",
                          ns3::DoubleValue(1),
                          ns3::MakeDoubleAccessor(&ReflectingSurface::SetAmplitude, &ReflectingSurface::GetAmplitude),
                          ns3::MakeDoubleChecker<double>());
    return tid;
}

void ReflectingSurface::SetArray(ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array) {
    if (!mobility || !array || array->GetNumElems() == 0) {
        throw std::invalid_argument("reflecting surface: it needs a mobility model and an array of 1 or more elements");
    }
    m_mobility = mobility;
    m_array = array;
    m_phases.assign(array->GetNumElems(), 0);
    Update();
}

void ReflectingSurface::SetPhases(const std::vector<double>& radians) {
    if (radians.size() != m_phases.size()) {
        throw std::invalid_argument("reflecting surface: " + std::to_string(radians.size()) +
                                    " phases; it takes one for each of its " + std::to_string(m_phases.size()) +
                                    " elements");
    }
    for (std::size_t i = 0; i < radians.size(); ++i) {
        if (!std::isfinite(radians[i])) {
            throw std::invalid_argument("reflecting surface: phase " + std::to_string(radians[i]) + " of element " +
                                        std::to_string(i) + "; legal are finite numbers, in radians");
        }
    }
    m_phases = radians;
    NS_LOG_LOGIC("new phases of " << m_phases.size() << " elements");
    Update();
}

void ReflectingSurface::SetAmplitude(double amplitude) {
    if (!(amplitude >= 0 && amplitude <= 1)) {
        throw std::invalid_argument("reflecting surface: amplitude " + std::to_string(amplitude) +
                                    "; legal are 0 to 1");
    }
    m_amplitude = amplitude;
    Update();
}

void ReflectingSurface::Update() {
    m_reflection.resize(m_phases.size());
    for (std::size_t i = 0; i < m_phases.size(); ++i) {
        m_reflection[i] = std::complex<float>(std::polar(m_amplitude, m_phases[i]));
    }
    ++m_version;
}

} // namespace edgelam
