// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Discontinuous reception against timers counted slot by slot, and the energy of radios against sums by hand.

#include <cmath>
#include <map>
#include <random>

#include "nr-cell-testbed.h"
#include "nr-drx.h"
#include "nr-power-model.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

const Settings street{.deployment = "UMi", .los = "Always", .frequency = 3.5e9};
constexpr double ue_unit_w = 3e-3, gnb_unit_w = 4; // the defaults

std::pair<std::string, ns3::Ptr<ns3::AttributeValue>> Ms(const std::string& name, unsigned ms) {
    return {name, ns3::Create<ns3::TimeValue>(ns3::MilliSeconds(ms))};
}

/// TS 38.321 5.7, timer by timer: each is counted down at the end of each slot.
struct CountedTimers {
    CountedTimers(const DrxTimes& made, std::uint64_t first) : times(made), offset(first) {}

    void Begin(std::uint64_t slot) {
        const bool isShort =
            shortTimer > 0 && (slot + times.shortCycle - offset % times.shortCycle) % times.shortCycle == 0;
        if (isShort || (slot + times.cycle - offset) % times.cycle == 0) {
            onDuration = times.onDuration;
        }
    }
    bool Active() const {
        bool retransmission = false;
        for (const auto& [harq, each] : waits) {
            retransmission |= each.first == 0 && each.second > 0;
        }
        return onDuration > 0 || inactivity > 0 || requested || retransmission;
    }
    void End() {
        onDuration -= onDuration > 0;
        shortTimer -= shortTimer > 0;
        if (granted || inactivity > 0) {
            inactivity = granted ? times.inactivity : inactivity - 1;
            shortTimer = inactivity == 0 ? times.shortTime : shortTimer;
        }
        granted = false;
        for (auto& [harq, each] : waits) {
            if (each.first > 0) {
                --each.first;
            } else if (each.second > 0) {
                --each.second;
            }
        }
    }

    DrxTimes times;
    std::uint64_t offset, onDuration = 0, inactivity = 0, shortTimer = 0;
    bool requested = false, granted = false;
    std::map<unsigned, std::pair<std::uint64_t, std::uint64_t>>
        waits; ///< [HARQ process] slots until, and of, its timer
};

void TimersOfDrx(Case& test) {
    std::mt19937 random(5);
    const auto upTo = [&](unsigned most) { return static_cast<unsigned>(random() % (most + 1)); };
    for (const bool shortCycle : {false, true}) {
        for (int run = 0; run < 30; ++run) {
            DrxSettings settings;
            settings.drxCycle = ns3::MilliSeconds(run % 2 == 0 ? 40 : 160);
            settings.drxOnDuration = ns3::MilliSeconds(1 + upTo(4));
            settings.drxInactivity = ns3::MilliSeconds(run % 3 == 0 ? 0 : 10);
            settings.drxRetransmission = run % 5 == 0 ? 0 : 8;
            settings.drxShortCycle = ns3::MilliSeconds(shortCycle ? 10 : 0);
            settings.drxShortCycles = 3;
            settings.CheckDrx();
            const DrxTimes times(settings, Numerology(1), 1);
            const std::uint64_t offset = 2 * upTo(10);
            Drx drx(times, offset);
            CountedTimers counted(times, offset);
            for (std::uint64_t slot = 0; slot < 4000; ++slot) {
                counted.Begin(slot);
                const bool active = counted.Active();
                if (drx.Active(slot) != active) {
                    test.True(false, "slot " + std::to_string(slot) + " of run " + std::to_string(run));
                    return;
                }
                test.True(!active || drx.NextActive(slot) == slot, "now");
                const unsigned harq = upTo(3);
                if (active && upTo(99) < 4) {
                    const bool fresh = upTo(1) == 0;
                    drx.Grant(slot, Direction::Uplink, harq, fresh);
                    counted.granted = fresh;
                    counted.requested = false;
                    counted.waits.erase(harq);
                }
                if (upTo(999) < 2) {
                    drx.Request(slot);
                    counted.requested = true; // the rest of the slot does not count
                    if (!active) {
                        test.True(drx.Active(slot), "awake at once");
                    }
                }
                if (active && upTo(99) < 3 && times.retransmission > 0 && !counted.waits.contains(harq + 10)) {
                    drx.AwaitRetransmission(slot, Direction::Downlink, harq, slot);
                    counted.waits[harq + 10] = {times.roundTrip, times.retransmission};
                }
                counted.End();
                std::erase_if(counted.waits, [](const auto& each) { return each.second.second == 0; });
                if (slot % 64 == 0) {
                    drx.Forget(slot + 1);
                }
            }
            const std::uint64_t last = 4000;
            std::uint64_t next = last;
            while (!drx.Active(next)) {
                ++next;
            }
            test.True(drx.NextActive(last) == next, "the next active slot");
        }
    }
}

