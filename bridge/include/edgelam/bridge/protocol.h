// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Every message that crosses the bridge, declared once. Python gets NumPy structured types that are made from these
/// declarations (see schema.h), so there is no second copy that has to agree.
///
/// Directions: P->H is from a participant to the host (the scenario process), H->P is from the host to a participant. A
/// frame is a FrameHeader (ring.h), the struct, and an optional tail of bytes, whose meaning is given at each struct.
/// Simulated times are integer nanoseconds since the start of the simulation, in fields whose names end in `_ns`.
///
/// The one rule of time: simulated time moves only while every attached participant waits. A participant's
/// requests take effect when all of them wait, merged by (participant, sequence number).
#pragma once

#include <cstdint>
#include <limits>

#include "edgelam/bridge/schema.h"

namespace edgelam::bridge {

/// Increased whenever the meaning of a declaration below changes; the layout itself is compared field by field at
/// attach.
inline constexpr std::uint32_t protocol_version = 1;

/// "No deadline" in any `_ns` field of a request.
inline constexpr std::int64_t never_ns = std::numeric_limits<std::int64_t>::max();

/// "Did not happen" in any `_ns` field of a record.
inline constexpr std::int64_t not_yet_ns = -1;

/// Where an array lies: `slot` of arena `arena` (0 is the host's, i + 1 is that of participant i). If `size_bytes` is
/// 0, there is no array.
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
    udp = 2
};

/// How a transfer ended at one receiver.
enum class TransferStatus : std::int32_t {
    complete = 0,  ///< every byte arrived
    partial = 1,   ///< udp: the transfer has ended, and some byte ranges are lost
    cancelled = 2, ///< withdrawn by the sender before the last byte was handed to the socket
    expired = 3,   ///< the deadline passed; what was still queued was withdrawn
    failed = 4     ///< the socket reported an error (for example a connection that could not be set up)
};

// ---- P->H ------------------------------------------------------------------------------------------------------

/// The participant waits for an event or until `deadline_ns` (never_ns: only for an event). It holds the simulated time
/// until it sends this.
struct Wait {
    std::int64_t deadline_ns;
};
EDGELAM_MESSAGE(Wait, deadline_ns)

/// The participant leaves in an orderly way: it is not waited for any more. No message follows this one.
struct Detach {
    std::int32_t unused;
};
EDGELAM_MESSAGE(Detach, unused)

/// Inbound transfers to `node` are reported to the participant that claims it (default: participant 0).
struct ClaimNode {
    std::uint32_t node;
};
EDGELAM_MESSAGE(ClaimNode, node)

/// A transfer as it was requested, passed whole from the participant to the sockets of the scenario. Its counterpart in
/// Python, edgelam.cosim.TransferSpec, has further fields that no scenario needs to know, and packs this struct.
struct TransferSpec {
    std::uint64_t id = 0;         ///< a number chosen by the sender, unique in the participant
    std::uint64_t size_bytes = 0; ///< at least 1
    TransferProtocol protocol = TransferProtocol::tcp;
    std::uint32_t priority = 0;              ///< class of traffic, 0 to 7: tcp and udp packets have DSCP 8 * priority
    std::int64_t deadline_ns = never_ns;     ///< absolute
    std::int64_t give_up_ns = 1'000'000'000; ///< udp: ends at the latest this long after the last datagram was sent
    std::uint64_t rate_bps = 0; ///< udp: pacing rate of the application bytes; 0: the scenario's default for the path
    std::uint64_t paced = 0;    ///< tcp, not 0: a connection that spreads its segments over a round trip
};
EDGELAM_MESSAGE(TransferSpec, id, size_bytes, protocol, priority, deadline_ns, give_up_ns, rate_bps, paced)

/// Send a transfer with this `spec` from node `source` to the nodes in the tail.
/// Tail: uint32[num_receivers], then uint8[meta_bytes], which is handed unread to the receivers' participants.
/// `payload`: an array in the sender's arena, kept alive by the host until every receiver has been told.
struct TransferRequest {
    TransferSpec spec;
    std::uint32_t source;
    std::uint32_t num_receivers;
    std::uint32_t meta_bytes; ///< length of the second part of the tail
    std::uint32_t reserved;
    ArrayRef payload;
};
EDGELAM_MESSAGE(TransferRequest, spec, source, num_receivers, meta_bytes, reserved, payload)

/// Withdraw the bytes of transfer `id` that are still queued; bytes that are in the socket are still sent.
/// An AnalogRequest with this `id` takes no further slots.
struct CancelTransfer {
    std::uint64_t id;
};
EDGELAM_MESSAGE(CancelTransfer, id)

/// Let nodes send at the same time, on the same resource elements, to the radio of node `receiver`: uncoded symbols,
/// which add up there. The symbols stay with the participants; AnalogRecord says what the channel makes of them.
/// Tail: uint32[num_senders], the nodes.
struct AnalogRequest {
    std::uint64_t id;       ///< a number chosen by the participant, which no transfer of it has
    std::uint64_t elements; ///< resource elements that are needed, at least 1
    std::uint32_t receiver; ///< node
    std::uint32_t num_senders;
    std::uint32_t most_prbs; ///< resource blocks that it takes in a slot at most; 0: all
    std::uint32_t reserved;
};
EDGELAM_MESSAGE(AnalogRequest, id, elements, receiver, num_senders, most_prbs, reserved)

/// Read observable `observable` once (`period_ns` 0), or from now on every `period_ns` (> 0) until Unsubscribe. If
/// `aside` is 1, this subscription does not count as outstanding: it does not keep a run alive when everything else has
/// ended.
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

