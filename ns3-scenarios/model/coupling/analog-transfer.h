// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Analog transfers: several nodes send at once on the same resource elements, and a receiver gets their sum. What they
/// send is known to participants only; a radio says which resource elements are taken, when, and what the channel does.
#pragma once

#include <complex>
#include <cstdint>
#include <functional>
#include <vector>

namespace edgelam {

/// What the channel made of an analog transfer.
struct AnalogOutcome {
    /// One resource block in one slot.
    struct Block {
        std::int64_t startNs;   ///< of the slot
        std::uint32_t prb;      ///< in the carrier
        std::uint32_t elements; ///< for symbols
        double interferenceW;   ///< of a resource element at a port of the receiver, from other cells, mean over ports
    };
    std::int64_t beginNs = 0, endNs = 0; ///< of the first slot; when the receiver has the last one
    std::uint32_t numPorts = 0;          ///< of the receiver
    double noiseW = 0;                   ///< thermal noise of a resource element at a port
    double noiseFigureDb = 0;            ///< in it
    double powerW = 0;                   ///< the most that a sender sends at a time, on all its subcarriers together
    std::vector<Block> blocks;           ///< none: the transfer was cancelled
    /// [sender, port, block]: received amplitude for a sent one of 1, when it is sent, and when the grant was decided
    /// on; 0: the sender had no grant.
    std::vector<std::complex<float>> gains, known;
};

struct AnalogWish {
    std::vector<std::uint32_t> senders; ///< nodes
    std::uint64_t elements = 0;         ///< resource elements, at least 1
    std::uint32_t mostPrbs = 0;         ///< in a slot; 0: all
    std::function<void(AnalogOutcome)> done;
};

/// Begins an analog transfer to the radio of a node. Throws std::invalid_argument for a wish that is not legal.
/// \return withdraws what has no slot yet; `done` is called in any case
using AnalogRadio = std::function<std::function<void()>(AnalogWish)>;

} // namespace edgelam
