// SPDX-License-Identifier: GPL-2.0-only
#include "nr-codebook-ports.h"

#include <algorithm>
#include <stdexcept>

namespace edgelam::nr {

CodebookPorts::CodebookPorts(const ns3::PhasedArrayModel& array, const std::string& codebook) {
    const std::size_t rows = array.GetNumRows(), columns = array.GetNumColumns();
    if (array.GetNumPols() != 2) {
        throw std::invalid_argument(codebook + " codebook for an array of " + std::to_string(array.GetNumPols()) +
                                    " polarisation; legal are two");
    }
    n1 = static_cast<unsigned>(std::max(rows, columns));
    n2 = static_cast<unsigned>(std::min(rows, columns));
    for (std::size_t p = 0; p < 2; ++p) {
        for (std::size_t i = 0; i < n1; ++i) {
            for (std::size_t j = 0; j < n2; ++j) {
                element.push_back(p * rows * columns + (columns >= rows ? j * columns + i : i * columns + j));
            }
        }
    }
}

} // namespace edgelam::nr
