// SPDX-License-Identifier: GPL-2.0-only
#include "nr-bearer.h"

#include <algorithm>

namespace edgelam::nr {

std::uint32_t Bearer::Take(std::uint32_t bytes, std::vector<RlcPdu>& out, bool data, std::uint32_t enough) {
    std::uint32_t used = 0;
    if (m_signalling) {
        const std::size_t before = out.size();
        used = m_signalling->Take(bytes, out);
        for (std::size_t i = before; i < out.size(); ++i) {
            out[i].signalling = true;
        }
    }
    return data ? used + TransmittingEntity::Take(bytes - used, out, enough - std::min(enough, used)) : used;
}

RlcStatus Bearer::TakeStatus(std::uint32_t bytes) {
    if (m_signalling && m_signalling->StatusBytes() > 0) {
        RlcStatus status = m_signalling->TakeStatus(bytes);
        status.signalling = true;
        return status;
    }
    return ReceivingEntity::TakeStatus(bytes);
}

} // namespace edgelam::nr
