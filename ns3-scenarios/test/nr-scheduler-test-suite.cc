// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Who gets which groups of resource blocks, worked out by hand, and as theory says over many slots.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "channel-testbed.h"
#include "named-random.h"
#include "nr-scheduler.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

using Rates = std::vector<std::vector<float>>; ///< [ue][group] bits

std::vector<Candidate> Candidates(const Rates& rates, std::uint64_t bytes) {
    std::vector<Candidate> candidates;
    for (std::uint32_t i = 0; i < rates.size(); ++i) {
        candidates.push_back(
            {.ue = i, .wantedBytes = bytes, .fixedGroups = 0, .bitsPerGroup = rates[i].data(), .averageBps = 1});
    }
    return candidates;
}

std::uint32_t Count(const std::vector<std::uint32_t>& owner, std::uint32_t who) {
    return static_cast<std::uint32_t>(std::count(owner.begin(), owner.end(), who));
}

/// Three full buffers, 10 groups: 3 or 4 each, and after 3 slots 10 each.
void RoundRobinByHand(Case& test) {
    const Rates rates(3, std::vector<float>(10, 1000));
    const auto scheduler = Scheduler::Make("rr");
    std::vector<std::uint32_t> owner, sum(3);
    for (int slot = 0; slot < 3; ++slot) {
        auto candidates = Candidates(rates, 1'000'000);
        scheduler->Allocate(candidates, 10, false, owner);
        for (std::uint32_t i = 0; i < 3; ++i) {
            test.True(Count(owner, i) == candidates[i].groups && candidates[i].groups >= 3, "3 or 4 each");
            sum[i] += candidates[i].groups;
        }
    }
    test.True(sum == std::vector<std::uint32_t>{10, 10, 10}, "equal over a turn");

    auto little = Candidates(rates, 1'000'000);
    little[0].wantedBytes = 200; // 1600 bits: two groups
    scheduler->Allocate(little, 10, false, owner);
    test.True(little[0].groups == 2 && little[1].groups == 4 && little[2].groups == 4, "no more than it needs");
    auto again = Candidates(rates, 1'000'000);
    again[1].fixedGroups = 7;
    scheduler->Allocate(again, 10, true, owner);
    test.True(again[1].groups == 7 && again[0].groups + again[2].groups == 3, "a retransmission comes first");
    again[1].fixedGroups = 11;
    scheduler->Allocate(again, 10, true, owner);
    test.True(again[1].groups == 0 && again[0].groups + again[2].groups == 10, "one that does not fit waits");
}

