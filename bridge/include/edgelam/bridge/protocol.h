// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Every message that crosses the bridge, declared once. Python gets NumPy structured types made from these
/// declarations (see schema.h), so there is no second copy to keep in step.
///
/// Directions: P->H is from a participant to the host (the scenario process), H->P the other way. A frame is a
/// FrameHeader (ring.h), the struct, and an optional tail of bytes whose meaning is given beside each struct.
/// Simulated times are integer nanoseconds since the start of the simulation, in fields ending in `_ns`.
///
/// The one rule of time: simulated time moves only while every attached participant waits. A participant's
/// requests take effect when all of them wait, merged by (participant, sequence number).
#pragma once

#include <cstdint>
#include <limits>

#include "edgelam/bridge/schema.h"

namespace edgelam::bridge {

/// Raised whenever a declaration below changes meaning; the layout itself is compared field by field at attach.
inline constexpr std::uint32_t protocol_version = 1;

/// "No deadline" in any `_ns` field of a request.
inline constexpr std::int64_t never_ns = std::numeric_limits<std::int64_t>::max();

/// "Did not happen" in any `_ns` field of a record.
inline constexpr std::int64_t not_yet_ns = -1;

/// Where an array lies: `slot` of arena `arena` (0 is the host's, i + 1 participant i's). `size_bytes` 0: no array.
struct ArrayRef {
    std::uint32_t arena;
    std::uint32_t slot;
    std::uint64_t offset;
    std::uint64_t size_bytes;
};
EDGELAM_MESSAGE(ArrayRef, arena, slot, offset, size_bytes)

/// How a transfer crosses the network.
enum class TransferProtocol : std::int32_t {
    ideal = 0, ///< takes no time
    tcp = 1,
    udp = 2,
    analog = 3 ///< over the air, at once with others: the receiver gets their sum, with a gain and noise
};

/// How a transfer ended at one receiver.
enum class TransferStatus : std::int32_t {
    complete = 0,  ///< every byte arrived
    partial = 1,   ///< udp: ended, some byte ranges are lost
    cancelled = 2, ///< withdrawn by the sender before the last byte was handed to the socket
    expired = 3,   ///< the deadline passed; what was still queued was withdrawn
    failed = 4     ///< the socket reported an error (for example a connection that could not be set up)
};

// ---- P->H ------------------------------------------------------------------------------------------------------

/// The participant waits for an event or until `deadline_ns` (never_ns: event only). It holds until this is sent.
struct Wait {
    std::int64_t deadline_ns;
};
EDGELAM_MESSAGE(Wait, deadline_ns)

/// The participant leaves in good order: it is not waited for any more. Nothing follows it.
struct Detach {
    std::int32_t unused;
};
EDGELAM_MESSAGE(Detach, unused)

/// Inbound transfers to `node` are reported to the participant that claims it (default: participant 0).
struct ClaimNode {
    std::uint32_t node;
};
EDGELAM_MESSAGE(ClaimNode, node)

/// A transfer as it is asked for, passed whole from the participant to the sockets of the scenario. Its twin in Python,
/// with further fields that no scenario needs to know, is edgelam.cosim.TransferSpec, which packs it.
struct TransferSpec {
    std::uint64_t id = 0;         ///< the asker's own number, unique in the participant
    std::uint64_t size_bytes = 0; ///< at least 1
    TransferProtocol protocol = TransferProtocol::tcp;
    std::uint32_t priority = 0;              ///< class of traffic, 0 to 7: tcp and udp packets have DSCP 8 * priority
    std::int64_t deadline_ns = never_ns;     ///< absolute
    std::int64_t give_up_ns = 1'000'000'000; ///< udp: complete at the latest this long after the last datagram was sent
    std::uint64_t rate_bps = 0; ///< udp: pacing rate of the application bytes; 0: the scenario's default for the path
};
EDGELAM_MESSAGE(TransferSpec, id, size_bytes, protocol, priority, deadline_ns, give_up_ns, rate_bps)

/// Send what `spec` says from node `source` to the nodes in the tail.
/// Tail: uint32[num_receivers], then uint8[meta_bytes] handed unread to the receivers' participants.
/// `payload`: an array of the sender's arena, kept alive by the host until every receiver has been told.
struct TransferRequest {
    TransferSpec spec;
    std::uint32_t source;
    std::uint32_t num_receivers;
    std::uint32_t meta_bytes; ///< length of the second part of the tail
    std::uint32_t reserved;
    ArrayRef payload;
};
EDGELAM_MESSAGE(TransferRequest, spec, source, num_receivers, meta_bytes, reserved, payload)

/// Withdraw what transfer `id` has still queued; what is in the socket crosses.
struct CancelTransfer {
    std::uint64_t id;
};
EDGELAM_MESSAGE(CancelTransfer, id)

/// Read observable `observable` once (`period_ns` 0), or from now on every `period_ns` (> 0) until Unsubscribe. With
/// `aside` 1 that subscription does not count as outstanding: it keeps no run alive in which all else is at an end.
struct ReadObservable {
    std::uint64_t request;
    std::uint32_t observable;
    std::uint32_t aside;
    std::int64_t period_ns;
};
EDGELAM_MESSAGE(ReadObservable, request, observable, aside, period_ns)

struct Unsubscribe {
    std::uint64_t request;
};
EDGELAM_MESSAGE(Unsubscribe, request)

/// Set control `control`. Tail: the value's bytes in the control's dtype, C order, unless `value` holds an array.
struct SetControl {
    std::uint64_t request;
    std::uint32_t control;
    std::uint32_t reserved;
    ArrayRef value;
};
EDGELAM_MESSAGE(SetControl, request, control, reserved, value)

/// Hand bytes (tail) and perhaps an array to participant `to`, in zero simulated time.
struct Post {
    std::uint32_t to;
    std::uint32_t reserved;
    ArrayRef payload;
};
EDGELAM_MESSAGE(Post, to, reserved, payload)

/// Answer to Explain. Tail: UTF-8 text, what this participant waits for.
struct Explanation {
    std::int32_t unused;
};
EDGELAM_MESSAGE(Explanation, unused)

// ---- H->P ------------------------------------------------------------------------------------------------------

/// The wait is over: the participant holds again. Whatever happened stands in the frames before this one.
struct Resume {
    std::int64_t now_ns;
};
EDGELAM_MESSAGE(Resume, now_ns)

/// One receiver's share of a transfer has ended: told to the sender. Tail: if partial, uint64[num_lost][2], the
/// lost byte ranges [begin, end). If failed, UTF-8 text of the reason.
struct TransferRecord {
    std::uint64_t id;
    std::uint32_t receiver;        ///< node
    std::int32_t status;           ///< TransferStatus
    std::uint64_t size_bytes;      ///< asked for
    std::uint64_t delivered_bytes; ///< arrived at the receiver
    std::int64_t queued_ns;        ///< the request took effect
    std::int64_t first_byte_ns;    ///< first byte at the receiver
    std::int64_t last_byte_ns;     ///< last byte at the receiver
    std::int64_t acknowledged_ns;  ///< the sender knows (tcp: last byte acknowledged; udp, ideal: as last_byte_ns)
    std::uint32_t retransmissions; ///< tcp: segments sent again while this transfer was the oldest unacknowledged
    std::uint32_t num_lost;        ///< udp: number of lost ranges in the tail
};
EDGELAM_MESSAGE(TransferRecord, id, receiver, status, size_bytes, delivered_bytes, queued_ns, first_byte_ns,
                last_byte_ns, acknowledged_ns, retransmissions, num_lost)

/// A transfer's last byte has arrived at `receiver`: told to the participant that claims it, at `last_byte_ns`.
/// Tail: uint64[num_lost][2] lost ranges, then uint8[meta_bytes] as the sender gave them. When `payload` holds an
/// array, the receiving participant is already counted as its holder and must release it.
struct Delivery {
    std::uint64_t id;
    std::uint32_t sender_participant;
    std::uint32_t source; ///< node
    std::uint32_t receiver;
    std::uint32_t num_lost;
    std::uint32_t meta_bytes;
    std::uint32_t reserved;
    std::uint64_t size_bytes;
    std::int64_t last_byte_ns;
    ArrayRef payload;
};
EDGELAM_MESSAGE(Delivery, id, sender_participant, source, receiver, num_lost, meta_bytes, reserved, size_bytes,
                last_byte_ns, payload)

/// Request `id` of kind `message` (its type number) was refused. Tail: UTF-8 text of the reason.
struct Refused {
    std::uint64_t id;
    std::uint32_t message;
    std::uint32_t reserved;
};
EDGELAM_MESSAGE(Refused, id, message, reserved)

/// A reading. Tail: int64[num_dims] shape, then, unless `value` holds an array, the value's bytes in C order.
struct ObservableValue {
    std::uint64_t request;
    std::int64_t time_ns;
    std::uint32_t num_dims;
    std::uint32_t reserved;
    ArrayRef value;
};
EDGELAM_MESSAGE(ObservableValue, request, time_ns, num_dims, reserved, value)

struct ControlApplied {
    std::uint64_t request;
    std::int64_t applied_at_ns;
};
EDGELAM_MESSAGE(ControlApplied, request, applied_at_ns)

/// What another participant handed over with Post. Tail: its bytes.
struct Posted {
    std::uint32_t from;
    std::uint32_t reserved;
    ArrayRef payload;
};
EDGELAM_MESSAGE(Posted, from, reserved, payload)

/// Everybody waits without a deadline and nothing is outstanding: say what you wait for (Explanation).
struct Explain {
    std::int64_t now_ns;
};
EDGELAM_MESSAGE(Explain, now_ns)

/// The answers to Explain, as one UTF-8 text in the tail. The run cannot go on.
struct Deadlock {
    std::int64_t now_ns;
};
EDGELAM_MESSAGE(Deadlock, now_ns)

/// The scenario is over: no more events will come. Tail: UTF-8 text, why.
struct Ended {
    std::int64_t now_ns;
};
EDGELAM_MESSAGE(Ended, now_ns)

/// The type numbers of frames: a message's place in this list.
using ProtocolMessages = MessageList<Wait, Detach, ClaimNode, TransferRequest, CancelTransfer, ReadObservable,
                                     Unsubscribe, SetControl, Post, Explanation, Resume, TransferRecord, Delivery,
                                     Refused, ObservableValue, ControlApplied, Posted, Explain, Deadlock, Ended>;

} // namespace edgelam::bridge