/// TR 38.840 tables 18 to 20 and clause 8.1.3; TR 38.864 tables 5.1-3 to 5.1-5.
void PowersOfTheReports(Case& test) {
    const auto near = [&](double actual, double expected, const std::string& what) {
        test.True(std::abs(actual - expected) < 1e-9 * std::max(1.0, expected), what + ": " + std::to_string(actual));
    };
    const UePowerModel wide(FrequencyRange::Fr1, 100e6, 4), narrow(FrequencyRange::Fr1, 20e6, 4),
        two(FrequencyRange::Fr1, 100e6, 2), small(FrequencyRange::Fr1, 10e6, 1), high(FrequencyRange::Fr2_1, 400e6, 4);
    near(wide.control, 100, "PDCCH");
    near(wide.data, 300, "PDSCH");
    near(narrow.data, 120, "PDSCH in 20 MHz");
    near(narrow.control, 50, "PDCCH takes at least this");
    near(two.data, 210, "2 antennas");
    near(small.data, 50, "1 antenna in 10 MHz: no less than listening");
    near(high.control, 175, "FR2, PDCCH");
    near(high.data, 350, "FR2, PDSCH");
    near(high.Long(23, 1), 350, "FR2, PUSCH");
    near(wide.Long(0, 1), 250, "PUSCH at 0 dBm");
    near(wide.Long(-20, 1), 250, "PUSCH below");
    near(wide.Long(23, 1), 700, "PUSCH at 23 dBm");
    test.True(std::abs(wide.Long(10, 1) - (250 + 2.267 * 9)) < 0.01, "PUSCH at 10 dBm");
    near(wide.Long(0, 2), 350, "two chains at 0 dBm");
    near(wide.Long(23, 2), 840, "two chains at 23 dBm");
    near(wide.Short(23), 210, "short PUCCH");
    for (const auto& [ms, state] : {std::pair(5.9, SleepState::Micro), std::pair(6.0, SleepState::Light),
                                    std::pair(19.9, SleepState::Light), std::pair(20.0, SleepState::Deep)}) {
        test.True(UePowerModel::DeepestFor(ms) == state, "sleep of " + std::to_string(ms) + " ms");
    }
    PowerSettings settings;
    const GnbPowerModel large(settings, FrequencyRange::Fr1, false, 64, 55),
        half(settings, FrequencyRange::Fr1, false, 32, 49);
    near(large.Down(1), 280, "set 1 sends");
    near(large.Down(0), 55 + 0.4 * 225, "set 1 sends nothing");
    near(large.Up(), 110, "set 1 receives");
    near(half.Down(1), 55 + 0.5 * 225 * (0.4 + 0.6 * std::pow(10, -0.6) / 0.5), "half of the transceivers, 6 dB less");
    near(half.Up(), 55 + 0.5 * 55, "half of the transceivers receive");
    settings.gnbCategory = 2;
    near(GnbPowerModel(settings, FrequencyRange::Fr1, true, 32, 49).Down(1), 26, "set 2, category 2");
    near(GnbPowerModel(settings, FrequencyRange::Fr2_1, false, 2, 33).Down(1), 17.6, "set 3, category 2");
    near(GnbPowerModel(settings, FrequencyRange::Fr2_1, false, 2, 33).Of(SleepState::Deep).leastMs, 10000, "10 s");
}

