// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The small part of JSON that a catalogue and a machine-readable report need: only writing.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace edgelam::json {

/// \return `text` in quotes, escaped.
inline std::string Quote(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
            out += escaped;
        } else {
            out += c;
        }
    }
    return out + '"';
}

/// \return [items...], where the items are JSON already.
inline std::string List(const std::vector<std::string>& items) {
    std::string out = "[";
    for (const auto& item : items) {
        out += (out.size() > 1 ? ", " : "") + item;
    }
    return out + "]";
}

/// An object, written field by field.
class Object {
  public:
    Object& Raw(std::string_view name, const std::string& json) {
        m_text += (m_text.empty() ? "" : ", ") + Quote(name) + ": " + json;
        return *this;
    }
    Object& Add(std::string_view name, std::string_view text) { return Raw(name, Quote(text)); }
    Object& Add(std::string_view name, std::int64_t value) { return Raw(name, std::to_string(value)); }
    std::string Text() const { return "{" + m_text + "}"; }

  private:
    std::string m_text;
};

} // namespace edgelam::json
