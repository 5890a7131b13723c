# SPDX-License-Identifier: GPL-2.0-only
"""Reflecting surfaces of nr-indoor: what is published adds up, gains grow with elements as they must, refusals."""

import asyncio

import numpy as np
import pytest
from scenario_runs import start

from edgelam import cosim
from edgelam.errors import EdgelamError

# One antenna at each end, and surfaces 2.8 m from the gNB, so that what comes over them is not far below the rest.
HALL = {
    "los": "Always",
    "surfacePlaces": "0/2/6/-90",
    "surfaces": 1,
    "numUe": 6,
    "speed": 0,
    "gnbRows": 1,
    "gnbColumns": 1,
    "gnbPolarisations": 1,
    "ueAntennas": 1,
    "bandwidth": 20,
}


def run(main, **options):
    return cosim.simulate(main, scenario="nr-indoor", options=HALL | options)


async def read(sim, name):
    return (await sim.observable(name).read()).value


def over(to, phases, back, amplitude):
    """The channel over the surfaces: sum over surfaces and elements, [ue, ue_antenna, gnb_element, group]."""
    return amplitude * np.einsum("suamg,sm,smeg->uaeg", back, np.exp(1j * phases), to)


def test_the_parts_add_up_and_what_is_set_is_what_the_elements_do():
    async def main(sim):
        to, back = await read(sim, "surface_gnb_channel"), await read(sim, "surface_ue_channel")
        amplitude = float(await read(sim, "surface_amplitude"))
        generator = np.random.default_rng(1)
        for _ in range(2):
            phases = generator.uniform(-10, 10, (2, 16))
            await sim.control("ris_phase").set(phases)
            actual = await read(sim, "ris_phase")
            assert np.abs(np.angle(np.exp(1j * (actual - phases)))).max() <= np.pi / 4 + 1e-9  # two bits
            assert np.allclose(np.exp(4j * actual), 1)
            direct, whole = await read(sim, "direct_channel"), await read(sim, "ue_channel")
            added = over(to, actual, back, amplitude)
            assert np.abs(direct + added - whole).max() < 1e-5 * np.abs(whole).max()
            assert np.abs(added).max() > 1e-3 * np.abs(direct).max()
        assert int(await read(sim, "ris_slot")) >= 0
        before = await read(sim, "ris_phase")
        bad = np.zeros((2, 16))
        bad[1, 3] = np.nan
        for value, texts in ((bad, ("nan", "element 3 of surface 1", "finite")), (np.zeros((2, 15)), ("(2, 16)",))):
            with pytest.raises(EdgelamError) as caught:
                await sim.control("ris_phase").set(value)
            for text in texts:
                assert text in str(caught.value)
        assert (await read(sim, "ris_phase") == before).all()
        await asyncio.sleep(0.001)

    places = "0/2/6/-90,0/-2/6/90"
    run(
        main,
        surfaces=2,
        surfacePlaces=places,
        surfaceRows=4,
        surfaceColumns=4,
        surfaceBits=2,
        gnbColumns=2,
        ueAntennas=2,
    )


def test_gain_for_each_doubling_of_elements():
    """6 dB with phases that align all elements, 3 dB on average with random ones; reciprocal; power is kept."""

    async def main(sim):
        to, back = await read(sim, "surface_gnb_channel"), await read(sim, "surface_ue_channel")
        amplitude = float(await read(sim, "surface_amplitude"))
        group = to.shape[-1] // 2
        products = amplitude * back[0, :, 0, :, group] * to[0, :, 0, group]  # [ue, element]
        direct = (await read(sim, "direct_channel"))[:, 0, 0, group]
        ideal, measured = [], []
        for ue in range(len(products)):
            phases = np.angle(direct[ue]) - np.angle(products[ue])
            await sim.control("ris_phase").set(phases[None])
            measured.append(abs((await read(sim, "ue_channel"))[ue, 0, 0, group]))
            ideal.append(abs(direct[ue]) + np.abs(products[ue]).sum())
        return products, np.array(measured) / np.array(ideal), np.abs(products).sum(1) / np.abs(direct)

    products, ratio, share = run(main, surfaceRows=16, surfaceColumns=16)
    assert np.abs(ratio - 1).max() < 1e-4
    assert share.max() > 0.1  # of the direct amplitude
    generator = np.random.default_rng(2)

    def gain_db(count, phases):  # mean over UEs, over pieces of the surface, and over draws
        pieces = products.reshape(len(products), -1, count)
        power = np.abs((pieces * np.exp(1j * phases(pieces))).sum(-1)) ** 2
        return 10 * np.log10((power / (np.abs(products) ** 2).mean(-1, keepdims=True)).mean())

    def aligned(pieces):
        return -np.angle(pieces)

    def random(pieces):
        return generator.uniform(0, 2 * np.pi, (400, *pieces.shape))

    for count in (32, 64, 128):
        assert abs(gain_db(2 * count, aligned) - gain_db(count, aligned) - 6.02) < 0.2
        assert abs(gain_db(2 * count, random) - gain_db(count, random) - 3.01) < 0.4


def test_places_that_are_not_legal():
    for arguments, texts in (
        (["--surfaces=1", "--surfacePlaces=0/0/7.5/0"], ["(0, 0, 7.5) m", "0.5 m from the gNB", "1 m or more"]),
        (["--surfaces=1", "--surfacePlaces=90/0/3/0"], ["(90, 0, 3) m", "outside of the room", "x from -60 to 60"]),
        (["--surfaces=1", "--surfacePlaces=1/2/-3/0"], ["(1, 2, -3) m", "outside of the room", "z from 0 to 10"]),
        (["--surfaces=2", "--surfacePlaces=1/2/3/4"], ["1 places", "--surfaces=2"]),
        (["--surfaces=1", "--surfacePlaces=1/2/x/4"], ["1/2/x/4", "x/y/z/direction"]),
        (["--surfaces=17"], ["--surfaces=17", "0 to 16"]),
    ):
        done = start("nr-indoor", *arguments)
        assert done.returncode == 2
        for text in texts:
            assert text in done.stderr
