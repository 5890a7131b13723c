// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The control socket: a Unix stream socket in the abstract name space (nothing on disk), used to attach and to notice
/// the end of the other side. A message has a fixed header, a text, and possibly descriptors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "edgelam/bridge/segment.h"

namespace edgelam::bridge {

/// The other side has closed the socket or has ended.
class SocketClosed : public BridgeError {
  public:
    using BridgeError::BridgeError;
};

/// The process at the other end, according to the kernel.
struct PeerCredentials {
    int pid;
    unsigned uid;
};

/// The address that the process which started this one has put into the environment; empty if there is none. Only its
/// own user can read it there (everybody can read a command line, and could then listen at the address first). The
/// function removes it, so that processes started from here do not get it.
std::string TakeAddressFromEnvironment();

/// Listens at "@name". Throws BridgeError if the address is malformed or taken.
UniqueFd ListenAt(const std::string& address);
/// Connects; the result is empty if nobody listens there yet.
UniqueFd TryConnect(const std::string& address);
PeerCredentials CredentialsOf(int socket);

/// One message of the attach exchange.
struct AttachMessage {
    std::uint32_t status = 0; ///< answers: 0 accepted, 1 refused
    std::string text;
    std::vector<UniqueFd> fds;
};

/// Sends the whole message. Throws BridgeError or SocketClosed.
void SendAttachMessage(int socket, std::uint32_t status, const std::string& text, const std::vector<int>& fds = {});

/// Collects a message from a socket as its bytes arrive.
class AttachReader {
  public:
    /// Reads what has arrived, without blocking. Returns true when the message is complete. Throws SocketClosed at end
    /// of file, and BridgeError if the bytes are not a valid message.
    bool ReadSome(int socket);
    AttachMessage Take();

  private:
    std::string m_bytes;
    std::vector<UniqueFd> m_fds;
};

} // namespace edgelam::bridge
