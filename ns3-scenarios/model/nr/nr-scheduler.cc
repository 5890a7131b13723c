// SPDX-License-Identifier: GPL-2.0-only
#include "nr-scheduler.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace edgelam::nr {

namespace {

float MeanBits(const Candidate& candidate, std::uint32_t numGroups) {
    float sum = 0;
    for (std::uint32_t g = 0; g < numGroups; ++g) {
        sum += candidate.bitsPerGroup[g];
    }
    return sum / static_cast<float>(numGroups);
}

/// Equal numbers of groups, one at a time in turn, beginning behind the UE that came last before.
class RoundRobin : public Scheduler {
  protected:
    void Divide(const std::vector<Candidate>& candidates, std::uint32_t free) override { InTurn(candidates, free); }
    void InTurn(const std::vector<Candidate>& candidates, std::uint32_t free) {
        const std::size_t count = candidates.size();
        std::size_t begin = 0;
        while (begin < count && candidates[begin].ue < m_turn) {
            ++begin;
        }
        bool given = true;
        while (free > 0 && given) {
            given = false;
            for (std::size_t i = 0; i < count && free > 0; ++i) {
                const std::size_t at = (begin + i) % count;
                if (candidates[at].fixedGroups == 0 && m_want[at] < m_needed[at]) {
                    ++m_want[at];
                    --free;
                    given = true;
                    m_turn = candidates[at].ue + 1;
                }
            }
        }
        if (!candidates.empty() && m_turn > candidates.back().ue) {
            m_turn = 0;
        }
    }
};

/// Group by group to the largest metric.
class ByMetric : public Scheduler {
  public:
    explicit ByMetric(bool fair) : m_fair(fair) {}

  protected:
    void Divide(const std::vector<Candidate>& candidates, std::uint32_t free) override {
        // For allocations side by side: as many groups as each would win on its mean.
        for (; free > 0; --free) {
            const std::size_t best = Best(candidates, [&](std::size_t i) { return m_meanBits[i]; });
            if (best == candidates.size()) {
                return;
            }
            ++m_want[best];
        }
    }

    void Place(std::vector<Candidate>& candidates, std::vector<std::uint32_t>& owner) override {
        std::fill(m_want.begin(), m_want.end(), 0); // what Divide wanted does not know frequency
        for (std::uint32_t g = 0; g < owner.size(); ++g) {
            if (owner[g] != nobody) {
                continue;
            }
            const std::size_t best = Best(candidates, [&](std::size_t i) { return candidates[i].bitsPerGroup[g]; });
            if (best < candidates.size()) {
                owner[g] = static_cast<std::uint32_t>(best);
                ++m_want[best];
            }
        }
    }

  private:
    template<class Bits>
    std::size_t Best(const std::vector<Candidate>& candidates, Bits bits) const {
        std::size_t best = candidates.size();
        double largest = -1;
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            const auto& each = candidates[i];
            if (each.fixedGroups > 0 || m_want[i] >= m_needed[i]) {
                continue;
            }
            // What it is given in this slot does not count yet: of equals one has the slot, and then the other.
            const double served = m_fair ? std::max(each.averageBps, 1.0) : 1;
            const double metric = bits(i) / served;
            if (metric > largest) {
                largest = metric;
                best = i;
            }
        }
        return best;
    }
    bool m_fair;
};

