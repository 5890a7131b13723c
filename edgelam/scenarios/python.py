# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios in Python: ns-3's bindings, with the names of C++ and the headers that a scenario includes.

    from edgelam.scenarios.python import Scenario, edgelam, include, ns3

    include("ns3/point-to-point-helper.h")
    scenario = Scenario("my-scenario", "what it is, in one line")
    rate = scenario.options().Rate("rate", 10e6, "of the wire", 1e3, 1e12)      # rate.value once options are read

    def build():
        ...                                                 # ns3.NodeContainer(2), edgelam.NrHelper(), ...
        scenario.Expose(node, "ue0", "ue")

    sys.exit(scenario.Main(sys.argv, build))

``edgelam`` and ``ns3`` are the C++ namespaces. This module takes about 2 s to import, while everything that ns-3 has
would take 15 s. It is for a process of its own, which ns-3 may abort: programs that use `edgelam.cosim` do not import
it.
"""

import ctypes
import faulthandler
import itertools
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgelam.scenarios import toolchain

# C++ of ns-3's version; the warnings are about ns-3's headers
os.environ.setdefault("EXTRA_CLING_ARGS", "-std=c++20 -O1 -w " + " ".join(f"-D{n}" for n in toolchain.DEFINITIONS))
sys.setdlopenflags(sys.getdlopenflags() | os.RTLD_LAZY)  # ns-3's config-store leaves GTK symbols open
import cppyy  # noqa: E402
import libcppyy  # noqa: E402

_loaded: set[str] = set(toolchain.MODULES)
_kept: list[Any] = []  # Python functions and variables to which C++ refers
_held: list[Any] = []  # what a scenario keeps until the run has ended


def include(*headers: str) -> None:
    """Make what these headers declare available, as ``#include`` does, and load their ns-3 modules.

    Raises ImportError if a header does not exist or does not compile.
    """
    for header in headers:
        for folder in toolchain.include_folders():
            for module in toolchain.modules_of([folder / header]) - _loaded:
                cppyy.load_library(str(toolchain.library_folders()[1] / f"lib{toolchain.NS3}-{module}.so"))
                _loaded.add(module)
        cppyy.include(header)


for _number in (signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS):
    signal.signal(_number, signal.SIG_DFL)  # cppyy's handlers write pages of addresses, for seconds
faulthandler.enable(all_threads=False)  # the line of Python, after what ns-3 said
libcppyy.AddSmartPtrType("Ptr")  # before everything that has one
for _folder in toolchain.include_folders():
    cppyy.add_include_path(str(_folder))
cppyy.load_library(str(toolchain.library_folders()[0] / "libedgelam-ns3.so"))
include("edgelam/python-scenario.h")
edgelam: Any = cppyy.gbl.edgelam
ns3: Any = cppyy.gbl.ns3


class Option:
    """An option of the command line; its `value` is the default until the scenario's options are read."""

    def __init__(self, variable: Any) -> None:
        """Wrap the C++ variable to which the option is bound."""
        self.variable = variable

    @property
    def value(self) -> Any:
        """An int, a float (SI units), a bool or a str."""
        return self.variable.value if hasattr(self.variable, "value") else str(self.variable)


