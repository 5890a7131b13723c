// SPDX-License-Identifier: GPL-2.0-only
#include "nr-precoder.h"

#include <algorithm>
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

/// Whether a layer is used in a group must be the same in all groups, or else that of a UE that is left out.
void CheckUse(bool here, bool used, std::size_t layer, const std::string& place, bool mayBeLeftOut) {
    if (here != used) {
        Refuse("layer " + std::to_string(layer) + place + (here ? " is used" : " is all zero") +
               ", in the groups before it is " + (here ? "all zero" : "used") +
               "; legal is a layer that every group uses, or none" +
               (mayBeLeftOut ? ", of the groups in which the UE has weights" : ""));
    }
}

/// \param weights [group, element, layer] of UE `ue`
Precoder ReadPrecoder(const Complex* weights, const PrecoderShape& shape, std::size_t ue, bool together) {
    const std::size_t perGroup = shape.elements * shape.layers;
    std::array<bool, 4> used{};
    Precoder precoder;
    precoder.groups = 0;
    for (std::size_t g = 0; g < shape.groups; ++g) {
        const auto powers = LayerPowers(weights + g * perGroup, shape.elements, shape.layers);
        const double sum = powers[0] + powers[1] + powers[2] + powers[3];
        if (!std::isfinite(sum)) {
            Refuse("weights" + Place(ue, g) + " with " + std::to_string(sum) + "; legal are finite weights");
        }
        const bool leftOut = together && sum == 0;
        for (std::size_t l = 0; l < shape.layers && !leftOut; ++l) {
            const bool here = powers[l] > 0;
            if (together ? precoder.groups != 0 : g > 0) {
                CheckUse(here, used[l], l, Place(ue, g), together);
            }
            used[l] = here;
        }
        precoder.groups |= leftOut ? 0 : 1U << g;
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

/// Power and layers of all UEs on each group.
void CheckTogether(const std::vector<Precoder>& precoders, const PrecoderShape& shape, const SharedPrecoders& limits) {
    for (std::size_t g = 0; g < shape.groups; ++g) {
        const std::string place = " of all UEs in PRB group " + std::to_string(g);
        std::vector<double> powers(shape.elements);
        unsigned layers = 0;
        for (std::size_t ue = 0; ue < precoders.size(); ++ue) {
            const Precoder& each = precoders[ue];
            if (!limits.counts[ue] || each.layers == 0 || (each.groups >> g & 1U) == 0) {
                continue;
            }
            layers += each.layers;
            const Complex* at = each.weights.data() + g * shape.elements * each.layers;
            for (std::size_t i = 0; i < shape.elements * each.layers; ++i) {
                powers[i / each.layers] += std::norm(std::complex<double>(at[i]));
            }
        }
        if (layers > limits.mostLayers) {
            Refuse(std::to_string(layers) + " layers" + place + "; legal are at most " +
                   std::to_string(limits.mostLayers));
        }
        double sum = 0;
        for (std::size_t e = 0; e < powers.size(); ++e) {
            sum += powers[e];
            const double part = powers[e] * static_cast<double>(shape.elements);
            if (limits.limitElements && part > most_precoder_power) {
                Refuse("power " + Text(powers[e]) + " of element " + std::to_string(e) + place +
                       "; legal is at most 1 / " + std::to_string(shape.elements) + " of each element");
            }
        }
        if (sum > most_precoder_power) {
            Refuse("power " + Text(sum) + place +
                   ", the sum of |weight|^2 over UEs, elements and layers; legal is at most 1 (+ 1e-4 for rounding)");
        }
    }
}

} // namespace

std::vector<UeWeights> WeightsOfUes(std::span<const Complex> weights, const PrecoderShape& shape) {
    const std::size_t perUe = shape.groups * shape.elements * shape.layers;
    if (weights.size() != shape.ues * perUe) {
        Refuse(std::to_string(weights.size()) + " weights; legal are UEs x PRB groups x elements x layers = " +
               std::to_string(shape.ues) + " x " + std::to_string(shape.groups) + " x " +
               std::to_string(shape.elements) + " x " + std::to_string(shape.layers));
    }
    std::vector<UeWeights> ofUes;
    for (std::size_t ue = 0; ue < shape.ues; ++ue) {
        ofUes.push_back(weights.subspan(ue * perUe, perUe));
    }
    return ofUes;
}

std::vector<Precoder> ReadPrecoders(std::span<const UeWeights> weights, const PrecoderShape& shape,
                                    const SharedPrecoders* together) {
    std::vector<Precoder> precoders;
    for (std::size_t ue = 0; ue < weights.size(); ++ue) {
        precoders.push_back(weights[ue].empty() ? Precoder{}
                                                : ReadPrecoder(weights[ue].data(), shape, ue, together != nullptr));
        NS_LOG_LOGIC("UE " << ue << ": " << precoders.back().layers << " layers given");
    }
    if (together) {
        CheckTogether(precoders, shape, *together);
    }
    return precoders;
}

void ThroughPrecoder(const Precoder& precoder, const std::vector<Complex>& h, std::size_t antennas,
                     std::size_t elements, std::size_t samples, std::vector<Complex>& out) {
    const std::size_t perGroup = elements * precoder.layers, groups = precoder.weights.size() / perGroup;
    std::vector<Complex> weights(perGroup * samples); // [element, layer, sample]
    const std::size_t each = samples / groups;
    for (std::size_t i = 0; i < perGroup; ++i) {
        for (std::size_t g = 0; g < groups; ++g) {
            std::fill_n(weights.begin() + static_cast<std::ptrdiff_t>(i * samples + g * each), each,
                        precoder.weights[g * perGroup + i]);
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
