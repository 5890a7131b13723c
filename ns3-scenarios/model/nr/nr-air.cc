// SPDX-License-Identifier: GPL-2.0-only
#include "nr-air.h"

#include <algorithm>
#include <cmath>

#include "ns3/log.h"

#include "nr-matrix-kernels.h"

NS_LOG_COMPONENT_DEFINE("NrAir");

namespace edgelam::nr {

namespace {

constexpr std::size_t four = 4; ///< samples that lie together in a channel
constexpr double located_m = 1; ///< a UE that has moved less is heard as before

using Complex = std::complex<float>;

/// Runs of consecutive groups, as ranges of samples; of one group each if `single`.
template<class F>
void ForRuns(const Carrier& carrier, std::uint32_t groups, bool single, F body) {
    for (unsigned g = 0; g < carrier.numGroups; ++g) {
        if ((groups >> g & 1U) == 0) {
            continue;
        }
        unsigned end = g + 1;
        while (!single && end < carrier.numGroups && (groups >> end & 1U) != 0) {
            ++end;
        }
        body(g, std::size_t{g} * carrier.samplesPerGroup, std::size_t{end - g} * carrier.samplesPerGroup);
        g = end - 1;
    }
}

} // namespace

void Emission::SetPerGroup(std::span<const Complex> values, unsigned numGroups) {
    perGroup = true;
    weights.assign(values.begin(), values.end());
    sums.assign(numGroups, 0);
    const std::size_t one = values.size() / numGroups;
    for (std::size_t i = 0; i < values.size(); ++i) {
        sums[i / one] += std::norm(values[i]);
    }
}

Emission& Air::Sent::Add(std::uint64_t now) {
    if (slot != now) {
        slot = now;
        count = 0;
    }
    if (count == emissions.size()) {
        emissions.emplace_back();
    }
    return emissions[count++];
}

void Air::AddCell(std::uint32_t cell, std::uint64_t rank, ns3::Ptr<RadioChannel> channel,
                  ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array,
                  const Carrier& carrier) {
    if (m_cells.size() <= cell) {
        m_cells.resize(cell + 1);
    }
    const double powerW = WattOfDbm(carrier.settings.gnbPowerDbm) / carrier.numPrbs;
    m_cells[cell].reset(
        new CellEnd{rank, channel, mobility, array, &carrier, PortWeights::Elements(array->GetNumElems()), powerW});
    const auto before = [&](std::uint32_t a, std::uint32_t b) { return m_cells[a]->rank < m_cells[b]->rank; };
    m_order.insert(std::upper_bound(m_order.begin(), m_order.end(), cell, before), cell);
    NS_LOG_INFO("cell " << cell << " is on the air, " << m_order.size() << " in all");
}

void Air::AddUe(ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array) {
    m_ues.push_back({mobility, array, PortWeights::Elements(array->GetNumElems()), {}, false, {}, {}, {}, {}});
}

ns3::Ptr<ChannelLink> Air::GetLink(std::uint32_t cell, std::uint32_t ue) const {
    const CellEnd& gnb = *m_cells.at(cell);
    const UeEnd& end = m_ues.at(ue);
    return gnb.channel->GetLink(gnb.mobility, gnb.array, end.mobility, end.array);
}

const ns3::Ptr<ChannelLink>& Air::Link(std::uint32_t cell, std::uint32_t ue) {
    UeEnd& end = m_ues.at(ue);
    end.paths.resize(m_cells.size());
    auto& link = end.paths[cell].link;
    if (!link) {
        link = GetLink(cell, ue);
    }
    return link;
}

double Air::MeanGain(std::uint32_t cell, std::uint32_t ue) {
    Locate(ue);
    return m_ues[ue].gain.at(cell);
}

void Air::Locate(std::uint32_t ue) {
    UeEnd& end = m_ues.at(ue);
    const ns3::Vector place = end.mobility->GetPosition();
    if (end.located && ns3::CalculateDistance(place, end.place) < located_m) {
        return;
    }
    end.located = true;
    end.place = place;
    std::vector<ns3::Ptr<ChannelLink>> links;
    std::vector<double> powers;
    for (const auto cell : m_order) {
        links.push_back(Link(cell, ue));
        powers.push_back(m_cells[cell]->powerW);
    }
    const auto gains = m_settings.meanPower.Gains(links, powers);
    end.gain.resize(m_cells.size());
    for (std::size_t i = 0; i < m_order.size(); ++i) {
        end.gain[m_order[i]] = gains[i];
    }
    end.strongest = m_order;
    std::stable_sort(end.strongest.begin(), end.strongest.end(), [&](std::uint32_t a, std::uint32_t b) {
        return end.gain[a] * m_cells[a]->powerW > end.gain[b] * m_cells[b]->powerW;
    });
    NS_LOG_LOGIC("UE " << ue << " at " << place << ": cell " << end.strongest.front() << " is the strongest");
}

Emission& Air::SendDown(std::uint64_t slot, std::uint32_t cell) {
    Emission& emission = m_cells[cell]->sent[slot % memory].Add(slot);
    emission.sender = emission.cell = cell;
    return emission;
}

Emission& Air::SendUp(std::uint64_t slot, std::uint32_t cell, std::uint32_t ue) {
    Emission& emission = m_up[slot % memory].Add(slot);
    emission.sender = ue;
    emission.cell = cell;
    return emission;
}

void Air::Fetch(std::uint32_t cell, std::uint32_t ue, ChannelFetch& fetch) {
    const CellEnd& gnb = *m_cells[cell];
    const auto& link = Link(cell, ue);
    UeEnd& end = m_ues[ue];
    Path& path = end.paths[cell];
    if (path.fetch == fetch.Id()) {
        return;
    }
    path.fetch = fetch.Id();
    fetch.Add(*link, gnb.carrier->offsetsHz, m_settings.coherence, &path.channel);
}

template<class Arrive>
void Air::AddExplicit(const Carrier& carrier, const Emission& emission, std::uint32_t groups, double noiseW,
                      std::size_t receivers, Covariance& around, Arrive arrive) {
    const std::size_t perGroup = emission.perGroup ? emission.weights.size() / carrier.numGroups : 0;
    thread_local std::vector<Complex> arrived;
    arrived.resize(receivers * emission.layers * four);
    ForRuns(carrier, groups, emission.perGroup, [&](unsigned group, std::size_t first, std::size_t count) {
        for (std::size_t f = first; f < first + count;) {
            const std::size_t chunk = f / four, end = std::min(first + count, (chunk + 1) * four);
            arrive(emission.weights.data() + group * perGroup, chunk, arrived.data());
            around.AddLayers(arrived.data() + f % four, emission.layers, emission.layers, four, f, end - f,
                             emission.powerW / noiseW);
            f = end;
        }
    });
}

void Air::AddWhite(const Carrier& carrier, const Emission& emission, std::uint32_t groups, double power,
                   Covariance& around) {
    ForRuns(carrier, groups, emission.perGroup, [&](unsigned group, std::size_t first, std::size_t count) {
        around.AddWhite(first, count, (emission.perGroup ? emission.sums[group] : 1) * power);
    });
}

template<class F>
void Air::ForHeardDown(std::uint32_t cell, std::uint32_t ue, std::uint64_t slot, std::uint32_t groups, F body) const {
    const UeEnd& end = m_ues[ue];
    const double leastW = m_cells[cell]->carrier->noiseDownW * std::pow(10, -m_settings.relevanceDb / 10);
    unsigned number = 0;
    for (const auto other : end.strongest) {
        if (other == cell) {
            continue;
        }
        const CellEnd& gnb = *m_cells[other];
        if (end.gain[other] * gnb.powerW < leastW) {
            break;
        }
        const bool isExplicit = number++ < m_settings.explicitInterferers;
        for (const auto& emission : gnb.sent[slot % memory].In(slot)) {
            if ((emission.groups & groups) != 0) {
                body(emission, isExplicit, other);
            }
        }
    }
}

void Air::FetchDown(std::uint32_t cell, std::uint32_t ue, std::uint64_t slot, std::uint32_t groups,
                    ChannelFetch& fetch) {
    ForHeardDown(cell, ue, slot, groups, [&](const Emission&, bool isExplicit, std::uint32_t other) {
        if (isExplicit) {
            Fetch(other, ue, fetch);
        }
    });
}

bool Air::HearDown(std::uint32_t cell, std::uint32_t ue, std::uint64_t slot, std::uint32_t groups,
                   Covariance& around) const {
    const UeEnd& end = m_ues[ue];
    const Carrier& carrier = *m_cells[cell]->carrier;
    const double noiseW = carrier.noiseDownW;
    const std::size_t antennas = end.elements.numElements();
    bool any = false;
    thread_local std::vector<Complex> atAntennas;
    ForHeardDown(cell, ue, slot, groups, [&](const Emission& emission, bool isExplicit, std::uint32_t other) {
        any = true;
        const std::uint32_t both = emission.groups & groups;
        const std::size_t elements = m_cells[other]->elements.numElements();
        if (!isExplicit) {
            AddWhite(carrier, emission, both, emission.powerW * end.gain[other] / noiseW, around);
            return;
        }
        const auto& h = *end.paths[other].channel;
        const auto through = [&](const Complex* weights, std::size_t chunk, Complex* arrived) {
            kernels::ThroughWeights(h.data() + chunk * antennas * elements * four, weights, antennas, elements,
                                    emission.layers, arrived);
        };
        if (!end.ports) {
            AddExplicit(carrier, emission, both, noiseW, antennas, around, through);
            return;
        }
        AddExplicit(carrier, emission, both, noiseW, end.ports->numPorts(), around,
                    [&](const Complex* weights, std::size_t chunk, Complex* arrived) {
                        atAntennas.resize(antennas * emission.layers * four);
                        through(weights, chunk, atAntennas.data());
                        kernels::CombineRows(atAntennas.data(), end.ports->values().data(), antennas,
                                             end.ports->numPorts(), emission.layers * four, arrived);
                    });
    });
    return any;
}

void Air::HearAll(CellEnd& at, std::uint32_t cell, std::uint64_t slot) {
    Heard& heard = at.heard[slot % memory];
    const auto sent = m_up[slot % memory].In(slot);
    if (heard.slot == slot && heard.emissions == sent.size()) {
        return;
    }
    heard.slot = slot;
    heard.emissions = sent.size();
    heard.list.clear();
    const double least = std::pow(10, -m_settings.relevanceDb / 10);
    for (std::uint32_t i = 0; i < sent.size(); ++i) {
        const UeEnd& end = m_ues[sent[i].sender];
        const double power = sent[i].powerW * end.gain[cell] / at.carrier->noiseUpW;
        if (sent[i].cell != cell && power >= least) {
            heard.list.push_back({power, i});
        }
    }
    std::sort(heard.list.begin(), heard.list.end(), [&](const Heard::One& a, const Heard::One& b) {
        return a.power != b.power ? a.power > b.power : sent[a.number].sender < sent[b.number].sender;
    });
}

template<class F>
void Air::ForHeardUp(std::uint32_t cell, std::uint64_t slot, std::uint32_t groups, F body) const {
    const auto sent = m_up[slot % memory].In(slot);
    unsigned number = 0;
    for (const auto& one : m_cells[cell]->heard[slot % memory].list) {
        const Emission& emission = sent[one.number];
        if ((emission.groups & groups) != 0) {
            body(emission, number++ < m_settings.explicitInterferers, one.power);
        }
    }
}

void Air::FetchUp(std::uint32_t cell, std::uint64_t slot, std::uint32_t groups, ChannelFetch& fetch) {
    HearAll(*m_cells[cell], cell, slot);
    ForHeardUp(cell, slot, groups, [&](const Emission& emission, bool isExplicit, double) {
        if (isExplicit) {
            Fetch(cell, emission.sender, fetch);
        }
    });
}

bool Air::HearUp(std::uint32_t cell, const PortWeights& beams, std::uint64_t slot, std::uint32_t groups,
                 Covariance& around) const {
    const CellEnd& gnb = *m_cells[cell];
    const Carrier& carrier = *gnb.carrier;
    const std::size_t elements = gnb.elements.numElements(), ports = beams.numPorts();
    bool any = false;
    thread_local std::vector<Complex> partly;
    ForHeardUp(cell, slot, groups, [&](const Emission& emission, bool isExplicit, double power) {
        any = true;
        const std::uint32_t both = emission.groups & groups;
        const UeEnd& end = m_ues[emission.sender];
        const std::size_t antennas = end.elements.numElements();
        if (!isExplicit) {
            AddWhite(carrier, emission, both, power, around);
            return;
        }
        const auto& h = *end.paths[cell].channel;
        AddExplicit(carrier, emission, both, carrier.noiseUpW, ports, around,
                    [&](const Complex* weights, std::size_t chunk, Complex* arrived) {
                        // [element, layer, 4], then [beam, layer, 4]
                        partly.resize(elements * emission.layers * four);
                        kernels::CombineAntennas(h.data() + chunk * antennas * elements * four, weights, antennas,
                                                 elements, emission.layers, four, four, partly.data());
                        kernels::CombineRows(partly.data(), beams.values().data(), elements, ports,
                                             emission.layers * four, arrived);
                    });
    });
    return any;
}

} // namespace edgelam::nr
