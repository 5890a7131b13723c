// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What the bridge throws. Python sees the same four under the same names.
///
///     BridgeError            anything the bridge cannot do
///      +- PeerDied           the process on the other side, or another participant, is gone
///      +- AttachRefused      the scenario does not take this participant; the text says why
///      +- BridgeTimeout      a wait that the caller bounded has run out
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

} // namespace edgelam::bridge
