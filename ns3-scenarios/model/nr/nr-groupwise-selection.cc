// SPDX-License-Identifier: GPL-2.0-only
#include "nr-groupwise-selection.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ns3/log.h"
#include "ns3/uinteger.h"

#include "nr-phy-link.h"

NS_LOG_COMPONENT_DEFINE("NrGroupwiseSelection");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(GroupwiseSelection);

ns3::TypeId GroupwiseSelection::GetTypeId() {
    static const ns3::TypeId tid =
        ns3::TypeId("edgelam::nr::GroupwiseSelection")
            .SetParent<UserSelection>()
            .SetGroupName("Edgelam")
            .AddAttribute("MostUeLayers", "Greatest number of layers of a UE that shares a group.",
                          ns3::UintegerValue(2), ns3::MakeUintegerAccessor(&GroupwiseSelection::m_mostUeLayers),
                          ns3::MakeUintegerChecker<unsigned>(1, max_layers));
    return tid;
}

const std::complex<float>* GroupwiseSelection::RowOf(std::uint32_t group, std::uint32_t candidate,
                                                     unsigned layer) const {
    return m_request->ues[candidate].state->Heard(group, layer);
}

GrowingGram::Complex GroupwiseSelection::Dot(std::uint32_t group, const Row& a, const Row& b) const {
    const std::complex<float>*x = RowOf(group, a.candidate, a.layer), *y = RowOf(group, b.candidate, b.layer);
    float re = 0, im = 0;
    for (std::size_t e = 0; e < m_elements; ++e) {
        re += x[e].real() * y[e].real() + x[e].imag() * y[e].imag();
        im += x[e].imag() * y[e].real() - x[e].real() * y[e].imag();
    }
    const auto noise = [&](const Row& row) { return m_request->ues[row.candidate].state->rise; };
    const double scale = m_request->beamformer.Snr() / std::sqrt(noise(a) * noise(b));
    return {scale * re, scale * im};
}

const GrowingGram& GroupwiseSelection::Try(Group& group, std::uint32_t number, std::uint32_t candidate,
                                           unsigned layers) {
    m_tried = group.gram;
    m_steps.resize(layers);
    m_powers.resize(layers);
    for (unsigned l = 0; l < layers; ++l) {
        const Row row{candidate, l};
        Dots& dots = group.dots[candidate * max_layers + l];
        while (dots.size() < group.rows.size()) {
            dots.push_back(Dot(number, group.rows[dots.size()], row));
        }
        m_dots = dots;
        for (unsigned before = 0; before < l; ++before) {
            m_dots.push_back(Dot(number, {candidate, before}, row));
        }
        m_powers[l] = std::max(Dot(number, row, row).real(), std::numeric_limits<float>::min() * 1.0);
        m_tried.Try(m_dots, m_powers[l], m_steps[l]);
        if (l + 1 < layers) {
            m_tried.Add(m_steps[l]);
        }
    }
    return m_tried;
}

void GroupwiseSelection::Put(std::uint32_t number, std::uint32_t candidate, unsigned layers) {
    Group& group = m_groups[number];
    Try(group, number, candidate, layers);
    group.gram = m_tried;
    group.gram.Add(m_steps.back());
    for (unsigned l = 0; l < layers; ++l) {
        group.rows.push_back({candidate, l});
    }
}

double GroupwiseSelection::Carried(const Group& group, std::span<const double> inverse, std::uint32_t candidate,
                                   double& own) const {
    const auto layers = static_cast<double>(inverse.size());
    double sum = 0;
    own = 0;
    for (std::size_t k = 0; k < inverse.size(); ++k) {
        const double rate = std::min(std::log2(1 + 1 / (layers * inverse[k])), m_request->mostEfficiency);
        const bool is = k >= group.rows.size();
        sum += rate * m_request->ues[is ? candidate : group.rows[k].candidate].importance;
        own += is ? rate : 0;
    }
    own *= m_request->elements[inverse.size()];
    return sum * m_request->elements[inverse.size()];
}

double GroupwiseSelection::CarriedAlone(std::uint32_t number, std::uint32_t candidate, unsigned layers) {
    Group alone;
    alone.dots.resize(m_groups[number].dots.size());
    double own = 0;
    Try(alone, number, candidate, layers);
    return Carried(alone, m_steps.back().inverse, candidate, own);
}

void GroupwiseSelection::Begin(const SelectionRequest& request, const Allocation& allocation,
                               const std::vector<unsigned>& layers) {
    m_request = &request;
    m_groups.assign(allocation.size(), {});
    m_shared.assign(request.ues.size(), 0);
    for (std::size_t c = 0; c < request.ues.size(); ++c) {
        if (const ChannelState* state = request.ues[c].state) {
            m_elements = state->beams->numElements();
            m_shared[c] = request.slot.candidates[c].fixedGroups > 0 ? layers[c] : std::min(layers[c], m_mostUeLayers);
        }
    }
    for (std::uint32_t g = 0; g < allocation.size(); ++g) {
        Group& group = m_groups[g];
        group.open = !allocation[g].empty() &&
                     std::ranges::all_of(allocation[g], [&](std::uint32_t c) { return request.ues[c].state; });
        if (!group.open) {
            continue;
        }
        group.dots.resize(request.ues.size() * max_layers);
        const bool shared = allocation[g].size() > 1;
        for (const auto c : allocation[g]) {
            Put(g, c, shared ? layers[c] : m_shared[c]);
        }
        double own = 0;
        const auto first = allocation[g].front();
        group.carried = shared || m_shared[first] == layers[first]
                            ? Carried(group, group.gram.InverseDiagonal(), first, own)
                            : CarriedAlone(g, first, layers[first]);
    }
}

