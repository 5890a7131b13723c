// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Which C++ types can be the value of an observable or a control, and their layout as bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "edgelam/bridge/schema.h"

#include "shared-memory.h"

namespace edgelam {

/// An array of several dimensions, C order. `values` has as many elements as the product of `shape`.
template<class T>
struct Array {
    std::vector<std::int64_t> shape;
    std::vector<T> values;
};

/// An array of several dimensions, C order, that lies in shared memory: participants get it without a copy.
template<class T>
struct SharedArray {
    std::vector<std::int64_t> shape;
    std::shared_ptr<const SharedBlock> block; ///< sizeof(T) times the product of `shape` bytes
};

/// One dimension of a value: what it counts ("ue", "xyz"), and how many, -1 if that varies from reading to reading.
struct Axis {
    std::string name;
    std::int64_t size = -1;
};

/// A value's bytes and the shape they have.
struct Reading {
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes;
    std::shared_ptr<const SharedBlock> block = nullptr; ///< holds the value instead of `bytes`

    std::size_t size_bytes() const { return block ? block->bytes().size() : bytes.size(); }
};

/// How a type crosses: its element, its number of dimensions, and both directions. The general case is one element
/// without dimensions: a number or a struct listed with EDGELAM_MESSAGE.
template<class T>
struct ValueTraits {
    using Element = T;
    static constexpr std::size_t dims = 0;

    static Reading Write(const T& value) {
        Reading out{{}, std::vector<std::byte>(sizeof(T))};
        std::memcpy(out.bytes.data(), &value, sizeof(T));
        return out;
    }
    static T Read(const std::vector<std::int64_t>&, const std::byte* bytes, std::size_t) {
        T value;
        std::memcpy(&value, bytes, sizeof(T));
        return value;
    }
};

namespace detail {

template<class E>
std::vector<std::byte> Bytes(const E* data, std::size_t count) {
    std::vector<std::byte> bytes(count * sizeof(E));
    if (count > 0) {
        std::memcpy(bytes.data(), data, bytes.size());
    }
    return bytes;
}

} // namespace detail

template<class E, std::size_t N>
struct ValueTraits<std::array<E, N>> {
    using Element = E;
    static constexpr std::size_t dims = 1;

    static Reading Write(const std::array<E, N>& value) {
        return {{static_cast<std::int64_t>(N)}, detail::Bytes(value.data(), N)};
    }
    static std::array<E, N> Read(const std::vector<std::int64_t>&, const std::byte* bytes, std::size_t) {
        std::array<E, N> value;
        std::memcpy(value.data(), bytes, sizeof(value));
        return value;
    }
};

template<class E>
struct ValueTraits<std::vector<E>> {
    using Element = E;
    static constexpr std::size_t dims = 1;

    static Reading Write(const std::vector<E>& value) {
        return {{static_cast<std::int64_t>(value.size())}, detail::Bytes(value.data(), value.size())};
    }
    static std::vector<E> Read(const std::vector<std::int64_t>&, const std::byte* bytes, std::size_t count) {
        std::vector<E> value(count);
        if (count > 0) {
            std::memcpy(value.data(), bytes, count * sizeof(E));
        }
        return value;
    }
};

template<class E>
struct ValueTraits<Array<E>> {
    using Element = E;
    static constexpr std::size_t dims = SIZE_MAX; ///< as many as axes are named

    static Reading Write(const Array<E>& value) {
        return {value.shape, detail::Bytes(value.values.data(), value.values.size())};
    }
    static Array<E> Read(const std::vector<std::int64_t>& shape, const std::byte* bytes, std::size_t count) {
        return {shape, ValueTraits<std::vector<E>>::Read({}, bytes, count)};
    }
};

/// Only an observable's value can lie in shared memory.
template<class E>
struct ValueTraits<SharedArray<E>> {
    using Element = E;
    static constexpr std::size_t dims = SIZE_MAX; ///< as many as axes are named

    static Reading Write(const SharedArray<E>& value) { return {value.shape, {}, value.block}; }
};

} // namespace edgelam
