// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Vectors of numbers that are not set to zero before they are written.
#pragma once

#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace edgelam {

/// Does not initialise new elements, while std::allocator would make them zero.
template<class T>
struct RawAllocator : std::allocator<T> {
    template<class U>
    struct rebind {
        using other = RawAllocator<U>;
    };
    template<class U>
    void construct(U* at) noexcept {
        ::new (static_cast<void*>(at)) U;
    }
    template<class U, class... Arguments>
    void construct(U* at, Arguments&&... arguments) {
        ::new (static_cast<void*>(at)) U(std::forward<Arguments>(arguments)...);
    }
};

/// For arithmetic types: RawVector<T>(n) and resize(n) have elements of any value.
template<class T>
using RawVector = std::vector<T, RawAllocator<T>>;

} // namespace edgelam
