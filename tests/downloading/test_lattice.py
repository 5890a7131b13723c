# SPDX-License-Identifier: GPL-2.0-only
"""A model in pieces: what each size needs, decoding from bytes, the manifest, and what is damaged."""

import hashlib
import json

import pytest
import small_lattice
import small_nested
import torch

from edgelam.caching import BlockStore
from edgelam.cosim.work import WorkCounter
from edgelam.downloading import Lattice, Point, Received, encode, keep, library_of
from edgelam.downloading.ladder import csv, measure, read
from edgelam.downloading.work import work_of
from edgelam.errors import ConfigurationError
from edgelam.files.storage import StorageError
from edgelam.models.nested.bit_planes import rounded
from edgelam.models.nested.network import Nested
from edgelam.models.nested.shape import PLANED


def test_a_larger_size_needs_what_a_smaller_one_needs_and_the_whole_needs_every_layer_once():
    lattice, contents = small_lattice.model()
    assert len(lattice.points) == 2 * 3 * 5
    for a in lattice.points:
        for b in lattice.points:
            if a.within(b) and a.depth == b.depth:
                assert set(lattice.needs(a)) <= set(lattice.needs(b))
            elif a.within(b):  # all but the exit
                assert {p for p in lattice.needs(a) if not p.part.startswith("exit")} <= set(lattice.needs(b))
    nested = small_nested.text()
    matrices = sum(v.numel() for part in nested.parts for n, v in nested.tensors(part).items() if v.dim() > 1
                   and n not in ("positions", "head"))  # fmt: skip
    planes = sum(len(contents[b.digest]) for piece, b in lattice.pieces.items() if piece.first >= 0)
    assert planes == pytest.approx(matrices, rel=1e-3)  # eight bits each
    assert all(hashlib.sha256(content).hexdigest() == digest for digest, content in contents.items())


@pytest.mark.parametrize("make", [small_nested.text, small_nested.images])
@torch.no_grad()
def test_each_size_decoded_from_its_blocks_answers_as_the_rounded_part_of_the_model(make):
    nested = make()
    lattice, contents = encode(nested, "small", group=8)  # all widths are whole groups
    inputs, mask = small_nested.ids() if lattice.shape.kind == "text" else (torch.randn(2, 3, 28, 28), None)
    halved = {p: {k: v if v.dim() > 1 and k not in ("positions", "head", "token") else v.half().float()
                  for k, v in nested.tensors(p).items()} for p in nested.parts}  # fmt: skip
    reference = Nested(nested.shape, halved)
    for point in lattice.points:
        expected = reference(inputs, mask, width=point.width, change=rounding_all(point.bits, 8))[point.depth]
        asked = []

        def content(digest, asked=asked):
            asked.append(digest)
            return contents[digest]

        found = Received(lattice, point, content).run(inputs, mask)
        assert torch.allclose(found, expected, atol=2e-4)
        assert set(asked) == set(lattice.blocks(point))  # and nothing else


def rounding_all(bits, group):
    return lambda part, name, t: rounded(t, bits, group) if name in PLANED else t


def test_a_manifest_is_read_as_it_was_written_and_refused_if_anything_is_wrong(tmp_path):
    lattice, _ = small_lattice.model()
    again = Lattice.from_manifest(lattice.manifest, tmp_path)
    assert again == lattice
    assert again.manifest_block == lattice.manifest_block
    with pytest.raises(StorageError, match="damaged"):
        Lattice.from_manifest(lattice.manifest.replace(b'"group": 16', b'"group": 32'), tmp_path)
    for content in (b"", b"{}", b"edgelam"):
        with pytest.raises(StorageError, match="no manifest"):
            Lattice.from_manifest(content, tmp_path)
    pieces = dict(lattice.pieces)
    gone = next(iter(pieces))
    del pieces[gone]
    with pytest.raises(ConfigurationError, match=r"lacks 1 pieces, such as stem/0/frame"):
        Lattice("small", lattice.shape, lattice.bits, lattice.group, lattice.tensors, pieces)
    with pytest.raises(ConfigurationError, match="no size of depth 3"):
        lattice.needs(Point(3, 0, 2))
    with pytest.raises(ConfigurationError, match="bits are"):
        Lattice("small", lattice.shape, (4, 2), lattice.group, lattice.tensors, lattice.pieces)
    assert json.loads(lattice.manifest)["model"] == "small"


