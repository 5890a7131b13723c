// SPDX-License-Identifier: GPL-2.0-only
// A binding module as users of ns3-ai write it: the struct kind, and the vector kind.
#include "messages.h"

#include <ns3/ai-module.h>
#include <pybind11/pybind11.h>

namespace py = pybind11;

using Sums = ns3::Ns3AiMsgInterfaceImpl<EnvStruct, ActStruct>;
using Cells = ns3::Ns3AiMsgInterfaceImpl<CellState, CellWeight>;

PYBIND11_MAKE_OPAQUE(ns3::Ns3AiMsgInterfaceImpl<CellState, CellWeight>::Cpp2PyMsgVector);
PYBIND11_MAKE_OPAQUE(ns3::Ns3AiMsgInterfaceImpl<CellState, CellWeight>::Py2CppMsgVector);

template<class Vector>
void BindVector(py::module& m, const char* name) {
    py::class_<Vector>(m, name)
        .def("resize", static_cast<void (Vector::*)(typename Vector::size_type)>(&Vector::resize))
        .def("__len__", &Vector::size)
        .def(
            "__getitem__",
            [](Vector& vec, uint32_t i) -> typename Vector::value_type& {
                if (i >= vec.size()) {
                    throw py::index_error();
                }
                return vec.at(i);
            },
            py::return_value_policy::reference);
}

template<class Interface>
py::class_<Interface> BindInterface(py::module& m, const char* name) {
    return py::class_<Interface>(m, name)
        .def(py::init<bool, bool, bool, uint32_t, const char*, const char*, const char*, const char*>())
        .def("PyRecvBegin", &Interface::PyRecvBegin)
        .def("PyRecvEnd", &Interface::PyRecvEnd)
        .def("PySendBegin", &Interface::PySendBegin)
        .def("PySendEnd", &Interface::PySendEnd)
        .def("PyGetFinished", &Interface::PyGetFinished);
}

PYBIND11_MODULE(messages_py, m) {
    py::class_<EnvStruct>(m, "PyEnvStruct")
        .def(py::init<>())
        .def_readwrite("a", &EnvStruct::env_a)
        .def_readwrite("b", &EnvStruct::env_b);
    py::class_<ActStruct>(m, "PyActStruct").def(py::init<>()).def_readwrite("c", &ActStruct::act_c);
    py::class_<CellState>(m, "CellState")
        .def_readonly("rnti", &CellState::rnti)
        .def_readonly("active", &CellState::active)
        .def("buffer", [](const CellState& state, int i) { return state.buffers.at(i); })
        .def("sinr", [](const CellState& state, int i) { return state.sinr[i]; });
    py::class_<CellWeight>(m, "CellWeight")
        .def_readwrite("rnti", &CellWeight::rnti)
        .def_readwrite("weight", &CellWeight::weight);

    BindInterface<Sums>(m, "Ns3AiMsgInterfaceImpl")
        .def("GetCpp2PyStruct", &Sums::GetCpp2PyStruct, py::return_value_policy::reference)
        .def("GetPy2CppStruct", &Sums::GetPy2CppStruct, py::return_value_policy::reference)
        .def("GetCpp2PyVector", [](Sums& self) { self.GetCpp2PyVector(); });
    BindVector<Cells::Cpp2PyMsgVector>(m, "PyEnvVector");
    BindVector<Cells::Py2CppMsgVector>(m, "PyActVector");
    BindInterface<Cells>(m, "CellInterface")
        .def("GetCpp2PyVector", &Cells::GetCpp2PyVector, py::return_value_policy::reference)
        .def("GetPy2CppVector", &Cells::GetPy2CppVector, py::return_value_policy::reference);
}
