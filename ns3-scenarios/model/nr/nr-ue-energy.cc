// SPDX-License-Identifier: GPL-2.0-only
#include "nr-ue-energy.h"

#include <algorithm>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrUeEnergy");

namespace edgelam::nr {

UeEnergy::UeEnergy(const Carrier& carrier, const DrxTimes& drx, std::uint32_t ue, unsigned rxAntennas,
                   std::uint64_t slot, const Trace& trace)
    : m_carrier(carrier), m_model(carrier.range, carrier.settings.bandwidthHz, rxAntennas),
      // UEs begin their cycles one on-duration after the other, in whole ms.
      m_drx(drx, drx.cycle == 0
                     ? 0
                     : ue *
                           ((drx.onDuration + carrier.numerology.SlotsPerSubframe() - 1) /
                            carrier.numerology.SlotsPerSubframe()) %
                           (drx.cycle / carrier.numerology.SlotsPerSubframe()) * carrier.numerology.SlotsPerSubframe()),
      m_account(carrier, carrier.settings.uePowerUnitW, static_cast<std::int32_t>(ue), slot, trace), m_ue(ue) {
    for (std::size_t i = 0; i < carrier.pattern.NumSlots(); ++i) {
        const bool listens = carrier.pattern.At(static_cast<std::int64_t>(i)).downlink.count > 0;
        m_patternUnits += listens ? m_model.control : m_model.micro();
    }
}

UeEnergy::Mark& UeEnergy::At(std::uint64_t slot, std::uint64_t known) {
    auto place = m_marks.end();
    while (place != m_marks.begin() && std::prev(place)->slot >= slot) {
        --place;
    }
    if (place == m_marks.end() || place->slot != slot) {
        place = m_marks.insert(place, {slot, known});
    }
    place->known = std::min(place->known, known);
    return *place;
}

void UeEnergy::SendLong(std::uint64_t slot, double dbm, unsigned layers, std::uint64_t known) {
    Mark& mark = At(slot, known);
    mark.longUnits = std::max(mark.longUnits, m_model.Long(dbm, layers));
}

void UeEnergy::SendShort(std::uint64_t slot, double dbm, std::uint64_t known) {
    Mark& mark = At(slot, known);
    mark.shortUnits = std::max(mark.shortUnits, m_model.Short(dbm));
}

void UeEnergy::Advance(std::uint64_t end) {
    while (m_account.Next() < end) {
        const bool marked = !m_marks.empty() && m_marks.front().slot == m_account.Next();
        if (marked || m_drx.Active(m_account.Next())) {
            m_sleep.reset();
            if (marked) {
                AwakeSlot(m_marks.front());
                m_marks.pop_front();
            } else if (m_drx.Used() || ListenInPatterns((m_marks.empty() ? end : std::min(end, m_marks.front().slot)) -
                                                        m_account.Next()) == 0) {
                AwakeSlot({m_account.Next(), m_account.Next()});
            }
        } else {
            AsleepUntil(end);
        }
    }
    m_drx.Forget(m_account.Next());
}

std::uint64_t UeEnergy::ListenInPatterns(std::uint64_t slots) {
    const std::uint64_t pattern = m_carrier.plan.size();
    if (m_account.IsTraced() || slots < pattern) {
        return 0;
    }
    const std::uint64_t whole = slots - slots % pattern;
    m_account.CountSum(whole, static_cast<double>(whole / pattern) * m_patternUnits);
    return whole;
}

void UeEnergy::AwakeSlot(const Mark& mark) {
    const bool downlink = m_carrier.pattern.At(static_cast<std::int64_t>(m_account.Next())).downlink.count > 0;
    const bool listens = downlink && m_drx.Active(m_account.Next());
    const double sends = mark.longUnits > 0 ? mark.longUnits : mark.shortUnits, micro = m_model.micro();
    const double down = mark.receives ? m_model.data : listens ? m_model.control : micro;
    const auto state = mark.receives ? PowerRecord::data : listens ? PowerRecord::control : PowerRecord::micro_sleep;
    const std::uint8_t uplink = mark.longUnits > 0 ? 2 : mark.shortUnits > 0 ? 1 : 0;
    if (sends == 0) {
        m_account.Count(1, state, uplink, down, 0);
    } else if (down == micro) {
        m_account.Count(1, state, uplink, 0, sends);
    } else {
        m_account.Count(1, state, uplink, down, sends - micro);
    }
}

void UeEnergy::AsleepUntil(std::uint64_t end) {
    const std::uint64_t wakes = m_drx.NextActive(m_account.Next());
    double transition = 0;
    if (!m_sleep) {
        std::uint64_t planned = m_drx.NextActive(m_account.Next(), m_account.Next());
        for (const auto& mark : m_marks) {
            if (mark.known <= m_account.Next()) {
                planned = std::min(planned, mark.slot);
                break;
            }
        }
        m_sleep = UePowerModel::DeepestFor(static_cast<double>(planned - m_account.Next()) * m_account.SlotMs());
        transition = UePowerModel::Of(*m_sleep).transition;
        NS_LOG_LOGIC("UE " << m_ue << " sleeps from slot " << m_account.Next() << " to " << planned);
    }
    std::uint64_t until = std::min(end, wakes);
    if (!m_marks.empty()) {
        until = std::min(until, m_marks.front().slot);
    }
    m_account.Count(until - m_account.Next(), static_cast<PowerRecord::State>(*m_sleep), 0,
                    UePowerModel::Of(*m_sleep).units, 0, transition);
}

} // namespace edgelam::nr