/// A cell whose power trace is kept.
struct PowerBed : CellTestbed {
    PowerBed(const Settings& settings, const Attributes& attributes) : CellTestbed(settings, attributes) {
        cell->TraceConnectWithoutContext("Power", ns3::MakeCallback(&PowerBed::Note, this));
    }
    void Note(const PowerRecord& record) { power.push_back(record); }
    std::vector<PowerRecord> power;
};

double Total(const ns3::Ptr<Cell>& cell, std::uint32_t ue) {
    return cell->UeJoules(ue, Direction::Downlink) + cell->UeJoules(ue, Direction::Uplink);
}

/// A UE that has nothing to do listens in 4 of 5 slots; asleep, it listens for 8 of 160 ms.
void IdleUe(Case& test) {
    for (const bool traced : {false, true}) {
        for (const unsigned mu : {0u, 1u, 2u}) {
            const Attributes attributes{Set("Numerology", mu), Set("Bandwidth", 40e6)};
            const auto bed = traced ? std::make_unique<PowerBed>(street, attributes)
                                    : std::make_unique<CellTestbed>(street, attributes);
            bed->Add({40, 10, 1.5});
            bed->Run(1);
            const double expected = ue_unit_w * (4 * 55 + 45) / 5; // 40 MHz: 0.55 of 100
            test.True(std::abs(Total(bed->cell, 0) - expected) < 1e-9, "idle: " + std::to_string(Total(bed->cell, 0)));
        }
    }
    CellTestbed bed(street, {Ms("DrxCycle", 160)});
    bed.Add({40, 10, 1.5});
    bed.Run(1.6);
    // 16 slots of DDDSU from slots 0, 320, ... on, which are multiples of 5; then deep sleep for 152 ms.
    const double listening = (13 * 100 + 3 * 45) * 0.5, sleeping = 152 * 1 + 450;
    const double expected = 1e-3 * ue_unit_w * 10 * (listening + sleeping);
    test.True(std::abs(Total(bed.cell, 0) - expected) < 1e-9, "DRX: " + std::to_string(Total(bed.cell, 0)));
}

