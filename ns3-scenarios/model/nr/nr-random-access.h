// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Random access (TS 38.321 5.1) to one cell, in four messages: preamble, response, message 3, contention resolution.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "ns3/event-id.h"
#include "ns3/nstime.h"
#include "ns3/random-variable-stream.h"

namespace edgelam::nr {

/// Names of TS 38.331 6.3.2 (RACH-ConfigGeneric, RACH-ConfigCommon) and defaults that are common there.
struct RandomAccessSettings {
    ns3::Time period = ns3::MilliSeconds(10);         ///< of preamble occasions (prach-ConfigurationIndex)
    ns3::Time responseWindow = ns3::MilliSeconds(10); ///< ra-ResponseWindow
    ns3::Time contention = ns3::MilliSeconds(64);     ///< ra-ContentionResolutionTimer, after each message 3
    ns3::Time backoff = ns3::MilliSeconds(20);        ///< backoff indicator of the responses (TS 38.321 table 7.2-1)
    unsigned preambles = 54;     ///< of 64, those for contention; the others are given to one UE each (handover)
    unsigned transmissions = 10; ///< preambleTransMax
    unsigned thirdMessages = 4;  ///< transmissions of message 3, and of message 4, before the gNB gives up
    double targetDbm = -104;     ///< preambleReceivedTargetPower
    double rampingStepDb = 2;    ///< powerRampingStep
    /// Throws std::invalid_argument naming the value and what is legal.
    void Check() const;
};

/// What random access needs of a cell.
struct RandomAccessCarrier {
    double subcarrierHz = 30e3, noiseFigureDb = 5, uePowerDbm = 23;
    double subcarrierDbm = 0, ueNoiseFigureDb = 9; ///< power of a subcarrier that the gNB sends
    ns3::Time responseDelay; ///< from the beginning of what a UE sends until it has the gNB's answer
    ns3::Time grantDelay;    ///< from a response, or the grant for another transmission, to message 3
    /// The first uplink slot that begins at or after this time.
    std::function<ns3::Time(ns3::Time)> uplinkFrom;
    /// Probability that a message of so many bits is lost at this SNR (linear): to the UE, with its PDCCH; to the gNB.
    std::function<double(double bits, double snr)> downLoss, upLoss;
    /// Called when a UE sends with this power; empty: nobody asks.
    std::function<void(std::uint32_t ue, double dbm)> sent = {};
};

/// 1. A preamble is a sequence of 139 (format A2, 4 symbols), detected by its energy with a false alarm in 0.1 % of the
///    occasions (TS 38.104 8.4.1.1); an implementation needs `margin_db` more. Those for contention are drawn.
/// 2. The gNB answers each preamble that it has heard with one response (9 bytes with backoff indicator). Who does not
///    get it within the response window sends another preamble, with more power, in the next occasion. A UE whose
///    preamble is its own (contention-free) has access with the response.
/// 3. Everybody else whose preamble is answered sends message 3 (7 bytes) as the response grants, with the power that
///    the preamble had, for each hertz, so several UEs with the same preamble collide. The gNB can decode one of them
///    that is 3 dB above the others together. As long as it decodes none, it grants another transmission, which adds to
///    the energy that it has.
/// 4. Message 4 (7 bytes) has the identity of the UE that was decoded. It is sent again if this UE does not answer.
///    The others have failed as soon as they read it, and whoever gets none when ra-ContentionResolutionTimer runs out;
///    they back off before the next preamble.
///
/// After preambleTransMax preambles that failed, MAC tells of a random access problem. RRC ignores it as long as T304
/// or T301 run (TS 38.331 5.3.10.3), and a UE goes on until it succeeds or is stopped, as these timers do.
///
/// Simplified: these messages meet the noise of the receiver, no interference from other cells and no fading, and take
/// no resource blocks from data; a receiver has one antenna; the gNB does not tell how late a preamble was.
class RandomAccessChannel {
  public:
    static constexpr unsigned all_preambles = 64;

    /// \param random decides what is heard, preambles and backoff
    RandomAccessChannel(const RandomAccessSettings& settings, RandomAccessCarrier carrier,
                        ns3::Ptr<ns3::UniformRandomVariable> random);
    ~RandomAccessChannel();
    RandomAccessChannel(const RandomAccessChannel&) = delete;
    RandomAccessChannel& operator=(const RandomAccessChannel&) = delete;

