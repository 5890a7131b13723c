# SPDX-License-Identifier: GPL-2.0-only
"""Python in simulated time: an asyncio loop whose clock is ns-3, nodes that send, receive and compute.

Start with `simulate` and `Node`::

    from edgelam import cosim

    async def main(sim):
        ue, edge = sim.node("ue0"), sim.node("edge0")
        record = await ue.send(edge, b"hello", tag="greeting")
        message = await edge.receive(ue)
        return record.last_byte_s

    print(cosim.simulate(main, scenario="wired-star", seed=1))

`simulate` runs a scenario and the main coroutine; `attach` joins one from a further process. Everything public is
exported here; errors are in `edgelam.errors`.
"""

from edgelam.cosim.analog import AnalogTransfer
from edgelam.cosim.compute import ComputeBlock
from edgelam.cosim.devices import DEVICES, DeviceProfile, MemoryPool
from edgelam.cosim.encoding import ENCODINGS, Encoded, decode, encode, wire_size
from edgelam.cosim.node import Node
from edgelam.cosim.observables import Control, Observable, Subscription
from edgelam.cosim.observer import Observer, looking_on
from edgelam.cosim.ordering import as_completed
from edgelam.cosim.records import ComputeRecord, Message, Reading, TransferRecord
from edgelam.cosim.run import attach, simulate
from edgelam.cosim.simulation import Simulation
from edgelam.cosim.transfer_spec import TransferSpec
from edgelam.cosim.work import Work, WorkCounter, count
from edgelam.random_streams import derive_seed

__all__ = [
    "DEVICES",
    "ENCODINGS",
    "AnalogTransfer",
    "ComputeBlock",
    "ComputeRecord",
    "Control",
    "DeviceProfile",
    "Encoded",
    "MemoryPool",
    "Message",
    "Node",
    "Observable",
    "Observer",
    "Reading",
    "Simulation",
    "Subscription",
    "TransferRecord",
    "TransferSpec",
    "Work",
    "WorkCounter",
    "as_completed",
    "attach",
    "count",
    "decode",
    "derive_seed",
    "encode",
    "looking_on",
    "simulate",
    "wire_size",
]
