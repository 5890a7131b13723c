// SPDX-License-Identifier: GPL-2.0-only
#include "analog-requests.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>

#include "ns3/log.h"

#include "held-array.h"
#include "participant-time.h"

namespace edgelam {

NS_LOG_COMPONENT_DEFINE("EdgelamAnalogRequests");

void AnalogRequests::Start(int p, const Request& frame) {
    const auto& request = frame.As<bridge::AnalogRequest>();
    const Key key{p, request.id};
    const auto refuse = [&](const std::string& why) { m_clock.Refuse<bridge::AnalogRequest>(p, request.id, why); };
    if (frame.tail.size() != std::uint64_t{4} * request.num_senders) {
        return refuse("the tail has " + std::to_string(frame.tail.size()) + " bytes; announced were " +
                      std::to_string(request.num_senders) + " senders");
    }
    if (m_running.contains(key)) {
        return refuse("transfer " + std::to_string(request.id) + " is still running");
    }
    const auto receiver =
        std::ranges::find(m_nodes, request.receiver, [](const auto& each) { return each.node->GetId(); });
    if (receiver == m_nodes.end()) {
        return refuse("there is no node " + std::to_string(request.receiver));
    }
    if (!receiver->application || !receiver->application->GetAnalogRadio()) {
        return refuse(receiver->name + " has no radio that takes a sum over the air; legal is a gNB of an NR cell");
    }
    AnalogWish wish{.senders = std::vector<std::uint32_t>(request.num_senders),
                    .elements = request.elements,
                    .mostPrbs = request.most_prbs,
                    .done = [this, key, senders = request.num_senders](const AnalogOutcome& outcome) {
                        Ended(key, senders, outcome);
                    }};
    std::ranges::copy(frame.tail, std::as_writable_bytes(std::span(wish.senders)).begin());
    NS_LOG_INFO("participant " << p << ", analog transfer " << request.id << ": " << request.elements
                               << " resource elements of " << request.num_senders << " nodes to " << receiver->name);
    try {
        m_running[key] = receiver->application->GetAnalogRadio()(std::move(wish));
    } catch (const std::invalid_argument& refusal) {
        m_running.erase(key);
        refuse(refusal.what());
    }
}

bool AnalogRequests::Cancel(int p, std::uint64_t id) {
    const auto running = m_running.find({p, id});
    if (running == m_running.end()) {
        return false;
    }
    NS_LOG_INFO("participant " << p << " cancels analog transfer " << id);
    const auto cancel = running->second; // which may end it
    cancel();
    return true;
}

void AnalogRequests::Ended(Key key, std::size_t senders, const AnalogOutcome& outcome) {
    bridge::AnalogRecord record{};
    record.id = key.second;
    record.begin_ns = ParticipantNs(outcome.beginNs);
    record.end_ns = ParticipantNs(outcome.endNs);
    record.noise_w = outcome.noiseW;
    record.noise_figure_db = outcome.noiseFigureDb;
    record.power_w = outcome.powerW;
    record.num_senders = static_cast<std::uint32_t>(senders);
    record.num_ports = outcome.numPorts;
    record.num_blocks = static_cast<std::uint32_t>(outcome.blocks.size());
    const std::size_t blocks = outcome.blocks.size();
    std::vector<std::int64_t> whole(3 * blocks);
    std::vector<double> interference(blocks);
    for (std::size_t i = 0; i < blocks; ++i) {
        const auto& block = outcome.blocks[i];
        whole[i] = ParticipantNs(block.startNs);
        whole[blocks + i] = block.prb;
        whole[2 * blocks + i] = block.elements;
        interference[i] = block.interferenceW;
    }
    m_running.erase(key);
    const std::span<const std::byte> parts[] = {std::as_bytes(std::span(whole)), std::as_bytes(std::span(interference)),
                                                std::as_bytes(std::span(outcome.gains)),
                                                std::as_bytes(std::span(outcome.known))};
    std::size_t size = 0;
    for (const auto& part : parts) {
        size += part.size();
    }
    if (size > 0) {
        try {
            std::byte* to = m_clock.host().arena().Allocate(size, record.value).data();
            for (const auto& part : parts) {
                std::memcpy(to, part.data(), part.size());
                to += part.size();
            }
        } catch (const bridge::BridgeError& error) { // it does not fit, and the text names the setting
            return m_clock.Refuse<bridge::AnalogRequest>(key.first, key.second, error.what());
        }
    }
    const auto array = std::make_shared<HeldArray>(m_clock.host(), record.value);
    m_clock.Notify(key.first, [to = key.first, record, array](bridge::Host& host) {
        array->ShareWith(to);
        host.Send(to, record);
    });
}

} // namespace edgelam
