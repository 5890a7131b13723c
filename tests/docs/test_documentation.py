# SPDX-License-Identifier: GPL-2.0-only
"""The documentation builds without a warning, and its reference holds what is installed."""

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_documentation_builds_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", tmp_path / "trees"]
    built = subprocess.run(
        [*command, ROOT / "docs", tmp_path / "html"], capture_output=True, text=True, check=False, timeout=580
    )
    assert built.returncode == 0, built.stderr
    for page, words in (
        ("commands", "edgelam csi record"),
        ("scenarios", "--numUe=4"),
        ("attributes", "ImplementationGap"),
        ("python-cosim", 'id="edgelam.cosim.simulate"'),
        ("internals-cosim", "edgelam.cosim.bridge_clock"),
        ("cpp", "std::size_t Publish(std::string name"),
        ("experiment-split_fedft", "split FedFT"),
    ):
        assert words in unescape(re.sub("</?span[^>]*>", "", _page(tmp_path, page))), page
    first = [_page(tmp_path, "python-cosim").index(f'id="edgelam.cosim.{name}"') for name in FIRST]
    assert first == sorted(first)
    example = re.sub("<[^>]*>", "", _page(tmp_path, "python-cosim"))
    assert 'ue, edge = sim.node("ue0"), sim.node("edge0")\n    record = await' in unescape(example)
    for figure in re.findall(r'src="(_images/radio-[^"]*)"', (tmp_path / "html" / "validation.html").read_text()):
        assert (tmp_path / "html" / figure).exists()


FIRST = ("simulate", "Node", "Simulation", "attach", "ComputeBlock")


def _page(folder: Path, name: str) -> str:
    return (folder / "html" / "reference" / f"{name}.html").read_text()


def test_declarations_are_read_off_a_header(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import cpp_reference

    header = tmp_path / "some.h"
    header.write_text(
        """
/// Of no interest: { ; }
class Some : public Base {
  public:
    Some(int a, std::vector<int> b = {}) : m_a(a), m_b{1, 2} {
        Do({a, b});
    }
    /// First line, |x| and *y*,
    /// second line.
    /// \\return what \\p a says
    template<class T>
    int Get(const std::map<int, T>& a,
            T b) const;
    struct Inner {
        int Hidden();
    };

  protected:
    /// Not this one.
    void Never();

  private:
    int m_a;
};
class Other {};
"""
    )
    assert cpp_reference.members(header, "Some") == [
        ("Some(int a, std::vector<int> b = {})", ""),
        (
            "template<class T> int Get(const std::map<int, T>& a, T b) const",
            r"First line, \|x\| and \*y\*, second line. Returns: what `a` says",
        ),
    ]
    with pytest.raises(ValueError, match="no class Missing"):
        cpp_reference.members(header, "Missing")
