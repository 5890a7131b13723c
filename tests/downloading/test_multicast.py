# SPDX-License-Identifier: GPL-2.0-only
"""Blocks for several users: bytes follow the union, losses are repaired, and everybody has the real bytes."""

import pytest
import small_lattice

from edgelam.caching import BlockStore
from edgelam.downloading import Point, distribute
from edgelam.errors import ConfigurationError

LATTICE, CONTENTS = small_lattice.model()
POINTS = {"ue0": Point(4, 2, 8), "ue1": Point(4, 2, 4), "ue2": Point(2, 1, 4)}
WANTS = {user: LATTICE.blocks(point) for user, point in POINTS.items()}
UNION = sum({b: s for blocks in WANTS.values() for b, s in blocks.items()}.values())
SUM = sum(sum(blocks.values()) for blocks in WANTS.values())
FRAMES = {block.digest for piece, block in LATTICE.pieces.items() if piece.first < 0}


def share(tmp_path, *, options=None, wants=WANTS, records=None, **more):
    stores = {user: BlockStore(tmp_path / user) for user in WANTS}
    library = small_lattice.library_store(tmp_path / "library")
    seen = []

    async def main(sim, edge, devices):
        found = await distribute(
            sim, sim.node("edge0"), wants, devices, content=more.pop("content", library.content), **more
        )
        return found, {user: set(device.held) for user, device in devices.items()}

    found, held = small_lattice.simulate(main, stores=stores, options=options, on_transfer=seen.append)
    return found, held, stores, seen


def test_what_is_sent_once_is_the_union_and_each_user_has_what_it_wants(tmp_path):
    found, held, stores, seen = share(tmp_path)
    assert found.sent_bytes == UNION < 0.7 * SUM
    assert found.lost_bytes == found.repair_bytes == 0
    assert found.failed == {}
    for user, blocks in WANTS.items():
        assert held[user] == set(blocks)
        assert all(stores[user].content(block) == CONTENTS[block] for block in blocks)
    assert found.end_s["ue2"] < found.end_s["ue0"]
    several = [r for r in seen if r.protocol == "udp"]
    assert {r.receiver for r in several} == set(WANTS)
    alone = share(tmp_path / "alone", multicast=False)[0]
    assert alone.sent_bytes == alone.unicast_bytes == SUM


@pytest.mark.parametrize("loss", [0.1, 0.3])
def test_losses_are_reported_and_sent_again(tmp_path, loss):
    found, held, stores, seen = share(tmp_path, options={"loss": loss, "rate": "5Mbps"}, reliable=FRAMES)
    assert found.failed == {}
    assert found.lost_bytes == found.repair_bytes > 0
    for user, blocks in WANTS.items():
        assert held[user] == set(blocks)
        assert all(stores[user].content(block) == CONTENTS[block] for block in blocks)
    udp = [r for r in seen if r.protocol == "udp"]
    assert sum(r.lost_bytes for r in udp) == found.lost_bytes
    sizes = {block: size for blocks in WANTS.values() for block, size in blocks.items()}
    several = [
        block for block in sizes if block not in FRAMES and sum(block in blocks for blocks in WANTS.values()) > 1
    ]
    assert found.multicast_bytes == sum(sizes[block] for block in several)


def test_what_a_user_has_is_not_sent_and_a_wrong_block_fails_only_who_gets_it(tmp_path):
    block = next(b for b in WANTS["ue0"] if all(b not in WANTS[u] for u in ("ue1", "ue2")))

    def content(digest):
        return b"x" * len(CONTENTS[digest]) if digest == block else CONTENTS[digest]

    found, held, stores, _ = share(tmp_path, content=content)
    assert list(found.failed) == ["ue0"]
    assert "the SHA-256" in found.failed["ue0"]
    assert block not in held["ue0"]
    assert not stores["ue0"].has(block)
    assert held["ue1"] == set(WANTS["ue1"])
    again, held, _, _ = share(tmp_path, reliable=FRAMES)  # the stores have nearly everything
    assert 0 < again.sent_bytes == again.unicast_bytes < 0.7 * UNION  # only what ue0 alone had not got
    assert held["ue0"] == set(WANTS["ue0"])
    assert share(tmp_path)[0].sent_bytes == 0


def test_a_user_without_a_device_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="user 'ue9' has no device"):
        share(tmp_path, wants={"ue9": WANTS["ue0"]})
