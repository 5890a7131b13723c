// SPDX-License-Identifier: GPL-2.0-only
#include "nr-rlc-pdu.h"

namespace edgelam::nr {

namespace {

std::uint32_t MacSubheader(std::uint32_t bytes) {
    return bytes < 256 ? 2 : 3; // TS 38.321 6.1.2
}

} // namespace

std::uint32_t RlcHeaderBytes(bool acknowledged, std::uint32_t length, bool whole, bool first) {
    const std::uint32_t rlc = acknowledged ? (first ? 3 : 5) : whole ? 1 : first ? 2 : 4;
    return rlc + MacSubheader(length + rlc);
}

std::uint32_t RlcStatus::Bytes() const {
    std::uint32_t bytes = header; // D/C, CPT, 18 bit ACK_SN, E1
    for (const auto& each : missing) {
        bytes += each.Bytes();
    }
    return bytes + MacSubheader(bytes);
}

} // namespace edgelam::nr
