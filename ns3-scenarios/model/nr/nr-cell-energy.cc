// SPDX-License-Identifier: GPL-2.0-only
// The attributes of a cell for discontinuous reception and for the energy of the radio, and what it tells of that.
#include <stdexcept>
#include <string>

#include "ns3/double.h"
#include "ns3/nstime.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/trace-source-accessor.h"
#include "ns3/uinteger.h"

#include "nr-cell.h"

namespace edgelam::nr {

ns3::TypeId Cell::AddEnergy(ns3::TypeId tid) {
    using namespace ns3;
    // A setting as a member of the cell, for accessors.
    const auto of = []<class T, class C>(T C::* member) { return static_cast<T Cell::*>(member); };
    const auto time = MakeTimeChecker(MilliSeconds(0), MilliSeconds(10240));
    return tid
        .AddAttribute("DrxCycle",
                      "Discontinuous reception: drx-LongCycle of TS 38.331, 10 ms to 10.24 s; 0: UEs always listen.",
                      TimeValue(DrxSettings{}.drxCycle), MakeTimeAccessor(of(&CellSettings::drxCycle)), time)
        .AddAttribute("DrxOnDuration", "drx-onDurationTimer: a UE listens for this time in each cycle.",
                      TimeValue(DrxSettings{}.drxOnDuration), MakeTimeAccessor(of(&CellSettings::drxOnDuration)), time)
        .AddAttribute("DrxInactivity", "drx-InactivityTimer: a UE goes on listening after a grant of a new block.",
                      TimeValue(DrxSettings{}.drxInactivity), MakeTimeAccessor(of(&CellSettings::drxInactivity)), time)
        .AddAttribute("DrxShortCycle", "drx-ShortCycle, which holds after the inactivity timer; 0: none.",
                      TimeValue(DrxSettings{}.drxShortCycle), MakeTimeAccessor(of(&CellSettings::drxShortCycle)), time)
        .AddAttribute("DrxShortCycles", "drx-ShortCycleTimer: short cycles until the long cycle holds again.",
                      UintegerValue(DrxSettings{}.drxShortCycles),
                      MakeUintegerAccessor(of(&CellSettings::drxShortCycles)), MakeUintegerChecker<unsigned>(1, 16))
        .AddAttribute("DrxRetransmission",
                      "drx-RetransmissionTimerDL and UL: slots in which a UE listens for a grant of a retransmission.",
                      UintegerValue(DrxSettings{}.drxRetransmission),
                      MakeUintegerAccessor(of(&CellSettings::drxRetransmission)), MakeUintegerChecker<unsigned>(0, 320))
        .AddAttribute("UePowerUnit", "Power of one unit of TR 38.840 (a UE in deep sleep takes one), W.",
                      DoubleValue(PowerSettings{}.uePowerUnitW), MakeDoubleAccessor(of(&CellSettings::uePowerUnitW)),
                      MakeDoubleChecker<double>(0, 1))
        .AddAttribute("GnbPowerUnit", "Power of one unit of TR 38.864 (a gNB in deep sleep takes one), W.",
                      DoubleValue(PowerSettings{}.gnbPowerUnitW), MakeDoubleAccessor(of(&CellSettings::gnbPowerUnitW)),
                      MakeDoubleChecker<double>(0, 1000))
        .AddAttribute("GnbCategory", "Category of the gNB in TR 38.864 5.1: 1 or 2.",
                      UintegerValue(PowerSettings{}.gnbCategory), MakeUintegerAccessor(of(&CellSettings::gnbCategory)),
                      MakeUintegerChecker<unsigned>(1, 2))
        .AddAttribute("GnbSleep", "The deepest sleep of a gNB that has nothing to do: micro, light or deep.",
                      StringValue(PowerSettings{}.gnbSleep), MakeStringAccessor(of(&CellSettings::gnbSleep)),
                      MakeStringChecker())
        .AddTraceSource("Power", "The power of the radio of each UE and of the gNB, in stretches of slots.",
                        MakeTraceSourceAccessor(&Cell::m_powerTrace), "edgelam::nr::Cell::PowerCallback");
}

void Cell::AccountForEnergy() {
    CheckSet("energy");
    m_energy->Advance(static_cast<std::uint64_t>(m_carrier->numerology.SlotAt(ns3::Simulator::Now().GetNanoSeconds())));
}

void Cell::Forget(std::uint32_t ue, std::uint64_t slot) {
    m_energy->RemoveUe(ue, slot);
}

void Cell::SendPreamble(std::uint32_t ue, double dbm) {
    m_energy->SendPreamble(ue, m_mac->NextSlot(), dbm);
}

double Cell::UeJoules(std::uint32_t ue, Direction direction) {
    AccountForEnergy();
    if (ue >= m_links->NumNumbers()) {
        throw std::out_of_range("NR cell: UE " + std::to_string(ue) + "; legal are numbers below " +
                                std::to_string(m_links->NumNumbers()));
    }
    return m_energy->UeJoules(ue, direction);
}

double Cell::GnbJoules(Direction direction) {
    AccountForEnergy();
    return m_energy->GnbJoules(direction);
}

} // namespace edgelam::nr