/// Hand bytes (the tail) and perhaps an array to participant `to`, in zero simulated time.
struct Post {
    std::uint32_t to;
    std::uint32_t reserved;
    ArrayRef payload;
};
EDGELAM_MESSAGE(Post, to, reserved, payload)

/// The answer to Explain. Tail: UTF-8 text that says what this participant waits for.
struct Explanation {
    std::int32_t unused;
};
EDGELAM_MESSAGE(Explanation, unused)

// ---- H->P ------------------------------------------------------------------------------------------------------

/// The wait is over: the participant holds the simulated time again. The frames before this one say what has happened.
struct Resume {
    std::int64_t now_ns;
};
EDGELAM_MESSAGE(Resume, now_ns)

/// One receiver's part of a transfer has ended; this is sent to the sender. Tail: if partial, uint64[num_lost][2], the
/// lost byte ranges [begin, end); if failed, UTF-8 text with the reason.
struct TransferRecord {
    std::uint64_t id;
    std::uint32_t receiver;        ///< node
    std::int32_t status;           ///< TransferStatus
    std::uint64_t size_bytes;      ///< asked for
    std::uint64_t delivered_bytes; ///< bytes that arrived at the receiver
    std::int64_t queued_ns;        ///< when the request took effect
    std::int64_t first_byte_ns;    ///< when the first byte was at the receiver
    std::int64_t last_byte_ns;     ///< when the last byte was at the receiver
    std::int64_t acknowledged_ns;  ///< when the sender knew (tcp: last byte acknowledged; udp, ideal: last_byte_ns)
    std::uint32_t retransmissions; ///< tcp: segments resent while this transfer was the oldest unacknowledged one
    std::uint32_t num_lost;        ///< udp: number of lost ranges in the tail
};
EDGELAM_MESSAGE(TransferRecord, id, receiver, status, size_bytes, delivered_bytes, queued_ns, first_byte_ns,
                last_byte_ns, acknowledged_ns, retransmissions, num_lost)

/// A transfer's last byte has arrived at `receiver`; this is sent at `last_byte_ns` to the participant that claims the
/// receiver.
/// Tail: uint64[num_lost][2] lost ranges, then uint8[meta_bytes] as given by the sender. If `payload` holds an array,
/// the receiving participant is already counted as its holder and must release it.
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

/// The end of an AnalogRequest. `value` holds, one after the other and each in C order,
///
///     int64[num_blocks]    start_ns      of the slot of each block; a block is one resource block in one slot
///     int64[num_blocks]    prb           its number in the carrier
///     int64[num_blocks]    elements      its resource elements for symbols
///     float64[num_blocks]  interference_w  of a resource element at a port of the receiver, from other cells, mean
///     complex64[num_senders, num_ports, num_blocks]  gains    received amplitude for a sent one of 1; 0: the sender
///     had
///                                                             no grant
///     complex64[num_senders, num_ports, num_blocks]  known    the same when the grant was decided on
struct AnalogRecord {
    std::uint64_t id;
    std::int64_t begin_ns;  ///< of the first slot
    std::int64_t end_ns;    ///< when the receiver has the last slot
    double noise_w;         ///< thermal noise of a resource element at a port of the receiver
    double noise_figure_db; ///< in it
    double power_w;         ///< the most that a sender sends at a time, on all its subcarriers together
    std::uint32_t num_senders;
    std::uint32_t num_ports;
    std::uint32_t num_blocks; ///< 0: it was cancelled
    std::uint32_t reserved;
    ArrayRef value;
};
EDGELAM_MESSAGE(AnalogRecord, id, begin_ns, end_ns, noise_w, noise_figure_db, power_w, num_senders, num_ports,
                num_blocks, reserved, value)

/// Request `id` of kind `message` (its type number) was refused. Tail: UTF-8 text with the reason.
struct Refused {
    std::uint64_t id;
    std::uint32_t message;
    std::uint32_t reserved;
};
EDGELAM_MESSAGE(Refused, id, message, reserved)

/// A value of an observable. Tail: int64[num_dims] shape, then, unless `value` holds an array, the value's bytes in C
/// order.
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

/// The data that another participant handed over with Post. Tail: its bytes.
struct Posted {
    std::uint32_t from;
    std::uint32_t reserved;
    ArrayRef payload;
};
EDGELAM_MESSAGE(Posted, from, reserved, payload)

/// All participants wait without a deadline and nothing is outstanding: the participant is to say what it waits for
/// (Explanation).
struct Explain {
    std::int64_t now_ns;
};
EDGELAM_MESSAGE(Explain, now_ns)

/// The answers to Explain, as one UTF-8 text in the tail. The run cannot go on.
struct Deadlock {
    std::int64_t now_ns;
};
EDGELAM_MESSAGE(Deadlock, now_ns)

/// The scenario is over: no more events will come. Tail: UTF-8 text with the reason.
struct Ended {
    std::int64_t now_ns;
};
EDGELAM_MESSAGE(Ended, now_ns)

/// The type number of a frame is the place of its message in this list.
using ProtocolMessages =
    MessageList<Wait, Detach, ClaimNode, TransferRequest, CancelTransfer, ReadObservable, Unsubscribe, SetControl, Post,
                Explanation, Resume, TransferRecord, Delivery, Refused, ObservableValue, ControlApplied, Posted,
                Explain, Deadlock, Ended, AnalogRequest, AnalogRecord>;

} // namespace edgelam::bridge
