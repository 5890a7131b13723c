// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A host with a planted fault, for fuzz.py to find: it trusts the number of receivers of a transfer.
#include <cstdlib>
#include <iostream>
#include <numeric>
#include <vector>

#include "edgelam/bridge/host.h"
#include "edgelam/bridge/socket.h"

using namespace edgelam::bridge;

int main() {
    Host host({.address = TakeAddressFromEnvironment()});
    host.AwaitParticipants("{}");
    try {
        for (;;) {
            host.WaitForFrames();
            for (Frame frame; host.Receive(0, frame);) {
                if (frame.Is<Wait>()) {
                    host.Send(0, Resume{frame.As<Wait>().deadline_ns});
                } else if (frame.Is<TransferRequest>()) {
                    const std::vector<std::byte> tail(frame.tail.begin(), frame.tail.end());
                    const std::byte* last = tail.data() + 4 * frame.As<TransferRequest>().num_receivers;
                    if (*(last - 4) == std::byte{255}) {
                        std::cerr << "the last receiver ends in 255\n";
                    }
                }
            }
        }
    } catch (const BridgeError& error) {
        std::cerr << error.what() << '\n';
        return 3;
    }
}
