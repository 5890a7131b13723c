// SPDX-License-Identifier: GPL-2.0-only
#include "transfer.h"

#include <algorithm>

#include "ns3/log.h"

#include "transfer-application.h"

namespace edgelam {

NS_LOG_COMPONENT_DEFINE("EdgelamTransfer");

using bridge::TransferProtocol;
using bridge::TransferStatus;

bool Transfer::Ended() const {
    return std::all_of(shares.begin(), shares.end(), [](const TransferShare& share) { return share.ended; });
}

void Transfer::Deliver(std::size_t i) {
    NS_LOG_FUNCTION(this << serial << i);
    if (!shares[i].ended && onDelivered) {
        onDelivered(*this, i);
    }
}

void Transfer::End(std::size_t i, TransferStatus status, std::string failure) {
    ns3::Ptr<Transfer> self(this); // a callback may let go of the last reference
    TransferShare& share = shares[i];
    if (share.ended) {
        return;
    }
    share.ended = true;
    NS_LOG_INFO("transfer " << serial << " of " << source->GetName() << " to " << share.receiver->GetName() << ": "
                            << StatusName(status) << ", " << share.record.delivered_bytes << " of "
                            << share.record.size_bytes << " bytes" << (failure.empty() ? "" : "; ") << failure);
    share.failure = std::move(failure);
    share.record.status = static_cast<std::int32_t>(status);
    share.record.num_lost = static_cast<std::uint32_t>(share.lost.size());
    if (Ended()) {
        deadlineEvent.Cancel();
    }
    source->NotifyEnded(*this, i);
    if (onEnded) {
        onEnded(*this, i);
    }
}

const char* StatusName(TransferStatus status) {
    switch (status) {
    case TransferStatus::complete:
        return "complete";
    case TransferStatus::partial:
        return "partial";
    case TransferStatus::cancelled:
        return "cancelled";
    case TransferStatus::expired:
        return "expired";
    case TransferStatus::failed:
        return "failed";
    }
    return "unknown";
}

const char* ProtocolName(TransferProtocol protocol) {
    switch (protocol) {
    case TransferProtocol::ideal:
        return "ideal";
    case TransferProtocol::tcp:
        return "tcp";
    case TransferProtocol::udp:
        return "udp";
    }
    return "unknown";
}

} // namespace edgelam
