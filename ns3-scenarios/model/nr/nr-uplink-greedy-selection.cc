// SPDX-License-Identifier: GPL-2.0-only
#include "nr-uplink-greedy-selection.h"

#include <algorithm>
#include <cmath>

#include "ns3/log.h"

#include "nr-phy-link.h"

NS_LOG_COMPONENT_DEFINE("NrUplinkGreedySelection");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(UplinkGreedySelection);

ns3::TypeId UplinkGreedySelection::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::UplinkGreedySelection")
                                       .SetParent<UserSelection>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<UplinkGreedySelection>();
    return tid;
}

double UplinkGreedySelection::Amplitude(std::uint32_t candidate, std::uint32_t groups) const {
    const SelectableUe& ue = m_request->ues[candidate];
    return std::sqrt(ue.snr[groups - 1] / (*m_layers)[candidate] / ue.state->uplinkRise);
}

UplinkGreedySelection::Complex UplinkGreedySelection::Dot(std::uint32_t group, const Row& a, std::uint32_t candidate,
                                                          unsigned layer) const {
    const auto* x = m_request->ues[a.candidate].state->Sounded(group, a.layer);
    const auto* y = m_request->ues[candidate].state->Sounded(group, layer);
    double re = 0, im = 0;
    for (std::size_t p = 0; p < m_ports; ++p) {
        re += double(x[p].real()) * y[p].real() + double(x[p].imag()) * y[p].imag();
        im += double(x[p].real()) * y[p].imag() - double(x[p].imag()) * y[p].real();
    }
    return {re, im};
}

double UplinkGreedySelection::Correlation(std::uint32_t number, std::uint32_t candidate) const {
    const auto& rows = m_groups[number].rows;
    GrowingGram gram;
    GrowingGram::Step step;
    const auto attempt = [&](std::uint32_t who, unsigned layer) { // \return its power
        std::vector<Complex> dots;
        for (std::size_t i = 0; i < gram.Size(); ++i) {
            dots.push_back(Dot(number, rows[i], who, layer));
        }
        const double power = Dot(number, {who, layer, 1}, who, layer).real();
        gram.Try(dots, power, step);
        return power;
    };
    for (const auto& row : rows) {
        attempt(row.candidate, row.layer);
        gram.Add(step);
    }
    double most = 0;
    for (unsigned l = 0; l < (*m_layers)[candidate]; ++l) {
        const double power = attempt(candidate, l);
        for (const auto& along : step.along) {
            most = std::max(most, std::norm(along) / power);
        }
    }
    return std::sqrt(most);
}

GrowingGram UplinkGreedySelection::With(std::uint32_t number, std::uint32_t candidate, double amplitude,
                                        double& carried, double& bits) {
    Group& group = m_groups[number];
    const unsigned layers = (*m_layers)[candidate];
    GrowingGram gram = group.gram;
    GrowingGram::Step step;
    std::vector<Complex> dots;
    for (unsigned l = 0; l < layers; ++l) {
        auto& known = group.dots[candidate * max_layers + l];
        while (known.size() < group.rows.size()) {
            known.push_back(Dot(number, group.rows[known.size()], candidate, l));
        }
        dots.clear();
        for (std::size_t i = 0; i < group.rows.size(); ++i) {
            dots.push_back(amplitude * group.rows[i].amplitude * known[i]);
        }
        for (unsigned before = 0; before < l; ++before) {
            dots.push_back(amplitude * amplitude * Dot(number, {candidate, before, 1}, candidate, l));
        }
        gram.Try(dots, 1 + amplitude * amplitude * Dot(number, {candidate, l, 1}, candidate, l).real(), step);
        gram.Add(step);
    }
    const auto& inverse = gram.InverseDiagonal();
    const double elements = m_request->elements[inverse.size()] * m_request->slot.Prbs(number);
    carried = bits = 0;
    for (std::size_t k = 0; k < inverse.size(); ++k) {
        const bool isNew = k >= group.rows.size();
        const double rate = elements * std::min(-std::log2(inverse[k]), m_request->mostEfficiency);
        carried += rate * m_request->ues[isNew ? candidate : group.rows[k].candidate].importance;
        bits += isNew ? rate : 0;
    }
    return gram;
}

void UplinkGreedySelection::Put(std::uint32_t number, std::uint32_t candidate, double amplitude) {
    Group& group = m_groups[number];
    double bits = 0;
    group.gram = With(number, candidate, amplitude, group.carried, bits);
    for (unsigned l = 0; l < (*m_layers)[candidate]; ++l) {
        group.rows.push_back({candidate, l, amplitude});
    }
}