const std::vector<GroupwiseSelection::Found>& GroupwiseSelection::Find(std::uint32_t candidate,
                                                                       const Allocation& allocation) {
    const Candidate& asks = m_request->slot.candidates[candidate];
    const unsigned layers = m_shared[candidate];
    const std::size_t most = std::min(m_request->elements.size() - 1, m_elements);
    m_found.clear();
    double bits = 0; // that its own groups carry
    for (std::uint32_t g = 0; g < m_groups.size(); ++g) {
        Group& group = m_groups[g];
        if (std::ranges::count(allocation[g], candidate) > 0) {
            bits += asks.bitsPerGroup[g];
        } else if (group.open && group.rows.size() + layers <= most) {
            Try(group, g, candidate, layers);
            Found found{.group = g};
            const double after = Carried(group, m_steps.back().inverse, candidate, found.own);
            found.gain = Gain({.before = group.carried,
                               .after = after,
                               .own = found.own * m_request->ues[candidate].importance,
                               .others = group.rows.size(),
                               .steps = m_steps,
                               .power = m_powers});
            if (found.gain > 0) {
                m_found.push_back(found);
            }
        }
    }
    std::ranges::stable_sort(m_found, [](const Found& a, const Found& b) { return a.gain > b.gain; });
    if (asks.fixedGroups > 0) {
        m_found.resize(m_found.size() >= asks.fixedGroups ? asks.fixedGroups : 0);
        return m_found;
    }
    std::size_t count = 0;
    while (count < m_found.size() && bits < 8.0 * static_cast<double>(asks.wantedBytes)) {
        bits += m_found[count].own * m_request->slot.Prbs(m_found[count].group);
        ++count;
    }
    m_found.resize(count);
    return m_found;
}

void GroupwiseSelection::Select(const SelectionRequest& request, Allocation& allocation,
                                std::vector<unsigned>& layers) {
    const auto count = static_cast<std::uint32_t>(request.ues.size());
    if (std::ranges::count_if(request.ues, [](const SelectableUe& each) { return each.state; }) < 2) {
        return;
    }
    Begin(request, allocation, layers);
    std::vector<bool> waits(count), granted(count);
    for (const auto& users : allocation) {
        for (const auto c : users) {
            granted[c] = true;
        }
    }
    for (std::uint32_t c = 0; c < count; ++c) {
        waits[c] = request.ues[c].state && !(granted[c] && request.slot.candidates[c].fixedGroups > 0);
    }
    double before = 0;
    for (const auto& group : m_groups) {
        before += group.carried;
    }
    Allocation result = allocation;
    ControlRoom room = request.slot.room;
    std::vector<Found> best;
    for (;;) {
        double most = 0;
        std::uint32_t who = count;
        for (std::uint32_t c = 0; c < count; ++c) {
            if (!waits[c] || (!granted[c] && !room.Fits(request.slot.candidates[c]))) {
                continue;
            }
            double gain = 0;
            for (const auto& each : Find(c, result)) {
                gain += each.gain;
            }
            if (gain > most) {
                most = gain;
                who = c;
                best = m_found;
            }
        }
        if (who == count) {
            break;
        }
        waits[who] = false;
        if (!granted[who]) {
            granted[who] = true;
            room.Take(request.slot.candidates[who]);
        }
        NS_LOG_LOGIC("slot " << request.slot.slot << ": UE " << request.ues[who].ue << " is added to " << best.size()
                             << " groups");
        for (const auto& each : best) {
            double own = 0;
            Group& group = m_groups[each.group];
            Put(each.group, who, m_shared[who]);
            group.carried = Carried(group, group.gram.InverseDiagonal(), who, own);
            result[each.group].push_back(who);
        }
    }
    // Who shares somewhere has fewer layers everywhere.
    std::vector<bool> shares(count);
    for (const auto& users : result) {
        for (const auto c : users) {
            shares[c] = shares[c] || users.size() > 1;
        }
    }
    double after = 0;
    for (std::uint32_t g = 0; g < m_groups.size(); ++g) {
        Group& group = m_groups[g];
        if (group.open && result[g].size() == 1 && shares[result[g].front()]) {
            double own = 0;
            group.carried = Carried(group, group.gram.InverseDiagonal(), result[g].front(), own);
        }
        after += group.carried;
    }
    if (after > before) {
        allocation = std::move(result);
        for (std::uint32_t c = 0; c < count; ++c) {
            layers[c] = shares[c] ? m_shared[c] : layers[c];
        }
    }
}

} // namespace edgelam::nr
