// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// How the two processes of an exchange find each other, and notice that the other has ended. No thread: the owner
/// looks now and then.
///
/// The creator of a segment listens at an address of the abstract name space that holds its user, its process, 64
/// random bits and the segment's name. An opener looks for the name in the list of sockets that listen, and takes the
/// nearest process of its own user: its parent, its parent's parent and so on, then what one of these has started. So a
/// program always reaches the process that started it, however many of the same name run; and one started by hand the
/// one that was started beside it, or the only one there is. Another user can read the list, but neither listen there
/// first nor pass for this user. The names that ns3-ai's versions give when the program gives none count as one.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "edgelam/bridge/doorbell.h"
#include "edgelam/bridge/ns3-ai/exchange.h"
#include "edgelam/bridge/socket.h"

namespace edgelam::bridge {

constexpr auto connect_limit = std::chrono::seconds(60); ///< so long the two sides wait for each other to appear
constexpr auto notice_after = std::chrono::seconds(3);   ///< and after that they say so

/// The other process.
class Peer {
  public:
    Peer() = default;
    Peer(UniqueFd socket, int pid);

    explicit operator bool() const { return m_pid >= 0; }
    int pid() const { return m_pid; }
    /// True once it has ended or closed its side.
    bool Ended() const;
    /// "was killed by SIGKILL", "has ended with exit status 1", as far as it can be told.
    std::string HowItEnded() const;

  private:
    UniqueFd m_socket, m_process;
    int m_pid = -1;
};

/// The creator's end.
class ExchangeListener {
  public:
    /// A listener of the same segment in this process hears nothing more: it is `Superseded`.
    explicit ExchangeListener(const std::string& segment);
    ~ExchangeListener();

    /// What has come in since the last look.
    struct News {
        std::optional<Peer> announced; ///< a child was started
        UniqueFd socket;               ///< somebody wants to attach ...
        std::string hello;             ///< ... and says this
    };
    /// One piece of it, if there is any.
    std::optional<News> Next();
    bool Superseded() const { return !m_listener; }

  private:
    std::optional<News> Accept();

    std::string m_segment;
    UniqueFd m_listener;
};

/// The process among those that started this one that has made a segment of that very name; 0 if none has.
int AncestorWith(const std::string& segment);

/// The opener's way in: connects, says hello, and gives the answer. `look_up` is called every 50 ms at most; what it
/// throws ends the wait. `notice` gets a text for the user when it takes long. Throws BridgeError.
struct Attached {
    Peer peer;
    AttachMessage answer;
};
Attached AttachToCreator(const std::string& segment, const std::string& hello, const std::function<void()>& look_up,
                         const std::function<void(const std::string&)>& notice);

} // namespace edgelam::bridge
