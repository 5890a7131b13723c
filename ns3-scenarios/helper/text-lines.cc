// SPDX-License-Identifier: GPL-2.0-only
#include "text-lines.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace edgelam {

std::vector<std::string> ReadTextLines(const std::string& path, const std::string& what) {
    std::ifstream file(path);
    std::error_code error;
    if (!file || std::filesystem::is_directory(path, error)) {
        throw std::invalid_argument(what + path + ": the file cannot be read; legal is a text file");
    }
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) {
        if (lines.empty() && line.starts_with("\xEF\xBB\xBF")) {
            line.erase(0, 3);
        }
        if (line.ends_with('\r')) {
            line.pop_back();
        }
        lines.push_back(std::move(line));
    }
    return lines;
}

} // namespace edgelam
