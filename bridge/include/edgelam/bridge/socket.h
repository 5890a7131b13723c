// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The control socket: a Unix stream socket in the abstract name space (nothing on disk), used to attach and to see
/// the other side end. A message is a fixed header, a text, and perhaps descriptors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "edgelam/bridge/segment.h"

namespace edgelam::bridge {

/// The other side has closed the socket, or ended.
class SocketClosed : public BridgeError {
  public:
    using BridgeError::BridgeError;
};

/// Who is at the other end, as the kernel says.
struct PeerCredentials {
    int pid;
    unsigned uid;
};

/// The address that the process which started this one has left in the environment, where only its own user can read
/// it (a command line is read by everybody, who could then listen there first); empty if there is none. Takes it out,
/// so that processes started from here do not get it.
std::string TakeAddressFromEnvironment();

/// Listens at "@name". Throws BridgeError when the address is malformed or taken.
UniqueFd ListenAt(const std::string& address);
/// Connects; empty when nobody listens there yet.
UniqueFd TryConnect(const std::string& address);
PeerCredentials CredentialsOf(int socket);

/// One message of the attach exchange.
struct AttachMessage {
    std::uint32_t status = 0; ///< answers: 0 accepted, 1 refused
    std::string text;
    std::vector<UniqueFd> fds;
};

/// Sends all of it. Throws BridgeError, SocketClosed.
void SendAttachMessage(int socket, std::uint32_t status, const std::string& text, const std::vector<int>& fds = {});

/// Collects a message from a socket as its bytes come.
class AttachReader {
  public:
    /// Reads what is there, without blocking. True once the message is complete. Throws SocketClosed at end of file,
    /// BridgeError on nonsense.
    bool ReadSome(int socket);
    AttachMessage Take();

  private:
    std::string m_bytes;
    std::vector<UniqueFd> m_fds;
};

} // namespace edgelam::bridge
