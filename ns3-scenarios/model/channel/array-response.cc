// SPDX-License-Identifier: GPL-2.0-only
#include "array-response.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <complex>
#include <mutex>
#include <numbers>
#include <stdexcept>
#include <string>
#include <typeinfo>

#include "ns3/angles.h"
#include "ns3/isotropic-antenna-model.h"
#include "ns3/three-gpp-antenna-model.h"
#include "ns3/uniform-planar-array.h"

#include "channel-kernels.h"
#include "panel-array.h"
#include "subarray-antenna.h"

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
    PortWeights weights(numElements, std::move(values));
    weights.m_areElements = true;
    return weights;
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

bool UnchangedArrays::Same(const ns3::PhasedArrayModel& array, ArrayShape& shape) {
    if (!m_present) {
        ArrayShape now = ShapeOf(array);
        const bool same = now == shape;
        shape = std::move(now);
        return same;
    }
    auto known = m_present->m_shapes.find(&array);
    if (known == m_present->m_shapes.end()) {
        known = m_present->m_shapes.emplace(&array, ShapeOf(array)).first;
    }
    if (known->second == shape) {
        return true;
    }
    shape = known->second;
    return false;
}

namespace {

/// How far the second polarisation is turned from the first, seen from any direction, rad: the difference of their
/// slants (TR 38.901 eq. 7.3-4, 7.3-5). Asked of the array: with ns-3 it depends on the order in which its attributes
/// were set.
double TurnOfSecond(const ns3::PhasedArrayModel& array) {
    const auto [phi0, theta0] = array.GetElementFieldPattern(ns3::Angles(0.3, 1.2), 0);
    const auto [phi1, theta1] = array.GetElementFieldPattern(ns3::Angles(0.3, 1.2), 1);
    return std::atan2(theta0 * phi1 - phi0 * theta1, theta0 * theta1 + phi0 * phi1);
}

/// Amplitudes of an element towards unit vectors in the coordinates of its array. The two patterns of TR 38.901, and
/// sub-arrays of such elements, are worked out here; any other is asked.
RawVector<float> ElementAmplitudes(ns3::AntennaModel& model, const double* along, const double* across,
                                   const double* up, std::size_t count) {
    const auto amplitude = [&](const ns3::Angles& angles) {
        return static_cast<float>(std::pow(10, model.GetGainDb(angles) / 20));
    };
    if (typeid(model) == typeid(SubarrayAntenna)) {
        const auto& subarray = dynamic_cast<const SubarrayAntenna&>(model);
        RawVector<float> out = ElementAmplitudes(*subarray.GetElement(), along, across, up, count);
        for (std::size_t d = 0; d < count; ++d) {
            out[d] *= static_cast<float>(subarray.Factor(across[d], up[d]));
        }
        return out;
    }
    RawVector<float> out(count);
    if (typeid(model) == typeid(ns3::IsotropicAntennaModel)) {
        std::fill(out.begin(), out.end(), amplitude(ns3::Angles(0.0, 0.0)));
    } else if (typeid(model) == typeid(ns3::ThreeGppAntennaModel)) {
        const auto& sector = dynamic_cast<const ns3::ThreeGppAntennaModel&>(model);
        kernels::SectorAmplitudes({sector.GetVerticalBeamwidth(), sector.GetHorizontalBeamwidth(), sector.GetSlaV(),
                                   sector.GetMaxAttenuation(), sector.GetAntennaElementGain()},
                                  along, across, up, count, out.data());
    } else {
        for (std::size_t d = 0; d < count; ++d) {
            out[d] = amplitude(ns3::Angles(std::atan2(across[d], along[d]), std::acos(std::clamp(up[d], -1.0, 1.0))));
        }
    }
    return out;
}

/// The element of an array, which owns it. The array can only be asked for a counted reference, and such counts are not
/// atomic: one thread at a time.
ns3::AntennaModel& ElementOf(const ns3::PhasedArrayModel& array) {
    static std::mutex counting;
    const std::scoped_lock lock(counting);
    return *ns3::ConstCast<ns3::AntennaModel>(array.GetAntennaElement()); // GetGainDb is not const
}

/// The field pattern towards unit vectors, as ns3::UniformPlanarArray::GetElementFieldPattern has it, for all
/// polarisations at once and without the detour over angles: TR 38.901 7.1 (bearing alpha, downtilt beta), 7.3.
void RespondPlanar(const ns3::UniformPlanarArray& array, const double* x, const double* y, const double* z,
                   std::size_t count, ArrayResponse& out) {
    const double cosAlpha = std::cos(array.GetAlpha()), sinAlpha = std::sin(array.GetAlpha());
    const double cosBeta = std::cos(array.GetBeta()), sinBeta = std::sin(array.GetBeta());
    const double cosSlant = std::cos(array.GetPolSlant()), sinSlant = std::sin(array.GetPolSlant());
    const double turn = out.numPolarisations == 2 ? TurnOfSecond(array) : 0;
    const auto cosTurn = static_cast<float>(std::cos(turn)), sinTurn = static_cast<float>(std::sin(turn));
    // In the array's own coordinates, eq. 7.1-7 and 7.1-8.
    RawVector<double> own(3 * count);
    double *along = own.data(), *across = along + count, *up = across + count;
    for (std::size_t d = 0; d < count; ++d) {
        const double forward = x[d] * cosAlpha + y[d] * sinAlpha;
        along[d] = cosBeta * forward - sinBeta * z[d];
        across[d] = y[d] * cosAlpha - x[d] * sinAlpha;
        up[d] = cosBeta * z[d] + sinBeta * forward;
    }
    const RawVector<float> gains = ElementAmplitudes(ElementOf(array), along, across, up, count);
    for (std::size_t d = 0; d < count; ++d) {
        const double flat = std::sqrt(x[d] * x[d] + y[d] * y[d]); // sine of the inclination
        const double cosAzimuth = flat > 0 ? (x[d] * cosAlpha + y[d] * sinAlpha) / flat : cosAlpha;
        const double sinAzimuth = flat > 0 ? (y[d] * cosAlpha - x[d] * sinAlpha) / flat : -sinAlpha;
        // psi, eq. 7.1-15, plus the slant: eq. 7.1-11 on 7.3-4 and 7.3-5
        const double re = cosBeta * flat - sinBeta * z[d] * cosAzimuth, im = sinBeta * sinAzimuth;
        const double length = std::sqrt(re * re + im * im), scale = length > 0 ? gains[d] / length : gains[d];
        const double c = length > 0 ? re : 1, s = length > 0 ? im : 0;
        const auto theta = static_cast<float>((c * cosSlant - s * sinSlant) * scale);
        const auto phi = static_cast<float>((s * cosSlant + c * sinSlant) * scale);
        out.theta[d * out.numPolarisations] = theta;
        out.phi[d * out.numPolarisations] = phi;
        if (out.numPolarisations == 2) {
            out.theta[2 * d + 1] = cosTurn * theta - sinTurn * phi;
            out.phi[2 * d + 1] = sinTurn * theta + cosTurn * phi;
        }
    }
}

} // namespace

