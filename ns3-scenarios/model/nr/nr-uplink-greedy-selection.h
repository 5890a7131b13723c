// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Selection of UEs that send together, by the sum of rates.
#pragma once

#include "nr-growing-gram.h"
#include "nr-user-selection.h"

namespace edgelam::nr {

/// The UE that gains most, weighted by importance, is added to the run of groups side by side where it does so, and so
/// on, until nobody gains. Rates are those of a gNB that receives over all of its ports and knows all channels
/// (JointSinr), from what it has sounded of each UE (ChannelState::sounded), with noise and interference as it has
/// measured them. A UE shares out its power over its groups. New data gets no more groups than it fills, a
/// retransmission as many as before or none. What the scheduler has given stays.
class UplinkGreedySelection : public UserSelection {
  public:
    static ns3::TypeId GetTypeId();
    void Select(const SelectionRequest& request, Allocation& allocation, std::vector<unsigned>& layers) override;

  protected:
    /// Whether a candidate may be added to a group.
    virtual bool MayJoin(std::uint32_t, std::uint32_t) const { return true; }
    /// What is gained in a group by a candidate. \param own what it carries there, weighed by its importance; \param
    /// all by how much all UEs of the group together carry more
    virtual double Gain(double, double all) const { return all; }
    /// The largest correlation of a candidate's layers with the orthonormalised ones of the UEs of a group, 0 to 1.
    double Correlation(std::uint32_t group, std::uint32_t candidate) const;

  private:
    using Complex = GrowingGram::Complex;
    struct Row {
        std::uint32_t candidate;
        unsigned layer;
        double amplitude; ///< of a resource block, over noise and interference
    };
    struct Group {
        bool open = false; ///< whether somebody may be added
        GrowingGram gram;  ///< of I + S^H S, where the columns of S are what the ports hear of the rows' layers
        std::vector<Row> rows;
        double carried = 0;
        std::vector<std::vector<Complex>> dots; ///< [candidate x layer] with the rows, all of amplitude 1
    };
    /// A run of groups for a candidate, and what is gained by it; 0: it gets none.
    struct Run {
        double gain = 0;
        std::uint32_t first = 0, count = 0;
    };
    /// What one more UE changes in a group.
    struct Change {
        bool may = false;
        double gain = 0, bits = 0; ///< bits are those of the new UE
    };

    double Amplitude(std::uint32_t candidate, std::uint32_t groups) const;
    /// s_a^H s_b of amplitude 1.
    Complex Dot(std::uint32_t group, const Row& a, std::uint32_t candidate, unsigned layer) const;
    /// The Gram matrix of a group with the layers of a candidate, and what that carries.
    GrowingGram With(std::uint32_t group, std::uint32_t candidate, double amplitude, double& carried, double& bits);
    void Put(std::uint32_t group, std::uint32_t candidate, double amplitude);
    void FindChanges(std::uint32_t candidate, std::uint32_t groups, const Allocation& allocation);
    Run Find(std::uint32_t candidate, const Allocation& allocation);

    // Of one call.
    const SelectionRequest* m_request = nullptr;
    const std::vector<unsigned>* m_layers = nullptr;
    std::size_t m_ports = 0;
    std::vector<Group> m_groups;
    std::vector<Change> m_changes; ///< [group]
};

} // namespace edgelam::nr
