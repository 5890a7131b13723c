// SPDX-License-Identifier: GPL-2.0-only
#include "nr-precoder.h"

#include <cmath>
#include <sstream>
#include <stdexcept>
#include <string>

#include "ns3/log.h"

#include "nr-matrix-kernels.h"

NS_LOG_COMPONENT_DEFINE("NrPrecoder");

namespace edgelam::nr {

namespace {

using Complex = std::complex<float>;

[[noreturn]] void Refuse(const std::string& what) {
    throw std::invalid_argument("precoder: " + what);
}

std::string Text(double value) {
    std::ostringstream text;
    text << value;
    return text.str();
}

std::string Place(std::size_t ue, std::size_t group) {
    return " of UE " + std::to_string(ue) + " in PRB group " + std::to_string(group);
}

/// Power of each layer of [element, layer].
std::array<double, 4> LayerPowers(const Complex* weights, std::size_t elements, std::size_t layers) {
    std::array<double, 4> powers{};
    for (std::size_t e = 0; e < elements; ++e) {
        for (std::size_t l = 0; l < layers; ++l) {
            powers[l] += std::norm(std::complex<double>(weights[e * layers + l]));
        }
    }
    return powers;
}

/// \param weights [group, element, layer] of UE `ue`
Precoder ReadPrecoder(const Complex* weights, const PrecoderShape& shape, std::size_t ue) {
    const std::size_t perGroup = shape.elements * shape.layers;
    std::array<bool, 4> used{};
    Precoder precoder;
    for (std::size_t g = 0; g < shape.groups; ++g) {
        const auto powers = LayerPowers(weights + g * perGroup, shape.elements, shape.layers);
        const double sum = powers[0] + powers[1] + powers[2] + powers[3];
        if (!std::isfinite(sum)) {
            Refuse("weights" + Place(ue, g) + " with " + std::to_string(sum) + "; legal are finite weights");
        }
        for (std::size_t l = 0; l < shape.layers; ++l) {
            const bool here = powers[l] > 0;
            if (g > 0 && here != used[l]) {
                Refuse("layer " + std::to_string(l) + Place(ue, g) + (here ? " is used" : " is all zero") +
                       ", in the groups before it is " + (here ? "all zero" : "used") +
                       "; legal is a layer that every group uses, or none");
            }
            used[l] = here;
        }
        if (sum > most_precoder_power) {
            Refuse("power " + Text(sum) + Place(ue, g) +
                   ", the sum of |weight|^2 over elements and layers; legal is at most 1 (+ 1e-4 for rounding)");
        }
    }
    for (std::size_t l = 0; l < shape.layers; ++l) {
        precoder.layers += used[l];
    }
    if (precoder.layers > 0) {
        for (std::size_t i = 0; i < shape.groups * perGroup; ++i) {
            if (used[i % shape.layers]) {
                precoder.weights.push_back(weights[i]);
            }
        }
    }
    return precoder;
}

} // namespace

std::vector<Precoder> ReadPrecoders(std::span<const Complex> weights, const PrecoderShape& shape) {
    const std::size_t perUe = shape.groups * shape.elements * shape.layers;
    if (weights.size() != shape.ues * perUe) {
        Refuse(std::to_string(weights.size()) + " weights; legal are UEs x PRB groups x elements x layers = " +
               std::to_string(shape.ues) + " x " + std::to_string(shape.groups) + " x " +
               std::to_string(shape.elements) + " x " + std::to_string(shape.layers));
    }
    std::vector<Precoder> precoders;
    for (std::size_t ue = 0; ue < shape.ues; ++ue) {
        precoders.push_back(ReadPrecoder(weights.data() + ue * perUe, shape, ue));
        NS_LOG_LOGIC("UE " << ue << ": " << precoders.back().layers << " layers given");
    }
    return precoders;
}

void ThroughPrecoder(const Precoder& precoder, const std::vector<Complex>& h, std::size_t antennas,
                     std::size_t elements, std::size_t samples, std::vector<Complex>& out) {
    const std::size_t perGroup = elements * precoder.layers, groups = precoder.weights.size() / perGroup;
    std::vector<Complex> weights(perGroup * samples); // [element, layer, sample]
    for (std::size_t i = 0; i < perGroup; ++i) {
        for (std::size_t f = 0; f < samples; ++f) {
            weights[i * samples + f] = precoder.weights[f * groups / samples * perGroup + i];
        }
    }
    out.resize(antennas * precoder.layers * samples);
    kernels::CombineElements(h.data(), weights.data(), antennas, elements, precoder.layers, samples, out.data());
}

const std::vector<Complex>& PrecodedChannel::Response(const Precoder& precoder, const std::vector<Complex>& h,
                                                      std::uint64_t version, std::size_t antennas, std::size_t elements,
                                                      std::size_t samples) {
    Entry& entry = m_byLayers[precoder.layers - 1];
    if (entry.version != version || entry.weights != precoder.weights) {
        entry.weights = precoder.weights;
        ThroughPrecoder(precoder, h, antennas, elements, samples, entry.response);
        entry.version = version;
    }
    return entry.response;
}

} // namespace edgelam::nr
