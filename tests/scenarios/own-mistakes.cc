// SPDX-License-Identifier: GPL-2.0-only
//
// A scenario in one file outside edgelam that takes structs, and makes mistakes on request.
#include <edgelam/scenario.h>

#include <array>
#include <stdexcept>

struct Move {
    std::uint32_t ue;
    std::array<double, 3> to;
};
EDGELAM_MESSAGE(Move, ue, to)

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("own-mistakes", "two nodes without links, and what their author did wrong");
    Move last{};
    return scenario.Main(argc, argv, [&] {
        ns3::NodeContainer nodes(2);
        scenario.ExposeWithoutIp(nodes.Get(0), "ue0", "ue");
        scenario.ExposeWithoutIp(nodes.Get(1), "edge0", "edge");

        auto& registry = scenario.registry();
        registry.Publish<Move>("last_move", "m", "what control move was set to", [&] { return last; });
        registry.Control<Move>("move", "m", "any", [&](const Move& move) {
            last = move;
            return std::string();
        });
    });
}
