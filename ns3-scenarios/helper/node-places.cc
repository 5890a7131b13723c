// SPDX-License-Identifier: GPL-2.0-only
#include "node-places.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "ns3/constant-acceleration-mobility-model.h"
#include "ns3/mobility-model.h"
#include "ns3/simulator.h"

namespace edgelam {

namespace {

/// One node's way since its last change of course.
class Course {
  public:
    explicit Course(ns3::Ptr<ns3::MobilityModel> model)
        : m_model(model), m_curved(ns3::DynamicCast<ns3::ConstantAccelerationMobilityModel>(model)) {
        if (m_model) {
            Changed();
        }
    }

    /// At the very time of a change the model has nothing to add up.
    void Changed() {
        m_sinceS = ns3::Simulator::Now().GetSeconds();
        m_position = m_model->GetPosition();
        m_velocity = m_model->GetVelocity();
    }

    ns3::Vector Position() const {
        if (!m_model) {
            return {std::nan(""), std::nan(""), std::nan("")};
        }
        if (m_curved) {
            return m_curved->GetPosition(); // a function of time alone: nothing is added up
        }
        const double s = ns3::Simulator::Now().GetSeconds() - m_sinceS;
        return {m_position.x + s * m_velocity.x, m_position.y + s * m_velocity.y, m_position.z + s * m_velocity.z};
    }

    const ns3::Ptr<ns3::MobilityModel>& model() const { return m_model; }

  private:
    ns3::Ptr<ns3::MobilityModel> m_model;
    ns3::Ptr<ns3::ConstantAccelerationMobilityModel> m_curved;
    double m_sinceS = 0;
    ns3::Vector m_position, m_velocity;
};

void CourseChanged(std::shared_ptr<Course> course, ns3::Ptr<const ns3::MobilityModel>) {
    course->Changed();
}

} // namespace

void PublishPlaces(Registry& registry, const std::vector<ExposedNode>& nodes) {
    const std::string name = "node_position";
    const auto taken = [&](const Observable& other) { return other.name == name; };
    if (std::any_of(registry.observables().begin(), registry.observables().end(), taken)) {
        return;
    }
    std::vector<std::shared_ptr<Course>> courses;
    for (const auto& exposed : nodes) {
        courses.push_back(std::make_shared<Course>(exposed.node->GetObject<ns3::MobilityModel>()));
    }
    if (std::none_of(courses.begin(), courses.end(), [](const auto& course) { return course->model(); })) {
        return;
    }
    for (const auto& course : courses) {
        if (course->model()) {
            course->model()->TraceConnectWithoutContext("CourseChange", ns3::MakeBoundCallback(&CourseChanged, course));
        }
    }
    const auto count = static_cast<std::int64_t>(courses.size());
    registry.Publish<Array<double>>(name, "m",
                                    "position of every node, in the scenario's order; nan: it has no position",
                                    [courses, count] {
                                        Array<double> array{{count, 3}, {}};
                                        for (const auto& course : courses) {
                                            const ns3::Vector p = course->Position();
                                            array.values.insert(array.values.end(), {p.x, p.y, p.z});
                                        }
                                        return array;
                                    },
                                    {{"node", count}, {"xyz", 3}});
}

} // namespace edgelam
