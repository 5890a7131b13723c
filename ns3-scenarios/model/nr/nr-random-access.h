// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Random access (TS 38.321 5.1) to one cell: preamble occasions, preambles that are not heard or collide, power
/// ramping, backoff.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "ns3/event-id.h"
#include "ns3/nstime.h"
#include "ns3/random-variable-stream.h"

namespace edgelam::nr {

/// Names of TS 38.331 6.3.2 (RACH-ConfigGeneric, RACH-ConfigCommon) and defaults that are common there.
struct RandomAccessSettings {
    ns3::Time period = ns3::MilliSeconds(10);         ///< of preamble occasions (prach-ConfigurationIndex)
    ns3::Time responseWindow = ns3::MilliSeconds(10); ///< ra-ResponseWindow
    ns3::Time contention = ns3::MilliSeconds(64);     ///< ra-ContentionResolutionTimer
    ns3::Time backoff = ns3::MilliSeconds(20);        ///< largest, after a collision
    unsigned preambles = 54;  ///< of 64, those for contention; the others are given to one UE each (handover)
    double targetDbm = -104;  ///< preambleReceivedTargetPower
    double rampingStepDb = 2; ///< powerRampingStep
    /// Throws std::invalid_argument naming the value and what is legal.
    void Check() const;
};

/// What random access needs of a cell.
struct RandomAccessCarrier {
    double subcarrierHz = 30e3, noiseFigureDb = 5, uePowerDbm = 23;
    ns3::Time responseDelay;   ///< from an occasion until the UE has the response
    ns3::Time contentionDelay; ///< from the response until the UE knows that nobody else has its preamble
    /// The first uplink slot that begins at or after this time.
    std::function<ns3::Time(ns3::Time)> uplinkFrom;
    /// Called when a UE sends a preamble with this power; empty: nobody asks.
    std::function<void(std::uint32_t ue, double dbm)> sent = {};
};

/// A preamble is a sequence of 139 (format A2, 4 symbols), detected by its energy with a false alarm in 0.1 % of the
/// occasions (TS 38.104 8.4.1.1); an implementation needs `margin_db` more. If it is not heard within the response
/// window, the UE sends another one with more power in the next occasion. Preambles for contention are drawn; two UEs
/// with the same one in the same occasion both fail, as if the gNB never resolved their contention, and try again after
/// a backoff. A UE goes on until it succeeds or is stopped: T304 or T301 end it, as in TS 38.331.
///
/// Simplified: the response and what follows it have fixed times and are not lost; preambles meet no interference.
class RandomAccessChannel {
  public:
    /// \param random decides what is heard, preambles and backoff
    RandomAccessChannel(const RandomAccessSettings& settings, RandomAccessCarrier carrier,
                        ns3::Ptr<ns3::UniformRandomVariable> random);
    ~RandomAccessChannel();
    RandomAccessChannel(const RandomAccessChannel&) = delete;
    RandomAccessChannel& operator=(const RandomAccessChannel&) = delete;

    using LossDb = std::function<double()>;
    using Done = std::function<void(unsigned attempts)>;
    /// Begin the procedure of a UE that has none here.
    /// \param dedicated the UE has a preamble of its own
    /// \param lossDb between the UE and the gNB, antennas included, at the time of the call
    /// \param done called once it has succeeded
    void Start(std::uint32_t ue, bool dedicated, LossDb lossDb, Done done);
    /// End the procedure of a UE, if it has one.
    void Stop(std::uint32_t ue);
    bool Runs(std::uint32_t ue) const { return m_procedures.contains(ue); }

    /// The first occasion at or after a time.
    ns3::Time NextOccasion(ns3::Time from) const;
    /// Power with which attempt 1, 2, ... arrives at the gNB, dBm (TS 38.213 7.4).
    double ReceivedDbm(double lossDb, unsigned attempt) const;
    /// Probability that the gNB misses a preamble that arrives with this power.
    double Loss(double receivedDbm) const;

  private:
    struct Procedure {
        bool dedicated = false;
        unsigned attempts = 0;
        LossDb lossDb;
        Done done;
        ns3::EventId next; ///< a later attempt, or success
    };
    /// Let a UE send in the first occasion at or after a time.
    void Wait(std::uint32_t ue, ns3::Time from);
    void Occasion();
    void Succeed(std::uint32_t ue);

    RandomAccessSettings m_settings;
    RandomAccessCarrier m_carrier;
    ns3::Ptr<ns3::UniformRandomVariable> m_random;
    std::map<std::uint32_t, Procedure> m_procedures;           ///< by UE
    std::map<ns3::Time, std::vector<std::uint32_t>> m_waiting; ///< UEs by occasion
    ns3::EventId m_event;
};

} // namespace edgelam::nr
