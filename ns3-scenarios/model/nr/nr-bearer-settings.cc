// SPDX-License-Identifier: GPL-2.0-only
#include "nr-bearer-settings.h"

#include <stdexcept>
#include <string>
#include <utility>

namespace edgelam::nr {

void BearerSettings::Check() const {
    const auto refuse = [](const char* name, const std::string& value, const char* legal) {
        throw std::invalid_argument(std::string("bearer: ") + name + " " + value + "; legal is " + legal);
    };
    if (bufferBytes < 1500) {
        refuse("bufferBytes", std::to_string(bufferBytes), "1500 or more");
    }
    for (const auto& [name, timer] :
         {std::pair{"t-Reassembly", reassembly}, std::pair{"t-StatusProhibit", statusProhibit},
          std::pair{"t-PollRetransmit", pollRetransmit}, std::pair{"t-Reordering", reordering}}) {
        if (timer.IsStrictlyNegative() || timer > ns3::Seconds(60)) {
            refuse(name, std::to_string(timer.GetSeconds()) + " s", "0 to 60 s");
        }
    }
    if (pollRetransmit.IsZero()) {
        refuse("t-PollRetransmit", "0", "more than 0");
    }
    if (pollPdu == 0 || pollBytes == 0 || maxRetransmissions == 0) {
        refuse("pollPDU, pollByte or maxRetxThreshold", "0", "1 or more");
    }
}

} // namespace edgelam::nr
