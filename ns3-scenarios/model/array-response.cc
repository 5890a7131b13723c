// SPDX-License-Identifier: GPL-2.0-only
#include "array-response.h"

#include <atomic>
#include <cmath>
#include <stdexcept>
#include <string>

#include "ns3/angles.h"

#include "channel-kernels.h"

namespace edgelam {

PortWeights::PortWeights(std::size_t numPorts, std::vector<std::complex<float>> values)
    : m_numPorts(numPorts), m_values(std::move(values)) {
    if (numPorts == 0 || m_values.empty() || m_values.size() % numPorts != 0) {
        throw std::invalid_argument("weights: " + std::to_string(m_values.size()) + " values for " +
                                    std::to_string(numPorts) + " ports; legal are elements x ports, each at least 1");
    }
    for (const auto& value : m_values) {
        if (!std::isfinite(value.real()) || !std::isfinite(value.imag())) {
            throw std::invalid_argument("weights: one is (" + std::to_string(value.real()) + ", " +
                                        std::to_string(value.imag()) + "); legal are finite numbers");
        }
    }
    static std::atomic<std::uint64_t> next{1};
    m_id = next++;
}

PortWeights PortWeights::Elements(std::size_t numElements) {
    std::vector<std::complex<float>> values(numElements * numElements);
    for (std::size_t i = 0; i < numElements; ++i) {
        values[i * numElements + i] = 1;
    }
    return {numElements, std::move(values)};
}

bool ArrayShape::operator==(const ArrayShape& other) const {
    const auto same = [](const ns3::Vector& a, const ns3::Vector& b) { return a.x == b.x && a.y == b.y && a.z == b.z; };
    return numElements == other.numElements && numPolarisations == other.numPolarisations && element == other.element &&
           slant == other.slant && same(last, other.last) && same(beside, other.beside) && pattern == other.pattern;
}

ArrayShape ShapeOf(const ns3::PhasedArrayModel& array) {
    const std::size_t count = array.GetNumElems();
    if (count == 0) {
        throw std::invalid_argument("antenna array with 0 elements; legal are 1 or more");
    }
    return {count,
            array.GetNumPols(),
            array.GetAntennaElement(),
            array.GetPolSlant(),
            array.GetElementLocation(count - 1),
            array.GetElementLocation(count > 1 ? 1 : 0),
            array.GetElementFieldPattern(ns3::Angles(0.3, 1.2))};
}

ArrayResponse Respond(const ns3::PhasedArrayModel& array, const double* x, const double* y, const double* z,
                      std::size_t count) {
    ArrayResponse out;
    out.numPolarisations = array.GetNumPols();
    const std::size_t elements = array.GetNumElems();
    if (elements == 0 || elements % out.numPolarisations != 0) {
        throw std::invalid_argument("antenna array with " + std::to_string(elements) + " elements in " +
                                    std::to_string(out.numPolarisations) +
                                    " polarisations; legal is a multiple of the polarisations, 1 or more");
    }
    out.numPlaces = elements / out.numPolarisations;
    std::vector<ns3::Vector> places(out.numPlaces); // in wavelengths
    for (std::size_t i = 0; i < out.numPlaces; ++i) {
        places[i] = array.GetElementLocation(i);
        if (array.GetElemPol(i) != 0) {
            throw std::invalid_argument("antenna array whose elements are not listed polarisation by polarisation");
        }
    }
    std::vector<double> turns(count * out.numPlaces);
    for (std::size_t d = 0; d < count; ++d) {
        for (std::size_t i = 0; i < out.numPlaces; ++i) {
            turns[d * out.numPlaces + i] = x[d] * places[i].x + y[d] * places[i].y + z[d] * places[i].z;
        }
    }
    out.phaseRe.resize(turns.size());
    out.phaseIm.resize(turns.size());
    kernels::Phasors(turns.data(), turns.size(), out.phaseRe.data(), out.phaseIm.data());
    out.theta.resize(count * out.numPolarisations);
    out.phi.resize(count * out.numPolarisations);
    for (std::size_t d = 0; d < count; ++d) {
        const ns3::Angles angles(std::atan2(y[d], x[d]), std::acos(std::min(1.0, std::max(-1.0, z[d]))));
        for (std::size_t p = 0; p < out.numPolarisations; ++p) {
            const auto [horizontal, vertical] = array.GetElementFieldPattern(angles, static_cast<std::uint8_t>(p));
            out.theta[d * out.numPolarisations + p] = static_cast<float>(vertical);
            out.phi[d * out.numPolarisations + p] = static_cast<float>(horizontal);
        }
    }
    return out;
}

} // namespace edgelam
