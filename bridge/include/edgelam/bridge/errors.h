// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The exceptions of the bridge. Python has the same five under the same names.
///
///     BridgeError            anything the bridge cannot do
///      +- PeerDied           the process on the other side, or another participant, is gone
///      +- AttachRefused      the scenario does not take this participant; the text says why
///      +- BridgeTimeout      a wait that the caller bounded has run out
///      +- ProtocolError      the other side has sent what protocol.h does not allow
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace edgelam::bridge {

class BridgeError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Why a run cannot go on.
enum class AbortCause : std::uint32_t {
    none = 0,
    host = 1,             ///< the host could not do what it has to do
    participant_died = 2, ///< it died without Detach
    violation = 3         ///< a participant has sent what the protocol does not allow
};

class PeerDied : public BridgeError {
  public:
    explicit PeerDied(const std::string& text, AbortCause why = AbortCause::host, int who = -1)
        : BridgeError(text), cause(why), participant(who) {}

    AbortCause cause;
    int participant; ///< whose fault it is; -1: the host, or the other side of an exchange
};

class AttachRefused : public BridgeError {
  public:
    using BridgeError::BridgeError;
};

class BridgeTimeout : public BridgeError {
  public:
    using BridgeError::BridgeError;
};

class ProtocolError : public BridgeError {
  public:
    using BridgeError::BridgeError;
};

/// For destructors that give an array back: if another process has damaged the counts, that is no reason to end this
/// process.
template<class F>
void Quietly(F&& f) noexcept {
    try {
        f();
    } catch (const BridgeError&) { // nothing is left to give back
    }
}

} // namespace edgelam::bridge
