// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Messages of RRC between a UE and its gNB, over the signalling bearer SRB1.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "nr-network.h"

namespace edgelam::nr {

/// Each message is an SDU of RLC AM: it goes in transport blocks, which may be lost, and arrives after all before it.
/// Only its size is simulated; what it says is the function that is called when it arrives.
class Signalling {
  public:
    /// Gives every UE of the network its signalling bearer.
    explicit Signalling(Network& network);
    Signalling(const Signalling&) = delete;
    Signalling& operator=(const Signalling&) = delete;

    /// \param arrived called in an event of its own once the message has arrived
    void SendDown(std::uint32_t ue, std::uint32_t bytes, std::function<void()> arrived);
    void SendUp(std::uint32_t ue, std::uint32_t bytes, std::function<void()> arrived);
    /// Messages that have not arrived never will.
    void Reset(std::uint32_t ue);
    /// Set the function that is called, in an event of its own, when RLC has sent a message too often.
    void SetFailed(std::function<void(std::uint32_t ue)> failed) { m_failed = std::move(failed); }

  private:
    struct Way {
        Bearer* bearer = nullptr;
        std::deque<std::function<void()>> arrived; ///< of the messages on their way, in order
    };
    void Send(Way& way, std::uint32_t bytes, std::function<void()> arrived);
    struct Ue {
        Way down, up;
    };
    std::deque<Ue> m_ues;
    std::function<void(std::uint32_t)> m_failed;
};

} // namespace edgelam::nr
