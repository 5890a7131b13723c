// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A transfer: a number of bytes on their way from one node to one or several others. The bytes themselves stay with
/// whoever asked; only their number crosses the simulated network, and when and which of them arrived comes back.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ns3/event-id.h"
#include "ns3/ptr.h"
#include "ns3/simple-ref-count.h"

#include "edgelam/bridge/protocol.h"

namespace edgelam {

class TransferApplication;

/// Bytes [begin, end) of a transfer.
struct ByteRange {
    std::uint64_t begin;
    std::uint64_t end;
    bool operator==(const ByteRange&) const = default;
};

/// The request, as it has come over the bridge.
using bridge::TransferSpec;

/// The TOS byte of a transfer's IP packets: the class selector of its priority (RFC 2474), 0 for priority 0.
constexpr std::uint8_t TosOf(const TransferSpec& spec) {
    return static_cast<std::uint8_t>(spec.priority << 5);
}

/// One receiver's part in a transfer.
struct TransferShare {
    ns3::Ptr<TransferApplication> receiver;
    bridge::TransferRecord record{};
    std::vector<ByteRange> lost; ///< udp, once ended: what did not arrive
    std::string failure;         ///< status failed: why
    bool ended = false;
};

/// A transfer, and its state at each receiver.
class Transfer : public ns3::SimpleRefCount<Transfer> {
  public:
    TransferSpec spec;
    std::uint64_t serial = 0; ///< unique among those of its source
    ns3::Ptr<TransferApplication> source;
    std::vector<TransferShare> shares;
    ns3::EventId deadlineEvent;

    /// The last byte that will arrive has arrived at share i's receiver.
    std::function<void(Transfer&, std::size_t)> onDelivered;
    /// Share i has ended, whatever its status; told once for each share, after onDelivered.
    std::function<void(Transfer&, std::size_t)> onEnded;

    bool Ended() const;

    /// Fill in the record of share i and tell who asked. Nothing happens if it has ended already.
    void End(std::size_t i, bridge::TransferStatus status, std::string failure = {});
    /// As End, for a share all of whose bytes that will ever arrive have arrived: tells the receiver first.
    void Deliver(std::size_t i);
};

/// \return "complete", "partial", ...
const char* StatusName(bridge::TransferStatus status);
/// \return "ideal", "tcp" or "udp"
const char* ProtocolName(bridge::TransferProtocol protocol);

} // namespace edgelam
