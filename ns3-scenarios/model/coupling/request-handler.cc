// SPDX-License-Identifier: GPL-2.0-only
#include "request-handler.h"

#include <algorithm>
#include <cstring>
#include <iostream>
#include <stdexcept>

#include "ns3/nstime.h"
#include "ns3/simulator.h"

#include "json.h"
#include "participant-time.h"

namespace edgelam {

namespace {

constexpr std::size_t inline_bytes = 4096;                   ///< larger readings travel in the arena
constexpr std::int64_t longest_ns = 100'000'000'000'000'000; ///< 3 years: keeps sums of times within 64 bits

/// Numbers as the bytes they have on the bridge.
template<class T>
std::string Pack(const std::vector<T>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

/// Tell a trace whether to keep what happens.
/// \return why it cannot, empty if it does
std::string Record(const Observable& trace, bool whether) {
    const std::string who = "observable '" + trace.name + "': ";
    try {
        trace.record(whether);
        return {};
    } catch (const std::exception& error) {
        return who + error.what();
    } catch (...) {
        return who + "its function threw something that is no std::exception, and so has no text";
    }
}

} // namespace

class RequestHandler::HeldArray {
  public:
    /// An array that the host has just allocated, and so holds already.
    HeldArray(bridge::Host& host, const bridge::ArrayRef& array) : ref(array), m_host(host) {}
    /// An array of participant p, which holds it itself at least as long as it waits. Ends the run if it is not.
    HeldArray(bridge::Host& host, const bridge::ArrayRef& array, int p) : HeldArray(host, array) {
        m_host.CheckOwn(p, ref);
        if (ref.size_bytes > 0) {
            m_host.Hold(ref, 0, 1);
        }
    }
    ~HeldArray() {
        if (ref.size_bytes > 0) {
            bridge::Quietly([this] { m_host.Hold(ref, 0, -1); });
        }
    }
    HeldArray(const HeldArray&) = delete;
    HeldArray& operator=(const HeldArray&) = delete;

    /// Count participant p in, which is about to be sent the reference.
    void ShareWith(int p) const {
        if (ref.size_bytes > 0) {
            m_host.Hold(ref, p + 1, 1);
        }
    }

    const bridge::ArrayRef ref;

