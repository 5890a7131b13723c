// SPDX-License-Identifier: GPL-2.0-only
#include "ray-window.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("EdgelamRayWindow");

namespace edgelam {

namespace {

constexpr std::size_t kept_weights = 8; ///< pairs of weights whose coefficients a window remembers

/// The images of one set as seen from a place: lengths and phases [n], and directions, which become gradients [6, n].
kernels::PathArrays Into(double* lengths, double* turns, double* directions, std::size_t n) {
    double* d = directions;
    return {lengths, turns, d, d + n, d + 2 * n, d + 3 * n, d + 4 * n, d + 5 * n};
}

} // namespace

RayWindow::RayWindow(std::shared_ptr<const ClusterDrop> drop, const ns3::PhasedArrayModel& utArray,
                     const ns3::PhasedArrayModel& bsArray, const ns3::Vector& ut, const ns3::Vector& bs,
                     double wavelengthM, Waves waves)
    : m_drop(std::move(drop)), m_ut(ut), m_bs(bs) {
    const double place[3] = {ut.x, ut.y, ut.z};
    const ns3::Vector from = m_drop->bsPosition;
    const double moved[3] = {bs.x - from.x, bs.y - from.y, bs.z - from.z};
    const std::size_t rays = m_drop->rays.size(), taps = m_drop->numTaps();
    NS_LOG_LOGIC(rays << " rays in " << taps << " taps, as seen from the user at " << ut << " and the base station at "
                      << bs);
    RawVector<double> lengths(std::max(rays, taps)), tapTurns(taps);
    m_turns.resize(rays);
    m_turnGradient.resize(6 * rays);
    const auto perRay = Into(lengths.data(), m_turns.data(), m_turnGradient.data(), rays);
    kernels::Paths(m_drop->rays.Arrays(), rays, place, moved, wavelengthM, perRay);
    if (waves == Waves::Direct) {
        MakeDirect(utArray, moved, wavelengthM, perRay);
    }
    m_utResponse = Respond(utArray, perRay.ax, perRay.ay, perRay.az, rays);
    m_bsResponse = Respond(bsArray, perRay.bx, perRay.by, perRay.bz, rays);
    if (waves != Waves::Plane) {
        MakeSpherical(bsArray, perRay.bx, perRay.by, perRay.bz, perRay.lengthM, rays, wavelengthM, m_bsResponse);
    }
    if (waves == Waves::Spherical) {
        MakeSpherical(utArray, perRay.ax, perRay.ay, perRay.az, perRay.lengthM, rays, wavelengthM, m_utResponse);
    } else if (waves == Waves::Direct) { // each ray arrives at its own place only
        for (std::size_t i = 0; i < rays * m_utResponse.numPlaces; ++i) {
            m_utResponse.phaseRe[i] = i / m_utResponse.numPlaces == i % m_utResponse.numPlaces ? 1 : 0;
            m_utResponse.phaseIm[i] = 0;
        }
    }
    for (auto& slope : m_turnGradient) {
        slope /= wavelengthM; // towards the image: shorter, so the phase grows
    }
    m_delayS.resize(taps);
    m_delayGradient.resize(6 * taps);
    kernels::Paths(m_drop->taps.Arrays(), taps, place, moved, wavelengthM,
                   Into(lengths.data(), tapTurns.data(), m_delayGradient.data(), taps));
    for (std::size_t tap = 0; tap < taps; ++tap) {
        m_delayS[tap] = m_drop->tapDelayS[tap] + (lengths[tap] - m_drop->taps.length0M[tap]) / speed_of_light;
    }
    for (auto& slope : m_delayGradient) {
        slope /= -speed_of_light;
    }
}

/// Ray i as it arrives at place i of the user's array.
void RayWindow::MakeDirect(const ns3::PhasedArrayModel& utArray, const double moved[3], double wavelengthM,
                           const kernels::PathArrays& perRay) {
    m_copies = m_drop->rays.size();
    for (std::size_t i = 0; i < m_copies; ++i) {
        const ns3::Vector at = utArray.GetElementLocation(i);
        const double place[3] = {m_ut.x + wavelengthM * at.x, m_ut.y + wavelengthM * at.y, m_ut.z + wavelengthM * at.z};
        kernels::Paths(m_drop->rays.Arrays(), 1, place, moved, wavelengthM,
                       {perRay.lengthM + i, perRay.turns + i, perRay.ax + i, perRay.ay + i, perRay.az + i,
                        perRay.bx + i, perRay.by + i, perRay.bz + i});
    }
}

double RayWindow::Moved(const ns3::Vector& ut, const ns3::Vector& bs) const {
    return std::max(ns3::CalculateDistance(ut, m_ut), ns3::CalculateDistance(bs, m_bs));
}

/// [ray, base-station polarisation, user element]: eq. 7.5-22 without the phases of the base station's elements.
const Coefficients& RayWindow::UserElements() {
    if (m_userElements.width > 0) {
        return m_userElements;
    }
    const auto &ut = m_utResponse, &bs = m_bsResponse;
    const auto& m = m_drop->polarisation;
    const std::size_t rays = m_turns.size(), numP = ut.numPolarisations, numQ = bs.numPolarisations;
    Coefficients out(rays, numQ * ut.numElements());
    std::size_t at = 0;
    for (std::size_t ray = 0; ray < rays; ++ray) {
        const float *phaseRe = &ut.phaseRe[ray * ut.numPlaces], *phaseIm = &ut.phaseIm[ray * ut.numPlaces];
        for (std::size_t q = 0; q < numQ; ++q) {
            const float theta = bs.theta[ray * numQ + q], phi = bs.phi[ray * numQ + q];
            const auto toTheta = m[0][ray] * theta + m[1][ray] * phi, toPhi = m[2][ray] * theta + m[3][ray] * phi;
            for (std::size_t p = 0; p < numP; ++p) {
                const auto gain = ut.theta[ray * numP + p] * toTheta + ut.phi[ray * numP + p] * toPhi;
                for (std::size_t i = 0; i < ut.numPlaces; ++i, ++at) {
                    out.re[at] = gain.real() * phaseRe[i] - gain.imag() * phaseIm[i];
                    out.im[at] = gain.real() * phaseIm[i] + gain.imag() * phaseRe[i];
                }
            }
        }
    }
    return m_userElements = std::move(out);
}

/// [ray, base-station polarisation, user port].
Coefficients RayWindow::UserPorts(const PortWeights& weights) {
    const auto& elements = UserElements();
    const std::size_t ports = weights.numPorts(), numQ = m_bsResponse.numPolarisations, rays = m_turns.size();
    Coefficients columns(weights.numElements(), ports), out(rays, numQ * ports);
    for (std::size_t i = 0; i < weights.values().size(); ++i) {
        columns.re[i] = weights.values()[i].real();
        columns.im[i] = weights.values()[i].imag();
    }
    kernels::Multiply({elements.re.data(), elements.im.data(), weights.numElements(), 1}, rays * numQ,
                      weights.numElements(), {columns.re.data(), columns.im.data(), ports, 1}, ports, out.re.data(),
                      out.im.data(), ports);
    return out;
}

/// [ray, polarisation, port]: sums over the places of the base station's array.
Coefficients RayWindow::BasePorts(const PortWeights& weights) const {
    const auto& bs = m_bsResponse;
    const std::size_t ports = weights.numPorts(), numQ = bs.numPolarisations, rays = m_turns.size();
    Coefficients columns(bs.numPlaces, numQ * ports), out(rays, numQ * ports);
    const auto* value = weights.values().data();
    for (std::size_t q = 0; q < numQ; ++q) {
        for (std::size_t place = 0; place < bs.numPlaces; ++place) {
            for (std::size_t port = 0; port < ports; ++port, ++value) {
                columns.re[(place * numQ + q) * ports + port] = value->real();
                columns.im[(place * numQ + q) * ports + port] = value->imag();
            }
        }
    }
    kernels::Multiply({bs.phaseRe.data(), bs.phaseIm.data(), bs.numPlaces, 1}, rays, bs.numPlaces,
                      {columns.re.data(), columns.im.data(), columns.width, 1}, columns.width, out.re.data(),
                      out.im.data(), out.width);
    return out;
}

/// [ray, user port, base-station port]
const Coefficients& RayWindow::Ports(const PortWeights& utWeights, const PortWeights& bsWeights) {
    const auto found = std::find_if(m_kept.begin(), m_kept.end(), [&](const Kept& kept) {
        return kept.utId == utWeights.id() && kept.bsId == bsWeights.id();
    });
    if (found != m_kept.end()) {
        m_kept.splice(m_kept.begin(), m_kept, found);
        return m_kept.front().coefficients;
    }
    const std::size_t rays = m_turns.size(), utPorts = utWeights.numPorts(), bsPorts = bsWeights.numPorts();
    const Coefficients projected = utWeights.areElements() ? Coefficients() : UserPorts(utWeights);
    const Coefficients &atUt = utWeights.areElements() ? UserElements() : projected, atBs = BasePorts(bsWeights);
    if (m_kept.size() < kept_weights) {
        m_kept.emplace_front();
    } else { // with the memory of the oldest
        m_kept.splice(m_kept.begin(), m_kept, std::prev(m_kept.end()));
    }
    Kept& kept = m_kept.front();
    kept.utId = utWeights.id();
    kept.bsId = bsWeights.id();
    auto& out = kept.coefficients;
    if (out.width != utPorts * bsPorts) {
        out = Coefficients(rays, utPorts * bsPorts);
    }
    kernels::JoinEnds(atUt.re.data(), atUt.im.data(), atBs.re.data(), atBs.im.data(), rays,
                      m_bsResponse.numPolarisations, utPorts, bsPorts, out.re.data(), out.im.data());
    return out;
}

double RayWindow::Power(std::size_t ray) {
    const auto& elements = UserElements();
    double power = 0;
    for (std::size_t i = ray * elements.width; i < (ray + 1) * elements.width; ++i) {
        power += elements.re[i] * elements.re[i] + elements.im[i] * elements.im[i];
    }
    return Left(ray) * power * static_cast<double>(m_bsResponse.numPlaces); // all of them have phases of size 1
}

double RayWindow::PortPower(std::size_t ray) const {
    const auto &ut = m_utResponse, &bs = m_bsResponse;
    const auto& m = m_drop->polarisation;
    const std::size_t numP = ut.numPolarisations;
    const float theta = bs.theta[ray * bs.numPolarisations], phi = bs.phi[ray * bs.numPolarisations];
    const auto toTheta = m[0][ray] * theta + m[1][ray] * phi, toPhi = m[2][ray] * theta + m[3][ray] * phi;
    double power = 0;
    for (std::size_t p = 0; p < numP; ++p) {
        power += std::norm(ut.theta[ray * numP + p] * toTheta + ut.phi[ray * numP + p] * toPhi);
    }
    return power / static_cast<double>(numP * m_copies);
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

/// Phases of the rays and delays of the taps, if they are not those of the call before.
void RayWindow::MoveTo(const ns3::Vector& ut, const ns3::Vector& bs, double amplitude, double absorptionDbPerM) {
    const Moment now{{ut.x, ut.y, ut.z, bs.x, bs.y, bs.z}, amplitude, absorptionDbPerM};
    if (m_moment == now) {
        return;
    }
    m_moment = now;
    double delta[6];
    Delta(ut, bs, delta);
    const std::size_t rays = m_turns.size();
    m_now.resize(rays);
    m_phasorRe.resize(rays);
    m_phasorIm.resize(rays);
    kernels::Linear(m_turns.data(), m_turnGradient.data(), rays, delta, m_now.data());
    kernels::Phasors(m_now.data(), rays, m_phasorRe.data(), m_phasorIm.data());
    for (std::size_t ray = 0; ray < m_left.size(); ++ray) {
        m_phasorRe[ray] *= m_left[ray];
        m_phasorIm[ray] *= m_left[ray];
    }
    m_delays = Delays(ut, bs);
    for (std::size_t tap = 0; tap < m_delays.size(); ++tap) {
        const double excessM = std::max(0.0, m_delays[tap]) * speed_of_light;
        const double air = absorptionDbPerM > 0 ? std::pow(10, -absorptionDbPerM * excessM / 20) : 1;
        const auto factor = static_cast<float>(amplitude * air);
        for (std::size_t ray = m_drop->tapBegin[tap]; ray < m_drop->tapBegin[tap + 1]; ++ray) {
            m_phasorRe[ray] *= factor;
            m_phasorIm[ray] *= factor;
        }
    }
}

/// Calls sum(first ray, number of rays, re, im) for each tap, where its sum over m_phasor is to go.
template<class Sum>
void RayWindow::AddTaps(std::size_t pairs, const ns3::Vector& ut, const ns3::Vector& bs, double amplitude,
                        double absorptionDbPerM, Taps& taps, Sum sum) {
    MoveTo(ut, bs, amplitude, absorptionDbPerM);
    std::size_t at = taps.re.size();
    taps.re.resize(at + m_delays.size() * pairs);
    taps.im.resize(taps.re.size());
    taps.delayS.insert(taps.delayS.end(), m_delays.begin(), m_delays.end());
    for (std::size_t tap = 0; tap < m_delays.size(); ++tap, at += pairs) {
        const std::size_t begin = m_drop->tapBegin[tap], end = m_drop->tapBegin[tap + 1];
        sum(begin, end - begin, &taps.re[at], &taps.im[at]);
    }
}

void RayWindow::AddElementTaps(const ns3::Vector& ut, const ns3::Vector& bs, double amplitude, double absorptionDbPerM,
                               Taps& taps) {
    const auto& user = UserElements();
    const std::size_t numU = m_utResponse.numElements(), numS = m_bsResponse.numPlaces;
    const std::size_t numQ = m_bsResponse.numPolarisations, width = user.width;
    const auto sum = [&](std::size_t begin, std::size_t count, float* re, float* im) {
        m_weightRe.resize(count * width);
        m_weightIm.resize(count * width);
        for (std::size_t ray = 0; ray < count; ++ray) {
            const float pr = m_phasorRe[begin + ray], pi = m_phasorIm[begin + ray];
            const float *ur = &user.re[(begin + ray) * width], *ui = &user.im[(begin + ray) * width];
            for (std::size_t i = 0; i < width; ++i) {
                m_weightRe[ray * width + i] = pr * ur[i] - pi * ui[i];
                m_weightIm[ray * width + i] = pr * ui[i] + pi * ur[i];
            }
        }
        for (std::size_t q = 0; q < numQ; ++q) {
            kernels::Multiply({&m_weightRe[q * numU], &m_weightIm[q * numU], 1, width}, numU, count,
                              {&m_bsResponse.phaseRe[begin * numS], &m_bsResponse.phaseIm[begin * numS], numS, 1}, numS,
                              re + q * numS, im + q * numS, numQ * numS);
        }
    };
    AddTaps(numU * numQ * numS, ut, bs, amplitude, absorptionDbPerM, taps, sum);
}

void RayWindow::AddPortTaps(const PortWeights& utWeights, const PortWeights& bsWeights, const ns3::Vector& ut,
                            const ns3::Vector& bs, double amplitude, double absorptionDbPerM, Taps& taps) {
    const auto& ports = Ports(utWeights, bsWeights);
    const std::size_t width = ports.width;
    const auto sum = [&](std::size_t begin, std::size_t count, float* re, float* im) {
        kernels::Multiply({&m_phasorRe[begin], &m_phasorIm[begin], 0, 1}, 1, count,
                          {&ports.re[begin * width], &ports.im[begin * width], width, 1}, width, re, im, width);
    };
    AddTaps(width, ut, bs, amplitude, absorptionDbPerM, taps, sum);
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
