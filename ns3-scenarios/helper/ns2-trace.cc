// SPDX-License-Identifier: GPL-2.0-only
#include "ns2-trace.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "text-lines.h"

namespace edgelam {

namespace {

/// The beginning of a text, on one line.
std::string Shown(const std::string& text) {
    constexpr std::size_t longest = 80;
    std::string shown = text.substr(0, longest) + (text.size() > longest ? " (and more)" : "");
    std::ranges::replace_if(shown, [](unsigned char c) { return c < ' ' || c > '~'; }, '?');
    return shown;
}

/// The lines of one file, and what is wrong with them.
class Reader {
  public:
    Reader(const std::string& path, std::size_t numNodes, const Ns2Area& area, double fastestMps)
        : m_path(path), m_area(area), m_fastestMps(fastestMps), m_ways(numNodes), m_places(numNodes) {}

    void Read() {
        for (const auto& text : ReadTextLines(m_path, "mobility file ")) {
            ++m_line;
            ReadLine(text);
        }
        for (std::size_t node = 0; node < m_ways.size(); ++node) {
            for (const std::size_t axis : {0, 1}) {
                if (!m_places[node][axis]) {
                    throw std::invalid_argument("mobility file '" + m_path + "': node " + std::to_string(node) +
                                                " has no line '$node_(" + std::to_string(node) + ") set " +
                                                (axis == 0 ? "X_" : "Y_") + " ...'; each of the " +
                                                std::to_string(m_ways.size()) + " nodes needs one");
                }
            }
            m_ways[node].start = {*m_places[node][0], *m_places[node][1]};
            m_line = m_placeLines[node];
            CheckPlace(m_ways[node].start);
        }
    }
    std::vector<Ns2Way> Take() { return std::move(m_ways); }

  private:
    [[noreturn]] void Refuse(const std::string& what) const {
        throw std::invalid_argument("mobility file '" + m_path + "', line " + std::to_string(m_line) + ": " + what);
    }

    void ReadLine(std::string text) {
        std::ranges::replace(text, '"', ' ');
        std::istringstream stream(text);
        std::vector<std::string> words;
        for (std::string word; stream >> word && word[0] != '#';) {
            words.push_back(word);
        }
        if (words.empty() || words[0] == "$god_") {
            return;
        }
        if (words.size() == 4 && words[1] == "set" && words[0] != "$ns_") {
            SetPlace(words);
        } else if (words.size() == 8 && words[0] == "$ns_" && words[1] == "at" && words[4] == "setdest") {
            AddMovement(words);
        } else if (words.size() >= 4 && words[0] == "$ns_" && words[3] == "$god_") {
            return;
        } else {
            Refuse("'" + Shown(text) +
                   "' is not understood; legal are '$node_(I) set X_ N' (Y_, Z_) and '$ns_ at T "
                   "\"$node_(I) setdest X Y SPEED\"'");
        }
    }

    /// $node_(7): 7
    std::size_t NodeOf(const std::string& word) const {
        std::size_t node = m_ways.size();
        if (word.starts_with("$node_(") && word.ends_with(")")) {
            const char *begin = word.data() + 7, *end = word.data() + word.size() - 1;
            if (const auto parsed = std::from_chars(begin, end, node); parsed.ptr != end || parsed.ec != std::errc()) {
                node = m_ways.size();
            }
        }
        if (node >= m_ways.size()) {
            Refuse("'" + Shown(word) + "' is no node; legal are $node_(0) to $node_(" +
                   std::to_string(m_ways.size() - 1) + ")");
        }
        return node;
    }

    double NumberOf(const std::string& word, const char* what, double smallest, double largest) const {
        double number = 0;
        const auto parsed = std::from_chars(word.data(), word.data() + word.size(), number);
        if (parsed.ptr != word.data() + word.size() || parsed.ec != std::errc() ||
            !(number >= smallest && number <= largest)) { // nor NaN
            std::ostringstream text;
            text << what << " '" << Shown(word) << "'; legal are numbers from " << smallest << " to " << largest;
            Refuse(text.str());
        }
        return number;
    }

    void SetPlace(const std::vector<std::string>& words) {
        const std::size_t node = NodeOf(words[0]);
        if (words[2] == "Z_") {
            NumberOf(words[3], "Z_, the height of the ground", 0, 0);
            return;
        }
        if (words[2] != "X_" && words[2] != "Y_") {
            Refuse("'" + Shown(words[2]) + "'; legal are X_, Y_ and Z_");
        }
        auto& place = m_places[node][words[2] == "X_" ? 0 : 1];
        if (place) {
            Refuse("node " + std::to_string(node) + " has its " + words[2] +
                   " already; legal is one line, the place "
                   "at the beginning");
        }
        place = NumberOf(words[3], "coordinate in m", -farthest_m, farthest_m);
        m_placeLines[node] = m_line;
    }

    void AddMovement(const std::vector<std::string>& words) {
        const std::size_t node = NodeOf(words[3]);
        const double timeS = NumberOf(words[2], "time in s", 0, latest_s);
        auto& movements = m_ways[node].movements;
        if (!movements.empty() && timeS < movements.back().timeS) {
            std::ostringstream text;
            text << "time " << words[2] << " s of node " << node << " goes back; legal are times from "
                 << movements.back().timeS << " s on";
            Refuse(text.str());
        }
        const ns3::Vector2D to{NumberOf(words[5], "coordinate in m", -farthest_m, farthest_m),
                               NumberOf(words[6], "coordinate in m", -farthest_m, farthest_m)};
        CheckPlace(to);
        movements.push_back({timeS, to, NumberOf(words[7], "speed in m/s", 0, m_fastestMps)});
    }

    void CheckPlace(const ns3::Vector2D& place) const {
        if (!m_area.inside(place)) {
            const ns3::Rectangle& bounds = m_area.bounds;
            std::ostringstream text;
            text << "place (" << place.x << ", " << place.y << ") is outside the area of this scenario; legal are x "
                 << "from " << bounds.xMin << " to " << bounds.xMax << " m and y from " << bounds.yMin << " to "
                 << bounds.yMax << " m";
            if (bounds.IsInside({place.x, place.y, 0})) {
                text << ", without the parts of this rectangle where the scenario has no UEs";
            }
            Refuse(text.str());
        }
    }

    static constexpr double farthest_m = 1e6, latest_s = 1e6;
    std::string m_path;
    const Ns2Area& m_area;
    double m_fastestMps;
    std::vector<Ns2Way> m_ways;
    std::vector<std::array<std::optional<double>, 2>> m_places; ///< [node][x, y]
    std::vector<std::size_t> m_placeLines = std::vector<std::size_t>(m_places.size());
    std::size_t m_line = 0;
};

} // namespace

std::vector<Ns2Way> ReadNs2Trace(const std::string& path, std::size_t numNodes, const Ns2Area& area,
                                 double fastestMps) {
    Reader reader(path, numNodes, area, fastestMps);
    reader.Read();
    return reader.Take();
}

} // namespace edgelam
