// SPDX-License-Identifier: GPL-2.0-only
#include "nr-growing-gram.h"

#include <algorithm>
#include <cmath>

namespace edgelam::nr {

namespace {

constexpr double least_left = 1e-12; ///< of a row's power: a row in the span of the others is nearly so instead

} // namespace

void GrowingGram::Clear() {
    m_size = 0;
    m_t.clear();
    m_inverse.clear();
}

void GrowingGram::Try(std::span<const Complex> dots, double power, Step& step) const {
    step.along.assign(m_size, 0);
    step.back.assign(m_size, 0);
    double within = 0;
    for (std::size_t i = 0; i < m_size; ++i) {
        const Complex* row = m_t.data() + i * (i + 1) / 2;
        for (std::size_t j = 0; j <= i; ++j) {
            step.along[i] += row[j] * dots[j];
        }
        within += std::norm(step.along[i]);
        for (std::size_t j = 0; j <= i; ++j) {
            step.back[j] += std::conj(row[j]) * step.along[i];
        }
    }
    step.left = std::max(power - within, least_left * power);
    step.inverse.resize(m_size + 1);
    for (std::size_t k = 0; k < m_size; ++k) {
        step.inverse[k] = m_inverse[k] + std::norm(step.back[k]) / step.left;
    }
    step.inverse[m_size] = 1 / step.left;
}

void GrowingGram::Add(const Step& step) {
    // The new row of T is (-(T b)^H T, 1) / sqrt(left), and (T b)^H T is the conjugate of T^H T b.
    const double scale = 1 / std::sqrt(step.left);
    for (const auto& each : step.back) {
        m_t.push_back(-scale * std::conj(each));
    }
    m_t.push_back(scale);
    m_inverse = step.inverse;
    ++m_size;
}

} // namespace edgelam::nr
