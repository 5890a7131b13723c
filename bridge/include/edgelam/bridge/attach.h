// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a participant says about itself when it attaches, and how the host checks it.
#pragma once

#include <cstdint>
#include <string>

namespace edgelam::bridge {

/// The first message of a participant: lines "key<TAB>value", an empty line, then the layout of every message, as given
/// by ProtocolMessages::DescribeAllLines.
struct Hello {
    std::uint32_t version = 0;
    int participant = -1;
    int pid = 0;
    std::string name;
    std::string schema;

    std::string ToText() const;
    /// Throws BridgeError if the text cannot be read.
    static Hello FromText(const std::string& text);
};

/// Compares layouts line by line. Returns an empty text if they are the same, otherwise the differences, with both
/// sides named.
std::string CompareSchemas(const std::string& who, const std::string& theirs, const std::string& ours);

} // namespace edgelam::bridge
