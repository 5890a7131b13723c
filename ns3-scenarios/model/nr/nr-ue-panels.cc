// SPDX-License-Identifier: GPL-2.0-only
#include "nr-ue-panels.h"

#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

#include "ns3/boolean.h"
#include "ns3/double.h"
#include "ns3/pointer.h"
#include "ns3/uinteger.h"

namespace edgelam::nr {

namespace {

ns3::Ptr<ns3::UniformPlanarArray> CopyOf(const ns3::Ptr<ns3::UniformPlanarArray>& array) {
    auto copy = ns3::CreateObject<ns3::UniformPlanarArray>();
    copy->SetAttribute("NumRows", ns3::UintegerValue(array->GetNumRows()));
    copy->SetAttribute("NumColumns", ns3::UintegerValue(array->GetNumColumns()));
    copy->SetAntennaVerticalSpacing(array->GetAntennaVerticalSpacing());
    copy->SetAntennaHorizontalSpacing(array->GetAntennaHorizontalSpacing());
    copy->SetBeta(array->GetBeta());
    // In this order: ns-3 takes the slant of the second polarisation from what it knows when it hears of it.
    copy->SetAttribute("PolSlantAngle", ns3::DoubleValue(array->GetPolSlant()));
    copy->SetAttribute("IsDualPolarized", ns3::BooleanValue(array->IsDualPol()));
    ns3::PointerValue element;
    array->GetAttribute("AntennaElement", element);
    copy->SetAttribute("AntennaElement", element);
    return copy;
}

} // namespace

UePanels::UePanels(ns3::Ptr<ns3::PhasedArrayModel> array, unsigned count) : m_all{array} {
    if (count <= 1) {
        return;
    }
    if (array->GetInstanceTypeId() != ns3::UniformPlanarArray::GetTypeId()) {
        throw std::invalid_argument("NR cell: UePanels " + std::to_string(count) + " of an array of class " +
                                    array->GetInstanceTypeId().GetName() +
                                    "; legal are 0 and 1, or ns3::UniformPlanarArray");
    }
    m_turned.push_back(ns3::DynamicCast<ns3::UniformPlanarArray>(array));
    m_bearing = std::nan("");
    for (unsigned i = 1; i < count; ++i) {
        m_turned.push_back(CopyOf(m_turned.front()));
        m_all.push_back(m_turned.back());
    }
    Follow();
}

void UePanels::Follow() {
    if (m_turned.empty() || m_turned.front()->GetAlpha() == m_bearing) {
        return;
    }
    m_bearing = m_turned.front()->GetAlpha();
    for (std::size_t i = 1; i < m_turned.size(); ++i) {
        const double turn = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(m_turned.size());
        m_turned[i]->SetAlpha(std::remainder(m_bearing + turn, 2 * std::numbers::pi));
    }
}

} // namespace edgelam::nr
