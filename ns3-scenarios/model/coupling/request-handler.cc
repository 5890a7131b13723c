// SPDX-License-Identifier: GPL-2.0-only
#include "request-handler.h"

#include <memory>
#include <span>

#include "ns3/log.h"

#include "held-array.h"
#include "json.h"
#include "participant-time.h"

namespace edgelam {

NS_LOG_COMPONENT_DEFINE("EdgelamRequestHandler");

RequestHandler::RequestHandler(ClockHost& clock, const std::vector<ExposedNode>& nodes, Registry& registry)
    : m_clock(clock), m_registry(registry), m_transfers(clock, nodes), m_analog(clock, nodes),
      m_readings(clock, registry) {}

std::string RequestHandler::Catalogue(const std::string& scenario, int participants,
                                      const std::vector<ExposedNode>& nodes, const Registry& registry) {
    std::vector<std::string> nodeList, observables, controls;
    for (const auto& node : nodes) {
        nodeList.push_back(
            json::Object().Add("id", node.node->GetId()).Add("name", node.name).Add("role", node.role).Text());
    }
    for (std::size_t id = 0; id < registry.observables().size(); ++id) {
        observables.push_back(registry.observables()[id].Json(id));
    }
    for (std::size_t id = 0; id < registry.controls().size(); ++id) {
        controls.push_back(registry.controls()[id].Json(id));
    }
    return json::Object()
        .Add("scenario", scenario)
        .Add("participants", participants)
        .Raw("schema", bridge::ProtocolMessages::DescribeAllJson())
        .Raw("nodes", json::List(nodeList))
        .Raw("observables", json::List(observables))
        .Raw("controls", json::List(controls))
        .Text();
}

void RequestHandler::Handle(int p, const Request& request) {
    using namespace bridge;
    NS_LOG_FUNCTION(this << p << ProtocolMessages::NameOf(request.type));
    if (request.Is<TransferRequest>()) {
        m_transfers.Start(p, request);
    } else if (request.Is<CancelTransfer>()) {
        if (!m_analog.Cancel(p, request.As<CancelTransfer>().id)) {
            m_transfers.Cancel(p, request.As<CancelTransfer>());
        }
    } else if (request.Is<AnalogRequest>()) {
        m_analog.Start(p, request);
    } else if (request.Is<ClaimNode>()) {
        m_transfers.Claim(p, request.As<ClaimNode>());
    } else if (request.Is<ReadObservable>()) {
        m_readings.Read(p, request.As<ReadObservable>());
    } else if (request.Is<bridge::Unsubscribe>()) {
        m_readings.Unsubscribe(p, request.As<bridge::Unsubscribe>());
    } else if (request.Is<SetControl>()) {
        Set(p, request);
    } else if (request.Is<bridge::Post>()) {
        Post(p, request);
    } else {
        m_clock.host().Violation(p, "a " + ProtocolMessages::NameOf(request.type) + ", which is no request");
    }
}

void RequestHandler::Set(int p, const Request& request) {
    const auto& set = request.As<bridge::SetControl>();
    const HeldArray value(m_clock.host(), set.value, p);
    const auto bytes = set.value.size_bytes > 0 ? m_clock.host().View(set.value) : std::span(request.tail);
    const std::string reason =
        set.control < m_registry.controls().size()
            ? m_registry.Set(set.control, bytes)
            : "there is no control " + std::to_string(set.control) + "; controls: " + m_registry.ControlNames();
    if (reason.empty()) {
        m_clock.Tell(p, bridge::ControlApplied{set.request, NowNs()});
    } else {
        m_clock.Refuse<bridge::SetControl>(p, set.request, reason);
    }
}

void RequestHandler::Post(int p, const Request& request) {
    const auto& post = request.As<bridge::Post>();
    const auto payload = std::make_shared<HeldArray>(m_clock.host(), post.payload, p);
    const int to = static_cast<int>(post.to);
    if (post.to >= static_cast<std::uint32_t>(m_clock.participants())) {
        m_clock.Refuse<bridge::Post>(p, post.to,
                                     "there is no participant " + std::to_string(post.to) +
                                         "; there are participants 0 to " + std::to_string(m_clock.participants() - 1));
    } else if (!m_clock.host().Attached(to)) {
        m_clock.Refuse<bridge::Post>(p, post.to,
                                     m_clock.host().Describe(to) + " has left the run and gets nothing any more");
    } else {
        m_clock.Notify(to, [to, p, payload, bytes = request.TailText()](bridge::Host& host) {
            payload->ShareWith(to);
            host.Send(to, bridge::Posted{static_cast<std::uint32_t>(p), 0, payload->ref}, std::string_view(bytes));
        });
    }
}

void RequestHandler::Detached(int p) {
    m_transfers.Detached(p);
    m_readings.Detached(p);
}

bool RequestHandler::Outstanding() const {
    return m_transfers.Outstanding() || m_analog.Outstanding() || m_readings.Outstanding();
}

} // namespace edgelam
