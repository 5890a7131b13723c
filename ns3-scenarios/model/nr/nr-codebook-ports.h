// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The ports of an array in the order of the codebooks of TS 38.214.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "ns3/phased-array-model.h"

namespace edgelam::nr {

/// N1 x N2 places of two polarisations, the longer side first.
struct CodebookPorts {
    unsigned n1, n2;
    std::vector<std::size_t> element; ///< [port] of the array; ports by polarisation, first and second dimension

    /// Throws std::invalid_argument for an array of one polarisation. \param codebook its name, for that text
    CodebookPorts(const ns3::PhasedArrayModel& array, const std::string& codebook);
};

} // namespace edgelam::nr
