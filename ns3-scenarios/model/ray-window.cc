// SPDX-License-Identifier: GPL-2.0-only
#include "ray-window.h"

#include <algorithm>
#include <cmath>

namespace edgelam {

namespace {

constexpr std::size_t kept_weights = 8; ///< pairs of weights whose coefficients a window remembers

/// Lengths, phases and directions of a set of images, with gradients over both places, in turns (scale = waves per
/// metre) or seconds (scale = 1 / speed of light).
struct Geometry {
    std::vector<double> store;
    kernels::PathArrays arrays;
    explicit Geometry(std::size_t n) : store(8 * n) {
        double* p = store.data();
        arrays = {p, p + n, p + 2 * n, p + 3 * n, p + 4 * n, p + 5 * n, p + 6 * n, p + 7 * n};
    }
    std::vector<double> Gradient(std::size_t n, double scale) const {
        std::vector<double> gradient(6 * n);
        const double* const parts[6] = {arrays.ax, arrays.ay, arrays.az, arrays.bx, arrays.by, arrays.bz};
        for (std::size_t i = 0; i < 6; ++i) {
            for (std::size_t ray = 0; ray < n; ++ray) {
                gradient[i * n + ray] = parts[i][ray] * scale;
            }
        }
        return gradient;
    }
};

/// For each ray, planar [ray, polarisation x port]: sums over the places of one array with the weights of its ports.
struct Projection {
    std::size_t stride;
    std::vector<float> re, im;

