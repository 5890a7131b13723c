# SPDX-License-Identifier: GPL-2.0-only
"""Device profiles: how fast a node computes, how much it holds, and what power it draws.

Rates are *sustained* rates of dense transformer layers, a stated fraction of the vendor's peak, because no device runs
at its peak. Every number below is either in the source named beside it or derived there. Idle powers are estimates.
These are round figures of representative devices. For a paper about one device, put its own measurements into a
profile: ``dataclasses.replace(DEVICES["phone"], flops_per_s=...)`` or, as text, ``"phone,flops_per_s=2e11"``.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from edgelam.errors import ConfigurationError, EdgelamError, OutOfDeviceMemory, OutOfDeviceStorage
from edgelam.text import parse_pairs, suggest

_WHOLE = ("memory_bytes", "storage_bytes", "ways")  # numbers of a profile

GB = 10**9
GIB = 2**30


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """What a device can do. `DEVICES` has the built-in profiles."""

    name: str
    """The name shown in tables."""
    flops_per_s: float
    """Sustained floating-point operations per second (multiplication and addition are two)."""
    memory_bandwidth_bytes_per_s: float
    """Sustained memory traffic, bytes per second."""
    memory_bytes: int
    """Memory that models and activations may use."""
    idle_w: float
    """Power when nothing is computed, watts."""
    busy_w: float
    """Power while it computes, watts."""
    ways: int = 1
    """Number of compute blocks that run side by side, each with an equal fixed share (1: first come, first served)."""
    wall_factor: float = 1.0
    """Simulated seconds per wall-clock second on this machine, if computing is `measured`."""
    source: str = ""
    """The source of the numbers."""
    storage_bytes: int = 64 * GB
    """Storage (flash, disk) that models and data may use."""
    battery_j: float | None = None
    """Energy in its battery at simulated time 0, joules; None: it has mains power."""

    def __post_init__(self) -> None:
        """Refuse values that are not physical."""
        for field in ("flops_per_s", "memory_bandwidth_bytes_per_s", "battery_j", "wall_factor", *_WHOLE):
            value = getattr(self, field)
            if not (field == "battery_j" and value is None) and not (value > 0 and math.isfinite(value)):
                raise ConfigurationError(f"device {self.name!r}: {field} = {value!r} must be positive and finite")
        for field in _WHOLE:
            value = getattr(self, field)
            if value < 1 or value != int(value):
                raise ConfigurationError(f"device {self.name!r}: {field} = {value!r} must be a whole number from 1")
        if not 0 <= self.idle_w <= self.busy_w < math.inf:
            raise ConfigurationError(
                f"device {self.name!r}: powers must be 0 <= idle_w <= busy_w, not {self.idle_w!r} and {self.busy_w!r}"
            )

    def seconds(self, flops: float, bytes: float) -> float:
        """Roofline (Williams, Waterman, Patterson, CACM 52(4), 2009): the slower of arithmetic and memory traffic."""
        return max(flops / self.flops_per_s, bytes / self.memory_bandwidth_bytes_per_s)


DEVICES: dict[str, DeviceProfile] = {
    profile.name: profile
    for profile in (
        DeviceProfile(
            "phone",
            flops_per_s=0.15e12,
            memory_bandwidth_bytes_per_s=33 * GB,
            memory_bytes=4 * GIB,
            storage_bytes=64 * GB,
            idle_w=0.5,
            busy_w=5.0,
            source="CPU cores of a Snapdragon 8 Gen 2 (Qualcomm product page: 1 Cortex-X3 at 3.2 GHz, 4 A715/A710 at "
            "2.8 GHz, 3 A510 at 2.0 GHz) with the 128-bit FMA pipes of Arm's software optimisation guides (4, 2"
            " and 1 per core, 8 FLOP/cycle each): 0.33 TFLOP/s fp32 peak, 45 % sustained; LPDDR5X-8400 on 64 "
            "bit: 67.2 GB/s peak, half sustained; 4 GiB of 8 to 12 left to one application; 5 W is a phone's "
            "usual sustained limit; half of 128 GB of flash",
        ),
        DeviceProfile(
            "jetson-nano",
            flops_per_s=0.19e12,
            memory_bandwidth_bytes_per_s=18 * GB,
            memory_bytes=3 * GIB,
            storage_bytes=8 * GB,
            idle_w=1.25,
            busy_w=10.0,
            source="NVIDIA Jetson Nano System-on-Module data sheet: 128 Maxwell cores at 921.6 MHz, 236 GFLOP/s fp32 "
            "(472 fp16) peak, 80 % sustained in fp32; LPDDR4 25.6 GB/s peak, 70 % sustained; 4 GiB shared with "
            "the system, 3 GiB left; half of the 16 GB of eMMC; 10 W mode",
        ),
        DeviceProfile(
            "jetson-orin-nano",
            flops_per_s=1.2e12,
            memory_bandwidth_bytes_per_s=48 * GB,
            memory_bytes=6 * GIB + GIB // 2,
            storage_bytes=64 * GB,
            idle_w=4.0,
            busy_w=15.0,
            source="NVIDIA Jetson Orin Nano Series data sheet, 8 GB module at 15 W: 1024 Ampere cores at 625 MHz, 1.28 "
            "TFLOP/s fp32 peak, of which as much sustained with the help of fp16 tensor cores as of jetson-orin's "
            "(0.96); LPDDR5 68 GB/s peak, 70 % sustained; 8 GiB shared with the system, 6.5 GiB left; half of an NVMe "
            "drive of 128 GB",
        ),
        DeviceProfile(
            "jetson-orin",
            flops_per_s=3.2e12,
            memory_bandwidth_bytes_per_s=140 * GB,
            memory_bytes=28 * GIB,
            storage_bytes=48 * GB,
            idle_w=9.0,
            busy_w=40.0,
            source="NVIDIA Jetson AGX Orin Series technical brief, 32 GB module at 40 W: 1792 Ampere cores at 930 MHz,"
            " 3.33 TFLOP/s fp32 peak, 13.3 with fp16 tensor cores (dense), of which a quarter sustained; LPDDR5"
            " 204.8 GB/s peak, 70 % sustained; 28 of 32 GiB left; 48 of the 64 GB of eMMC",
        ),
        DeviceProfile(
            "cpu-server",
            flops_per_s=1.6e12,
            memory_bandwidth_bytes_per_s=140 * GB,
            memory_bytes=240 * GIB,
            storage_bytes=3_840 * GB,
            idle_w=110.0,
            busy_w=350.0,
            source="one Intel Xeon Gold 6338 (Intel ARK): 32 cores with 2 AVX-512 FMA units (64 FLOP per cycle) at 2.0 "
            "GHz: 4.1 TFLOP/s fp32 peak, 40 % sustained; 8 channels of DDR4-3200, 204.8 GB/s peak, 70 % "
            "sustained; 256 GiB; TDP 205 W, about 350 W with memory, fans and supply; one NVMe drive of 3.84 TB",
        ),
        DeviceProfile(
            "datacentre-gpu",
            flops_per_s=125e12,
            memory_bandwidth_bytes_per_s=1500 * GB,
            memory_bytes=76 * GIB,
            storage_bytes=3_840 * GB,
            idle_w=60.0,
            busy_w=400.0,
            source="NVIDIA A100 80 GB SXM data sheet: 312 TFLOP/s bf16 peak, 40 % sustained (Megatron-LM, arXiv "
            "2104.04473, reports 44 to 52 %); HBM2e 2039 GB/s peak, 75 % sustained; 76 of 80 GiB left; 400 W; one "
            "of the eight 3.84 TB drives of a DGX A100 (its data sheet)",
        ),
        DeviceProfile(
            "sensor",
            flops_per_s=0.1e9,
            memory_bandwidth_bytes_per_s=20_000_000,
            memory_bytes=4 * 2**20,
            storage_bytes=12 * 2**20,
            idle_w=0.1,
            busy_w=0.22,
            source="Espressif ESP32 series data sheet and the ESP32-WROVER-E's (16 MB of flash, 8 MB of PSRAM): two "
            "Xtensa LX6 cores at 240 MHz, each with a single-precision unit (2 FLOP/cycle): 0.96 GFLOP/s fp32 peak, "
            "a tenth sustained, since loads and stores take the same pipeline; PSRAM on 4 bit at 80 MHz: 40 MB/s peak,"
            " half sustained, 4 MiB of it mapped at a time; 30 to 68 mA at 3.3 V with the radio off (modem sleep, 240 "
            "MHz, two cores); 12 of 16 MiB of flash left",
        ),
    )
}

DEFAULT_DEVICE = {"ue": "phone", "edge": "cpu-server", "cloud": "datacentre-gpu"}
OTHER_DEVICE = "cpu-server"


_NUMBERS = tuple(field.name for field in dataclasses.fields(DeviceProfile) if field.name not in ("name", "source"))


def profile(device: str | DeviceProfile) -> DeviceProfile:
    """Return the profile that `device` stands for.

    Args:
        device: a profile; or the name of one in `DEVICES`; or such a name with numbers that replace those of the
            profile, in the units of `DeviceProfile`: ``"phone,battery_j=500,storage_bytes=2e9"``. Such a profile has
            this text as its name.

    Raises ConfigurationError if no profile or number has this name, and if a value is not legal.
    """
    if isinstance(device, DeviceProfile):
        return device
    base, *changes = device.split(",")
    if base not in DEVICES:
        raise ConfigurationError(f"no device profile is called {base!r}; {suggest(base, DEVICES)}")
    if not changes:
        return DEVICES[base]
    values = {name: _number(device, name, text) for name, text in parse_pairs(changes, f"device {device!r}").items()}
    return dataclasses.replace(DEVICES[base], name=device, **values)


def _number(device: str, name: str, text: str) -> Any:
    """Return the number with this name; `DeviceProfile` refuses values that are not legal."""
    if name not in _NUMBERS:
        raise ConfigurationError(f"device {device!r}: a profile has no number {name!r}; {suggest(name, _NUMBERS)}")
    try:
        value = float(text)
    except ValueError:
        raise ConfigurationError(f"device {device!r}: {name} = {text!r} is not a number such as 500 or 2.5e9") from None
    return int(value) if name in _WHOLE and value.is_integer() else value


class _Pool:
    """A number of bytes of a node, and who has how many of them."""

    def __init__(self, node: str, capacity_bytes: int) -> None:
        """Make an empty pool of the node named `node`."""
        self.node = node
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self.peak_bytes = 0
        self._blocks: dict[str, int] = {}

    def free(self, label: str) -> None:
        """Give back what is held under `label`."""
        try:
            self.used_bytes -= self._blocks.pop(label)
        except KeyError:
            held = ", ".join(self._blocks) or "nothing"
            raise ConfigurationError(f"{self.node}: nothing is allocated under {label!r}; held: {held}") from None

    def held(self) -> dict[str, int]:
        """Return the held bytes by label."""
        return dict(self._blocks)

    def _take(self, label: str, bytes: int, error: type[EdgelamError], what: str) -> None:
        bytes = _whole(label, bytes)
        used = self.used_bytes - self._blocks.get(label, 0)
        if used + bytes > self.capacity_bytes:
            held = ", ".join(f"{name} {size:,}" for name, size in self._blocks.items() if name != label) or "nothing"
            raise error(
                f"{self.node}: {label} needs {bytes:,} bytes{what}, but of its {self.capacity_bytes:,} bytes only "
                f"{self.capacity_bytes - used:,} are free (held: {held})"
            )
        self._blocks[label] = bytes
        self.used_bytes = used + bytes
        self.peak_bytes = max(self.peak_bytes, self.used_bytes)


class MemoryPool(_Pool):
    """A node's memory: the bytes allocated under each label."""

    def allocate(self, label: str, bytes: int) -> None:
        """Take `bytes` under `label`; if the label is used again, it replaces what it had.

        Raises `OutOfDeviceMemory`, with both numbers, if it does not fit.
        """
        self._take(label, bytes, OutOfDeviceMemory, "")


class StoragePool(_Pool):
    """A node's storage: the objects that it holds. Storing takes no simulated time."""

    def store(self, name: str, bytes: int) -> None:
        """Keep an object of `bytes` under `name`; if the name is used again, it replaces the object before.

        Raises `OutOfDeviceStorage`, with both numbers, if it does not fit.
        """
        self._take(name, bytes, OutOfDeviceStorage, " of storage")


def _whole(label: str, value: Any) -> int:
    number = int(value)
    if number != value or number < 0:
        raise ConfigurationError(f"{label} has {value!r} bytes; legal is a whole number from 0")
    return number
