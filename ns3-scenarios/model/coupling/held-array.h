// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Arrays in shared memory while the host works with them, and what goes into the tail of a message.
#pragma once

#include <string>
#include <vector>

#include "edgelam/bridge/host.h"

namespace edgelam {

/// One hold of the host on an array, or on none if the reference says that there is none.
class HeldArray {
  public:
    /// An array that the host has just allocated, and so holds already.
    HeldArray(bridge::Host& host, const bridge::ArrayRef& array) : ref(array), m_host(host) {}
    /// An array of participant p, which itself holds it at least as long as it waits. If it is not, the run ends.
    HeldArray(bridge::Host& host, const bridge::ArrayRef& array, int p) : HeldArray(host, array) {
        m_host.CheckOwn(p, ref);
        if (ref.size_bytes > 0) {
            m_host.Hold(ref, 0, 1);
        }
    }
    ~HeldArray() {
        if (ref.size_bytes > 0) {
            bridge::Quietly([this] { m_host.Hold(ref, 0, -1); });
        }
    }
    HeldArray(const HeldArray&) = delete;
    HeldArray& operator=(const HeldArray&) = delete;

    /// Count participant p, to which the reference is about to be sent.
    void ShareWith(int p) const {
        if (ref.size_bytes > 0) {
            m_host.Hold(ref, p + 1, 1);
        }
    }

    const bridge::ArrayRef ref;

  private:
    bridge::Host& m_host;
};

/// Numbers as the bytes they have on the bridge.
template<class T>
std::string Pack(const std::vector<T>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

} // namespace edgelam
