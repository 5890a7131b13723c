// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What an exchange says: of its messages to the other side, of errors to the user.
#pragma once

#include <string>

#include "edgelam/bridge/ns3-ai/exchange.h"

namespace edgelam::bridge {

const char* NameOf(Side side);
std::string Quote(const std::string& text);

/// What a call does with a message.
enum class Direction { send, receive };
constexpr Side Other(Side side) {
    return side == Side::cpp ? Side::python : Side::cpp;
}
/// Which side calls, of messages that `sender` sends.
constexpr Side CallerOf(Direction direction, Side sender) {
    return direction == Direction::send ? sender : Other(sender);
}
/// "SendBegin" and the like.
const char* BeginOf(Direction direction);
const char* EndOf(Direction direction);
/// "PySendBegin()" and the like, as users know them.
std::string Call(Side caller, const char* what);

/// True once FailExchange ends this process: its end is no finish.
bool FailingExchange();

/// Lines "what<TAB>value": what both sides must agree on.
std::string Describe(const ExchangeOptions& options);
/// Where two descriptions differ, a line each; empty when they are the same.
std::string Differences(const std::string& creator, const std::string& opener);

} // namespace edgelam::bridge