void UplinkGreedySelection::FindChanges(std::uint32_t candidate, std::uint32_t groups, const Allocation& allocation) {
    const std::size_t most = std::min(m_request->elements.size() - 1, m_ports);
    const double amplitude = Amplitude(candidate, groups);
    for (std::uint32_t g = 0; g < m_groups.size(); ++g) {
        Change& change = m_changes[g];
        change = {.may = m_groups[g].open && m_groups[g].rows.size() + (*m_layers)[candidate] <= most &&
                         std::ranges::count(allocation[g], candidate) == 0 && MayJoin(g, candidate)};
        if (change.may) {
            double carried = 0;
            With(g, candidate, amplitude, carried, change.bits);
            change.gain = Gain(change.bits * m_request->ues[candidate].importance, carried - m_groups[g].carried);
        }
    }
}

UplinkGreedySelection::Run UplinkGreedySelection::Find(std::uint32_t candidate, const Allocation& allocation) {
    const Candidate& asks = m_request->slot.candidates[candidate];
    const auto all = static_cast<std::uint32_t>(m_groups.size());
    const std::uint32_t fixed = asks.fixedGroups, most = asks.mostGroups == 0 ? all : std::min(asks.mostGroups, all);
    const double wanted = 8.0 * static_cast<double>(asks.wantedBytes);
    Run best;
    double before = -1; // the amplitude of m_changes
    for (std::uint32_t count = fixed > 0 ? fixed : 1; count <= (fixed > 0 ? fixed : most); ++count) {
        if (const double amplitude = Amplitude(candidate, count); amplitude != before) {
            before = amplitude;
            FindChanges(candidate, count, allocation);
        }
        bool enough = true; // whether fewer groups hold all that waits, wherever they are
        for (std::uint32_t first = 0; first + count <= all; ++first) {
            double gain = 0, bits = 0;
            bool may = true;
            for (std::uint32_t g = first; g < first + count; ++g) {
                may = may && m_changes[g].may;
                gain += m_changes[g].gain;
                bits += g + 1 < first + count ? m_changes[g].bits : 0;
            }
            if (!may || (fixed == 0 && count > 1 && bits >= wanted)) {
                continue;
            }
            enough = false;
            if (gain > best.gain) {
                best = {gain, first, count};
            }
        }
        if (enough) {
            break;
        }
    }
    return best;
}

void UplinkGreedySelection::Select(const SelectionRequest& request, Allocation& allocation,
                                   std::vector<unsigned>& layers) {
    const auto count = static_cast<std::uint32_t>(request.ues.size());
    m_request = &request;
    m_layers = &layers;
    m_groups.assign(allocation.size(), {});
    m_changes.resize(allocation.size());
    std::vector<std::uint32_t> granted(count); // groups
    std::vector<bool> waits(count);
    for (const auto& users : allocation) {
        for (const auto c : users) {
            ++granted[c];
        }
    }
    for (std::uint32_t c = 0; c < count; ++c) {
        if (const ChannelState* state = request.ues[c].state) {
            m_ports = state->beams->numElements();
            waits[c] = granted[c] == 0;
        }
    }
    for (std::uint32_t g = 0; g < allocation.size(); ++g) {
        m_groups[g].dots.resize(count * max_layers);
        m_groups[g].open =
            std::ranges::all_of(allocation[g], [&](std::uint32_t c) { return request.ues[c].state != nullptr; });
        for (const auto c : allocation[g]) {
            if (m_groups[g].open) {
                Put(g, c, Amplitude(c, granted[c]));
            }
        }
    }
    ControlRoom room = request.slot.room;
    for (;;) {
        Run best;
        std::uint32_t who = count;
        for (std::uint32_t c = 0; c < count; ++c) {
            if (waits[c] && room.Fits(request.slot.candidates[c])) {
                if (const Run run = Find(c, allocation); run.gain > best.gain) {
                    best = run;
                    who = c;
                }
            }
        }
        if (who == count) {
            return;
        }
        waits[who] = false;
        room.Take(request.slot.candidates[who]);
        NS_LOG_LOGIC("slot " << request.slot.slot << ": UE " << request.ues[who].ue << " is added to " << best.count
                             << " groups from " << best.first << " on");
        for (std::uint32_t g = best.first; g < best.first + best.count; ++g) {
            Put(g, who, Amplitude(who, best.count));
            allocation[g].push_back(who);
        }
    }
}

} // namespace edgelam::nr
