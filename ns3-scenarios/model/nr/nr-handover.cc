// SPDX-License-Identifier: GPL-2.0-only
#include "nr-handover.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "ns3/log.h"
#include "ns3/simulator.h"

#include "nr-access-carrier.h"

NS_LOG_COMPONENT_DEFINE("NrHandover");

namespace edgelam::nr {

namespace {

std::int32_t Signed(std::uint32_t cell) {
    return static_cast<std::int32_t>(cell);
}

} // namespace

void HandoverSettings::Check() const {
    measurements.Check();
    access.Check();
    const auto check = [](const char* name, ns3::Time value, ns3::Time smallest, ns3::Time largest) {
        if (value < smallest || value > largest) {
            std::ostringstream text;
            text << "handover: " << name << " " << value.As(ns3::Time::MS) << "; legal are "
                 << smallest.As(ns3::Time::MS) << " to " << largest.As(ns3::Time::MS);
            throw std::invalid_argument(text.str());
        }
    };
    check("T304", t304, ns3::MilliSeconds(50), ns3::Seconds(10));
    check("T301", t301, ns3::MilliSeconds(100), ns3::Seconds(2));
    check("period of radio link monitoring", monitoring, ns3::MilliSeconds(10), ns3::Seconds(10));
    check("wait time of a rejection", wait, ns3::Seconds(1), ns3::Seconds(16));
    check("T311", t311, ns3::Seconds(1), ns3::Seconds(30));
}

Handover::Handover(Network& network, Backhaul& backhaul, const std::vector<std::uint32_t>& gnbOf,
                   const HandoverSettings& settings, ns3::Ptr<ns3::UniformRandomVariable> random)
    : m_network(network), m_backhaul(backhaul), m_gnbOf(gnbOf), m_settings(settings),
      m_measurements(network, settings.measurements), m_signalling(network),
      m_path(network, backhaul, gnbOf, settings.path), m_coming(network.NumCells()), m_ues(network.NumUes()) {
    settings.Check();
    for (std::uint32_t cell = 0; cell < network.NumCells(); ++cell) {
        m_access.push_back(std::make_unique<RandomAccessChannel>(
            settings.access,
            AccessOf(network.GetCell(cell)->GetCarrier(),
                     [&network](std::uint32_t ue, double dbm) { network.SendPreamble(ue, dbm); }),
            random));
    }
    for (std::uint32_t ue = 0; ue < m_ues.size(); ++ue) {
        m_ues[ue].last.time_ns = -1;
        const std::uint32_t cell = network.ServingCell(ue).value(); // its bearers have grown: it enters once more
        network.Detach(ue);
        network.Attach(ue, cell);
    }
    m_signalling.SetFailed([this](std::uint32_t ue) {
        if (m_network.ServingCell(ue)) {
            LinkFailed(ue);
        }
    });
    m_measurements.Start({[this](std::uint32_t ue, const std::vector<std::uint32_t>& cells) { Report(ue, cells); },
                          [this] { CheckLinks(); },
                          {}});
}

Handover::~Handover() {
    for (auto& ue : m_ues) {
        ue.timer.Cancel();
        ue.t311.Cancel();
        ue.step.Cancel();
    }
}

std::function<void()> Handover::Guarded(std::uint32_t ue, std::function<void()> next) {
    return [this, ue, next = std::move(next), procedure = m_ues[ue].procedure] {
        if (m_ues[ue].procedure == procedure) {
            next();
        }
    };
}

void Handover::After(std::uint32_t ue, ns3::Time delay, std::function<void()> next) {
    m_ues[ue].step = ns3::Simulator::Schedule(delay, Guarded(ue, std::move(next)));
}

void Handover::Between(std::uint32_t fromCell, std::uint32_t toCell, std::uint32_t bytes,
                       std::function<void()> arrived) {
    const std::uint32_t from = m_gnbOf[fromCell], to = m_gnbOf[toCell];
    if (from == to) {
        ns3::Simulator::ScheduleNow(std::move(arrived));
    } else {
        m_backhaul.Send(from, to, bytes, std::move(arrived));
    }
}

void Handover::Begin(std::uint32_t number, Phase phase) {
    Ue& ue = m_ues[number];
    ++ue.procedure;
    ue.phase = phase;
    ue.timer.Cancel();
    if (phase != Phase::Executing && std::exchange(ue.admitted, false)) { // it is there, or does not come
        --m_coming[ue.target];
        m_access[ue.target]->Release(number);
    }
}

bool Handover::Admit(std::uint32_t number) {
    Ue& ue = m_ues[number];
    ue.admitted = m_network.HasRoom(ue.target, m_coming[ue.target]);
    m_coming[ue.target] += ue.admitted;
    return ue.admitted;
}

double Handover::LossDb(std::uint32_t ue, std::uint32_t cell) const {
    const Carrier& carrier = m_network.GetCell(cell)->GetCarrier();
    const double referenceDbm = carrier.settings.gnbPowerDbm - 10 * std::log10(12.0 * carrier.numPrbs);
    return referenceDbm - m_network.RsrpDbm(cell, ue);
}

void Handover::Record(std::uint32_t ue, HandoverRecord record) {
    record.time_ns = ns3::Simulator::Now().GetNanoSeconds();
    record.ue = ue;
    HandoverCounts& counts = m_ues[ue].counts;
    switch (static_cast<HandoverEvent>(record.event)) {
    case HandoverEvent::Handover:
        ++counts.handovers;
        break;
    case HandoverEvent::HandoverFailure:
        ++counts.handover_failures;
        break;
    case HandoverEvent::LinkFailure:
        ++counts.link_failures;
        break;
    case HandoverEvent::Reestablishment:
        ++counts.reestablishments;
        break;
    case HandoverEvent::Abandoned:
        ++counts.abandoned;
        break;
    case HandoverEvent::PreparationFailure:
        ++counts.preparation_failures;
        break;
    case HandoverEvent::Rejection:
        ++counts.rejections;
    }
    counts.too_late += record.too_late;
    counts.too_early += record.too_early;
    counts.wrong_cell += record.wrong_cell;
    counts.ping_pongs += record.ping_pong;
    if (record.access_ns >= 0) {
        counts.interruption_s += 1e-9 * static_cast<double>(record.access_ns - record.left_ns);
    }
    NS_LOG_INFO("UE " << ue << ": event " << int(record.event) << ", cell " << record.source << " to "
                      << record.target);
    m_ues[ue].last = record;
    if (m_trace) {
        m_trace(record);
    }
}

/// The best cell of a report is the target, unless a handover goes on already.
void Handover::Report(std::uint32_t ue, const std::vector<std::uint32_t>& cells) {
    const std::uint32_t best = cells.front();
    m_signalling.SendUp(ue, m_settings.reportBytes, [this, ue, best] {
        if (!m_settings.automatic || m_ues[ue].phase != Phase::Connected) {
            return;
        }
        After(ue, m_settings.gnbProcessing, [this, ue, best] {
            if (Refusal(ue, best).empty()) {
                Start(ue, best);
            }
        });
    });
}

std::string Handover::Refusal(std::uint32_t ue, std::uint32_t target) const {
    std::ostringstream text;
    if (target >= m_network.NumCells()) {
        text << "cell " << target << " for UE " << ue << "; legal are 0 to " << m_network.NumCells() - 1;
    } else if (m_ues[ue].phase != Phase::Connected) {
        text << "UE " << ue << " is in a handover or has lost its cell (phase " << int(m_ues[ue].phase)
             << "); legal are UEs in phase 0";
    } else if (m_network.ServingCell(ue) == target) {
        text << "UE " << ue << " is in cell " << target << " already; legal are other cells";
    }
    return text.str();
}

std::string Handover::Request(std::uint32_t ue, std::uint32_t target) {
    std::string refusal = Refusal(ue, target);
    if (refusal.empty()) {
        Start(ue, target);
    }
    return refusal;
}

void Handover::Start(std::uint32_t number, std::uint32_t target) {
    Ue& ue = m_ues[number];
    Begin(number, Phase::Preparing);
    ue.source = m_network.ServingCell(number).value();
    ue.target = target;
    ue.started = ns3::Simulator::Now();
    ue.timer =
        ns3::Simulator::Schedule(m_settings.preparation, &Handover::Abandon, this, number, HandoverEvent::Abandoned);
    NS_LOG_INFO("UE " << number << ": handover from cell " << ue.source << " to " << target);
    Between(ue.source, target, m_settings.requestBytes, Guarded(number, [this, number] {
                After(number, m_settings.gnbProcessing, [this, number] {
                    const bool admitted = Admit(number);
                    const Ue& ue = m_ues[number];
                    if (admitted) { // contention, if no preamble is left
                        m_access[ue.target]->Reserve(number);
                    }
                    Between(ue.target, ue.source, admitted ? m_settings.acknowledgeBytes : m_settings.failureBytes,
                            Guarded(number, [this, number, admitted] {
                                admitted ? Command(number) : Abandon(number, HandoverEvent::PreparationFailure);
                            }));
                });
            }));
}

/// From here on the UE leaves, or its link fails.
void Handover::Command(std::uint32_t number) {
    m_ues[number].timer.Cancel();
    m_signalling.SendDown(number, m_settings.commandBytes, Guarded(number, [this, number] { Execute(number); }));
}

void Handover::Abandon(std::uint32_t number, HandoverEvent event) {
    const Ue& ue = m_ues[number];
    Begin(number, Phase::Connected);
    Record(number, {.started_ns = ue.started.GetNanoSeconds(),
                    .left_ns = -1,
                    .access_ns = -1,
                    .source = Signed(ue.source),
                    .target = Signed(ue.target),
                    .event = static_cast<std::uint8_t>(event)});
}

/// RLC begins anew in both directions; PDCP keeps its numbers.
void Handover::Leave(std::uint32_t number) {
    m_network.Detach(number);
    Connection& connection = m_network.GetConnection(number);
    connection.down.Reestablish();
    connection.up.Reestablish();
    m_signalling.Reset(number);
    m_ues[number].left = ns3::Simulator::Now();
}

/// The UE has the command.
void Handover::Execute(std::uint32_t number) {
    Begin(number, Phase::Executing);
    Ue& ue = m_ues[number];
    Leave(number);
    ue.timer = ns3::Simulator::Schedule(m_settings.t304, &Handover::HandoverFailed, this, number);
    Between(ue.source, ue.target, m_settings.statusBytes, [] {}); // before the SDUs, on the same way
    m_path.MoveTo(number, m_gnbOf[ue.target]);
    After(number, m_settings.ueProcessing,
          [this, number] { Access(number, [this, number](unsigned attempts) { Enter(number, attempts); }); });
}

void Handover::Access(std::uint32_t number, std::function<void(unsigned attempts)> done) {
    const std::uint32_t target = m_ues[number].target;
    m_access[target]->Start(
        number, [this, number, target] { return LossDb(number, target); }, std::move(done),
        [this, number] { ++m_ues[number].counts.access_problems; });
}

void Handover::Enter(std::uint32_t number, unsigned attempts) {
    Begin(number, Phase::Completing);
    Ue& ue = m_ues[number];
    ue.access = ns3::Simulator::Now();
    ue.preambles = attempts;
    m_network.Attach(number, ue.target);
    m_measurements.Restart(number);
    m_signalling.SendUp(number, m_settings.completeBytes, Guarded(number, [this, number] { Complete(number); }));
    // T304 has stopped: whatever fails from now on is a failure of the link in the new cell.
    const bool back = ue.moved && ue.movedFrom == ue.target && ue.access - ue.movedAt <= m_settings.pingPong;
    ue.moved = true;
    ue.movedFrom = ue.source;
    ue.movedAt = ue.access;
    Record(number, {.started_ns = ue.started.GetNanoSeconds(),
                    .left_ns = ue.left.GetNanoSeconds(),
                    .access_ns = ue.access.GetNanoSeconds(),
                    .source = Signed(ue.source),
                    .target = Signed(ue.target),
                    .event = static_cast<std::uint8_t>(HandoverEvent::Handover),
                    .preambles = static_cast<std::uint8_t>(std::min(attempts, 255u)),
                    .ping_pong = back});
}

/// The gNB has the UE's message.
void Handover::Complete(std::uint32_t number) {
    Begin(number, Phase::Connected);
    m_path.SwitchPath(number);
}

/// Looks at the links of all UEs, with each measurement.
void Handover::CheckLinks() {
    if (ns3::Simulator::Now() >= m_monitored + m_settings.monitoring) {
        m_monitored = ns3::Simulator::Now();
        for (std::uint32_t cell = 0; cell < m_network.NumCells(); ++cell) {
            m_network.GetCell(cell)->WatchSilent();
        }
    }
    for (std::uint32_t number = 0; number < m_ues.size(); ++number) {
        const auto cell = m_network.ServingCell(number);
        if (cell && m_network.GetCell(*cell)->GetRadioLink(number) == RadioLink::State::Failed) {
            LinkFailed(number);
        }
    }
}

void Handover::LinkFailed(std::uint32_t number) {
    Ue& ue = m_ues[number];
    const ns3::Time now = ns3::Simulator::Now();
    const std::uint32_t cell = m_network.ServingCell(number).value();
    ue.handoverFailed = false;
    ue.afterHandover = ue.moved && now - ue.movedAt <= m_settings.store;
    ue.failedFrom = ue.movedFrom;
    ue.failedIn = cell;
    ue.started = now;
    Record(number, {.started_ns = now.GetNanoSeconds(),
                    .left_ns = now.GetNanoSeconds(),
                    .access_ns = -1,
                    .source = Signed(cell),
                    .target = -1,
                    .event = static_cast<std::uint8_t>(HandoverEvent::LinkFailure)});
    Leave(number);
    Search(number);
}

/// T304 has run out.
void Handover::HandoverFailed(std::uint32_t number) {
    Ue& ue = m_ues[number];
    m_access[ue.target]->Stop(number);
    ue.handoverFailed = true;
    ue.failedFrom = ue.source;
    ue.failedIn = ue.target;
    Record(number, {.started_ns = ue.started.GetNanoSeconds(),
                    .left_ns = ue.left.GetNanoSeconds(),
                    .access_ns = -1,
                    .source = Signed(ue.source),
                    .target = Signed(ue.target),
                    .event = static_cast<std::uint8_t>(HandoverEvent::HandoverFailure)});
    ue.started = ns3::Simulator::Now();
    Search(number);
}

void Handover::StartT311(std::uint32_t number) {
    m_ues[number].t311 = ns3::Simulator::Schedule(m_settings.t311, [this, number] {
        Connection& connection = m_network.GetConnection(number);
        connection.down.Release();
        connection.up.Release();
        StartT311(number);
    });
}

void Handover::Search(std::uint32_t number) {
    Begin(number, Phase::Searching);
    if (!m_ues[number].t311.IsPending()) {
        StartT311(number);
    }
    After(number, m_settings.cellSearch, [this, number] { Select(number); });
}

/// The strongest cell, if it can be heard.
void Handover::Select(std::uint32_t number) {
    Ue& ue = m_ues[number];
    std::erase_if(ue.rejected, [](const auto& each) { return each.second <= ns3::Simulator::Now(); });
    const auto strongest =
        m_network.StrongestCell(number, [&ue](std::uint32_t each) { return !ue.rejected.contains(each); });
    if (!strongest || !(m_network.RsrpDbm(*strongest, number) >= m_settings.leastRsrpDbm)) {
        After(number, m_settings.measurements.period, [this, number] { Select(number); });
        return;
    }
    Begin(number, Phase::Reestablishing);
    const std::uint32_t cell = *strongest;
    ue.target = cell;
    ue.timer = ns3::Simulator::Schedule(m_settings.t301, [this, number, cell] { // T301: search again
        m_access[cell]->Stop(number);
        Search(number);
    });
    Access(number, [this, number](unsigned attempts) { FetchContext(number, attempts); });
}

/// RRCReject: the cell has no room. The UE looks for another one.
void Handover::Reject(std::uint32_t number) {
    Ue& ue = m_ues[number];
    ue.rejected[ue.target] = ns3::Simulator::Now() + m_settings.wait;
    Record(number, {.started_ns = ue.started.GetNanoSeconds(),
                    .left_ns = ue.left.GetNanoSeconds(),
                    .access_ns = -1,
                    .source = Signed(ue.failedIn),
                    .target = Signed(ue.target),
                    .event = static_cast<std::uint8_t>(HandoverEvent::Rejection),
                    .preambles = static_cast<std::uint8_t>(std::min(ue.preambles, 255u))});
    Begin(number, Phase::Searching);
    After(number, m_settings.measurements.period, [this, number] { Select(number); });
}

/// The request has come with message 3. The gNB that has the UE's SDUs may be another one.
void Handover::FetchContext(std::uint32_t number, unsigned attempts) {
    Ue& ue = m_ues[number];
    ue.preambles = attempts;
    if (!Admit(number)) {
        Reject(number);
        return;
    }
    const std::uint32_t home = m_path.Home(number), here = m_gnbOf[ue.target];
    if (home == here) {
        Reestablish(number);
        return;
    }
    m_backhaul.Send(here, home, m_settings.contextBytes, Guarded(number, [this, number, home, here] {
                        m_backhaul.Send(home, here, m_settings.requestBytes,
                                        Guarded(number, [this, number] { Reestablish(number); }));
                        m_path.MoveTo(number, here); // behind the context, on the same way
                    }));
}

void Handover::Reestablish(std::uint32_t number) {
    Begin(number, Phase::Completing);
    Ue& ue = m_ues[number];
    ue.t311.Cancel();
    ue.access = ns3::Simulator::Now();
    m_network.Attach(number, ue.target);
    m_measurements.Restart(number);
    const bool fault = ue.handoverFailed || ue.afterHandover; // of the handover before it
    const bool tooEarly = fault && ue.target == ue.failedFrom;
    const bool wrongCell = fault && ue.target != ue.failedFrom && ue.target != ue.failedIn;
    const bool tooLate = !fault && ue.target != ue.failedIn;
    ue.moved = false;
    // RRCReestablishment and its completion, then RRCReconfiguration and its completion.
    m_signalling.SendDown(
        number, m_settings.reestablishmentBytes, Guarded(number, [this, number] {
            m_signalling.SendUp(number, m_settings.completeBytes, Guarded(number, [this, number] {
                                    m_signalling.SendDown(
                                        number, m_settings.commandBytes, Guarded(number, [this, number] {
                                            m_signalling.SendUp(number, m_settings.completeBytes,
                                                                Guarded(number, [this, number] { Complete(number); }));
                                        }));
                                }));
        }));
    Record(number, {.started_ns = ue.started.GetNanoSeconds(),
                    .left_ns = ue.left.GetNanoSeconds(),
                    .access_ns = ue.access.GetNanoSeconds(),
                    .source = Signed(ue.failedIn),
                    .target = Signed(ue.target),
                    .event = static_cast<std::uint8_t>(HandoverEvent::Reestablishment),
                    .preambles = static_cast<std::uint8_t>(std::min(ue.preambles, 255u)),
                    .too_late = tooLate,
                    .too_early = tooEarly,
                    .wrong_cell = wrongCell});
}

} // namespace edgelam::nr
