// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The message interface as a Python module.
#include "bottleneck.h"

#include <ns3/ai-module.h>
#include <pybind11/pybind11.h>

namespace py = pybind11;

using Interface = ns3::Ns3AiMsgInterfaceImpl<Observation, Action>;

PYBIND11_MODULE(bottleneck_py, module) {
    py::class_<Observation>(module, "Observation")
        .def(py::init<>())
        .def_readwrite("time_s", &Observation::time_s)
        .def_readwrite("goodput_bps", &Observation::goodput_bps)
        .def_readwrite("mean_delay_s", &Observation::mean_delay_s)
        .def_readwrite("lost_packets", &Observation::lost_packets)
        .def_readwrite("queued_packets", &Observation::queued_packets);
    py::class_<Action>(module, "Action").def(py::init<>()).def_readwrite("rate_bps", &Action::rate_bps);
    py::class_<Interface>(module, "Ns3AiMsgInterfaceImpl")
        .def(py::init<bool, bool, bool, uint32_t, const char*, const char*, const char*, const char*>())
        .def("PyRecvBegin", &Interface::PyRecvBegin)
        .def("PyRecvEnd", &Interface::PyRecvEnd)
        .def("PySendBegin", &Interface::PySendBegin)
        .def("PySendEnd", &Interface::PySendEnd)
        .def("PyGetFinished", &Interface::PyGetFinished)
        .def("GetCpp2PyStruct", &Interface::GetCpp2PyStruct, py::return_value_policy::reference)
        .def("GetPy2CppStruct", &Interface::GetPy2CppStruct, py::return_value_policy::reference);
}