ArrayResponse RespondElements(const ns3::PhasedArrayModel& array, const double* x, const double* y, const double* z,
                              std::size_t count) {
    ArrayResponse out;
    out.numPolarisations = array.GetNumPols();
    out.theta.resize(count * out.numPolarisations);
    out.phi.resize(count * out.numPolarisations);
    if (typeid(array) == typeid(ns3::UniformPlanarArray) || typeid(array) == typeid(PanelArray)) {
        RespondPlanar(dynamic_cast<const ns3::UniformPlanarArray&>(array), x, y, z, count, out);
        return out;
    }
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

ArrayResponse Respond(const ns3::PhasedArrayModel& array, const double* x, const double* y, const double* z,
                      std::size_t count) {
    ArrayResponse out = RespondElements(array, x, y, z, count);
    const std::size_t elements = array.GetNumElems();
    if (elements == 0 || elements % out.numPolarisations != 0) {
        throw std::invalid_argument("antenna array with " + std::to_string(elements) + " elements in " +
                                    std::to_string(out.numPolarisations) +
                                    " polarisations; legal is a multiple of the polarisations, 1 or more");
    }
    out.numPlaces = elements / out.numPolarisations;
    RawVector<double> places(3 * out.numPlaces); // in wavelengths
    double *placeX = places.data(), *placeY = placeX + out.numPlaces, *placeZ = placeY + out.numPlaces;
    for (std::size_t i = 0; i < out.numPlaces; ++i) {
        const ns3::Vector at = array.GetElementLocation(i);
        placeX[i] = at.x;
        placeY[i] = at.y;
        placeZ[i] = at.z;
        if (array.GetElemPol(i) != 0) {
            throw std::invalid_argument("antenna array whose elements are not listed polarisation by polarisation");
        }
    }
    const std::size_t phases = count * out.numPlaces;
    for (auto* part : {&out.phaseRe, &out.phaseIm}) {
        part->resize(phases + kernels::lanes);
        std::fill(part->begin() + static_cast<std::ptrdiff_t>(phases), part->end(), 0.f);
    }
    kernels::PlacePhasors(x, y, z, count, placeX, placeY, placeZ, out.numPlaces, out.phaseRe.data(),
                          out.phaseIm.data());
    return out;
}

void MakeSpherical(const ns3::PhasedArrayModel& array, const double* x, const double* y, const double* z,
                   const double* lengthsM, std::size_t count, double wavelengthM, ArrayResponse& response) {
    for (std::size_t i = 0; i < response.numPlaces; ++i) {
        const ns3::Vector at = array.GetElementLocation(i); // in wavelengths
        const double squared = at.x * at.x + at.y * at.y + at.z * at.z;
        for (std::size_t d = 0; d < count; ++d) {
            const double length = lengthsM[d] / wavelengthM, along = x[d] * at.x + y[d] * at.y + z[d] * at.z;
            const double difference = 2 * along * length - squared; // of the squares of both ways
            const double way = std::sqrt(std::max(0.0, length * length - difference));
            const double turns = length + way > 0 ? difference / (length + way) : 0;
            const auto phase = std::polar(1.0, 2 * std::numbers::pi * turns);
            response.phaseRe[d * response.numPlaces + i] = static_cast<float>(phase.real());
            response.phaseIm[d * response.numPlaces + i] = static_cast<float>(phase.imag());
        }
    }
}

} // namespace edgelam
