// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Random numbers that depend on a name and not on the order of calls: the drop of a cell is the same no matter which
/// user entered it first.
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <numbers>
#include <span>
#include <utility>

namespace edgelam {

/// A separate stream for every (seed, name). SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
/// Generators, 2014): a counter through a 64-bit mixing function.
class NamedRandom {
  public:
    NamedRandom(std::uint64_t seed, std::initializer_list<std::uint64_t> name) : m_counter(Mix(seed)) {
        for (const auto part : name) {
            m_counter = Mix(m_counter ^ Mix(part + step));
        }
    }

    /// 64 random bits.
    std::uint64_t Bits() { return Mix(m_counter += step); }
    /// Uniform in (0, 1): neither end is ever drawn.
    double Uniform() { return (static_cast<double>(Bits() >> 12) + 0.5) * 0x1p-52; }
    /// Normal, mean 0, variance 1 (Box and Muller).
    double Normal() {
        const double radius = std::sqrt(-2 * std::log(Uniform()));
        return radius * std::cos(2 * std::numbers::pi * Uniform());
    }
    /// -1 or +1.
    int Sign() { return (Bits() >> 63) ? 1 : -1; }
    /// Uniform in 0 to count - 1; count is small compared with 2^32.
    std::size_t Below(std::size_t count) { return static_cast<std::size_t>(((Bits() >> 32) * count) >> 32); }
    template<class T>
    void Shuffle(std::span<T> items) {
        for (std::size_t i = items.size(); i > 1; --i) {
            std::swap(items[i - 1], items[Below(i)]);
        }
    }

  private:
    static constexpr std::uint64_t step = 0x9e3779b97f4a7c15;
    static std::uint64_t Mix(std::uint64_t z) {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    std::uint64_t m_counter;
};

} // namespace edgelam
