// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What the bridge throws. Python sees the same five under the same names.
///
///     BridgeError            anything the bridge cannot do
///      +- PeerDied           the process on the other side, or another participant, is gone
///      +- AttachRefused      the scenario does not take this participant; the text says why
///      +- BridgeTimeout      a wait that the caller bounded has run out
///      +- ProtocolError      the other side has sent what protocol.h does not allow
#pragma once

#include <stdexcept>
#include <string>

namespace edgelam::bridge {

class BridgeError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

class PeerDied : public BridgeError {
  public:
    /// \p who participant index, or -1 for the host.
    PeerDied(int who, std::string who_name, const std::string& text)
        : BridgeError(text), participant(who), name(std::move(who_name)) {}
    explicit PeerDied(const std::string& text) : PeerDied(-1, "", text) {}

    int participant;
    std::string name;
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

/// For destructors that give an array back: counts that another process has damaged are no reason to end this one.
template<class F>
void Quietly(F&& f) noexcept {
    try {
        f();
    } catch (const BridgeError&) { // nothing is left to give back
    }
}

} // namespace edgelam::bridge
