// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Who gets which groups of resource blocks, worked out by hand, and as theory says over many slots.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "channel-testbed.h"
#include "named-random.h"
#include "nr-external-scheduler.h"

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

constexpr std::uint32_t nobody = UINT32_MAX;

/// What a scheduler gives, checked as a cell does. `owner` [group]: the only one who has it. \return [candidate] groups
std::vector<std::uint32_t> Allocate(Scheduler& scheduler, const std::vector<Candidate>& candidates,
                                    std::uint32_t numGroups, bool uplink, std::vector<std::uint32_t>& owner,
                                    std::uint32_t prbsPerGroup = 1, std::uint32_t numPrbs = 0) {
    const SchedulingRequest request{
        uplink ? Direction::Uplink : Direction::Downlink, 0, candidates, numGroups, prbsPerGroup,
        numPrbs == 0 ? numGroups * prbsPerGroup : numPrbs};
    Allocation allocation(numGroups);
    scheduler.Allocate(request, allocation);
    std::vector<Granted> granted;
    CheckAllocation(scheduler, request, allocation, granted);
    owner.clear();
    for (const auto& users : allocation) {
        owner.push_back(users.empty() ? nobody : users.at(0));
    }
    std::vector<std::uint32_t> groups;
    for (const auto& each : granted) {
        groups.push_back(each.count);
    }
    return groups;
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
        const auto groups = Allocate(*scheduler, candidates, 10, false, owner);
        for (std::uint32_t i = 0; i < 3; ++i) {
            test.True(Count(owner, i) == groups[i] && groups[i] >= 3, "3 or 4 each");
            sum[i] += groups[i];
        }
    }
    test.True(sum == std::vector<std::uint32_t>{10, 10, 10}, "equal over a turn");

    auto little = Candidates(rates, 1'000'000);
    little[0].wantedBytes = 200; // 1600 bits: two groups
    test.True(Allocate(*scheduler, little, 10, false, owner) == std::vector<std::uint32_t>{2, 4, 4},
              "no more than it needs");
    auto again = Candidates(rates, 1'000'000);
    again[1].fixedGroups = 7;
    auto groups = Allocate(*scheduler, again, 10, true, owner);
    test.True(groups[1] == 7 && groups[0] + groups[2] == 3, "a retransmission comes first");
    again[1].fixedGroups = 11;
    groups = Allocate(*scheduler, again, 10, true, owner);
    test.True(groups[1] == 0 && groups[0] + groups[2] == 10, "one that does not fit waits");
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
            const auto groups = Allocate(*scheduler, candidates, 18, true, owner);
            for (std::uint32_t i = 0; i < candidates.size(); ++i) {
                const auto first = std::find(owner.begin(), owner.end(), i);
                const auto last = std::find(owner.rbegin(), owner.rend(), i).base();
                test.True(Count(owner, i) == groups[i], "counted");
                test.True(groups[i] == 0 || last - first == groups[i], std::string(name) + ": one run");
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
            const auto groups = Allocate(*scheduler, candidates, 1, false, owner);
            for (std::size_t i = 0; i < 2; ++i) {
                const double bits = groups[i] * rates[i][0];
                served[i] += bits / count;
                slots[i] += groups[i] / static_cast<double>(count);
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
    const auto scheduler = ns3::CreateObject<ExternalScheduler>();
    const Rates rates(3, std::vector<float>(20, 1000));
    auto candidates = Candidates(rates, 1'000'000);
    scheduler->SetShares({0.5, 0.2, 0.1});
    scheduler->SetLeastGroups({0, 0, 4});
    std::vector<std::uint32_t> owner;
    auto groups = Allocate(*scheduler, candidates, 20, false, owner);
    // 10, 4 and 4 are theirs; the other 2 go round.
    test.True(groups[0] >= 10 && groups[1] >= 4 && groups[2] >= 4, "at least their shares");
    test.True(groups[0] + groups[1] + groups[2] == 20, "nothing is left over");
    candidates[0].wantedBytes = 100;
    test.True(Allocate(*scheduler, candidates, 20, false, owner)[0] == 1, "a share is no duty");

    // 273 resource blocks in groups of 16: the last has one. Shares hold in resource blocks, whoever gets it.
    for (const bool contiguous : {false, true}) {
        const auto band = ns3::CreateObject<ExternalScheduler>();
        const Rates even(2, std::vector<float>(18, 1000));
        auto two = Candidates(even, 1'000'000);
        band->SetShares({0.75, 0.25});
        double blocks = 0;
        for (int slot = 0; slot < 1000; ++slot) {
            Allocate(*band, two, 18, contiguous, owner, 16, 273);
            for (std::size_t g = 0; g < 18; ++g) {
                blocks += owner[g] == 0 ? (g == 17 ? 1 : 16) : 0;
            }
        }
        test.Near(blocks / 273'000, 0.75, 0.001, "three quarters of the resource blocks");
        two[1].wantedBytes = 1;
        band->SetShares({0.75, 0}); // it goes: what it does not want is the other's, and leaves no credit
        for (int slot = 0; slot < 100; ++slot) {
            Allocate(*band, two, 18, contiguous, owner, 16, 273);
        }
        band->SetShares({0.5, 0.5});
        two[1].wantedBytes = 1'000'000;
        groups = Allocate(*band, two, 18, contiguous, owner, 16, 273);
        test.True(groups[0] >= 7 && groups[1] >= 7, "nobody pays for groups that nobody else wanted");
    }
    test.Refuses([] { Scheduler::Make("best"); }, {"best", "rr, pf, max-rate, external", "edgelam::nr::Scheduler"},
                 "name");
    test.Refuses([] { Scheduler::Make("edgelam::nr::GreedyScheduler"); }, {"GreedyScheduler"}, "no constructor");
    test.Refuses([] { Scheduler::Make("edgelam::nr::Cell"); }, {"edgelam::nr::Cell"}, "no scheduler");
}

/// The higher priority is served first, by all that edgelam brings; what it leaves goes to the others.
void Priorities(Case& test) {
    for (const char* name : {"rr", "pf", "max-rate", "external"}) {
        for (const bool uplink : {false, true}) {
            const auto scheduler = Scheduler::Make(name);
            const Rates rates{std::vector<float>(10, 9000), std::vector<float>(10, 1000), std::vector<float>(10, 5000)};
            std::vector<std::uint32_t> owner;
            auto candidates = Candidates(rates, 1'000'000);
            candidates[1].priority = 5;
            test.True(Allocate(*scheduler, candidates, 10, uplink, owner) == std::vector<std::uint32_t>{0, 10, 0},
                      std::string(name) + ": all to the highest");
            candidates[1].wantedBytes = 500; // 4000 bits: 4 groups
            const auto groups = Allocate(*scheduler, candidates, 10, uplink, owner);
            test.True(groups[1] == 4 && groups[0] + groups[2] == 6, std::string(name) + ": the rest to the others");
        }
    }
}

/// Caps under random demands, retransmissions among them: in a slot at most the cap rounded up to a group, in any 100
/// slots at most 100 times the cap plus one group; and everything that may go does go at last.
void Caps(Case& test) {
    constexpr std::uint32_t size = 16, prbs = 273, numGroups = 18, window = 100;
    NamedRandom random(4, {7});
    for (int trial = 0; trial < 40; ++trial) {
        const auto scheduler = ns3::CreateObject<ExternalScheduler>();
        const bool uplink = trial % 2 == 1;
        const std::size_t count = 1 + random.Below(3);
        std::vector<std::uint32_t> caps, owner, owed(count), waited(count); // owed: groups of a retransmission
        for (std::size_t i = 0; i < count; ++i) {
            caps.push_back(i == 0 ? 1 + random.Below(20) : 1 + random.Below(272));
        }
        scheduler->SetCaps(caps);
        const Rates rates(count, std::vector<float>(numGroups, 1000));
        std::vector<std::vector<std::uint32_t>> used(count); // [ue][slot] resource blocks
        for (int slot = 0; slot < 600; ++slot) {
            auto candidates = Candidates(rates, 1 + random.Below(5000));
            for (std::size_t i = 0; i < count; ++i) {
                candidates[i].fixedGroups = owed[i];
            }
            const auto groups = Allocate(*scheduler, candidates, numGroups, uplink, owner, size, prbs);
            for (std::uint32_t i = 0; i < count; ++i) {
                std::uint32_t now = 0;
                for (std::uint32_t g = 0; g < numGroups; ++g) {
                    now += owner[g] == i ? (g + 1 == numGroups ? 1 : size) : 0;
                }
                used[i].push_back(now);
                test.True(now <= (caps[i] + size - 1) / size * size, "a slot");
                owed[i] = groups[i] > 0 ? (random.Below(3) == 0 ? groups[i] : 0) : owed[i];
                waited[i] = groups[i] > 0 ? 0 : waited[i] + 1;
                test.True(caps[i] > 100 || waited[i] <= 3 * (size + caps[i] - 1) / caps[i] + 20 * count,
                          "nobody waits for ever");
            }
        }
        for (std::size_t i = 0; i < count; ++i) {
            for (std::size_t from = 0; from + window <= used[i].size(); ++from) {
                const auto begin = used[i].begin() + static_cast<std::ptrdiff_t>(from);
                test.True(std::accumulate(begin, begin + window, 0U) <= window * caps[i] + size, "100 slots");
            }
        }
        const double mean = std::accumulate(used[0].begin(), used[0].end(), 0.0) / 600;
        test.True(count > 1 || mean > 0.9 * std::min(caps[0], size) - 0.1 || caps[0] > size,
                  "and nearly as much as it may: " + std::to_string(mean) + " of " + std::to_string(caps[0]));
    }
}

/// What was begun under a larger cap is sent again, whatever the cap is now.
void SmallerCaps(Case& test) {
    for (const std::uint32_t cap : {0U, 5U, 20U}) {
        const auto scheduler = ns3::CreateObject<ExternalScheduler>();
        scheduler->SetCaps({cap});
        const Rates rates(1, std::vector<float>(18, 1000));
        std::vector<std::uint32_t> owner;
        auto candidates = Candidates(rates, 1'000'000);
        candidates[0].fixedGroups = 12;
        test.True(Allocate(*scheduler, candidates, 18, false, owner, 16, 273)[0] == 12, "sent again");
        test.True(scheduler->AdmitsData(0) == (cap > 0) && scheduler->AdmitsData(1), "no new data under a cap of 0");
        candidates[0].fixedGroups = 0;
        if (cap > 0) {
            test.True(Allocate(*scheduler, candidates, 18, false, owner, 16, 273)[0] == 0, "new data pays for it");
        }
    }
}

/// What a scheduler of somebody else's may not do is said with its name.
class Given : public Scheduler {
  public:
    static ns3::TypeId GetTypeId() {
        static const ns3::TypeId tid = ns3::TypeId("edgelam::test::Given").SetParent<Scheduler>();
        return tid;
    }
    explicit Given(Allocation allocation) : m_allocation(std::move(allocation)) {}
    void Allocate(const SchedulingRequest&, Allocation& allocation) override { allocation = m_allocation; }

  private:
    Allocation m_allocation;
};

void BadAllocations(Case& test) {
    const Rates rates(3, std::vector<float>(4, 1000));
    const auto refuses = [&](const Allocation& allocation, bool uplink, const std::vector<std::string>& parts) {
        const auto scheduler = ns3::CreateObject<Given>(allocation);
        auto candidates = Candidates(rates, 1000);
        candidates[1].fixedGroups = 2;
        candidates[2].multicast = true;
        std::vector<std::uint32_t> owner;
        const auto run = [&] { test.True(Allocate(*scheduler, candidates, 4, uplink, owner).size() == 3, "all"); };
        if (parts.empty()) {
            run();
        } else {
            test.Refuses<std::logic_error>(run, parts, parts[0]);
        }
    };
    refuses({{0, 1}, {1, 0}, {2}, {}}, true, {});
    refuses({{0}, {}, {}}, false, {"gives 3", "there are 4"});
    refuses({{0}, {3}, {}, {}}, false, {"candidate 3", "group 1", "0 to 2"});
    refuses({{0}, {0, 0}, {}, {}}, false, {"candidate 0", "group 1", "twice"});
    refuses({{2}, {2, 0}, {}, {}}, false, {"multicast", "group 1"});
    refuses({{1}, {}, {}, {}}, false, {"retransmission of UE 1", "legal are 2"});
    refuses({{0}, {}, {0}, {}}, true, {"UE 0", "side by side", "edgelam::test::Given"});
}

CaseSuite schedulerTestSuite("edgelam-nr-scheduler", {{"round robin by hand", RoundRobinByHand},
                                                      {"side by side", Contiguous},
                                                      {"fairness as theory says", FairnessAsTheorySays},
                                                      {"external shares", ExternalShares},
                                                      {"priorities", Priorities},
                                                      {"caps", Caps},
                                                      {"smaller caps", SmallerCaps},
                                                      {"bad allocations", BadAllocations}});

} // namespace
