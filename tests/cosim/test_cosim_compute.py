# SPDX-License-Identifier: GPL-2.0-only
"""Work counting against numbers worked out by hand, and computing as a resource in simulated time."""

import asyncio
import dataclasses

import pytest
import torch
import torch.nn.functional as F
from cosim_runs import run

from edgelam import cosim
from edgelam.cosim import DEVICES, Work, count
from edgelam.errors import AwaitInComputeError, ConfigurationError, OutOfDeviceMemory

UNIT = cosim.DeviceProfile(  # 1 FLOP takes 1 s: easy sums
    "unit", flops_per_s=1, memory_bandwidth_bytes_per_s=1e9, memory_bytes=1000, idle_w=1, busy_w=3
)


# ---- counting ----------------------------------------------------------------------------------------------------


def test_linear_layer():
    layer, x = torch.nn.Linear(64, 32), torch.zeros(8, 64)
    with torch.no_grad():
        work = count(layer, x)
    assert work.flops == 2 * 8 * 64 * 32
    assert work.bytes == 4 * (8 * 64 + 64 * 32 + 32 + 8 * 32)  # input, weight, bias, output


def test_backward_of_a_linear_layer_is_twice_its_forward():
    layer, x = torch.nn.Linear(64, 32, bias=False), torch.zeros(8, 64, requires_grad=True)
    y = layer(x)
    assert count(y.sum().backward).flops == 2 * (2 * 8 * 64 * 32)


@pytest.mark.parametrize("grad", [False, True])
def test_attention_on_the_cpu_counts(grad):
    B, H, L, D = 2, 3, 16, 8
    q, k, v = (torch.zeros(B, H, L, D, requires_grad=grad) for _ in range(3))
    assert count(F.scaled_dot_product_attention, q, k, v).flops == 2 * (2 * B * H * L * L * D)
    if grad:
        out = F.scaled_dot_product_attention(q, k, v)
        assert count(out.sum().backward).flops == 5 * (2 * B * H * L * L * D)


def test_layer_norm_and_embedding():
    x = torch.zeros(4, 10)
    assert count(F.layer_norm, x, (10,)).flops == 8 * 40
    table, ids = torch.zeros(1000, 16), torch.zeros(2, 5, dtype=torch.long)
    work = count(F.embedding, ids, table)
    assert work == Work(0, 8 * 10 + 2 * 4 * 10 * 16)  # indices; 10 rows read, 10 written


def test_views_are_free_and_elementwise_is_traffic():
    x = torch.zeros(100)
    assert count(lambda: x.view(10, 10).T) == Work(0, 0)
    assert count(lambda: x + x) == Work(0, 4 * 200)


def test_inference_mode_counts_the_same():
    layer, x = torch.nn.Linear(64, 32), torch.zeros(8, 64)
    q = torch.zeros(2, 3, 16, 8)
    with torch.inference_mode():
        assert count(layer, x).flops == 2 * 8 * 64 * 32
        assert count(F.scaled_dot_product_attention, q, q, q).flops == 2 * (2 * 2 * 3 * 16 * 16 * 8)


def test_bert_layer_by_hand():
    transformers = pytest.importorskip("transformers")
    B, L, D, FF, H = 2, 16, 48, 192, 4
    config = transformers.BertConfig(
        vocab_size=100, hidden_size=D, num_hidden_layers=3, num_attention_heads=H, intermediate_size=FF
    )
    model = transformers.BertModel(config, add_pooling_layer=False).eval()
    ids = torch.zeros(B, L, dtype=torch.long)
    with torch.no_grad():
        work = count(model, ids, attention_mask=torch.ones_like(ids))
    tokens = B * L
    layer = 2 * tokens * (4 * D * D + 2 * D * FF)  # query, key, value, output; two feed-forward matrices
    layer += 2 * (2 * B * L * L * D)  # scores and weighted sum, all heads
    layer += 2 * 8 * tokens * D  # two layer norms
    assert work.flops == 3 * layer + 8 * tokens * D  # and the norm of the embeddings


def test_work_adds_and_multiplies():
    assert Work(1, 2) + 3 * Work(10, 20) == Work(31, 62)


# ---- simulated time ------------------------------------------------------------------------------------------------