    /// Give a UE a preamble of its own. \return whether one was left
    bool Reserve(std::uint32_t ue);
    /// Take it back, if it has one.
    void Release(std::uint32_t ue) { m_reserved.erase(ue); }

    using LossDb = std::function<double()>;
    using Done = std::function<void(unsigned attempts)>;
    /// Begin the procedure of a UE that has none here: with its own preamble, if it has one.
    /// \param lossDb between the UE and the gNB, antennas included, at the time of the call
    /// \param done called once it has succeeded
    /// \param problem called once, when preambleTransMax preambles have failed; empty: nobody asks
    void Start(std::uint32_t ue, LossDb lossDb, Done done, std::function<void()> problem = {});
    /// End the procedure of a UE, if it has one.
    void Stop(std::uint32_t ue);
    bool Runs(std::uint32_t ue) const { return m_procedures.contains(ue); }

    /// The first occasion at or after a time.
    ns3::Time NextOccasion(ns3::Time from) const;
    /// Power with which attempt 1, 2, ... arrives at the gNB, dBm (TS 38.213 7.4).
    double ReceivedDbm(double lossDb, unsigned attempt) const;
    /// Probability that the gNB misses a preamble that arrives with this power.
    double Loss(double receivedDbm) const;
    /// Power of message 3 at the gNB, dBm: preambleReceivedTargetPower for 180 kHz, with what the preamble was ramped
    /// up by (TS 38.213 7.1.1, msg3-DeltaPreamble 0).
    double ThirdDbm(double lossDb, unsigned attempt) const;

    /// All that was sent and lost so far.
    struct Counts {
        std::uint64_t preambles = 0, unheard = 0;           ///< message 1
        std::uint64_t responses = 0, lostResponses = 0;     ///< message 2, for each UE
        std::uint64_t thirdMessages = 0, undecoded = 0;     ///< message 3; those with which the gNB decoded nobody
        std::uint64_t resolutions = 0, lostResolutions = 0; ///< message 4 to whom it is for
        std::uint64_t contentions = 0;                      ///< UEs that have lost one
    };
    const Counts& GetCounts() const { return m_counts; }

  private:
    struct Procedure {
        std::uint64_t number = 0; ///< of all procedures here
        unsigned attempts = 0;    ///< preambles
        LossDb lossDb;
        Done done;
        std::function<void()> problem;
        ns3::EventId success;
    };
    using Sender = std::pair<std::uint32_t, std::uint64_t>; ///< UE and number of its procedure
    /// Those whose message 3 the same response has granted.
    struct Contention {
        std::vector<Sender> senders;
        unsigned sent = 0;           ///< transmissions of message 3
        double draw = 0;             ///< of the block, see Reception
        std::uint32_t strongest = 0; ///< the UE whose energy the gNB has
        double energy = 0;           ///< over noise and the others
        ns3::EventId next;
    };
    bool Goes(const Sender& sender) const;
    /// Let a UE send in the first occasion at or after a time.
    void Wait(std::uint32_t ue, ns3::Time from);
    void Occasion();
    /// The attempt of a UE has failed, as it knows from this time on.
    void Retry(std::uint32_t ue, ns3::Time from, bool backsOff);
    void GrantThird(std::uint64_t contention, ns3::Time from);
    void Third(std::uint64_t contention);
    /// Message 4 goes to one of those who have sent message 3 now.
    void Fourth(const Contention& contention, std::uint32_t winner);
    void SucceedAfter(std::uint32_t ue, ns3::Time delay);
    void Succeed(std::uint32_t ue);
    double DownSnr(const Procedure& procedure) const;
    bool Lost(double probability) const;

    RandomAccessSettings m_settings;
    RandomAccessCarrier m_carrier;
    ns3::Ptr<ns3::UniformRandomVariable> m_random;
    std::map<std::uint32_t, unsigned> m_reserved;              ///< preambles by UE
    std::map<std::uint32_t, Procedure> m_procedures;           ///< by UE
    std::map<ns3::Time, std::vector<std::uint32_t>> m_waiting; ///< UEs by occasion
    std::map<std::uint64_t, Contention> m_contentions;
    std::uint64_t m_procedureNumber = 0, m_contentionNumber = 0;
    ns3::EventId m_event;
    Counts m_counts;
};

} // namespace edgelam::nr
