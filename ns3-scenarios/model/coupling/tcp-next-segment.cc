// SPDX-License-Identifier: GPL-2.0-only
// ns3::TcpTxBuffer::NextSeg, which says what TCP sends next (RFC 6675 section 4), in constant time while nothing is
// lost. ns-3's own looks through everything that is sent and not acknowledged, for each segment: 39 % of the time of a
// TCP transfer. The function is not virtual, but ns-3 calls it through the dynamic linker, which takes this definition
// in every program that is linked with this library before ns-3's.

#include <algorithm>
#include <cstdint>

#include <dlfcn.h>

#include "ns3/fatal-error.h"
#include "ns3/log.h"
#include "ns3/tcp-tx-buffer.h"

#include "tcp-next-segment.h"

NS_LOG_COMPONENT_DEFINE("EdgelamTcpNextSegment");

namespace edgelam {

NextSegmentFunction* Ns3NextSegment() {
    static auto* const found = [] {
        void* symbol = dlsym(RTLD_NEXT, "_ZNK3ns311TcpTxBuffer7NextSegEPNS_14SequenceNumberIjiEES3_b");
        if (!symbol) {
            NS_FATAL_ERROR("ns3::TcpTxBuffer::NextSeg is not where ns-3 3.44 has it");
        }
        return reinterpret_cast<NextSegmentFunction*>(symbol);
    }();
    return found;
}

} // namespace edgelam

namespace ns3 {

bool TcpTxBuffer::NextSeg(SequenceNumber32* seq, SequenceNumber32* seqHigh, bool isRecovery) const {
    if (isRecovery || m_lostOut > 0 || m_sackedOut > 0 || m_retrans > 0) {
        return edgelam::Ns3NextSegment()(this, seq, seqHigh, isRecovery);
    }
    // Rule 2 alone: what has not been sent yet, as far as the receiver's window reaches.
    if (m_sentSize >= m_size) {
        return false;
    }
    const std::uint32_t window = m_rWndCallback();
    if (m_sentSize >= window) {
        NS_LOG_LOGIC(this << ": " << m_sentSize << " bytes under way fill the receiver's window of " << window);
        return false;
    }
    *seq = m_firstByteSeq.Get() + m_sentSize;
    *seqHigh = *seq + std::min(m_segmentSize, window - m_sentSize);
    return true;
}

} // namespace ns3
