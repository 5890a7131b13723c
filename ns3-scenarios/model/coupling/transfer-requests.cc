// SPDX-License-Identifier: GPL-2.0-only
#include "transfer-requests.h"

#include <algorithm>

#include "ns3/log.h"

#include "participant-time.h"

namespace edgelam {

NS_LOG_COMPONENT_DEFINE("EdgelamTransferRequests");

namespace {

constexpr std::int64_t longest_ns = 100'000'000'000'000'000; ///< 3 years: keeps sums of times within 64 bits

} // namespace

TransferRequests::~TransferRequests() {
    for (auto& [key, running] : m_running) {
        if (running.transfer) {
            running.transfer->onDelivered = nullptr;
            running.transfer->onEnded = nullptr;
        }
    }
}

void TransferRequests::Start(int p, const Request& frame) {
    const auto& request = frame.As<bridge::TransferRequest>();
    TransferSpec spec = request.spec;
    spec.give_up_ns = std::min(spec.give_up_ns, longest_ns);
    auto payload = std::make_shared<HeldArray>(m_clock.host(), request.payload, p);
    const auto refuse = [&](const std::string& reason) { m_clock.Refuse<bridge::TransferRequest>(p, spec.id, reason); };
    if (frame.tail.size() != std::uint64_t{4} * request.num_receivers + request.meta_bytes) {
        return refuse("the tail has " + std::to_string(frame.tail.size()) + " bytes; announced were " +
                      std::to_string(request.num_receivers) + " receivers and " + std::to_string(request.meta_bytes) +
                      " bytes");
    }
    if (request.payload.size_bytes != 0 && request.payload.size_bytes != spec.size_bytes) {
        return refuse("the payload has " + std::to_string(request.payload.size_bytes) + " bytes, the transfer " +
                      std::to_string(spec.size_bytes));
    }
    const Key key{p, spec.id};
    if (m_running.contains(key)) {
        return refuse("transfer " + std::to_string(spec.id) + " is still running");
    }
    std::string reason;
    const auto source = ApplicationOf(request.source, reason);
    std::vector<std::uint32_t> ids(request.num_receivers);
    std::copy_n(frame.tail.data(), ids.size() * sizeof(std::uint32_t), std::as_writable_bytes(std::span(ids)).data());
    std::vector<ns3::Ptr<TransferApplication>> receivers;
    for (std::size_t i = 0; i < ids.size() && reason.empty(); ++i) {
        receivers.push_back(ApplicationOf(ids[i], reason));
    }
    if (reason.empty()) {
        reason = source->Refusal(spec, receivers);
    }
    if (!reason.empty()) {
        return refuse(reason);
    }
    NS_LOG_INFO("participant " << p << ", transfer " << spec.id << ": " << spec.size_bytes << " bytes, "
                               << ProtocolName(spec.protocol) << ", priority " << spec.priority << ", from "
                               << source->GetName() << " to " << receivers.size() << " nodes");
    m_running[key] = {nullptr, std::move(payload), frame.TailText().substr(ids.size() * sizeof(std::uint32_t))};
    const auto transfer = source->Send(
        spec, receivers, [this, key](Transfer& t, std::size_t i) { DeliveredAt(key, t, i); },
        [this, key](Transfer& t, std::size_t i) { EndedAt(key, t, i); });
    if (const auto running = m_running.find(key); running != m_running.end()) {
        running->second.transfer = transfer;
    }
}

void TransferRequests::Cancel(int p, const bridge::CancelTransfer& cancel) {
    const auto running = m_running.find({p, cancel.id});
    if (running != m_running.end()) { // otherwise it has ended already, and that is being told
        NS_LOG_INFO("participant " << p << " cancels transfer " << cancel.id);
        const ns3::Ptr<Transfer> transfer = running->second.transfer;
        transfer->source->Cancel(*transfer);
    }
}

void TransferRequests::Claim(int p, const bridge::ClaimNode& claim) {
    if (Find(claim.node)) {
        NS_LOG_INFO("participant " << p << " claims node " << claim.node);
        m_claims[claim.node] = p;
    } else {
        m_clock.Refuse<bridge::ClaimNode>(p, claim.node, Unknown(claim.node));
    }
}

void TransferRequests::Detached(int p) {
    std::erase_if(m_claims, [p](const auto& entry) { return entry.second == p; });
}

void TransferRequests::DeliveredAt(Key key, Transfer& transfer, std::size_t i) {
    const TransferShare& share = transfer.shares[i];
    const Running& running = m_running.at(key);
    bridge::Delivery delivery{};
    delivery.id = key.second;
    delivery.sender_participant = static_cast<std::uint32_t>(key.first);
    delivery.source = transfer.source->GetNode()->GetId();
    delivery.receiver = share.record.receiver;
    delivery.num_lost = static_cast<std::uint32_t>(share.lost.size());
    delivery.meta_bytes = static_cast<std::uint32_t>(running.meta.size());
    delivery.size_bytes = share.record.size_bytes;
    delivery.last_byte_ns = share.record.last_byte_ns;
    delivery.payload = running.payload->ref;
    const auto claim = m_claims.find(share.record.receiver);
    const int to = claim == m_claims.end() ? 0 : claim->second;
    NS_LOG_LOGIC("transfer " << key.second << " of participant " << key.first << " has arrived at node "
                             << delivery.receiver << ": told to participant " << to);
    m_clock.Notify(
        to, [to, delivery, payload = running.payload, tail = Pack(share.lost) + running.meta](bridge::Host& host) {
            payload->ShareWith(to);
            host.Send(to, delivery, std::string_view(tail));
        });
}

void TransferRequests::EndedAt(Key key, Transfer& transfer, std::size_t i) {
    const TransferShare& share = transfer.shares[i];
    m_clock.Tell(key.first, share.record, share.failure.empty() ? Pack(share.lost) : share.failure);
    if (transfer.Ended()) {
        m_running.erase(key);
    }
}

ns3::Ptr<TransferApplication> TransferRequests::ApplicationOf(std::uint32_t node, std::string& reason) const {
    const ExposedNode* found = Find(node);
    if (!found) {
        reason = Unknown(node);
        return nullptr;
    }
    if (!found->application) {
        reason = found->name + " has no IPv4 in this scenario: nothing can be sent from it or to it";
    }
    return found->application;
}

const ExposedNode* TransferRequests::Find(std::uint32_t id) const {
    const auto found =
        std::find_if(m_nodes.begin(), m_nodes.end(), [id](const auto& node) { return node.node->GetId() == id; });
    return found == m_nodes.end() ? nullptr : &*found;
}

std::string TransferRequests::Unknown(std::uint32_t id) const {
    std::string names;
    for (const auto& node : m_nodes) {
        names += (names.empty() ? "" : ", ") + std::to_string(node.node->GetId()) + " (" + node.name + ")";
    }
    return "there is no node " + std::to_string(id) + "; nodes: " + names;
}

} // namespace edgelam