    Projection(const ArrayResponse& response, const PortWeights& weights, std::size_t rays) {
        const std::size_t ports = weights.numPorts(), columns = response.numPolarisations * ports;
        stride = (columns + 7) / 8 * 8;
        std::vector<float> weightRe(response.numPlaces * stride),
            weightIm(weightRe.size()); // [place, polarisation x port]
        const auto* value = weights.values().data();
        for (std::size_t p = 0; p < response.numPolarisations; ++p) {
            for (std::size_t place = 0; place < response.numPlaces; ++place) {
                for (std::size_t port = 0; port < ports; ++port, ++value) {
                    weightRe[place * stride + p * ports + port] = value->real();
                    weightIm[place * stride + p * ports + port] = value->imag();
                }
            }
        }
        re.resize(rays * stride);
        im.resize(rays * stride);
        kernels::Multiply(response.phaseRe.data(), response.phaseIm.data(), rays, response.numPlaces, weightRe.data(),
                          weightIm.data(), stride, re.data(), im.data());
    }
};

} // namespace

RayWindow::RayWindow(std::shared_ptr<const ClusterDrop> drop, const ns3::PhasedArrayModel& utArray,
                     const ns3::PhasedArrayModel& bsArray, const ns3::Vector& ut, const ns3::Vector& bs,
                     double wavelengthM)
    : m_drop(std::move(drop)), m_ut(ut), m_bs(bs) {
    const double place[3] = {ut.x, ut.y, ut.z};
    const ns3::Vector from = m_drop->bsPosition;
    const double moved[3] = {bs.x - from.x, bs.y - from.y, bs.z - from.z};
    const std::size_t rays = m_drop->rays.size(), taps = m_drop->numTaps();
    Geometry perRay(rays), perTap(taps);
    kernels::Paths(m_drop->rays.Arrays(), rays, place, moved, wavelengthM, perRay.arrays);
    kernels::Paths(m_drop->taps.Arrays(), taps, place, moved, wavelengthM, perTap.arrays);
    m_turns.assign(perRay.arrays.turns, perRay.arrays.turns + rays);
    m_turnGradient = perRay.Gradient(rays, 1 / wavelengthM); // towards the image: shorter, so the phase grows
    m_delayGradient = perTap.Gradient(taps, -1 / speed_of_light);
    m_delayS.resize(taps);
    for (std::size_t tap = 0; tap < taps; ++tap) {
        m_delayS[tap] =
            m_drop->tapDelayS[tap] + (perTap.arrays.lengthM[tap] - m_drop->taps.length0M[tap]) / speed_of_light;
    }
    m_utResponse = Respond(utArray, perRay.arrays.ax, perRay.arrays.ay, perRay.arrays.az, rays);
    m_bsResponse = Respond(bsArray, perRay.arrays.bx, perRay.arrays.by, perRay.arrays.bz, rays);
}

double RayWindow::Moved(const ns3::Vector& ut, const ns3::Vector& bs) const {
    return std::max(ns3::CalculateDistance(ut, m_ut), ns3::CalculateDistance(bs, m_bs));
}

std::complex<float> RayWindow::Gain(std::size_t ray, std::size_t utPolarisation, std::size_t bsPolarisation) const {
    const std::size_t u = ray * m_utResponse.numPolarisations + utPolarisation;
    const std::size_t s = ray * m_bsResponse.numPolarisations + bsPolarisation;
    const auto& m = m_drop->polarisation;
    return m_utResponse.theta[u] * (m[0][ray] * m_bsResponse.theta[s] + m[1][ray] * m_bsResponse.phi[s]) +
           m_utResponse.phi[u] * (m[2][ray] * m_bsResponse.theta[s] + m[3][ray] * m_bsResponse.phi[s]);
}

const Coefficients& RayWindow::ForElements() {
    if (m_elements.numPairs == 0) {
        const auto &ut = m_utResponse, &bs = m_bsResponse;
        const std::size_t rays = m_turns.size(), perUt = bs.numElements(), pairs = ut.numElements() * perUt;
        m_elements.numPairs = pairs;
        m_elements.re.resize(rays * pairs);
        m_elements.im.resize(rays * pairs);
        for (std::size_t ray = 0; ray < rays; ++ray) {
            for (std::size_t p = 0; p < ut.numPolarisations; ++p) {
                for (std::size_t q = 0; q < bs.numPolarisations; ++q) {
                    const std::size_t at = ray * pairs + p * ut.numPlaces * perUt + q * bs.numPlaces;
                    kernels::OuterProduct(Gain(ray, p, q), &ut.phaseRe[ray * ut.numPlaces],
                                          &ut.phaseIm[ray * ut.numPlaces], ut.numPlaces,
                                          &bs.phaseRe[ray * bs.numPlaces], &bs.phaseIm[ray * bs.numPlaces],
                                          bs.numPlaces, perUt, &m_elements.re[at], &m_elements.im[at]);
                }
            }
        }
    }
    return m_elements;
}

const Coefficients& RayWindow::ForPorts(const PortWeights& utWeights, const PortWeights& bsWeights) {
    const auto found = std::find_if(m_kept.begin(), m_kept.end(), [&](const Kept& kept) {
        return kept.utId == utWeights.id() && kept.bsId == bsWeights.id();
    });
    if (found != m_kept.end()) {
        m_kept.splice(m_kept.begin(), m_kept, found);
        return m_kept.front().coefficients;
    }
    const std::size_t rays = m_turns.size();
    Kept kept{utWeights.id(), bsWeights.id(), {}};
    auto& out = kept.coefficients;
    const std::size_t utPorts = utWeights.numPorts(), bsPorts = bsWeights.numPorts();
    const std::size_t numP = m_utResponse.numPolarisations, numQ = m_bsResponse.numPolarisations;
    out.numPairs = utPorts * bsPorts;
    out.re.resize(rays * out.numPairs);
    out.im.resize(rays * out.numPairs);
    const Projection atUt(m_utResponse, utWeights, rays), atBs(m_bsResponse, bsWeights, rays);
    std::vector<std::complex<float>> gains(numP * numQ);
    for (std::size_t ray = 0; ray < rays; ++ray) {
        for (std::size_t p = 0; p < numP; ++p) {
            for (std::size_t q = 0; q < numQ; ++q) {
                gains[p * numQ + q] = Gain(ray, p, q);
            }
        }
        kernels::AddPorts(gains.data(), &atUt.re[ray * atUt.stride], &atUt.im[ray * atUt.stride], numP, utPorts,
                          &atBs.re[ray * atBs.stride], &atBs.im[ray * atBs.stride], numQ, bsPorts,
                          &out.re[ray * out.numPairs], &out.im[ray * out.numPairs]);
    }
    m_kept.push_front(std::move(kept));
    if (m_kept.size() > kept_weights) {
        m_kept.pop_back();
    }
    return m_kept.front().coefficients;
}

void RayWindow::Delta(const ns3::Vector& ut, const ns3::Vector& bs, double delta[6]) const {
    delta[0] = ut.x - m_ut.x;
    delta[1] = ut.y - m_ut.y;
    delta[2] = ut.z - m_ut.z;
    delta[3] = bs.x - m_bs.x;
    delta[4] = bs.y - m_bs.y;
    delta[5] = bs.z - m_bs.z;
}

std::vector<double> RayWindow::Delays(const ns3::Vector& ut, const ns3::Vector& bs) const {
    double delta[6];
    Delta(ut, bs, delta);
    const std::size_t taps = m_delayS.size();
    std::vector<double> delays(taps);
    kernels::Linear(m_delayS.data(), m_delayGradient.data(), taps, delta, delays.data());
    const double direct = ns3::CalculateDistance(ut, bs) / speed_of_light;
    for (auto& delay : delays) {
        delay -= direct;
    }
    return delays;
}

void RayWindow::AddTaps(const Coefficients& coefficients, const ns3::Vector& ut, const ns3::Vector& bs,
                        double amplitude, double absorptionDbPerM, Taps& taps) const {
    const std::size_t rays = m_turns.size(), pairs = coefficients.numPairs;
    double delta[6];
    Delta(ut, bs, delta);
    m_now.resize(rays);
    m_phasorRe.resize(rays);
    m_phasorIm.resize(rays);
    kernels::Linear(m_turns.data(), m_turnGradient.data(), rays, delta, m_now.data());
    kernels::Phasors(m_now.data(), rays, m_phasorRe.data(), m_phasorIm.data());
    const auto delays = Delays(ut, bs);
    taps.numPairs = pairs;
    for (std::size_t tap = 0; tap < delays.size(); ++tap) {
        const std::size_t begin = m_drop->tapBegin[tap], count = m_drop->tapBegin[tap + 1] - begin;
        const double excessM = std::max(0.0, delays[tap]) * speed_of_light;
        const auto factor = static_cast<float>(amplitude * std::pow(10, -absorptionDbPerM * excessM / 20));
        for (std::size_t ray = begin; ray < begin + count; ++ray) {
            m_phasorRe[ray] *= factor;
            m_phasorIm[ray] *= factor;
        }
        const std::size_t at = taps.re.size();
        taps.re.resize(at + pairs);
        taps.im.resize(at + pairs);
        kernels::AddRays(&coefficients.re[begin * pairs], &coefficients.im[begin * pairs], &m_phasorRe[begin],
                         &m_phasorIm[begin], count, pairs, &taps.re[at], &taps.im[at]);
        taps.delayS.push_back(delays[tap]);
    }
}

ns3::Vector RayWindow::Arrival(std::size_t ray) const {
    const std::size_t n = m_turns.size();
    const ns3::Vector v(m_turnGradient[ray], m_turnGradient[n + ray], m_turnGradient[2 * n + ray]);
    const double length = v.GetLength();
    return {v.x / length, v.y / length, v.z / length};
}

ns3::Vector RayWindow::Departure(std::size_t ray) const {
    const std::size_t n = m_turns.size();
    const ns3::Vector v(m_turnGradient[3 * n + ray], m_turnGradient[4 * n + ray], m_turnGradient[5 * n + ray]);
    const double length = v.GetLength();
    return {v.x / length, v.y / length, v.z / length};
}

} // namespace edgelam
