// SPDX-License-Identifier: GPL-2.0-only
#include "blockage.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace edgelam {

namespace {

constexpr double pi = std::numbers::pi;

/// F of one edge: the path over it is longer by `longerM`; it lies beyond the path, or the path passes outside of it.
double Edge(double longerM, bool beyond, double wavelengthM) {
    const double f = std::atan(pi / 2 * std::sqrt(pi / wavelengthM * std::max(longerM, 0.0))) / pi;
    return beyond ? f : -f;
}

/// A path in the plane of one view: forwards to the screen, and across it.
struct View {
    double x, y;       ///< from the receiver, of the point where the path meets the screen's plane
    double endX, endY; ///< of the transmitter
    bool direct;       ///< otherwise the wave is plane
    double wavelengthM;

    /// \param low, high of the edges across, from the receiver
    double Sum(double low, double high) const { return One(high, high > y) + One(low, low < y); }
    double One(double edge, bool beyond) const {
        const double first = std::hypot(x, edge);
        if (direct) {
            return Edge(first + std::hypot(endX - x, endY - edge) - std::hypot(endX, endY), beyond, wavelengthM);
        }
        const double along = (x * x + edge * y) / std::hypot(x, y); // r': projected on the path
        return Edge(first - along, beyond, wavelengthM);
    }
};

/// \param flat horizontal unit vector from the receiver along the path
/// \param rise of the path, per metre of `flat`
/// \param farM horizontal distance of the transmitter; 0: none, the wave is plane
double Blockage(const BlockingScreen& screen, const ns3::Vector& receiver, const ns3::Vector& flat, double rise,
                double farM, double wavelengthM) {
    const double dx = screen.centre.x - receiver.x, dy = screen.centre.y - receiver.y;
    const double along = dx * flat.x + dy * flat.y, across = dy * flat.x - dx * flat.y;
    const bool direct = farM > 0;
    if (along <= 0 || (direct && along >= farM)) {
        return 1;
    }
    const double up = screen.centre.z - receiver.z;
    const View top{along, 0, farM, 0, direct, wavelengthM};
    const View side{along, rise * along, farM, rise * farM, direct, wavelengthM};
    return 1 - side.Sum(up - screen.heightM / 2, up + screen.heightM / 2) *
                   top.Sum(across - screen.widthM / 2, across + screen.widthM / 2);
}

} // namespace

double DirectBlockage(const BlockingScreen& screen, const ns3::Vector& receiver, const ns3::Vector& transmitter,
                      double wavelengthM) {
    const double dx = transmitter.x - receiver.x, dy = transmitter.y - receiver.y, far = std::hypot(dx, dy);
    return far > 0 ? Blockage(screen, receiver, {dx / far, dy / far, 0}, (transmitter.z - receiver.z) / far, far,
                              wavelengthM)
                   : 1;
}

double PathBlockage(const BlockingScreen& screen, const ns3::Vector& receiver, const ns3::Vector& arrival,
                    double wavelengthM) {
    const double flat = std::hypot(arrival.x, arrival.y);
    return flat > 0
               ? Blockage(screen, receiver, {arrival.x / flat, arrival.y / flat, 0}, arrival.z / flat, 0, wavelengthM)
               : 1;
}

} // namespace edgelam