def _main(scenario: Any, arguments: Sequence[str], build: Callable[[], object]) -> int:
    """Do ``Scenario.Main``: read the command line, call `build`, run; return the exit status.

    An exception that `build` raises is passed on; an exception of C++ about settings that do not fit together is a
    refusal, with exit status 2.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python would notice only after ns-3 has ended
    caught: list[BaseException] = []

    def call(built: Any) -> None:
        try:
            build()
        except (edgelam.OptionError, cppyy.gbl.std.invalid_argument) as refused:
            built.refusal = _text(refused)
        except BaseException as error:
            built.raised = True
            caught.append(error)

    status: int = edgelam.python.Main(scenario, list(map(str, arguments)), _keep(call))
    while _held:  # last to first, as in C++
        _held.pop()
    if caught:
        raise caught[0]
    return status


def _hold(scenario: Any, thing: Any) -> Any:
    """Do ``Scenario.Keep``: hold `thing`, for example a helper of ns-3, until the run has ended; return it.

    What `build` holds in its own variables is destroyed when it returns, before the run begins.
    """
    _held.append(thing)
    return thing


def Schedule(delay: Any, function: Callable[..., object], *arguments: object) -> None:  # noqa: N802
    """Call `function(*arguments)` after `delay`, an ``ns3.Time``; an exception in it ends the process."""
    number = next(_numbers)
    _scheduled[number] = (function, arguments)
    edgelam.python.Schedule(delay, _dispatcher, number)


_numbers = itertools.count()
_scheduled: dict[int, tuple[Callable[..., object], tuple[object, ...]]] = {}


def _dispatch(number: int) -> None:
    function, arguments = _scheduled.pop(number)
    try:
        function(*arguments)
    except BaseException:
        _die()


Axes = Sequence[tuple[str, int]]


def _publish(  # noqa: PLR0917  # the order is that of C++
    registry: Any, name: str, unit: str, help: str, function: Callable[[], Any], axes: Axes = (), *, dtype: Any = "f8"
) -> None:
    """Add an observable: `function` returns a number or an array, of NumPy type `dtype` and of the shape of `axes`."""
    kind = np.dtype(dtype)

    def read(value: Any) -> None:
        try:
            _fill(value, np.ascontiguousarray(function(), kind), len(axes))
        except BaseException as error:  # also sys.exit: C++ cannot pass it on
            value.refusal = _refusal(error)

    edgelam.python.Publish(registry, _describe(name, unit, help, axes, kind), _keep(read), _no_record)


def _publish_trace(
    registry: Any, name: str, help: str, take: Callable[[], Any], record: Callable[[bool], object], *, dtype: Any
) -> None:
    """Add a trace: `take` returns what has happened since the last call; `record` is told whether to keep events."""
    kind = np.dtype(dtype)

    def read(value: Any) -> None:
        try:
            _fill(value, np.ascontiguousarray(take(), kind), 1)
        except BaseException as error:
            value.refusal = _refusal(error)

    def keep(whether: bool) -> None:
        try:
            record(whether)
        except BaseException:
            _die()

    described = _describe(name, "", help, [("record", -1)], kind)
    edgelam.python.Publish(registry, described, _keep(read), cppyy.gbl.std.function["void(bool)"](_keep(keep)))


def _control(  # noqa: PLR0917
    registry: Any, name: str, unit: str, help: str, function: Callable[[Any], Any], axes: Axes = (), *,
    dtype: Any = "f8",
) -> None:  # fmt: skip
    """Add a control: `function` gets a NumPy scalar or array, and returns why it refuses; None: it took effect."""
    kind = np.dtype(dtype)

    def take(value: Any) -> None:
        try:
            data = ctypes.string_at(value.Address(), value.Size())
            array = np.frombuffer(data, kind).reshape(tuple(value.shape))
            value.refusal = str(function(array if axes else array[()]) or "")
        except BaseException as error:
            value.refusal = _refusal(error)

    edgelam.python.Control(registry, _describe(name, unit, help, axes, kind), _keep(take))


def _fill(value: Any, array: np.ndarray, dimensions: int) -> None:
    if dimensions == 0 and array.size == 1:
        array = array.reshape(())  # ascontiguousarray turns no dimension into one
    value.shape = cppyy.gbl.std.vector["std::int64_t"](list(array.shape))
    value.Copy(array.ctypes.data, array.nbytes)


def _describe(name: str, unit: str, help: str, axes: Axes, kind: np.dtype) -> Any:
    names, sizes = [str(axis) for axis, _ in axes], [int(size) for _, size in axes]
    return edgelam.python.Describe(name, json.dumps(_dtype_json(kind)), kind.itemsize, names, sizes, unit, help)


def _dtype_json(kind: np.dtype) -> Any:
    """Describe a type in the same way as ``DescribeJson`` (schema.h)."""
    if kind.names is None or kind.fields is None:
        if kind.kind not in "biufcS":
            raise TypeError(f"dtype {kind}: legal are numbers, booleans, bytes (S) and structs of these")
        return kind.newbyteorder("<").str
    fields = []
    for field in kind.names:
        base, shape = kind.fields[field][0].subdtype or (kind.fields[field][0], ())
        fields.append(
            {"name": field, "dtype": _dtype_json(base), "offset": kind.fields[field][1], "shape": list(shape)}
        )
    return {"name": "struct", "itemsize": kind.itemsize, "fields": fields}


def _refusal(error: BaseException) -> str:
    traceback.print_exc()
    return f"{type(error).__name__}: {_text(error)}"


def _text(error: BaseException) -> str:
    """Return the text of an exception, without the signature that cppyy adds to one of C++."""
    text = error.what() if hasattr(error, "what") else str(error)
    return re.sub(r"(?s)^.* =>\s*\w+: ", "", str(text))


def _die() -> None:
    """End the process after an exception in a function that ns-3 called: C++ cannot pass it on."""
    traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _keep(function: Any) -> Any:
    _kept.append(function)
    return function


def _option(add: Any, variable: Callable[[Any], Any]) -> Callable[..., Option]:
    def declare(options: Any, name: str, default: Any, *rest: Any) -> Option:
        bound = _keep(variable(default))
        add(options, name, bound, *rest)
        return Option(bound)

    return declare


_dispatcher = cppyy.gbl.std.function["void(std::uint64_t)"](_dispatch)  # one: making it takes milliseconds
_no_record = cppyy.gbl.std.function["void(bool)"]()
for _name, _variable in {
    "Integer": ctypes.c_uint32, "Count": ctypes.c_uint64, "Real": ctypes.c_double, "Rate": ctypes.c_double,
    "Time": ctypes.c_double, "Flag": ctypes.c_bool, "Choice": cppyy.gbl.std.string, "Text": cppyy.gbl.std.string,
}.items():  # fmt: skip
    setattr(edgelam.Options, _name, _option(getattr(edgelam.Options, _name), _variable))
edgelam.Scenario.Main = _main
edgelam.Scenario.Keep = _hold
Scenario = edgelam.Scenario
edgelam.Registry.Publish = _publish
edgelam.Registry.PublishTrace = _publish_trace
edgelam.Registry.Control = _control
