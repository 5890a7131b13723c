// SPDX-License-Identifier: GPL-2.0-only
#include "wrap-around.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

namespace edgelam {

using ns3::Vector;

WrapAround::WrapAround(const std::vector<Vector>& shifts, double fadeM) : m_fadeM(fadeM) {
    if (!(fadeM >= 1e-3 && std::isfinite(fadeM))) {
        throw std::invalid_argument("wrap-around: a change of image takes " + std::to_string(fadeM) +
                                    " m; legal are 0.001 m and more");
    }
    for (const auto& shift : shifts) {
        if (!std::isfinite(shift.x) || !std::isfinite(shift.y) || !std::isfinite(shift.z)) {
            throw std::invalid_argument("wrap-around: a shift is (" + std::to_string(shift.x) + ", " +
                                        std::to_string(shift.y) + ", " + std::to_string(shift.z) +
                                        ") m; legal are finite lengths");
        }
        if (shift.x != 0 || shift.y != 0 || shift.z != 0) {
            m_shifts.push_back(shift);
        }
    }
}

WrapAround WrapAround::Hexagonal(double siteDistanceM, unsigned rings, double fadeM) {
    // From one cluster to the next: rings + 1 steps along one axis of the grid and rings along the axis 60 degrees
    // further; and the same turned by multiples of 60 degrees.
    const double step = siteDistanceM, half = 0.5 * step, high = 0.5 * std::numbers::sqrt3 * step;
    const double x = (rings + 1) * step + rings * half, y = rings * high;
    std::vector<Vector> shifts;
    for (int sixth = 0; sixth < 6; ++sixth) {
        const double angle = sixth * std::numbers::pi / 3;
        shifts.emplace_back(x * std::cos(angle) - y * std::sin(angle), x * std::sin(angle) + y * std::cos(angle), 0);
    }
    return WrapAround(shifts, fadeM);
}

std::vector<WorldImage> WrapAround::Images(const Vector& site, const Vector& user) const {
    if (!Wraps()) {
        return {{Vector(), 1}};
    }
    std::vector<double> distances;
    for (const auto& shift : m_shifts) {
        distances.push_back(std::hypot(user.x - shift.x - site.x, user.y - shift.y - site.y));
    }
    const double nearest = *std::min_element(distances.begin(), distances.end());
    std::vector<WorldImage> images;
    double sum = 0;
    for (std::size_t i = 0; i < m_shifts.size(); ++i) {
        if (const double share = 1 - (distances[i] - nearest) / m_fadeM; share > 0) {
            const double smooth = share * share * (3 - 2 * share); // a strong image does not come in with a jump
            images.push_back({m_shifts[i], smooth});
            sum += smooth;
        }
    }
    for (auto& image : images) {
        image.weight /= sum;
    }
    std::stable_sort(images.begin(), images.end(),
                     [](const WorldImage& a, const WorldImage& b) { return a.weight > b.weight; });
    return images;
}

} // namespace edgelam
