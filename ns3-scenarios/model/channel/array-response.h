// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What the elements of an antenna array add to a ray, and the weights that combine elements into ports.
#pragma once

#include <complex>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ns3/phased-array-model.h"

#include "raw-vector.h"

namespace edgelam {

/// Complex weights from the ports of an array to its elements. Immutable, and known by its identity: what was computed
/// with one set of weights is kept as long as that same object, or a copy of it, is used.
class PortWeights {
  public:
    /// \p values complex64 [element, port], C order. Throws std::invalid_argument for no ports, a number of values that
    /// is no multiple of the ports, or one that is not finite.
    PortWeights(std::size_t numPorts, std::vector<std::complex<float>> values);
    /// Every element is a port.
    static PortWeights Elements(std::size_t numElements);

    std::size_t numElements() const { return m_values.size() / m_numPorts; }
    std::size_t numPorts() const { return m_numPorts; }
    const std::vector<std::complex<float>>& values() const { return m_values; }
    std::uint64_t id() const { return m_id; }
    bool areElements() const { return m_areElements; } ///< made by Elements

  private:
    std::size_t m_numPorts;
    std::vector<std::complex<float>> m_values;
    std::uint64_t m_id;
    bool m_areElements = false;
};

/// One array towards a list of directions: field patterns for each polarisation, and phases for each place.
///
/// Elements are listed polarisation by polarisation, the places in the same order each time, as
/// ns3::UniformPlanarArray does; element = polarisation * numPlaces + place.
struct ArrayResponse {
    std::size_t numPlaces = 0, numPolarisations = 0;
    RawVector<float> theta, phi; ///< [direction, polarisation]: components of the field pattern
    /// [direction, place]: exp(j 2 pi direction . place); with a few entries more at the end, for kernels::Multiply
    RawVector<float> phaseRe, phaseIm;

    std::size_t numElements() const { return numPlaces * numPolarisations; }
};

/// What makes an array different for a channel; it is compared to notice that an array was turned or changed.
struct ArrayShape {
    std::size_t numElements = 0, numPolarisations = 0;
    ns3::Ptr<const ns3::AntennaModel> element;
    double slant = 0;
    ns3::Vector last, beside;          ///< places of the last element and of the second
    std::pair<double, double> pattern; ///< of the element towards one direction
    bool operator==(const ArrayShape& other) const;
};

ArrayShape ShapeOf(const ns3::PhasedArrayModel& array);

/// As long as one lives, arrays do not change, and links ask each of them for its shape once.
class UnchangedArrays {
  public:
    UnchangedArrays() : m_id(++m_last), m_before(std::exchange(m_present, this)) {}
    ~UnchangedArrays() { m_present = m_before; }
    UnchangedArrays(const UnchangedArrays&) = delete;
    UnchangedArrays& operator=(const UnchangedArrays&) = delete;
    /// Whether an array has this shape. \param shape becomes the present one
    static bool Same(const ns3::PhasedArrayModel& array, ArrayShape& shape);
    /// Identifies the one that lives now; 0: none does.
    static std::uint64_t Present() { return m_present ? m_present->m_id : 0; }

  private:
    static inline UnchangedArrays* m_present = nullptr;
    static inline std::uint64_t m_last = 0;
    std::uint64_t m_id;
    UnchangedArrays* m_before;
    std::unordered_map<const ns3::PhasedArrayModel*, ArrayShape> m_shapes;
};

/// Only theta and phi of Respond: what an element of each polarisation radiates, wherever it is.
ArrayResponse RespondElements(const ns3::PhasedArrayModel& array, const double* x, const double* y, const double* z,
                              std::size_t count);

/// \param x, y, z unit vectors of `count` directions
/// Throws std::invalid_argument for an array without elements or with another order of elements.
ArrayResponse Respond(const ns3::PhasedArrayModel& array, const double* x, const double* y, const double* z,
                      std::size_t count);

/// The phases of spherical waves in place of plane ones: that of an element is how much shorter the way to it is than
/// to the place of the array. \param lengthsM [direction] from there to where the wave comes from
void MakeSpherical(const ns3::PhasedArrayModel& array, const double* x, const double* y, const double* z,
                   const double* lengthsM, std::size_t count, double wavelengthM, ArrayResponse& response);

} // namespace edgelam