/// Shares from outside; what they leave over is given out in turn. A share is rarely a whole number of groups, and the
/// last group may be a small one: what a slot gives too little is made up for in later ones, and a group too much is
/// given back.
class External : public RoundRobin {
  protected:
    void Divide(const std::vector<Candidate>& candidates, std::uint32_t free) override {
        const auto give = [&](std::size_t i, std::uint32_t upTo) {
            const std::uint32_t more = std::min(upTo - std::min(upTo, m_want[i]), free);
            m_want[i] += more;
            free -= more;
        };
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            if (candidates[i].fixedGroups == 0) {
                give(i, std::min(m_needed[i], candidates[i].leastGroups));
            }
        }
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            const auto& each = candidates[i];
            if (each.ue >= m_owed.size()) {
                m_owed.resize(each.ue + 1);
            }
            double& owed = m_owed[each.ue];
            owed += each.share * (m_numGroups - 1 + m_lastGroup);
            if (each.fixedGroups == 0) {
                give(i, std::min(m_needed[i], static_cast<std::uint32_t>(std::max(owed + 1e-9, 0.0))));
            }
        }
        InTurn(candidates, free);
    }

    void Placed(const std::vector<Candidate>& candidates, const std::vector<std::uint32_t>& owner) override {
        for (std::uint32_t g = 0; g < owner.size(); ++g) {
            if (owner[g] != nobody) {
                m_owed[candidates[owner[g]].ue] -= g + 1 == owner.size() ? m_lastGroup : 1;
            }
        }
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            double& owed = m_owed[candidates[i].ue];
            // A debt is for the next slots, not for ever; what nobody else wanted is no debt.
            owed = std::clamp(owed, -1.0, 2.0 * m_numGroups);
            if (candidates[i].fixedGroups == 0 && m_want[i] == m_needed[i]) {
                owed = std::min(owed, 1.0);
            }
        }
    }

  private:
    std::vector<double> m_owed; ///< [ue] groups
};

} // namespace

std::unique_ptr<Scheduler> Scheduler::Make(const std::string& name) {
    if (name == "rr") {
        return std::make_unique<RoundRobin>();
    }
    if (name == "pf" || name == "max-rate") {
        return std::make_unique<ByMetric>(name == "pf");
    }
    if (name == "external") {
        return std::make_unique<External>();
    }
    throw std::invalid_argument("scheduler '" + name + "'; legal are rr, pf, max-rate, external");
}

void Scheduler::Allocate(std::vector<Candidate>& candidates, std::uint32_t numGroups, bool contiguous,
                         std::vector<std::uint32_t>& owner, double lastGroup) {
    m_numGroups = numGroups;
    m_lastGroup = lastGroup;
    owner.assign(numGroups, nobody);
    m_want.assign(candidates.size(), 0);
    m_meanBits.resize(candidates.size());
    m_needed.resize(candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        m_meanBits[i] = std::max(MeanBits(candidates[i], numGroups), 1e-3f);
        const double groups = std::ceil(8.0 * static_cast<double>(candidates[i].wantedBytes) / m_meanBits[i]);
        m_needed[i] = groups >= numGroups ? numGroups : static_cast<std::uint32_t>(groups);
    }
    std::uint32_t next = 0;
    const auto give = [&](std::size_t i, std::uint32_t count) {
        for (; count > 0 && next < numGroups; ++next) {
            if (owner[next] == nobody) {
                owner[next] = static_cast<std::uint32_t>(i);
                ++candidates[i].groups;
                --count;
            }
        }
    };
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        candidates[i].groups = 0;
        if (candidates[i].fixedGroups > 0 && candidates[i].fixedGroups <= numGroups - next) {
            give(i, candidates[i].fixedGroups);
        }
    }
    Divide(candidates, numGroups - next);
    ++m_first; // the last group may be a small one: everybody has it in turn
    if (contiguous) {
        for (std::size_t k = 0; k < candidates.size(); ++k) {
            const std::size_t i = (m_first + k) % candidates.size();
            give(i, m_want[i]);
        }
        Placed(candidates, owner);
        return;
    }
    Place(candidates, owner);
    Placed(candidates, owner);
    for (auto& candidate : candidates) {
        candidate.groups = 0;
    }
    for (const auto each : owner) {
        if (each != nobody) {
            ++candidates[each].groups;
        }
    }
}

void Scheduler::Place(std::vector<Candidate>& candidates, std::vector<std::uint32_t>& owner) {
    std::uint32_t g = 0;
    for (std::size_t k = 0; k < candidates.size(); ++k) {
        const std::size_t i = (m_first + k) % candidates.size();
        for (std::uint32_t left = m_want[i]; left > 0 && g < owner.size(); ++g) {
            if (owner[g] == nobody) {
                owner[g] = static_cast<std::uint32_t>(i);
                --left;
            }
        }
    }
}

} // namespace edgelam::nr
