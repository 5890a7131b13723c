// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Gram matrices of rows that are added one at a time.
#pragma once

#include <complex>
#include <cstddef>
#include <span>
#include <vector>

namespace edgelam::nr {

/// The Gram matrix A = R R^H of rows of a channel, as its Cholesky factor's inverse T (A = L L^H, T L = I). A row costs
/// O(n^2). With it come what zero forcing leaves of each row (1 / [A^-1]_kk) and the part of a new row that lies in the
/// direction of each orthonormalised row of before.
class GrowingGram {
  public:
    using Complex = std::complex<double>;

    std::size_t Size() const { return m_size; }
    void Clear();

    /// What a new row would change.
    struct Step {
        std::vector<Complex> along;  ///< [row] T b: the new row in the directions of the orthonormalised ones
        std::vector<Complex> back;   ///< [row] T^H T b
        double left = 0;             ///< squared norm of what is orthogonal to all of them; above 0
        std::vector<double> inverse; ///< [row + 1] diagonal of A^-1 with the new row
    };
    /// \param dots [row] r_i r_new^H; \param power |r_new|^2, above 0
    void Try(std::span<const Complex> dots, double power, Step& step) const;
    void Add(const Step& step);

    /// [A^-1]_kk: a zero-forcing precoder with unit-norm columns leaves 1 / [A^-1]_kk of the power.
    const std::vector<double>& InverseDiagonal() const { return m_inverse; }

  private:
    std::size_t m_size = 0;
    std::vector<Complex> m_t; ///< lower triangle by rows
    std::vector<double> m_inverse;
};

} // namespace edgelam::nr
