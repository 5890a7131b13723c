// SPDX-License-Identifier: GPL-2.0-only
#include "nr-event-a3.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>
#include <stdexcept>
#include <string>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrEventA3");

namespace edgelam::nr {

namespace {

constexpr std::array<std::uint32_t, 16> times_to_trigger_ms{0,   40,  64,  80,  100,  128,  160,  256,
                                                            320, 480, 512, 640, 1024, 1280, 2560, 5120};
constexpr double most_off_db = 15, most_hysteresis_db = 15, most_cell_db = 24; ///< TS 38.331 6.3.2
constexpr double fr2_hz = 24.25e9;

void CheckRange(const char* name, double value, double smallest, double largest) {
    if (!(value >= smallest && value <= largest)) { // nor NaN
        std::ostringstream text;
        text << "event A3: " << name << " " << value << " dB; legal are " << smallest << " to " << largest << " dB";
        throw std::invalid_argument(text.str());
    }
}

} // namespace

double FilterWeight(unsigned coefficient, ns3::Time period, ns3::Time definedFor) {
    const double a = std::exp2(-0.25 * coefficient);
    return 1 - std::pow(1 - a, period.GetSeconds() / definedFor.GetSeconds());
}

ns3::Time FilterPeriod(double carrierHz) {
    return ns3::MilliSeconds(carrierHz < fr2_hz ? 200 : 480);
}

double Layer3Filter::Empty() {
    return std::nan("");
}

double Layer3Filter::Add(double measurementDb, double weight) {
    m_valueDb = std::isnan(m_valueDb) ? measurementDb : m_valueDb + weight * (measurementDb - m_valueDb);
    return m_valueDb;
}

std::span<const std::uint32_t> TimesToTrigger() {
    return times_to_trigger_ms;
}

void EventA3Settings::Check() const {
    CheckRange("offset", offDb, -most_off_db, most_off_db);
    CheckRange("hysteresis", hysteresisDb, 0, most_hysteresis_db);
    CheckRange("cell individual offset", cellDb, -most_cell_db, most_cell_db);
    CheckRange("cell individual offset of the serving cell", servingDb, -most_cell_db, most_cell_db);
    CheckRange("frequency offset", frequencyDb, -most_cell_db, most_cell_db);
    CheckRange("frequency offset of the serving cell", servingFreqDb, -most_cell_db, most_cell_db);
    const auto legal = [this](std::uint32_t ms) { return timeToTrigger == ns3::MilliSeconds(ms); };
    if (std::ranges::none_of(times_to_trigger_ms, legal)) {
        std::ostringstream text;
        text << "event A3: time-to-trigger " << timeToTrigger.As(ns3::Time::MS) << "; legal are";
        for (const auto ms : times_to_trigger_ms) {
            text << (ms == 0 ? " " : ", ") << ms;
        }
        throw std::invalid_argument(text.str() + " ms (TS 38.331 TimeToTrigger)");
    }
}

void EventA3::Reset() {
    std::ranges::fill(m_cells, Towards{});
    m_triggered.clear();
}

bool EventA3::Evaluate(ns3::Time now, std::span<const double> dbm, std::uint32_t serving,
                       std::span<const EventA3Settings> settings) {
    bool entered = false;
    m_triggered.clear();
    for (std::uint32_t cell = 0; cell < m_cells.size(); ++cell) {
        if (cell == serving) {
            continue;
        }
        Towards& each = m_cells[cell];
        const double betterDb = dbm[cell] - dbm[serving];
        const bool changes = each.triggered ? betterDb < settings[cell].LeaveDb() : betterDb > settings[cell].EnterDb();
        each.since = changes ? std::min(each.since, now) : ns3::Time::Max();
        if (changes && now - each.since >= settings[cell].timeToTrigger) {
            each.triggered = !each.triggered;
            each.since = ns3::Time::Max();
            entered = entered || each.triggered;
            NS_LOG_LOGIC("cell " << cell << ", " << betterDb << " dB over cell " << serving
                                 << (each.triggered ? ": A3 entered" : ": A3 left"));
        }
        if (each.triggered) {
            m_triggered.push_back(cell);
        }
    }
    return entered;
}

} // namespace edgelam::nr
