// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Measurements, event A3 and random access, against cases computed by hand.

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "ns3/simulator.h"

#include "channel-testbed.h"
#include "nr-control-channel.h"
#include "nr-event-a3.h"
#include "nr-random-access.h"

using namespace edgelam::nr;
using namespace edgelam::test;
using ns3::MilliSeconds;
using ns3::Time;

namespace {

void FilterByHand(Case& test) {
    const Time l1 = MilliSeconds(200);
    test.Near(FilterWeight(0, MilliSeconds(40), l1), 1, 1e-15, "k = 0: no filter, whatever the period");
    test.Near(FilterWeight(4, l1, l1), 0.5, 1e-15, "k = 4: a = 1/2");
    test.Near(FilterWeight(8, l1, l1), 0.25, 1e-15, "k = 8: a = 1/4");
    test.Near(FilterWeight(4, MilliSeconds(40), l1), 1 - std::pow(0.5, 0.2), 1e-15, "five times as often");
    for (const int periodMs : {20, 40, 100, 200, 400}) { // a step from 0 to 1: what is left after 2 s is 2^-10
        Layer3Filter filter;
        const double weight = FilterWeight(4, MilliSeconds(periodMs), l1);
        test.True(std::isnan(filter.ValueDb()), "nothing yet");
        test.Near(filter.Add(-80, weight), -80, 0, "the first value is taken");
        for (int i = 0; i < 2000 / periodMs; ++i) {
            filter.Add(-79, weight);
        }
        test.Near(filter.ValueDb(), -79 - std::exp2(-10), 1e-12, "the time constant does not depend on the period");
    }
    test.True(FilterPeriod(3.5e9) == l1 && FilterPeriod(28e9) == MilliSeconds(480), "FR1, FR2");
}

/// The times at which cell 1 enters the list, for Mn - Mp in dB every 40 ms.
std::vector<int> Entries(const EventA3Settings& settings, const std::vector<double>& betterDb,
                         std::vector<int>* leaves = nullptr) {
    EventA3 event(2);
    std::vector<int> entries;
    bool in = false;
    for (std::size_t i = 0; i < betterDb.size(); ++i) {
        const std::vector<double> dbm{-90, -90 + betterDb[i]};
        const std::vector<EventA3Settings> pair{{}, settings};
        if (event.Evaluate(MilliSeconds(40 * i), dbm, 0, pair)) {
            entries.push_back(40 * static_cast<int>(i));
        }
        if (leaves && in && event.Triggered().empty()) {
            leaves->push_back(40 * static_cast<int>(i));
        }
        in = !event.Triggered().empty();
    }
    return entries;
}

void EventByHand(Case& test) {
    EventA3Settings settings{.offDb = 3, .hysteresisDb = 1, .timeToTrigger = MilliSeconds(80)};
    using Times = std::vector<int>;
    test.True(Entries(settings, {4, 4, 4, 4}) == Times{}, "4 dB is not more than Off + Hys");
    test.True(Entries(settings, {4.1, 4.1, 4.1, 4.1}) == Times{80}, "held for 80 ms");
    test.True(Entries(settings, {4.1, 4.1, 3.9, 4.1, 4.1, 4.1}) == Times{200}, "a dip begins the time anew");
    Times leaves;
    test.True(Entries(settings, {5, 5, 5, 3, 2, 1.9, 1.9, 2, 1.9, 1.9, 1.9, 5, 5, 5}, &leaves) == Times({80, 520}) &&
                  leaves == Times{400},
              "left below Off - Hys for as long, and entered again");
    settings.timeToTrigger = MilliSeconds(0);
    test.True(Entries(settings, {3, 5, 5, 1, 5}) == Times({40, 160}), "time-to-trigger 0");
    settings.cellDb = 2;
    test.True(Entries(settings, {2.1, 0}) == Times{0}, "Ocn makes it better");
    settings.servingDb = 2;
    test.True(Entries(settings, {4, 4.1}) == Times{40}, "Ocp counts against it");
    settings.frequencyDb = -1;
    settings.servingFreqDb = 0.5;
    test.True(Entries(settings, {5.5, 5.6}) == Times{40}, "Ofn and Ofp");
    settings = {.offDb = 0, .hysteresisDb = 0, .timeToTrigger = MilliSeconds(100)};
    test.True(Entries(settings, {1, 1, 1, 1, 1}) == Times{120}, "looked at with each measurement");
}

void EventTowardsSeveral(Case& test) {
    EventA3 event(4);
    std::vector<EventA3Settings> row(4, {.offDb = 3, .hysteresisDb = 0, .timeToTrigger = MilliSeconds(40)});
    row[3].offDb = 6;
    const auto at = [&](int ms, std::vector<double> dbm) { return event.Evaluate(MilliSeconds(ms), dbm, 1, row); };
    using Cells = std::vector<std::uint32_t>;
    test.True(!at(0, {-80, -90, -120, -84}), "begins");
    test.True(at(40, {-80, -90, -120, -84.5}) && event.Triggered() == Cells{0}, "cell 3 has another offset");
    test.True(!at(80, {-80, -90, -86, -83}), "cell 2 begins, cell 3 too");
    test.True(at(120, {-80, -90, -86, -83}) && event.Triggered() == Cells({0, 2, 3}), "all");
    test.True(!at(160, {-80, -90, std::nan(""), -83}), "not measured: it neither enters nor leaves");
    event.Reset();
    test.True(event.Triggered().empty() && !at(200, {-80, -90, -120, -120}), "forgotten");
}

void EventRefusals(Case& test) {
    const auto refuses = [&](const EventA3Settings& settings, const std::vector<std::string>& texts) {
        test.Refuses([&] { settings.Check(); }, texts, texts[0]);
    };
    EventA3Settings{}.Check();
    refuses({.offDb = 15.5}, {"offset 15.5 dB", "-15 to 15 dB"});
    refuses({.hysteresisDb = -0.5}, {"hysteresis -0.5 dB", "0 to 15 dB"});
    refuses({.cellDb = 25}, {"cell individual offset 25 dB", "-24 to 24 dB"});
    refuses({.servingDb = std::nan("")}, {"serving cell nan dB", "-24 to 24 dB"});
    refuses({.frequencyDb = -30}, {"frequency offset -30 dB"});
    refuses({.timeToTrigger = MilliSeconds(90)}, {"time-to-trigger", "90", "80, 100, 128", "5120 ms"});
}

/// Random access to a cell that hears everything at a loss of 60 dB and nothing at 200 dB; occasions every 10 ms.
/// Message 3 comes 4 ms after the response, and every answer 3 ms after what it answers. Messages are lost as they say.
class Access {
  public:
    explicit Access(const RandomAccessSettings& settings = {})
        : channel(settings,
                  {.responseDelay = MilliSeconds(3),
                   .grantDelay = MilliSeconds(4),
                   .uplinkFrom = [](Time from) { return from; },
                   .downLoss = [this](double bits, double snr) { return downLoss(bits, snr); },
                   .upLoss = [this](double bits, double snr) { return upLoss(bits, snr); },
                   .sent = [this](std::uint32_t, double dbm) { sentDbm.push_back(dbm); }},
                  MakeRandom()) {}
    explicit Access(unsigned preambles) : Access(RandomAccessSettings{.preambles = preambles}) {}
    ~Access() { ns3::Simulator::Destroy(); }
    void StartAt(int ms, std::uint32_t ue, bool dedicated, double lossDb) {
        ns3::Simulator::Schedule(MilliSeconds(ms), [=, this] {
            if (dedicated) {
                channel.Reserve(ue);
            }
            channel.Start(
                ue, [lossDb] { return lossDb; },
                [this, ue](unsigned attempts) {
                    doneMs[ue] = ns3::Simulator::Now().GetSeconds() * 1e3;
                    tries[ue] = attempts;
                },
                [this, ue] { problemMs[ue] = ns3::Simulator::Now().GetSeconds() * 1e3; });
        });
    }
    void Run(double seconds) {
        ns3::Simulator::Stop(ns3::Seconds(seconds));
        ns3::Simulator::Run();
    }
    static ns3::Ptr<ns3::UniformRandomVariable> MakeRandom() {
        auto random = ns3::CreateObject<ns3::UniformRandomVariable>();
        random->SetStream(41);
        return random;
    }
    using Loss = std::function<double(double bits, double snr)>;
    Loss downLoss = [](double, double) { return 0; }, upLoss = downLoss;
    RandomAccessChannel channel;
    std::vector<double> sentDbm;
    std::map<std::uint32_t, double> doneMs, problemMs;
    std::map<std::uint32_t, unsigned> tries;
};

void AccessTimes(Case& test) {
    Access access;
    access.StartAt(1, 0, true, 60);
    access.StartAt(10, 1, true, 60); // an occasion that has just begun
    access.StartAt(31, 2, false, 60);
    access.Run(1);
    test.Near(access.doneMs[0], 13, 1e-9, "occasion at 10 ms, response 3 ms later");
    test.Near(access.doneMs[1], 13, 1e-9, "side by side with another preamble");
    test.Near(access.doneMs[2], 50, 1e-9, "contention: message 3 4 ms later, and its answer");
    test.True(access.tries[0] == 1 && access.tries[2] == 1, "with one preamble");
}

void AccessFails(Case& test) {
    Access access;
    access.StartAt(0, 0, true, 200);
    access.StartAt(0, 1, true, 60);
    ns3::Simulator::Schedule(MilliSeconds(500), [&] {
        test.True(access.channel.Runs(0) && !access.channel.Runs(1), "one goes on for ever, until it is stopped");
        access.channel.Stop(0);
    });
    access.StartAt(600, 0, true, 60);
    access.Run(1);
    test.Near(access.doneMs[0], 603, 1e-9, "and may begin again");
    test.True(access.tries[0] == 1, "with the first preamble");
}

/// With one preamble for all, UEs that begin together collide until their backoffs tell them apart.
void AccessCollides(Case& test) {
    Access access(1);
    for (std::uint32_t ue = 0; ue < 5; ++ue) {
        access.StartAt(0, ue, false, 60);
    }
    access.StartAt(0, 9, true, 60);
    access.Run(10);
    test.Near(access.doneMs[9], 3, 1e-9, "a preamble of one's own does not collide");
    unsigned most = 0;
    for (std::uint32_t ue = 0; ue < 5; ++ue) {
        test.True(access.tries[ue] > 1, "everybody has collided");
        test.True(access.doneMs[ue] > 80, "after contention has timed out");
        most = std::max(most, access.tries[ue]);
    }
    test.True(most > 2, "some more than once");
}

/// Two UEs with one preamble: the gNB decodes the message 3 of the stronger one if it is 3 dB above the other.
void MessageThree(Case& test) {
    const auto run = [](double lossOf1) {
        auto access = std::make_unique<Access>(RandomAccessSettings{.preambles = 1, .targetDbm = -60});
        access->StartAt(0, 0, false, 100); // -77 dBm and less: power control does not make them equal
        access->StartAt(0, 1, false, lossOf1);
        access->Run(5);
        return access;
    };
    const auto captured = run(103.1);
    test.Near(captured->doneMs[0], 10, 1e-9, "the stronger one has access");
    test.True(captured->tries[0] == 1 && captured->tries[1] > 1, "the other one reads that it was not meant");
    test.True(captured->doneMs[1] >= 20 && captured->doneMs[1] < 60, "and backs off, no longer");
    test.True(captured->channel.GetCounts().contentions == 1, "counted");
    const auto lost = run(102.9);
    test.True(lost->tries[0] > 1 && lost->tries[1] > 1, "closer than 3 dB: none of them");
    // Message 3 at 7, 14, 21 and 28 ms; the timer runs from the last one.
    test.True(std::min(lost->doneMs[0], lost->doneMs[1]) >= 28 + 64, "as they know after the contention timer");
    test.True(lost->channel.GetCounts().thirdMessages >= 10 && lost->channel.GetCounts().undecoded >= 4, "four times");
}

/// Each of the messages is lost: what follows, and when.
void MessagesAreLost(Case& test) {
    for (const bool dedicated : {true, false}) {
        Access access;
        int responses = 0;
        access.downLoss = [&](double bits, double) { return bits == 72 && responses++ < 2 ? 1 : 0; };
        access.StartAt(0, 0, dedicated, 60);
        access.Run(5);
        test.True(access.tries[0] == 3, "the third response is heard");
        test.Near(access.doneMs[0], dedicated ? 23 : 30, 1e-9, "a preamble after each response window");
        test.True(access.channel.GetCounts().lostResponses == 2, "counted");
    }
    {
        Access access;
        double one = 0; // energy of a transmission
        access.upLoss = [&](double bits, double energy) {
            one = one == 0 ? energy : one;
            return bits == 56 && energy < 2.5 * one ? 1 : 0;
        };
        access.StartAt(0, 0, false, 60);
        access.Run(5);
        test.Near(access.doneMs[0], 7 + 2 * 7 + 3, 1e-9, "message 3 three times, 7 ms apart, and answered");
        test.True(access.tries[0] == 1, "with one preamble");
        // -104 dBm in 180 kHz, in two resource blocks of 360 kHz; noise of 180 kHz with 5 dB: -116.4 dBm.
        test.Near(access.sentDbm.at(1), -104 + 10 * std::log10(720e3 / 180e3) + 60, 1e-9, "power of message 3");
        test.Near(access.sentDbm.at(0), -104 + 60, 1e-9, "power of the preamble");
        test.Near(10 * std::log10(one), 12.447, 1e-3, "its SNR");
    }
    {
        Access access;
        access.upLoss = [](double, double) { return 1; };
        access.StartAt(0, 0, false, 60);
        access.Run(5);
        const auto& counts = access.channel.GetCounts();
        test.True(!access.doneMs.contains(0) && counts.preambles > 20, "message 3 is never decoded");
        test.True(counts.thirdMessages > 4 * (counts.preambles - 2) && counts.thirdMessages <= 4 * counts.preambles,
                  "it is sent four times after each preamble");
        test.True(access.problemMs.contains(0), "a random access problem after ten preambles");
    }
    {
        Access access;
        double one = 0;
        access.downLoss = [&](double bits, double snr) {
            one = one == 0 ? snr : one;
            return bits == 56 && snr < 1.5 * one ? 1 : 0;
        };
        access.StartAt(0, 0, false, 60);
        access.Run(5);
        test.Near(access.doneMs[0], 7 + 2 * 3, 1e-9, "message 4 twice");
    }
}

/// A cell has as many preambles of their own for UEs as are not for contention.
void OwnPreambles(Case& test) {
    Access access(62);
    test.True(access.channel.Reserve(5) && access.channel.Reserve(6), "two are left");
    test.True(!access.channel.Reserve(7), "and no third one");
    access.channel.Release(5);
    test.True(access.channel.Reserve(7), "one was given back");
    for (std::uint32_t ue = 5; ue < 8; ++ue) {
        access.StartAt(1, ue, false, 60);
    }
    access.Run(1);
    test.Near(access.doneMs[6], 13, 1e-9, "no contention with a preamble of one's own");
    test.Near(access.doneMs[5], 20, 1e-9, "contention without");
}

void ProblemsAreTold(Case& test) {
    Access access(RandomAccessSettings{.transmissions = 3});
    access.StartAt(0, 0, true, 200);
    access.Run(1);
    test.True(access.problemMs.contains(0) && access.problemMs[0] <= 30, "after three preambles");
    test.True(access.channel.Runs(0) && access.channel.GetCounts().preambles > 90, "it goes on");
    test.Near(access.sentDbm.at(2), 23, 1e-9, "with all its power");
}

void PreamblePower(Case& test) {
    Access access;
    const auto& channel = access.channel;
    test.Near(channel.ReceivedDbm(100, 1), -104, 1e-12, "the target");
    test.Near(channel.ReceivedDbm(100, 4), -98, 1e-12, "2 dB more with each attempt");
    test.Near(channel.ReceivedDbm(130, 9), -107, 1e-12, "at most 23 dBm");
    // scipy.stats.ncx2.cdf(-2 log(falseAlarm), 2, 2 energy)
    test.Near(MissedDetection(0, 1e-3), 0.999, 1e-12, "noise alone");
    test.Near(MissedDetection(5, 1e-3), 0.6579371861380173, 1e-9, "energy 5");
    test.Near(MissedDetection(10, 1e-3), 0.1897076257387604, 1e-9, "energy 10");
    test.Near(MissedDetection(20, 1e-3), 0.00336075739451422, 1e-9, "energy 20");
    test.Near(MissedDetection(10, 1e-2), 0.05774857852927954, 1e-9, "more false alarms");
    // Noise of 139 x 30 kHz with 5 dB: -174 + 66.2 + 5 = -102.8 dBm. Energy 10 of 556 samples, 3 dB margin: -14.45 dB.
    test.Near(channel.Loss(-102.7984 - 14.4507), 0.18990, 2e-4, "by hand");
    test.Near(channel.Loss(-200), 1, 1e-9, "noise alone is not heard");
}

void AccessRefusals(Case& test) {
    const auto refuses = [&](const RandomAccessSettings& settings, const std::vector<std::string>& texts) {
        test.Refuses([&] { settings.Check(); }, texts, texts[0]);
    };
    RandomAccessSettings{}.Check();
    refuses({.period = MilliSeconds(5)}, {"period in ms 5", "10 to 160"});
    refuses({.preambles = 0}, {"preambles for contention 0", "1 to 63"});
    refuses({.transmissions = 2}, {"preambleTransMax 2", "3 to 200"});
    refuses({.thirdMessages = 0}, {"transmissions of message 3 0", "1 to 16"});
    refuses({.responseWindow = MilliSeconds(20)}, {"ra-ResponseWindow in ms 20", "1 to 10"});
    refuses({.contention = MilliSeconds(7)}, {"ra-ContentionResolutionTimer in ms 7", "8 to 64"});
    refuses({.backoff = MilliSeconds(2000)}, {"backoff in ms 2000", "0 to 1920"});
    refuses({.targetDbm = -300}, {"-300", "-202 to -60"});
    refuses({.rampingStepDb = 7}, {"powerRampingStep in dB 7", "0 to 6"});
}

CaseSuite mobilityTestSuite("edgelam-nr-mobility", {{"layer 3 filter by hand", FilterByHand},
                                                    {"event A3 by hand", EventByHand},
                                                    {"event A3 towards several cells", EventTowardsSeveral},
                                                    {"event A3: refusals", EventRefusals},
                                                    {"random access: times", AccessTimes},
                                                    {"random access that fails", AccessFails},
                                                    {"random access: collisions", AccessCollides},
                                                    {"random access: message 3", MessageThree},
                                                    {"random access: lost messages", MessagesAreLost},
                                                    {"random access: preambles of one's own", OwnPreambles},
                                                    {"random access: problems", ProblemsAreTold},
                                                    {"random access: power", PreamblePower},
                                                    {"random access: refusals", AccessRefusals}});

} // namespace
