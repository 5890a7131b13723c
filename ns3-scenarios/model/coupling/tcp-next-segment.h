// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What TCP sends next: ns-3's own function, to which ours (tcp-next-segment.cc) turns once something is lost.
#pragma once

#include "ns3/tcp-tx-buffer.h"

namespace edgelam {

/// ns3::TcpTxBuffer::NextSeg as a function of the buffer.
using NextSegmentFunction = bool(const ns3::TcpTxBuffer* buffer, ns3::SequenceNumber32* seq,
                                 ns3::SequenceNumber32* seqHigh, bool isRecovery);

/// That of ns-3's library. Ends the process if the library has none, which another version of ns-3 than 3.44 may mean.
NextSegmentFunction* Ns3NextSegment();

} // namespace edgelam
