// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Whether a transmission of a block is decoded.
#pragma once

#include "ns3/traced-callback.h"

#include "nr-carrier.h"
#include "nr-harq-entity.h"
#include "nr-records.h"

namespace edgelam::nr {

class BlockReceiver {
  public:
    using Trace = ns3::TracedCallback<const TransportBlockRecord&>;
    BlockReceiver(const Carrier& carrier, const Trace& trace) : m_carrier(carrier), m_trace(trace) {}

    /// A transmission of a block arrives. The result is in reception.decoded, and the transmission is written to the
    /// trace.
    /// \param sinr effective, of all its layers and groups, linear
    /// \param record its slot, UE, direction and process
    void Receive(const HarqProcess& process, Reception& reception, double sinr, unsigned symbols,
                 TransportBlockRecord record);

  private:
    const Carrier& m_carrier;
    const Trace& m_trace;
};

} // namespace edgelam::nr