/// Every slot of a busy UE again, from the trace of blocks and from when it asks and answers.
void BusyUe(Case& test) {
    for (const char* pattern : {"DDDSU", "FDD"}) {
        PowerBed bed(street, {Set("Pattern", std::string(pattern)), Set("UePower", 23.)});
        bed.Add({60, 10, 1.5}, {0, 10, 0});
        bed.Add({80, -20, 1.5}, {0, -10, 0});
        bed.Fill(false, 1500, 300'000);
        bed.Fill(true, 1500, 100'000);
        bed.Run(0.2);
        const auto slots = static_cast<std::uint64_t>(0.2 / 0.5e-3);
        for (std::uint32_t ue = 0; ue < 2; ++ue) {
            const double total = Total(bed.cell, ue), down = bed.cell->UeJoules(ue, Direction::Downlink);
            double traced = 0, tracedDown = 0;
            std::uint64_t next = 0;
            std::map<std::uint64_t, PowerRecord> each;
            for (const auto& record : bed.power) {
                if (record.ue == static_cast<std::int32_t>(ue)) {
                    test.True(record.slot == next, "no gap in the trace");
                    next = record.slot + record.slots;
                    tracedDown += record.down_j;
                    traced += record.down_j + record.up_j;
                    each[record.slot] = record;
                }
            }
            test.True(next == slots, "to the end");
            test.True(std::abs(traced - total) < 1e-9 && std::abs(tracedDown - down) < 1e-9, "trace and total");
            std::map<std::uint64_t, double> sends;
            std::map<std::uint64_t, bool> receives;
            for (const auto& block : bed.blocks) {
                if (block.ue == ue && block.uplink != 0) {
                    sends[block.slot] = block.prbs;
                } else if (block.ue == ue) {
                    receives[block.slot] = true;
                }
            }
            std::size_t both = 0;
            for (std::uint64_t slot = 0; slot < slots; ++slot) {
                const bool fdd = pattern[0] == 'F', listens = fdd || slot % 5 != 4;
                const double receiving = receives.contains(slot) ? 300 : listens ? 100 : 45;
                const double power = each[slot].power_w / ue_unit_w;
                if (!sends.contains(slot) && each[slot].uplink == 0) {
                    test.True(std::abs(power - receiving) < 1e-9, "a slot without uplink");
                } else if (sends.contains(slot)) {
                    const double base = listens ? receiving - 45 : 0;
                    test.True(each[slot].uplink == 2 && power >= base + 250 - 1e-9 && power <= base + 700 + 1e-9,
                              "a slot with a block: " + std::to_string(power));
                    both += receives.contains(slot);
                } else {
                    const double base = listens ? receiving - 45 : 0;
                    test.True(power >= base + 75 - 1e-9 && power <= base + 210 + 1e-9, "a slot with short PUCCH");
                }
            }
            test.True((both > 0) == (pattern[0] == 'F'), "both directions in a slot");
        }
    }
}

/// A downlink packet waits for the on-duration, an uplink packet wakes the UE; grants are in active time only.
void DrxDelays(Case& test) {
    PowerBed bed(street, {Ms("DrxCycle", 160), Ms("DrxInactivity", 10), Ms("DrxOnDuration", 4)});
    bed.Add({60, 10, 1.5});
    bed.Add({60, -10, 1.5}); // its cycle begins 4 ms later
    for (const double ms : {50.25, 500.25, 900.25}) {
        ns3::Simulator::Schedule(ns3::Seconds(ms * 1e-3), [&bed] {
            bed.cell->SendDown(0, ns3::Create<ns3::Packet>(500));
            bed.cell->SendDown(1, ns3::Create<ns3::Packet>(500));
        });
    }
    ns3::Simulator::Schedule(ns3::Seconds(0.3502), [&bed] { bed.cell->SendUp(0, ns3::Create<ns3::Packet>(100)); });
    bed.Run(1.2);
    bed.cell->AccountForEnergy();
    const double cycleMs = 160;
    std::size_t i = 0;
    for (const double ms : {50.25, 500.25, 900.25}) {
        for (const std::uint32_t ue : {0u, 1u}) {
            const double begins = std::ceil((ms - 4.0 * ue) / cycleMs) * cycleMs + 4 * ue;
            const double arrived = 1e-6 * static_cast<double>(bed.down.timesNs[ue].at(i));
            test.True(arrived >= begins && arrived < begins + 4, "in the on-duration: " + std::to_string(arrived));
        }
        ++i;
    }
    const double up = 1e-6 * static_cast<double>(bed.up.timesNs[0].at(0));
    test.True(up < 360, "a packet to send wakes the UE: " + std::to_string(up));
    std::map<std::uint64_t, std::uint8_t> states;
    std::size_t deep = 0;
    for (const auto& record : bed.power) {
        if (record.ue == 0) {
            deep += record.state == PowerRecord::deep_sleep;
            for (std::uint64_t slot = record.slot; slot < record.slot + record.slots; ++slot) {
                states[slot] = record.state;
            }
        }
    }
    test.True(deep > 3, "deep sleep between");
    for (const auto& block : bed.blocks) {
        if (block.ue == 0 && block.uplink == 0) {
            test.True(states[block.slot] == PowerRecord::data, "awake");
        }
    }
    // Full buffers: DRX changes nothing once the inactivity timer runs.
    std::array<std::uint64_t, 2> bytes{};
    for (const bool drx : {false, true}) {
        CellTestbed full(street, drx ? Attributes{Ms("DrxCycle", 160)} : Attributes{});
        full.Add({60, 10, 1.5});
        full.Fill(false);
        full.Fill(true);
        full.Run(0.5);
        bytes[drx ? 1 : 0] = full.down.bytes[0] + full.up.bytes[0];
    }
    test.True(bytes[0] == bytes[1], "full buffers");
}

/// The gNB's energy of a few slots by hand.
void Gnb(Case& test) {
    PowerBed bed(street, {Set("GnbPower", 44.)});
    bed.Add({60, 10, 1.5});
    ns3::Simulator::Schedule(ns3::MilliSeconds(10), [&bed] { bed.cell->SendDown(0, ns3::Create<ns3::Packet>(200)); });
    bed.Run(0.1);
    const double total = bed.cell->GnbJoules(Direction::Downlink), up = bed.cell->GnbJoules(Direction::Uplink);
    double sends = 0, traced = 0;
    std::uint64_t shorts = 0;
    for (const auto& record : bed.power) {
        if (record.ue < 0) {
            traced += record.down_j + record.up_j;
            shorts += record.uplink == 1 ? record.slots : 0;
        }
    }
    test.True(bed.blocks.size() == 2, "the packet, and the report that it has come");
    for (const auto& block : bed.blocks) {
        const double active = 32. / 64, part = std::pow(10, -1.1) / active * block.prbs / 273;
        if (block.uplink == 0) {
            const double symbols = block.slot % 5 == 3 ? 10 : 14;
            sends += active * 225 * (0.4 + 0.6 * part) * symbols / 14;
        }
    }
    test.True(std::abs(traced - total - up) < 1e-9, "trace and total");
    const double expected = 1e-3 * gnb_unit_w * (55 * 100 + 0.5 * sends);
    test.True(total >= expected - 1e-9 && total < expected + 1e-3 * gnb_unit_w * 3 * 0.5 * 45,
              "downlink, and some grants");
    test.True(up > 1e-3 * gnb_unit_w * 0.5 * 27.5 && shorts > 0, "uplink");
}

void GnbSleep(Case& test) {
    for (const auto& [sleep, units] : {std::pair("micro", 55. * 1000), std::pair("light", 55. * 6 + 25. * 994 + 90),
                                       std::pair("deep", 55. * 6 + 25. * 44 + 90 + 950. + 1000)}) {
        CellTestbed idle(street, {Set("GnbSleep", std::string(sleep))});
        idle.Add({60, 10, 1.5});
        idle.Run(0.5);
        idle.cell->AccountForEnergy(); // in two parts
        idle.Run(0.5);
        const double joules = idle.cell->GnbJoules(Direction::Downlink);
        test.True(std::abs(joules - 1e-3 * gnb_unit_w * units) < 1e-9,
                  std::string(sleep) + ": " + std::to_string(joules));
    }
}

void Refused(Case& test) {
    const auto refuses = [&](const Attributes& attributes, const std::vector<std::string>& texts) {
        test.Refuses([&] { CellTestbed bed(street, attributes); }, texts, texts[0]);
    };
    refuses({Ms("DrxCycle", 15)}, {"DrxCycle 15 ms", "10, 20, 32", "10240"});
    refuses({Ms("DrxCycle", 160), Ms("DrxOnDuration", 7)}, {"DrxOnDuration 7 ms", "1, 2, 3, 4, 5, 6, 8"});
    refuses({Ms("DrxCycle", 160), Ms("DrxInactivity", 7)}, {"DrxInactivity 7 ms", "2560"});
    refuses({Ms("DrxCycle", 10), Ms("DrxOnDuration", 20)}, {"DrxOnDuration 20 ms", "at most a cycle, 10 ms"});
    refuses({Ms("DrxCycle", 160), Ms("DrxShortCycle", 30)}, {"DrxShortCycle 30 ms", "160 ms, is a multiple"});
    refuses({Ms("DrxCycle", 160), Ms("DrxShortCycle", 9)}, {"DrxShortCycle 9 ms", "640"});
    refuses({Ms("DrxShortCycle", 10)}, {"DrxShortCycle 10 ms", "DrxCycle"});
    refuses({Ms("DrxCycle", 160), Set("DrxRetransmission", 5u)}, {"DrxRetransmission 5", "0, 1, 2, 4"});
    refuses({Set("GnbSleep", std::string("off"))}, {"GnbSleep 'off'", "micro, light, deep"});
}

CaseSuite energyTestSuite("edgelam-nr-energy", {{"timers of DRX", TimersOfDrx},
                                                {"powers of the reports", PowersOfTheReports},
                                                {"idle UE", IdleUe},
                                                {"busy UE", BusyUe},
                                                {"delays of DRX", DrxDelays},
                                                {"gNB", Gnb},
                                                {"sleep of a gNB", GnbSleep},
                                                {"refused", Refused}});

} // namespace