def test_roofline():
    device = DEVICES["jetson-nano"]
    assert device.seconds(device.flops_per_s, 0) == 1
    assert device.seconds(0, device.memory_bandwidth_bytes_per_s * 2) == 2
    assert device.seconds(device.flops_per_s * 3, device.memory_bandwidth_bytes_per_s) == 3


def test_block_advances_time_by_its_counted_work():
    device = DEVICES["phone"]
    records = []

    async def main(sim):
        layer, x = torch.nn.Linear(256, 256), torch.zeros(512, 256)
        async with sim.node("ue0").compute("layer", key=x.shape) as block:
            layer(x)
        first = sim.now_ns
        async with sim.node("ue1").compute("layer", key=x.shape) as again:
            pass  # not counted again: known by its key
        assert block.work == again.work
        assert again.record.end_s == pytest.approx(2 * first / 1e9)
        return block.work, first

    work, first = run(main, devices={"ue*": "phone"}, on_compute=records.append)
    assert work.flops == 2 * 512 * 256 * 256
    assert first == round(device.seconds(work.flops, work.bytes) * 1e9)
    assert [r.node for r in records] == ["ue0", "ue1"]
    assert records[0].flops == work.flops


def test_first_come_first_served():
    async def main(sim):
        node, ends = sim.node("edge0"), []

        async def job(i, flops):
            async with node.compute(f"job{i}", work=Work(flops)) as block:
                pass
            ends.append((i, sim.now_s, block.record.waited_s))

        await asyncio.gather(job(0, 3), job(1, 1), job(2, 2))
        return ends, node.busy_s, node.flops, node.energy_j

    ends, busy, flops, energy = run(main, devices={"edge0": UNIT})
    assert ends == [(0, 3.0, 0.0), (1, 4.0, 3.0), (2, 6.0, 4.0)]
    assert (busy, flops) == (6.0, 6)
    assert energy == pytest.approx(6 * 1 + 6 * 2)


def test_ways_share_the_rate():
    async def main(sim):
        ends = []

        async def job(i, flops):
            async with sim.node("edge0").compute(f"job{i}", work=Work(flops)):
                pass
            ends.append((i, sim.now_s))

        await asyncio.gather(job(0, 3), job(1, 1), job(2, 2))
        return ends, sim.node("edge0").energy_j

    ends, energy = run(main, devices={"edge0": dataclasses.replace(UNIT, ways=2)})
    assert ends == [(1, 2.0), (0, 6.0), (2, 6.0)]
    assert energy == pytest.approx(6 * 1 + (6 + 2 + 4) * 1)


def test_cancelled_waiter_does_not_keep_its_place():
    async def main(sim):
        node, ends = sim.node("edge0"), []

        async def job(i, flops):
            async with node.compute(f"job{i}", work=Work(flops)):
                pass
            ends.append((i, sim.now_s))

        first = asyncio.create_task(job(0, 3))
        second = asyncio.create_task(job(1, 3))
        third = asyncio.create_task(job(2, 3))
        await asyncio.sleep(1)
        second.cancel()
        first.cancel()  # also while it runs
        await asyncio.wait([first, second, third])
        return ends

    assert run(main, devices={"edge0": UNIT}) == [(2, 4.0)]


@pytest.mark.parametrize("mode", ["free", "measured"])
def test_other_modes(mode):
    async def main(sim):
        async with sim.node("ue0").compute("x") as block:
            torch.zeros(100, 100) @ torch.zeros(100, 100)
        return sim.now_ns, block.work

    now_ns, work = run(main, compute=mode)
    assert (now_ns == 0) == (mode == "free")
    assert work == Work()


def test_await_in_a_block_is_refused():
    async def main(sim):
        async with sim.node("ue0").compute("embed"):
            await asyncio.sleep(1)

    with pytest.raises(AwaitInComputeError, match=r"'embed' of ue0(.|\n)*'main' waits for .*test_cosim_compute.py"):
        run(main)


def test_block_in_a_block_is_refused():
    async def main(sim):
        async with sim.node("ue0").compute("a", work=Work()), sim.node("ue1").compute("b", work=Work()):
            pass

    with pytest.raises(AwaitInComputeError, match="'b' of ue1 inside compute block 'a' of ue0"):
        run(main)