/// Side by side: each UE's groups are one run.
void Contiguous(Case& test) {
    NamedRandom random(3, {1});
    for (const char* name : {"rr", "pf", "max-rate", "external"}) {
        const auto scheduler = Scheduler::Make(name);
        for (int trial = 0; trial < 50; ++trial) {
            Rates rates(1 + random.Below(6), std::vector<float>(18));
            for (auto& row : rates) {
                for (auto& value : row) {
                    value = static_cast<float>(100 + 5000 * random.Uniform());
                }
            }
            auto candidates = Candidates(rates, 1 + random.Below(20'000));
            std::vector<std::uint32_t> owner;
            scheduler->Allocate(candidates, 18, true, owner);
            for (std::uint32_t i = 0; i < candidates.size(); ++i) {
                const auto first = std::find(owner.begin(), owner.end(), i);
                const auto last = std::find(owner.rbegin(), owner.rend(), i).base();
                test.True(Count(owner, i) == candidates[i].groups, "counted");
                test.True(candidates[i].groups == 0 || last - first == candidates[i].groups,
                          std::string(name) + ": one run");
            }
        }
    }
}

/// Rayleigh fading, means 1 and 4: maximum rate serves the strong one, proportional fair gives both about half the time
/// and each more than its mean; round robin gives exactly the mean.
void FairnessAsTheorySays(Case& test) {
    for (const char* name : {"rr", "pf", "max-rate"}) {
        const auto scheduler = Scheduler::Make(name);
        NamedRandom random(9, {2});
        std::vector<double> average(2, 1), served(2), slots(2);
        const int count = 20'000;
        for (int slot = 0; slot < count; ++slot) {
            Rates rates(2, std::vector<float>(1));
            rates[0][0] = static_cast<float>(-1000 * std::log(random.Uniform()));
            rates[1][0] = static_cast<float>(-4000 * std::log(random.Uniform()));
            auto candidates = Candidates(rates, 1'000'000);
            candidates[0].averageBps = average[0];
            candidates[1].averageBps = average[1];
            std::vector<std::uint32_t> owner;
            scheduler->Allocate(candidates, 1, false, owner);
            for (std::size_t i = 0; i < 2; ++i) {
                const double bits = candidates[i].groups * rates[i][0];
                served[i] += bits / count;
                slots[i] += candidates[i].groups / static_cast<double>(count);
                average[i] += 0.01 * (bits - average[i]);
            }
        }
        // Two UEs in Rayleigh fading: the larger of two normalised rates has mean 1.5, half of it each: 0.75 of the
        // mean rate.
        const std::string what = name;
        if (what == "rr") {
            test.Near(served[0], 500, 20, "half the slots at the mean rate");
            test.Near(served[1], 2000, 80, "half the slots at the mean rate");
        } else if (what == "pf") {
            test.Near(slots[0], 0.5, 0.03, "half the time each");
            test.Near(served[0], 750, 40, "and at its better moments");
            test.Near(served[1], 3000, 160, "and at its better moments");
        } else {
            test.Near(slots[1], 0.8, 0.02, "4 of 5 slots: P(4 x > y)");
        }
    }
}

void ExternalShares(Case& test) {
    const auto scheduler = Scheduler::Make("external");
    const Rates rates(3, std::vector<float>(20, 1000));
    auto candidates = Candidates(rates, 1'000'000);
    candidates[0].share = 0.5;
    candidates[1].share = 0.2;
    candidates[2].share = 0.1;
    candidates[2].leastGroups = 4;
    std::vector<std::uint32_t> owner;
    scheduler->Allocate(candidates, 20, false, owner);
    // 10, 4 and 4 are theirs; the other 2 go round.
    test.True(candidates[0].groups >= 10 && candidates[1].groups >= 4 && candidates[2].groups >= 4,
              "at least their shares");
    test.True(candidates[0].groups + candidates[1].groups + candidates[2].groups == 20, "nothing is left over");
    candidates[0].wantedBytes = 100;
    scheduler->Allocate(candidates, 20, false, owner);
    test.True(candidates[0].groups == 1, "a share is no duty");

    // 273 resource blocks in groups of 16: the last has one. Shares hold in resource blocks, whoever gets it.
    for (const bool contiguous : {false, true}) {
        const auto band = Scheduler::Make("external");
        const Rates even(2, std::vector<float>(18, 1000));
        auto two = Candidates(even, 1'000'000);
        two[0].share = 0.75;
        two[1].share = 0.25;
        double blocks = 0;
        for (int slot = 0; slot < 1000; ++slot) {
            band->Allocate(two, 18, contiguous, owner, 1.0 / 16);
            for (std::size_t g = 0; g < 18; ++g) {
                blocks += owner[g] == 0 ? (g == 17 ? 1 : 16) : 0;
            }
        }
        test.Near(blocks / 273'000, 0.75, 0.001, "three quarters of the resource blocks");
        two[1].wantedBytes = 1;
        two[1].share = 0; // it goes: what it does not want is the other's, and leaves no credit
        for (int slot = 0; slot < 100; ++slot) {
            band->Allocate(two, 18, contiguous, owner, 1.0 / 16);
        }
        two[0].share = two[1].share = 0.5;
        two[1].wantedBytes = 1'000'000;
        band->Allocate(two, 18, contiguous, owner, 1.0 / 16);
        test.True(two[0].groups >= 7 && two[1].groups >= 7, "nobody pays for groups that nobody else wanted");
    }
    test.Refuses([] { Scheduler::Make("best"); }, {"best", "rr, pf, max-rate, external"}, "name");
}

CaseSuite schedulerTestSuite("edgelam-nr-scheduler", {{"round robin by hand", RoundRobinByHand},
                                                      {"side by side", Contiguous},
                                                      {"fairness as theory says", FairnessAsTheorySays},
                                                      {"external shares", ExternalShares}});

} // namespace