def test_a_block_with_another_hash_or_size_or_none_at_all_is_never_computed_with(tmp_path):
    lattice, contents = small_lattice.model()
    store = BlockStore(tmp_path)
    keep(lattice, contents, store)
    inputs, mask = small_nested.ids()
    point = Point(2, 0, 3)
    expected = Received(lattice, point, contents.__getitem__).run(inputs, mask)
    assert torch.equal(Received(lattice, point, store.content).run(inputs, mask), expected)
    digest = list(lattice.blocks(point))[4]
    path = tmp_path / "blocks" / digest
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(StorageError, match="damaged"):
        Received(lattice, point, store.content).run(inputs, mask)
    path.unlink()
    with pytest.raises(StorageError, match=f"block {digest[:12]} is not in"):
        Received(lattice, point, store.content).run(inputs, mask)
    short = contents | {digest: good[:-1]}
    with pytest.raises(StorageError, match="bytes, not"):
        Received(lattice, point, short.__getitem__).run(inputs, mask)
    with pytest.raises(StorageError, match="changed on their way"):
        keep(lattice, contents | {digest: good[:-1] + b"x"}, BlockStore(tmp_path / "other"))


def test_frames_must_come_whole_and_planes_may_have_losses():
    lattice, contents = small_lattice.model()
    inputs, mask = small_nested.ids()
    frame = next(b for p, b in lattice.pieces.items() if p.first < 0)
    with pytest.raises(ConfigurationError, match="must come whole"):
        Received(lattice, lattice.whole, contents.__getitem__, {frame.digest: [(0, 1)]})
    planes = [b for p, b in lattice.pieces.items() if p.first >= 2]
    everything = {b.digest: [(0, b.size_bytes)] for b in planes}  # only planes 0 and 1 came
    damaged = Received(lattice, lattice.whole, contents.__getitem__, everything).run(inputs, mask)
    two = Received(lattice, Point(4, 2, 2), contents.__getitem__).run(inputs, mask)
    assert torch.allclose(damaged, two, atol=1e-5)


def test_a_library_of_several_models_counts_each_block_once():
    lattice, _ = small_lattice.model()
    library = library_of([lattice])
    assert set(library.blocks) == {b.digest for b in lattice.pieces.values()} | {lattice.manifest_block.digest}
    assert lattice.library.model_bytes.tolist() == [lattice.size_bytes(point) for point in lattice.points]


def test_work_is_near_what_is_counted():
    lattice, contents = small_lattice.model()
    inputs, _ = small_nested.ids(1)
    for point in (lattice.points[0], lattice.whole):
        received = Received(lattice, point, contents.__getitem__)
        received.run(inputs)
        counted, _ = counted_work(received, inputs)
        assert work_of(lattice, point).flops == pytest.approx(counted, rel=0.01)
        parts = [work_of(lattice, point, [part]).flops for part in received.parts]
        assert sum(parts) == pytest.approx(work_of(lattice, point).flops)


def counted_work(received, inputs):
    with WorkCounter() as counter:
        result = received.run(inputs)
    return counter.work.flops, result


def test_a_ladder_is_measured_written_and_read(tmp_path):
    lattice, contents = small_lattice.model()
    nested = small_nested.text()
    inputs, mask = small_nested.ids(7)
    with torch.no_grad():
        labels = nested(inputs, mask)[4].argmax(dim=1)
    table = measure(nested, lattice, contents, inputs, mask, labels)
    assert len(table) == len(lattice.points)
    whole = table[(table["depth"] == 4) & (table["width"] == 2)].set_index("bits")
    assert whole.loc[8, "accuracy"] >= whole.loc[2, "accuracy"]
    assert whole.loc[8, "agreement"] == whole.loc[8, "accuracy"] == 1
    for point in (Point(2, 1, 3), Point(4, 0, 2)):
        own = Received(lattice, point, contents.__getitem__).run(inputs, mask).argmax(dim=1)
        row = table[(table["depth"] == point.depth) & (table["width"] == point.width) & (table["bits"] == point.bits)]
        assert float(row["accuracy"].iloc[0]) == pytest.approx(float((own == labels).float().mean()))
    quality = read(csv(table), lattice, tmp_path)
    assert quality[lattice.whole] == 1
    with pytest.raises(ConfigurationError, match="has no accuracy from 0 to 1 of d2 w0 b2"):
        read(csv(table.iloc[1:]), lattice, tmp_path)
    with pytest.raises(StorageError, match="no ladder"):
        read(b"a,b\n1,2\n", lattice, tmp_path)
