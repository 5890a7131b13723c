// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What RLC puts into transport blocks (3GPP TS 38.322): data PDUs and status reports, and their sizes in bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "ns3/nstime.h"
#include "ns3/packet.h"

namespace edgelam::nr {

/// A whole SDU or a segment of one, in a transport block. SDUs are references: nothing is copied.
struct RlcPdu {
    std::uint64_t sn;
    ns3::Ptr<ns3::Packet> sdu;
    std::uint32_t offset, length; ///< bytes of the SDU (PDCP header included)
    bool last;                    ///< it holds the SDU's end
    bool poll;                    ///< AM: asks for a status report
    std::uint32_t headerBytes;    ///< RLC header and MAC subheader
    ns3::Time arrived;            ///< when the transmitting entity took the SDU
    bool signalling = false;      ///< of the signalling bearer
    std::uint8_t bearer = 0;      ///< of the UE: the logical channel
    std::uint32_t Bytes() const { return length + headerBytes; }
};

/// RLC header of 1 (UM, whole SDU), 2 (UM, segment; +2 with an offset) or 3 (AM; +2 with an offset) bytes, and MAC
/// subheader of 2 or 3 bytes.
/// \param length bytes of the SDU in this PDU \param first whether it begins with the SDU's first byte
std::uint32_t RlcHeaderBytes(bool acknowledged, std::uint32_t length, bool whole, bool first);

/// A status report of RLC AM.
struct RlcStatus {
    static constexpr std::uint32_t to_the_end = UINT32_MAX;
    static constexpr std::uint32_t header = 3; ///< bytes before those for missing data
    struct Missing {
        std::uint64_t sn;
        std::uint32_t from, to; ///< bytes [from, to); to the end: to_the_end
        /// NACK_SN of 18 bits, E1 to E3 and, for a part of an SDU, SOstart and SOend (TS 38.322 6.2.2.5).
        std::uint32_t Bytes() const { return from == 0 && to == to_the_end ? 3 : 7; }
    };
    std::uint64_t ackSn = 0; ///< everything below is received, except what is in `missing`
    std::vector<Missing> missing;
    bool signalling = false; ///< of the signalling bearer
    std::uint8_t bearer = 0; ///< of the UE: the logical channel
    /// Bytes on the air, including the MAC subheader (TS 38.322 6.2.2.5, 18 bit sequence numbers).
    std::uint32_t Bytes() const;
};

} // namespace edgelam::nr
