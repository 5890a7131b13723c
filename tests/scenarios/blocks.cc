// SPDX-License-Identifier: GPL-2.0-only
//
// Two radio nodes without IPv4, and an observable that is filled in shared memory: blocks of `snapshots` rows, one row
// every millisecond. Row i of block b holds b * snapshots + i. `block_place` says where the newest finished block lies.
#include <edgelam/block-feed.h>
#include <edgelam/scenario.h>

#include "ns3/nstime.h"
#include "ns3/simulator.h"

struct Place {
    std::uint64_t offset; ///< in the arena of the scenario, bytes
    std::uint64_t blocks; ///< finished so far
};
EDGELAM_MESSAGE(Place, offset, blocks)

namespace {

class Rows {
  public:
    Rows(edgelam::Registry& registry, std::uint32_t snapshots, std::uint32_t width)
        : m_snapshots(snapshots), m_width(width),
          m_feed(registry, "rows", "", "row i of block b holds b * snapshots + i", {{"time", snapshots}, {"x", width}},
                 snapshots * 1'000'000ll) {
        registry.Publish<Place>("block_place", "byte", "where the newest block lies", [this] {
            return Place{m_feed.finished() ? m_feed.finished()->ref().offset : 0, m_row / m_snapshots};
        });
        ns3::Simulator::ScheduleNow([this] { Sample(); });
    }

  private:
    void Sample() {
        if (m_row % m_snapshots == 0) {
            m_block = m_feed.Begin();
        }
        if (!m_block.empty()) {
            const auto row = m_block.subspan(m_row % m_snapshots * m_width, m_width);
            std::fill(row.begin(), row.end(), static_cast<float>(m_row));
        }
        if (++m_row % m_snapshots == 0) {
            m_feed.Finish(ns3::Simulator::Now().GetNanoSeconds());
        }
        ns3::Simulator::Schedule(ns3::MilliSeconds(1), [this] { Sample(); });
    }

    std::uint64_t m_snapshots, m_width, m_row = 0;
    edgelam::BlockFeed<std::complex<float>> m_feed;
    std::span<std::complex<float>> m_block;
};

} // namespace

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("blocks", "two radio nodes, and rows of numbers in shared memory");
    std::uint32_t snapshots = 4, width = 1000;
    scenario.options().Integer("snapshots", snapshots, "rows of a block", 1, 1000);
    scenario.options().Integer("width", width, "numbers in a row", 1, 1'000'000);
    std::unique_ptr<Rows> rows;
    return scenario.Main(argc, argv, [&] {
        ns3::NodeContainer nodes(2);
        scenario.ExposeWithoutIp(nodes.Get(0), "gnb0", "gnb");
        scenario.ExposeWithoutIp(nodes.Get(1), "ue0", "ue");
        rows = std::make_unique<Rows>(scenario.registry(), snapshots, width);
    });
}
