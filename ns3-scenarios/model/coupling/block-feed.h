// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// An observable whose array is filled in shared memory, block after block:
///
///     BlockFeed<std::complex<float>> csi(registry, "csi/ue0", "", "channel of ue0", {{"time", 20}, {"tone", 96}},
///                                        10'000'000);
///     std::span<std::complex<float>> block = csi.Begin();     // filled by simulation events ...
///     csi.Finish(now_ns);                                     // ... and from now on participants read it
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "edgelam/bridge/errors.h"

#include "registry.h"

namespace edgelam {

/// Participants read the newest finished block, where it was filled: no copy is made. A subscription gets each block
/// as it is finished (see Registry::SetPeriod). A block that participants still hold stays as it is; the next one is
/// filled elsewhere.
template<class E>
class BlockFeed {
  public:
    /// \p axes name the dimensions of a block, all of a fixed size; \p periodNs is the time from one block to the next,
    /// above 0. Throws std::invalid_argument.
    BlockFeed(Registry& registry, std::string name, std::string unit, std::string help, std::vector<Axis> axes,
              std::int64_t periodNs)
        : m_registry(registry), m_state(std::make_shared<State>()) {
        m_count = 1;
        for (const auto& axis : axes) {
            if (axis.size <= 0) {
                throw std::invalid_argument("'" + name + "': axis '" + axis.name + "' of a block has size " +
                                            std::to_string(axis.size) + "; legal are sizes from 1");
            }
            m_state->shape.push_back(axis.size);
            m_count *= static_cast<std::size_t>(axis.size);
        }
        m_id = registry.Publish<SharedArray<E>>(
            name, std::move(unit), std::move(help),
            [state = m_state] {
                if (!state->finished) {
                    throw std::runtime_error("no block is finished: " + (state->failure.empty()
                                                                             ? "the first is not complete yet"
                                                                             : state->failure));
                }
                return SharedArray<E>{state->shape, state->finished};
            },
            std::move(axes));
        registry.SetPeriod(m_id, periodNs);
    }

    /// Memory of the next block, C order, with arbitrary content. Empty when there is no room: reading the observable
    /// is then refused with the reason, until a block is finished again.
    std::span<E> Begin() {
        m_filling.reset();
        try {
            m_filling = m_registry.memory().Allocate(m_count * sizeof(E));
        } catch (const bridge::BridgeError& error) {
            m_state->finished.reset();
            m_state->failure = error.what();
            return {};
        }
        return {reinterpret_cast<E*>(m_filling->bytes().data()), m_count};
    }

    /// The block is complete. Subscribers are told, even if there was no room for the block.
    void Finish(std::int64_t nowNs) {
        if (m_filling) {
            m_state->finished = std::move(m_filling);
            m_state->failure.clear();
        }
        m_registry.Announce(m_id, nowNs);
    }

    /// The newest finished block; null if there is none.
    std::shared_ptr<const SharedBlock> finished() const { return m_state->finished; }

  private:
    struct State {
        std::vector<std::int64_t> shape;
        std::shared_ptr<const SharedBlock> finished;
        std::string failure;
    };
    Registry& m_registry;
    std::shared_ptr<State> m_state; ///< shared with the reading function, which may outlive this object
    std::size_t m_id = 0, m_count = 0;
    std::shared_ptr<SharedBlock> m_filling;
};

} // namespace edgelam