def test_error_in_a_block_frees_the_node():
    async def main(sim):
        node = sim.node("ue0")
        with pytest.raises(ZeroDivisionError):
            async with node.compute("bad"):
                raise ZeroDivisionError
        async with node.compute("good", work=Work(5)):
            pass
        return sim.now_s

    assert run(main, devices={"ue0": UNIT}) == 5.0


# ---- memory and profiles -------------------------------------------------------------------------------------------


def test_memory_pool():
    async def main(sim):
        memory = sim.node("ue0").memory
        memory.allocate("model", 600)
        memory.allocate("activations", 300)
        memory.allocate("activations", 100)
        with pytest.raises(OutOfDeviceMemory, match=r"ue0: batch needs 301 bytes.*1,000 bytes only 300.*model 600"):
            memory.allocate("batch", 301)
        memory.free("model")
        assert (memory.used_bytes, memory.peak_bytes, memory.held()) == (100, 900, {"activations": 100})
        with pytest.raises(ConfigurationError, match="nothing is allocated under 'model'; held: activations"):
            memory.free("model")
        with pytest.raises(ConfigurationError, match="-1 bytes"):
            memory.allocate("x", -1)

    run(main, devices={"ue*": UNIT})


def test_profiles():
    assert set(DEVICES) == {
        "phone",
        "jetson-nano",
        "jetson-orin-nano",
        "jetson-orin",
        "cpu-server",
        "datacentre-gpu",
        "sensor",
    }
    assert all(p.source and p.name == name for name, p in DEVICES.items())
    with pytest.raises(ConfigurationError, match="flops_per_s = -1"):
        dataclasses.replace(UNIT, flops_per_s=-1)
    with pytest.raises(ConfigurationError, match="ways = 0"):
        dataclasses.replace(UNIT, ways=0)
    with pytest.raises(ConfigurationError, match="idle_w <= busy_w"):
        dataclasses.replace(UNIT, idle_w=5)


def test_a_profile_with_other_numbers():
    given = cosim.devices.profile("phone,battery_j=500,storage_bytes=2e9,ways=2")
    phone = DEVICES["phone"]
    assert given == dataclasses.replace(phone, name=given.name, battery_j=500.0, storage_bytes=2_000_000_000, ways=2)
    assert type(given.storage_bytes) is int

    async def main(sim):
        return {node.name: (node.device.name, node.battery and node.battery.capacity_j) for node in sim.nodes.values()}

    assert run(main, nodes={"ue0": "ue", "edge0": "edge"}, devices={"ue*": "sensor,battery_j=2.5"}) == {
        "ue0": ("sensor,battery_j=2.5", 2.5),
        "edge0": ("cpu-server", None),
    }


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"devices": {"ue*": "phone,batery_j=5"}}, "no number 'batery_j'; did you mean 'battery_j'"),
        ({"devices": {"ue*": "phone,battery_j=full"}}, "battery_j = 'full' is not a number"),
        ({"devices": {"ue*": "phone,battery_j=-5"}}, "battery_j = -5.0 must be positive and finite"),
        ({"devices": {"ue*": "phone,battery_j=nan"}}, "battery_j = nan must be positive and finite"),
        ({"devices": {"ue*": "phone,storage_bytes=0"}}, "storage_bytes = 0 must be positive"),
        ({"devices": {"ue*": "phone,storage_bytes=1.5"}}, "storage_bytes = 1.5 must be a whole number from 1"),
        ({"devices": {"ue*": "phone,battery_j"}}, "takes NAME=VALUE, got 'battery_j'"),
        ({"devices": {"ue*": "phone,battery_j=1,battery_j=2"}}, "gives battery_j twice: 1 and 2"),
        ({"devices": {"ue*": "iphone"}}, "no device profile is called 'iphone'; did you mean 'phone'"),
        ({"devices": {"phone*": "phone"}}, "'phone\\*' matches no node; there are: ue0"),
        ({"compute": "fast"}, "unknown compute mode 'fast'"),
        ({"network": "5g"}, "network = '5g'"),
        ({"seed": -1}, "seed = -1"),
        ({"options": {"numUe": 3}}, "there are no options, but got: numUe"),
        ({"participants": 2}, "need a scenario"),
    ],
)
def test_settings_are_checked(settings, text):
    async def main(sim):
        raise AssertionError

    with pytest.raises(ConfigurationError, match=text):
        run(main, **settings)
