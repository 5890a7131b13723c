// SPDX-License-Identifier: GPL-2.0-only
#include "nr-analog-transfers.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrAnalogTransfers");

namespace edgelam::nr {

namespace {

constexpr std::uint64_t most_elements = 100'000'000; ///< minutes of a carrier

} // namespace

std::uint64_t AnalogTransfers::Add(AnalogWish wish) {
    if (wish.senders.empty()) {
        throw std::invalid_argument("an analog transfer of no UE; legal is at least one");
    }
    for (std::size_t i = 0; i < wish.senders.size(); ++i) {
        if (std::count(wish.senders.begin(), wish.senders.end(), wish.senders[i]) > 1) {
            throw std::invalid_argument("UE " + std::to_string(wish.senders[i]) + " is named twice as a sender");
        }
    }
    if (wish.elements < 1 || wish.elements > most_elements) {
        throw std::invalid_argument(std::to_string(wish.elements) + " resource elements; legal are 1 to " +
                                    std::to_string(most_elements));
    }
    if (wish.mostPrbs > m_carrier.numPrbs || (wish.mostPrbs > 0 && wish.mostPrbs < m_carrier.prbsPerGroup)) {
        throw std::invalid_argument("at most " + std::to_string(wish.mostPrbs) +
                                    " resource blocks in a slot; legal are " + std::to_string(m_carrier.prbsPerGroup) +
                                    ", a group, to " + std::to_string(m_carrier.numPrbs) + ", and 0, which is all");
    }
    auto transfer = std::make_shared<Transfer>();
    transfer->number = ++m_numbers;
    transfer->wish = std::move(wish);
    m_waiting.push_back(transfer);
    return transfer->number;
}

void AnalogTransfers::Cancel(std::uint64_t number) {
    const auto found = std::ranges::find(m_waiting, number, [](const auto& each) { return each->number; });
    std::shared_ptr<Transfer> transfer;
    if (found != m_waiting.end()) {
        transfer = *found;
        m_waiting.erase(found);
    } else {
        const auto sending =
            std::ranges::find(m_sendings, number, [](const auto& each) { return each.transfer->number; });
        if (sending == m_sendings.end()) {
            return; // it has ended
        }
        transfer = sending->transfer;
    }
    transfer->over = transfer->cancelled = true;
    if (transfer->slots == 0) {
        End(*transfer);
    }
}

std::optional<std::uint32_t> AnalogTransfers::Reserve(std::uint64_t slot, std::uint64_t forSlot, unsigned symbols,
                                                      unsigned& cces,
                                                      const std::function<bool(std::uint32_t ue)>& hears) {
    const auto transfer = m_waiting.front();
    const auto& ues = transfer->wish.senders;
    Sending sending{.slot = forSlot,
                    .transfer = transfer,
                    .groups = {},
                    .weights = {},
                    .centresHz = {},
                    .symbols = symbols,
                    .known = {}};
    unsigned level = 0;
    for (const auto ue : ues) {
        if (hears(ue)) {
            const auto all = m_links.Of(ue).UplinkWeights(); // [antenna, layer]
            const std::size_t layers = m_links.Of(ue).MaxUplinkLayers();
            std::vector<Complex> first;
            for (std::size_t i = 0; i < all.size(); i += layers) {
                first.push_back(all[i]);
            }
            sending.weights.emplace_back(PortWeights(1, std::move(first)));
            level = std::max(level, m_links.Cces(ue));
        } else {
            sending.weights.emplace_back();
        }
    }
    if (level == 0 || level > cces) {
        NS_LOG_LOGIC("slot " << forSlot << ": transfer " << transfer->number << " waits for "
                             << (level == 0 ? "senders in reach" : "control channels"));
        return {};
    }
    cces -= level;
    const unsigned each = m_carrier.DataElements(1, symbols);
    const unsigned most = transfer->wish.mostPrbs == 0 ? m_carrier.numPrbs : transfer->wish.mostPrbs;
    std::uint32_t left = m_carrier.numGroups;
    for (unsigned prbs = 0;
         left > 0 && prbs + m_carrier.PrbsOf(left - 1) <= most && transfer->reserved < transfer->wish.elements;) {
        --left;
        prbs += m_carrier.PrbsOf(left);
        transfer->reserved += std::uint64_t{each} * m_carrier.PrbsOf(left);
        sending.groups.insert(sending.groups.begin(), left);
    }
    const double prbHz = 12.0 * static_cast<double>(m_carrier.numerology.SubcarrierSpacingHz());
    for (unsigned prb = left * m_carrier.prbsPerGroup;
         prb < m_carrier.PrbsOf(sending.groups) + left * m_carrier.prbsPerGroup; ++prb) {
        sending.centresHz.push_back((prb + 0.5 - 0.5 * m_carrier.numPrbs) * prbHz);
    }
    sending.known = Gains(sending);
    if (transfer->reserved >= transfer->wish.elements) {
        transfer->over = true;
        m_waiting.pop_front();
    }
    ++transfer->slots;
    m_energy.GrantAnalog(slot + m_carrier.settings.gnbDelay, level);
    NS_LOG_LOGIC("slot " << forSlot << ": transfer " << transfer->number << " takes groups from " << left << " on");
    m_sendings.push_back(std::move(sending));
    return left;
}

bool AnalogTransfers::Sends(std::uint32_t ue, std::uint64_t slot) const {
    const auto sending = std::ranges::find(m_sendings, slot, &Sending::slot);
    if (sending == m_sendings.end()) {
        return false;
    }
    const auto& ues = sending->transfer->wish.senders;
    const auto place = std::ranges::find(ues, ue);
    return place != ues.end() && sending->weights[static_cast<std::size_t>(place - ues.begin())];
}

std::vector<AnalogTransfers::Complex> AnalogTransfers::Gains(const Sending& sending) {
    const auto& ues = sending.transfer->wish.senders;
    std::uint32_t& ports = sending.transfer->outcome.numPorts;
    std::vector<Complex> gains;
    for (std::size_t i = 0; i < ues.size(); ++i) {
        if (sending.weights[i] && m_links.Has(ues[i])) {
            PhyLink& phy = m_links.Of(ues[i]).Phy();
            ports = static_cast<std::uint32_t>(phy.NumElements());
            const auto& h = phy.link()->GetEffectiveChannel(Direction::Uplink, phy.GnbElements(), *sending.weights[i],
                                                            sending.centresHz);
            gains.resize(ues.size() * h.size());
            std::ranges::copy(h, gains.begin() + static_cast<std::ptrdiff_t>(i * h.size()));
        }
    }
    gains.resize(ues.size() * ports * sending.centresHz.size()); // all have left the cell
    return gains;
}

void AnalogTransfers::PutOnAir(std::uint64_t slot) {
    const Sending& sending = *std::ranges::find(m_sendings, slot, &Sending::slot);
    const auto& ues = sending.transfer->wish.senders;
    const double powerW = WattOfDbm(m_carrier.settings.uePowerDbm) / m_carrier.PrbsOf(sending.groups);
    for (std::size_t i = 0; i < ues.size(); ++i) {
        if (sending.weights[i] && m_links.Has(ues[i])) {
            m_links.PutOnAir(slot, ues[i], *sending.weights[i], sending.groups, powerW);
        }
    }
}

void AnalogTransfers::Receive(std::uint64_t slot) {
    Sending& sending = *std::ranges::find(m_sendings, slot, &Sending::slot);
    Transfer& transfer = *sending.transfer;
    AnalogOutcome& outcome = transfer.outcome;
    const auto startNs = m_carrier.numerology.SlotStartNs(static_cast<std::int64_t>(slot));
    outcome.beginNs = outcome.blocks.empty() ? startNs : outcome.beginNs;
    outcome.noiseW = m_carrier.noiseUpW / 12;
    outcome.noiseFigureDb = m_carrier.settings.gnbNoiseDb;
    outcome.powerW = WattOfDbm(m_carrier.settings.uePowerDbm);
    std::optional<std::uint32_t> heard;
    for (std::size_t i = 0; i < sending.weights.size(); ++i) {
        const std::uint32_t ue = transfer.wish.senders[i];
        if (sending.weights[i] && m_links.Has(ue)) {
            heard = ue;
            m_energy.SendAnalog(ue, slot);
        }
    }
    m_rise.assign(m_carrier.offsetsHz.size(), 1);
    if (heard) {
        m_links.HearUp(*heard, slot, sending.groups, m_rise);
    }
    const std::uint32_t elements = m_carrier.DataElements(1, sending.symbols);
    for (const auto group : sending.groups) {
        const unsigned prbs = m_carrier.PrbsOf(group);
        for (unsigned i = 0; i < prbs; ++i) {
            const float rise = m_rise[group * m_carrier.samplesPerGroup + i * m_carrier.samplesPerGroup / prbs];
            outcome.blocks.push_back({.startNs = startNs,
                                      .prb = group * m_carrier.prbsPerGroup + i,
                                      .elements = elements,
                                      .interferenceW = (static_cast<double>(rise) - 1) * outcome.noiseW});
        }
    }
    transfer.gains.push_back(Gains(sending));
    transfer.known.push_back(std::move(sending.known));
    transfer.blocks.push_back(sending.centresHz.size());
}

void AnalogTransfers::HandUp(std::uint64_t slot) {
    const auto sending = std::ranges::find(m_sendings, slot - 1 - m_carrier.settings.gnbDelay, &Sending::slot);
    const auto transfer = sending->transfer;
    m_sendings.erase(sending);
    transfer->outcome.endNs = m_carrier.numerology.SlotStartNs(static_cast<std::int64_t>(slot));
    if (--transfer->slots == 0 && transfer->over) {
        End(*transfer);
    }
}

void AnalogTransfers::End(Transfer& transfer) {
    AnalogOutcome& outcome = transfer.outcome;
    const std::size_t blocks = outcome.blocks.size(), rows = transfer.wish.senders.size() * outcome.numPorts;
    if (transfer.cancelled) {
        outcome = {};
    } else {
        for (const auto& [slots, all] :
             {std::pair(&transfer.gains, &outcome.gains), std::pair(&transfer.known, &outcome.known)}) {
            all->resize(rows * blocks);
            for (std::size_t row = 0; row < rows; ++row) {
                auto to = all->begin() + static_cast<std::ptrdiff_t>(row * blocks);
                for (std::size_t s = 0; s < slots->size(); ++s) {
                    const std::size_t count = transfer.blocks[s];
                    to = std::copy_n((*slots)[s].begin() + static_cast<std::ptrdiff_t>(row * count), count, to);
                }
            }
        }
    }
    NS_LOG_INFO("transfer " << transfer.number << " has ended with " << outcome.blocks.size() << " blocks");
    transfer.wish.done(std::move(outcome));
}

} // namespace edgelam::nr
