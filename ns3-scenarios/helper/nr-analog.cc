// SPDX-License-Identifier: GPL-2.0-only
#include "nr-analog.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrAnalog");

namespace edgelam {

void TakeAnalog(TransferApplication& application, std::vector<ns3::Ptr<ns3::Node>> ues,
                std::function<ns3::Ptr<nr::Cell>(std::uint32_t)> servingCell) {
    application.SetAnalogRadio([ues = std::move(ues), servingCell = std::move(servingCell)](AnalogWish wish) {
        ns3::Ptr<nr::Cell> cell;
        for (auto& sender : wish.senders) {
            const auto found = std::ranges::find(ues, sender, [](const auto& node) { return node->GetId(); });
            if (found == ues.end()) {
                throw std::invalid_argument("node " + std::to_string(sender) +
                                            " is no UE of an NR cell; legal senders are UEs, and the receiver their "
                                            "gNB: an analog transfer goes up");
            }
            const auto ue = static_cast<std::uint32_t>(found - ues.begin());
            const auto serving = servingCell(ue);
            if (!serving || (cell && serving != cell)) {
                throw std::invalid_argument(
                    "UE " + std::to_string(ue) + " is in " +
                    (serving ? "another cell than the senders before it" : "no cell of this gNB") +
                    "; legal are UEs of one cell of the receiver");
            }
            cell = serving;
            sender = ue;
        }
        if (!cell) {
            throw std::invalid_argument("an analog transfer of no node; legal is at least one UE");
        }
        NS_LOG_INFO("of " << wish.senders.size() << " UEs");
        return cell->SendAnalog(std::move(wish));
    });
}

} // namespace edgelam