  private:
    bridge::Host& m_host;
};

RequestHandler::RequestHandler(ClockHost& clock, const std::vector<ExposedNode>& nodes, Registry& registry)
    : m_clock(clock), m_nodes(nodes), m_registry(registry) {
    m_registry.memory().Connect(&clock.host().arena());
    m_registry.OnAnnounce([this](std::size_t observable) { Announced(observable); });
}

RequestHandler::~RequestHandler() {
    m_registry.OnAnnounce(nullptr);
    m_registry.memory().Connect(nullptr);
    for (auto& [key, running] : m_transfers) {
        if (running.transfer) {
            running.transfer->onDelivered = nullptr;
            running.transfer->onEnded = nullptr;
        }
    }
}

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
    if (request.Is<TransferRequest>()) {
        StartTransfer(p, request.As<TransferRequest>(), request);
    } else if (request.Is<CancelTransfer>()) {
        const auto running = m_transfers.find({p, request.As<CancelTransfer>().id});
        if (running != m_transfers.end()) { // otherwise it has ended already, and that is being told
            const ns3::Ptr<Transfer> transfer = running->second.transfer;
            transfer->source->Cancel(*transfer);
        }
    } else if (request.Is<ClaimNode>()) {
        const auto node = request.As<ClaimNode>().node;
        if (Find(node)) {
            m_claims[node] = p;
        } else {
            Refuse(p, node, request.type, "there is no node " + std::to_string(node) + "; nodes: " + NodeNames());
        }
    } else if (request.Is<ReadObservable>()) {
        const auto& read = request.As<ReadObservable>();
        if (read.observable >= m_registry.observables().size()) {
            Refuse(p, read.request, request.type,
                   "there is no observable " + std::to_string(read.observable) +
                       "; observables: " + m_registry.ObservableNames());
        } else if (read.period_ns < 0 || read.period_ns > longest_ns) {
            Refuse(p, read.request, request.type,
                   "period " + std::to_string(read.period_ns) + " ns; legal are 0 (once) to 1e17 ns");
        } else if (read.period_ns == 0) {
            ReadOnce(p, read.request, read.observable);
        } else if (m_subscriptions.contains({p, read.request})) {
            Refuse(p, read.request, request.type, "subscription " + std::to_string(read.request) + " exists already");
        } else {
            Subscribe(p, read);
        }
    } else if (request.Is<Unsubscribe>()) {
        const auto subscription = m_subscriptions.find({p, request.As<Unsubscribe>().request});
        if (subscription != m_subscriptions.end()) {
            Ended(subscription->second);
            m_subscriptions.erase(subscription);
            m_clock.RequestSync();
        }
    } else if (request.Is<SetControl>()) {
        const auto& set = request.As<SetControl>();
        const HeldArray value(m_clock.host(), set.value, p);
        const auto bytes = set.value.size_bytes > 0 ? m_clock.host().View(set.value) : std::span(request.tail);
        const std::string reason =
            set.control < m_registry.controls().size()
                ? m_registry.Set(set.control, bytes)
                : "there is no control " + std::to_string(set.control) + "; controls: " + m_registry.ControlNames();
        if (reason.empty()) {
            m_clock.Tell(p, ControlApplied{set.request, NowNs()});
        } else {
            Refuse(p, set.request, request.type, reason);
        }
    } else if (request.Is<Post>()) {
        const auto& post = request.As<Post>();
        const auto payload = std::make_shared<HeldArray>(m_clock.host(), post.payload, p);
        const int to = static_cast<int>(post.to);
        if (post.to >= static_cast<std::uint32_t>(m_clock.participants()) || !m_clock.host().Attached(to)) {
            const int last = m_clock.participants() - 1;
            Refuse(p, post.to, request.type,
                   to > last || to < 0 ? "there is no participant " + std::to_string(post.to) +
                                             "; there are participants 0 to " + std::to_string(last)
                                       : m_clock.host().Describe(to) + " has left the run and gets nothing any more");
            return;
        }
        m_clock.Notify(to, [to, p, payload, bytes = request.TailText()](Host& host) {
            payload->ShareWith(to);
            host.Send(to, Posted{static_cast<std::uint32_t>(p), 0, payload->ref}, std::string_view(bytes));
        });
    } else {
        m_clock.host().Violation(p, "a " + ProtocolMessages::NameOf(request.type) + ", which is no request");
    }
}

void RequestHandler::StartTransfer(int p, const bridge::TransferRequest& request, const Request& frame) {
    auto payload = std::make_shared<HeldArray>(m_clock.host(), request.payload, p);
    const auto refuse = [&](const std::string& reason) { Refuse(p, request.spec.id, frame.type, reason); };
    if (frame.tail.size() != std::uint64_t{4} * request.num_receivers + request.meta_bytes) {
        return refuse("the tail has " + std::to_string(frame.tail.size()) + " bytes; announced were " +
                      std::to_string(request.num_receivers) + " receivers and " + std::to_string(request.meta_bytes) +
                      " bytes");
    }
    TransferSpec spec = request.spec;
    spec.give_up_ns = std::min(spec.give_up_ns, longest_ns);
    if (request.payload.size_bytes != 0 && request.payload.size_bytes != spec.size_bytes) {
        return refuse("the payload has " + std::to_string(request.payload.size_bytes) + " bytes, the transfer " +
                      std::to_string(spec.size_bytes));
    }
    const Key key{p, spec.id};
    if (m_transfers.contains(key)) {
        return refuse("transfer " + std::to_string(spec.id) + " is still running");
    }
    const auto unknown = [&](std::uint32_t id) {
        return "there is no node " + std::to_string(id) + "; nodes: " + NodeNames();
    };
    const auto withoutIp = [](const ExposedNode& node) {
        return node.name + " has no IPv4 in this scenario: nothing can be sent from it or to it";
    };
    const ExposedNode* source = Find(request.source);
    if (!source) {
        return refuse(unknown(request.source));
    }
    if (!source->application) {
        return refuse(withoutIp(*source));
    }
    std::vector<std::uint32_t> ids(request.num_receivers);
    std::copy_n(frame.tail.data(), ids.size() * sizeof(std::uint32_t), std::as_writable_bytes(std::span(ids)).data());
    std::vector<ns3::Ptr<TransferApplication>> receivers;
    for (const auto id : ids) {
        const ExposedNode* receiver = Find(id);
        if (!receiver) {
            return refuse(unknown(id));
        }
        if (!receiver->application) {
            return refuse(withoutIp(*receiver));
        }
        receivers.push_back(receiver->application);
    }
    if (const std::string reason = source->application->Refusal(spec, receivers); !reason.empty()) {
        return refuse(reason);
    }
    m_transfers[key] = {nullptr, std::move(payload), frame.TailText().substr(ids.size() * sizeof(std::uint32_t))};
    const auto transfer = source->application->Send(
        spec, receivers, [this, key](Transfer& t, std::size_t i) { DeliveredAt(key, t, i); },
        [this, key](Transfer& t, std::size_t i) { EndedAt(key, t, i); });
    if (const auto running = m_transfers.find(key); running != m_transfers.end()) {
        running->second.transfer = transfer;
    }
}

void RequestHandler::DeliveredAt(Key key, Transfer& transfer, std::size_t i) {
    const TransferShare& share = transfer.shares[i];
    const Running& running = m_transfers.at(key);
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
    m_clock.Notify(
        to, [to, delivery, payload = running.payload, tail = Pack(share.lost) + running.meta](bridge::Host& host) {
            payload->ShareWith(to);
            host.Send(to, delivery, std::string_view(tail));
        });
}

void RequestHandler::EndedAt(Key key, Transfer& transfer, std::size_t i) {
    const TransferShare& share = transfer.shares[i];
    m_clock.Tell(key.first, share.record, share.failure.empty() ? Pack(share.lost) : share.failure);
    if (transfer.Ended()) {
        m_transfers.erase(key);
    }
}

void RequestHandler::ReadOnce(int p, std::uint64_t request, std::size_t observable) {
    if (m_registry.observables()[observable].record && !Recorded(observable)) {
        return Refuse(p, request, bridge::ProtocolMessages::TypeOf<bridge::ReadObservable>(),
                      "'" + m_registry.observables()[observable].name +
                          "' is a trace: nothing is kept of it before it is subscribed to");
    }
    Reading reading;
    bridge::ObservableValue value{request, NowNs(), 0, 0, {}};
    try {
        reading = m_registry.Read(observable);
        if (reading.block && reading.block->ref().size_bytes == 0) { // from before the arena was there
            const auto bytes = reading.block->bytes();
            reading.bytes.assign(bytes.begin(), bytes.end());
            reading.block = nullptr;
        }
        if (reading.bytes.size() > inline_bytes) {
            const auto block = m_clock.host().arena().Allocate(reading.bytes.size(), value.value);
            std::memcpy(block.data(), reading.bytes.data(), reading.bytes.size());
            reading.bytes.clear();
        }
    } catch (const std::exception& error) {
        return Refuse(p, request, bridge::ProtocolMessages::TypeOf<bridge::ReadObservable>(), error.what());
    }
    value.num_dims = static_cast<std::uint32_t>(reading.shape.size());
    if (reading.block) {
        value.value = reading.block->ref();
        m_clock.Notify(p, [p, value, block = reading.block, tail = Pack(reading.shape)](bridge::Host& host) {
            host.Hold(value.value, p + 1, 1);
            host.Send(p, value, std::string_view(tail));
        });
        return;
    }
    const auto array = std::make_shared<HeldArray>(m_clock.host(), value.value);
    m_clock.Notify(p, [p, value, array, tail = Pack(reading.shape) + Pack(reading.bytes)](bridge::Host& host) {
        array->ShareWith(p);
        host.Send(p, value, std::string_view(tail));
    });
}

void RequestHandler::Subscribe(int p, const bridge::ReadObservable& read) {
    const Observable& observable = m_registry.observables()[read.observable];
    const Key key{p, read.request};
    const bool aside = read.aside != 0 || observable.record;
    if (observable.record) {
        if (Recorded(read.observable)) {
            return Refuse(p, read.request, bridge::ProtocolMessages::TypeOf<bridge::ReadObservable>(),
                          "'" + observable.name + "' is subscribed to already; a trace has one subscription at a time");
        }
        if (const std::string reason = Record(observable, true); !reason.empty()) {
            return Refuse(p, read.request, bridge::ProtocolMessages::TypeOf<bridge::ReadObservable>(), reason);
        }
    }
    if (observable.periodNs == 0) {
        m_subscriptions[key] = {read.observable, read.period_ns, aside, {}};
        return Sample(key);
    }
    if (read.period_ns % observable.periodNs != 0) {
        return Refuse(p, read.request, bridge::ProtocolMessages::TypeOf<bridge::ReadObservable>(),
                      "period " + std::to_string(read.period_ns) + " ns of '" + observable.name +
                          "'; its values come every " + std::to_string(observable.periodNs) +
                          " ns: legal are whole multiples of that");
    }
    Subscription subscription{read.observable, read.period_ns, aside, {}, read.period_ns / observable.periodNs, 0};
    const bool atOnce = observable.announcedNs == NowNs();
    subscription.skip = atOnce ? subscription.every - 1 : 0;
    m_subscriptions[key] = subscription;
    if (atOnce) {
        ReadOnce(p, read.request, read.observable);
    }
}

void RequestHandler::Ended(Subscription& subscription) {
    subscription.event.Cancel();
    if (const auto& observable = m_registry.observables()[subscription.observable]; observable.record) {
        if (const std::string reason = Record(observable, false); !reason.empty()) {
            std::cerr << reason << std::endl; // nobody is left to be refused
        }
    }
}

bool RequestHandler::Recorded(std::size_t observable) const {
    return std::any_of(m_subscriptions.begin(), m_subscriptions.end(),
                       [observable](const auto& entry) { return entry.second.observable == observable; });
}

void RequestHandler::Announced(std::size_t observable) {
    for (auto& [key, subscription] : m_subscriptions) {
        if (subscription.observable == observable && subscription.skip-- == 0) {
            subscription.skip = subscription.every - 1;
            ReadOnce(key.first, key.second, observable);
        }
    }
}

void RequestHandler::Sample(Key key) {
    Subscription& subscription = m_subscriptions.at(key);
    subscription.event =
        ns3::Simulator::Schedule(ns3::NanoSeconds(subscription.periodNs), [this, key] { Sample(key); });
    ReadOnce(key.first, key.second, subscription.observable);
}

void RequestHandler::Detached(int p) {
    for (auto& [key, subscription] : m_subscriptions) {
        if (key.first == p) {
            Ended(subscription);
        }
    }
    std::erase_if(m_subscriptions, [p](const auto& entry) { return entry.first.first == p; });
    std::erase_if(m_claims, [p](const auto& entry) { return entry.second == p; });
}

bool RequestHandler::Outstanding() const {
    return !m_transfers.empty() || std::any_of(m_subscriptions.begin(), m_subscriptions.end(),
                                               [](const auto& entry) { return !entry.second.aside; });
}

void RequestHandler::Refuse(int p, std::uint64_t id, std::uint16_t type, const std::string& reason) {
    m_clock.Tell(p, bridge::Refused{id, type, 0}, reason);
}

const ExposedNode* RequestHandler::Find(std::uint32_t id) const {
    const auto found =
        std::find_if(m_nodes.begin(), m_nodes.end(), [id](const auto& node) { return node.node->GetId() == id; });
    return found == m_nodes.end() ? nullptr : &*found;
}

std::string RequestHandler::NodeNames() const {
    std::string names;
    for (const auto& node : m_nodes) {
        names += (names.empty() ? "" : ", ") + std::to_string(node.node->GetId()) + " (" + node.name + ")";
    }
    return names;
}

} // namespace edgelam
