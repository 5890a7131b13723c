// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The channels of a network with several carriers.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "ns3/double.h"

#include "radio-channel.h"
#include "sites-file.h"

namespace edgelam {

/// One channel for each carrier of the cells, all made alike. What is around users, and the random numbers, are the
/// same on all of them.
class Carriers {
  public:
    /// \param make a channel with the settings of the scenario
    explicit Carriers(std::function<ns3::Ptr<RadioChannel>()> make) : m_make(std::move(make)) {}

    /// The channel of a cell: that of --frequency, or of its own carrier.
    ns3::Ptr<RadioChannel> Of(const SiteCell& cell) {
        auto& channel = m_channels[cell.frequencyHz];
        if (!channel) {
            channel = m_make();
            if (cell.frequencyHz) {
                channel->SetAttribute("Frequency", ns3::DoubleValue(*cell.frequencyHz));
            }
        }
        return channel;
    }
    /// Call a function for each channel so far.
    template<class F>
    void ForAll(F body) const {
        for (const auto& [frequency, channel] : m_channels) {
            body(*channel);
        }
    }

  private:
    std::function<ns3::Ptr<RadioChannel>()> m_make;
    std::map<std::optional<double>, ns3::Ptr<RadioChannel>> m_channels; ///< by carrier frequency, Hz
};

} // namespace edgelam
