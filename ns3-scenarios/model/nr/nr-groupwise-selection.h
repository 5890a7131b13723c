// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What selections that add one UE after the other have in common.
#pragma once

#include "nr-growing-gram.h"
#include "nr-user-selection.h"

namespace edgelam::nr {

/// The UE that gains most over the whole slot is added first, to all groups where it gains, and so on, until nobody
/// gains. Rates are those of zero forcing with equal power for each layer, from the channel that the gNB knows: of each
/// layer, what the UE hears along its own beam (ChannelState::heard), with the interference that the UE has measured.
/// New data gets as many groups as it fills. A retransmission that got none from the scheduler gets as many groups as
/// before together with others, or none; one that got groups is joined there by others. A UE that shares some group is
/// sent at most MostUeLayers layers in all of its groups. If the slot then carries less, weighted by importance, than
/// the scheduler's allocation, nobody is added.
class GroupwiseSelection : public UserSelection {
  public:
    static ns3::TypeId GetTypeId();
    void Select(const SelectionRequest& request, Allocation& allocation, std::vector<unsigned>& layers) final;

  protected:
    /// A UE that might be added to a group.
    struct Addition {
        double before;                            ///< what the group carries without it
        double after;                             ///< and with it
        double own;                               ///< of that, what it carries for the new UE
        std::size_t others;                       ///< layers of the other UEs
        std::span<const GrowingGram::Step> steps; ///< [layer] of the new UE
        std::span<const double> power;            ///< [layer]
    };
    /// What is gained by the addition; 0 or less: it is not made.
    virtual double Gain(const Addition& addition) const = 0;

  private:
    using Dots = std::vector<GrowingGram::Complex>;
    struct Row {
        std::uint32_t candidate;
        unsigned layer;
    };
    struct Group {
        bool open = false; ///< whether somebody may be added
        GrowingGram gram;
        std::vector<Row> rows;
        double carried = 0;
        std::vector<Dots> dots; ///< [candidate x layer] with the rows, as far as they are known
    };
    struct Found {
        double gain = 0, own = 0;
        std::uint32_t group = 0;
    };

    void Begin(const SelectionRequest& request, const Allocation& allocation, const std::vector<unsigned>& layers);
    /// Add a UE's rows to a group.
    void Put(std::uint32_t group, std::uint32_t candidate, unsigned layers);
    /// The steps of adding a UE's layers to a group, into m_steps. \return the Gram matrix with all but the last
    const GrowingGram& Try(Group& group, std::uint32_t number, std::uint32_t candidate, unsigned layers);
    /// What a group carries with these rows.
    double Carried(const Group& group, std::span<const double> inverse, std::uint32_t candidate, double& own) const;
    double CarriedAlone(std::uint32_t group, std::uint32_t candidate, unsigned layers);
    /// Where a candidate gains, the most first, as far as it has something to send; empty: nowhere, or too few.
    const std::vector<Found>& Find(std::uint32_t candidate, const Allocation& allocation);
    const std::complex<float>* RowOf(std::uint32_t group, std::uint32_t candidate, unsigned layer) const;
    /// A sum over elements, scaled to noise, of a row with the conjugate of another.
    GrowingGram::Complex Dot(std::uint32_t group, const Row& a, const Row& b) const;

    unsigned m_mostUeLayers = 2;
    // Of one call.
    const SelectionRequest* m_request = nullptr;
    std::size_t m_elements = 0;
    std::vector<unsigned> m_shared; ///< [candidate] layers if it shares
    std::vector<Group> m_groups;
    std::vector<GrowingGram::Step> m_steps;
    std::vector<double> m_powers;
    GrowingGram m_tried;
    Dots m_dots;
    std::vector<Found> m_found;
};

} // namespace edgelam::nr
