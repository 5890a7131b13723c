// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A codebook of analog beams: phase shifters behind which each panel and polarisation of an array is one port.
#pragma once

#include <cstdint>
#include <map>

#include "ns3/phased-array-model.h"

#include "array-response.h"

namespace edgelam::nr {

/// DFT beams of a uniform planar array (or of each of its panels, which all have the same beam). A beam is given by its
/// spatial frequencies, in turns from element to element along rows and columns, which lie on a regular grid that
/// covers all directions: for half a wavelength between elements, frequency f is the direction whose cosine to the row
/// (or column) is 2 f.
///
/// Beams 0, ..., NumSweep() - 1 are those of a sweep, row by row: `rows` x `columns` of them, at frequencies
/// (i + 1/2) / rows - 1/2. As many neighbouring elements in the middle of each row and column radiate as there are
/// beams along it, so that fewer beams are wider ones (the others are switched off; the power is the same). They are
/// orthogonal.
///
/// Around each of them lie NumNarrow() narrow beams of all elements, NumSweep() + beam x NumNarrow() + 0, 1, ...: the
/// part of the grid that belongs to the beam is divided evenly, into `oversampling` times as many beams along each side
/// as elements.
class AnalogCodebook {
  public:
    /// Throws std::invalid_argument for an array that is no ns3::UniformPlanarArray, and for more beams along a side
    /// than a panel has elements, or none.
    AnalogCodebook(const ns3::PhasedArrayModel& array, unsigned rows, unsigned columns, unsigned oversampling);

    /// Rows and columns of elements in a panel, and how many ports there are: one for each panel and polarisation.
    struct Layout {
        unsigned rows, columns, arrayRows, arrayColumns, polarisations;
        unsigned NumPorts() const { return polarisations * (arrayRows / rows) * (arrayColumns / columns); }
    };
    /// Throws std::invalid_argument like the constructor.
    static Layout LayoutOf(const ns3::PhasedArrayModel& array);

    std::uint32_t NumSweep() const { return m_sweep.rows * m_sweep.columns; }
    std::uint32_t NumNarrow() const { return m_narrow.rows * m_narrow.columns; }
    std::uint32_t NumBeams() const { return NumSweep() * (1 + NumNarrow()); }
    unsigned NumPorts() const { return m_layout.NumPorts(); }
    bool IsNarrow(std::uint32_t beam) const { return beam >= NumSweep(); }
    /// The beam of the sweep around which a narrow beam lies; of a beam of the sweep: itself.
    std::uint32_t SweepOf(std::uint32_t beam) const {
        return IsNarrow(beam) ? (beam - NumSweep()) / NumNarrow() : beam;
    }
    std::uint32_t Narrow(std::uint32_t sweep, std::uint32_t i) const { return NumSweep() + sweep * NumNarrow() + i; }

    /// Turns from element to element.
    struct Frequencies {
        double row, column;
    };
    Frequencies At(std::uint32_t beam) const;
    /// [element, port], orthonormal: weights that send (without a conjugate) along the beam. The reference holds as
    /// long as this.
    const PortWeights& Weights(std::uint32_t beam);

  private:
    struct Grid {
        unsigned rows, columns;
    };
    Layout m_layout;
    Grid m_sweep, m_narrow;
    std::map<std::uint32_t, PortWeights> m_weights; ///< of the beams that have been asked for
};

} // namespace edgelam::nr
