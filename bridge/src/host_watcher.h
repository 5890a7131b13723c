// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The host's second thread: takes participants in, and notices when one ends. It never touches ns-3 or the rings.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "edgelam/bridge/attach.h"
#include "edgelam/bridge/control.h"
#include "edgelam/bridge/host.h"
#include "edgelam/bridge/socket.h"

namespace edgelam::bridge {

class HostWatcher {
  public:
    /// \p arena_fds: [1 + participants], by process.
    HostWatcher(const HostOptions& options, Control& control, std::vector<int> arena_fds);
    ~HostWatcher();

    /// From now on, hellos are answered.
    void Open(const std::string& catalogue_json);
    /// From now on, hellos are refused: the simulation has started.
    void CloseAttach() { m_started = true; }
    /// "participant 1 (pid 4711)"; the name in front of the pid if it gave one.
    std::string Describe(int p);

  private:
    struct Peer {
        UniqueFd socket, process;
        int pid = 0;
        std::string name;
    };
    struct Visitor {
        UniqueFd socket;
        AttachReader reader;
        bool complete = false;
    };

    void Run();
    void Accept();
    /// True when the visitor is done with (taken in, refused or gone).
    bool Serve(Visitor& visitor);
    /// The reason to refuse; empty to take in.
    std::string Judge(const Hello& hello);
    void TakeIn(const Hello& hello, Visitor& visitor);
    void PeerEnded(int p, bool process_ended);
    void Wake();

    HostOptions m_options;
    Control& m_control;
    std::vector<int> m_arena_fds;
    UniqueFd m_listener, m_wake, m_catalogue;
    std::atomic<bool> m_open{false}, m_started{false}, m_stop{false};
    std::mutex m_mutex; // names and pids
    std::vector<Peer> m_peers;
    std::map<int, Visitor> m_visitors; // by socket
    std::thread m_thread;              // last: starts when all else is there
};

} // namespace edgelam::bridge
