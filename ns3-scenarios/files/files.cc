// SPDX-License-Identifier: GPL-2.0-only
/**
 * Preloaded (ld.so(8)) into a scenario, and into the processes of a campaign's runs. Two things, each if asked for in
 * the environment:
 *
 * EDGELAM_FILES_FOLDER, EDGELAM_FILES_FROM: the scenario works in the first folder, so that what it writes by relative
 * names lands there. What it reads by such a name and is not there is looked for in the second, where the user is. To
 * write to a file in a folder that only the second has, the folder is made in the first; a file to be changed in place
 * is copied first. So nothing in the second is written by a relative name.
 *
 * EDGELAM_FILES_RECORD: what is opened is noted in this file, a record each, ended by a zero byte: R (to be read), W
 * (to be written) or M (to be read, but not there), then device, inode, size and time of change (ns), then the path as
 * it was asked for, from the root.
 *
 * Not seen: system calls made past the C library, programs linked statically, listings of folders.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

namespace {

constexpr std::array<std::string_view, 9> SYSTEM{"/usr/", "/lib/",  "/lib64/", "/bin/", "/sbin/",
                                                 "/etc/", "/proc/", "/sys/",   "/dev/"};

struct Settings {
    std::string folder, from, record; // empty: not asked for

    Settings() {
        const auto text = [](const char* name) { return std::string(std::getenv(name) ? std::getenv(name) : ""); };
        folder = text("EDGELAM_FILES_FOLDER");
        from = text("EDGELAM_FILES_FROM");
        record = text("EDGELAM_FILES_RECORD");
    }
};

const Settings& settings() {
    static const Settings* const read = new Settings; // for ever: files are opened while the process ends, too
    return *read;
}

/// The function that this library stands before.
template<class Function>
Function* Next(const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

bool Exists(const std::string& path) {
    const int kept = errno;
    const bool found = syscall(SYS_faccessat, AT_FDCWD, path.c_str(), F_OK) == 0;
    errno = kept;
    return found;
}

bool IsFolder(const std::string& path) {
    return Exists(path + "/.");
}

std::string Here() {
    char place[PATH_MAX];
    return syscall(SYS_getcwd, place, sizeof(place)) > 0 ? place : "";
}

/// The path within the scenario's folder; empty for one outside it.
std::string Inside(std::string_view path) {
    const std::string& folder = settings().folder;
    if (folder.empty() || path.empty()) {
        return "";
    }
    if (path.front() != '/') {
        return Here() == folder ? std::string(path) : "";
    }
    const bool within = path.size() > folder.size() + 1 && path.starts_with(folder) && path[folder.size()] == '/';
    return within ? std::string(path.substr(folder.size() + 1)) : "";
}

/// What is to be read for `path`: itself, or what the user has in its place.
std::string Found(const char* path) {
    if (path == nullptr || settings().folder.empty() || Exists(path)) {
        return path == nullptr ? "" : path;
    }
    const std::string inside = Inside(path);
    const std::string theirs = settings().from + "/" + inside;
    return !inside.empty() && Exists(theirs) ? theirs : path;
}

void Copy(const std::string& source, const std::string& target) {
    const int from = static_cast<int>(syscall(SYS_openat, AT_FDCWD, source.c_str(), O_RDONLY | O_CLOEXEC));
    const int to =
        static_cast<int>(syscall(SYS_openat, AT_FDCWD, target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (from >= 0 && to >= 0) {
        while (sendfile(to, from, nullptr, 1U << 30) > 0) {
        }
    }
    close(from);
    close(to);
}

/// Prepare writing to `path`: the folders that the user has on the way, and, to be changed in place, the file.
void MakeRoom(const char* path, bool in_place) {
    const int kept = errno;
    const std::string inside = path == nullptr ? "" : Inside(path);
    if (!inside.empty() && !Exists(path)) {
        for (std::size_t end = inside.find('/'); end != std::string::npos; end = inside.find('/', end + 1)) {
            const std::string part = inside.substr(0, end);
            if (!Exists(settings().folder + "/" + part) && IsFolder(settings().from + "/" + part)) {
                syscall(SYS_mkdirat, AT_FDCWD, (settings().folder + "/" + part).c_str(), 0777);
            }
        }
        if (in_place && Exists(settings().from + "/" + inside)) {
            Copy(settings().from + "/" + inside, path);
        }
    }
    errno = kept;
}

/// Whether this is noted for the first time; of very many different ones some may be noted again.
bool IsNew(const std::string& text) {
    static std::array<std::atomic<std::uint64_t>, 1U << 14> known{};
    const std::uint64_t mark = std::hash<std::string>{}(text) | 1U;
    for (std::size_t i = 0; i < 8; ++i) {
        std::uint64_t found = 0;
        std::atomic<std::uint64_t>& place = known[(mark + i) % known.size()];
        if (place.compare_exchange_strong(found, mark)) {
            return true;
        }
        if (found == mark) {
            return false;
        }
    }
    return true;
}

void Note(char kind, std::string path, const struct stat& facts) {
    if (path.front() != '/') {
        path = Here() + "/" + path;
    }
    for (const std::string_view place : SYSTEM) {
        if (path.starts_with(place)) {
            return;
        }
    }
    std::array<char, 160> head{};
    std::snprintf(head.data(), head.size(), "%c %llu %llu %lld %lld ", kind,
                  static_cast<unsigned long long>(facts.st_dev), static_cast<unsigned long long>(facts.st_ino),
                  static_cast<long long>(facts.st_size),
                  facts.st_mtim.tv_sec * 1'000'000'000LL + facts.st_mtim.tv_nsec);
    std::string text = head.data() + path;
    if (!IsNew(text)) {
        return;
    }
    text.push_back('\0');
    // opened each time: the program may close descriptors that it does not know
    const int file = static_cast<int>(
        syscall(SYS_openat, AT_FDCWD, settings().record.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    if (file >= 0) {
        [[maybe_unused]] const auto written = syscall(SYS_write, file, text.data(), text.size());
        syscall(SYS_close, file);
    }
}

/// After opening `path` in folder `at`, which gave `file` (-1: it was not there).
void Record(int at, const char* path, int file, int flags) {
    if (settings().record.empty() || path == nullptr || path[0] == '\0' || (flags & O_TMPFILE) == O_TMPFILE) {
        return; // a file without a name is nobody's input
    }
    const int kept = errno;
    struct stat facts{};
    std::string place = path;
    if (at != AT_FDCWD && place.front() != '/') {
        std::array<char, PATH_MAX> folder{};
        const std::string link = "/proc/self/fd/" + std::to_string(at);
        if (syscall(SYS_readlinkat, AT_FDCWD, link.c_str(), folder.data(), folder.size() - 1) > 0) {
            place = std::string(folder.data()) + "/" + place;
        }
    }
    const bool writes = (flags & O_ACCMODE) == O_WRONLY || (flags & (O_TRUNC | O_CREAT)) != 0;
    if (file >= 0 && syscall(SYS_fstat, file, &facts) == 0 && S_ISREG(facts.st_mode)) {
        Note(writes ? 'W' : 'R', place, facts);
    } else if (file < 0 && kept == ENOENT && !writes) {
        const std::string inside = Inside(path); // not there either
        Note('M', inside.empty() ? place : settings().from + "/" + inside, facts);
    }
    errno = kept;
}

/// The path to open with these flags.
std::string ToOpen(const char* path, int flags) {
    const bool reads_only = (flags & O_ACCMODE) == O_RDONLY && (flags & (O_CREAT | O_TRUNC)) == 0;
    if (reads_only || path == nullptr) {
        return Found(path);
    }
    const bool in_place = (flags & O_ACCMODE) == O_RDWR && (flags & O_TRUNC) == 0;
    MakeRoom(path, in_place);
    return path;
}

int FlagsOf(const char* mode) {
    const bool both = std::strchr(mode, '+') != nullptr;
    switch (mode[0]) {
    case 'w':
        return (both ? O_RDWR : O_WRONLY) | O_CREAT | O_TRUNC;
    case 'a':
        return (both ? O_RDWR : O_WRONLY) | O_CREAT | O_APPEND;
    default:
        return both ? O_RDWR : O_RDONLY;
    }
}

int Open(const char* name, const char* path, int flags, mode_t mode) {
    const std::string place = ToOpen(path, flags);
    const int file = Next<int(const char*, int, ...)>(name)(path == nullptr ? nullptr : place.c_str(), flags, mode);
    Record(AT_FDCWD, place.c_str(), file, flags);
    return file;
}

int OpenAt(const char* name, int at, const char* path, int flags, mode_t mode) {
    const bool here = at == AT_FDCWD;
    const std::string place = here ? ToOpen(path, flags) : path == nullptr ? "" : path;
    const char* given = path == nullptr ? nullptr : place.c_str();
    const int file = Next<int(int, const char*, int, ...)>(name)(at, given, flags, mode);
    Record(at, place.c_str(), file, flags);
    return file;
}

FILE* OpenStream(const char* name, const char* path, const char* mode) {
    const std::string place = ToOpen(path, FlagsOf(mode));
    FILE* stream = Next<FILE*(const char*, const char*)>(name)(path == nullptr ? nullptr : place.c_str(), mode);
    Record(AT_FDCWD, place.c_str(), stream == nullptr ? -1 : fileno(stream), FlagsOf(mode));
    return stream;
}

mode_t ModeOf(int flags, va_list arguments) {
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

} // namespace

// The functions of the C library, under their names; their 64-bit twins are the same on 64-bit machines.
#define EDGELAM_OPEN(name)                                                                                             \
    int name(const char* path, int flags, ...) {                                                                       \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        const mode_t mode = ModeOf(flags, arguments);                                                                  \
        va_end(arguments);                                                                                             \
        return Open(#name, path, flags, mode);                                                                         \
    }
#define EDGELAM_OPENAT(name)                                                                                           \
    int name(int at, const char* path, int flags, ...) {                                                               \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        const mode_t mode = ModeOf(flags, arguments);                                                                  \
        va_end(arguments);                                                                                             \
        return OpenAt(#name, at, path, flags, mode);                                                                   \
    }
#define EDGELAM_CREAT(name)                                                                                            \
    int name(const char* path, mode_t mode) {                                                                          \
        return Open("open", path, O_CREAT | O_WRONLY | O_TRUNC, mode);                                                 \
    }
#define EDGELAM_FOPEN(name)                                                                                            \
    FILE* name(const char* path, const char* mode) {                                                                   \
        return OpenStream(#name, path, mode);                                                                          \
    }
#define EDGELAM_STAT(name, Facts)                                                                                      \
    int name(const char* path, struct Facts* facts) {                                                                  \
        const std::string place = Found(path);                                                                         \
        return Next<int(const char*, struct Facts*)>(#name)(place.c_str(), facts);                                     \
    }
#define EDGELAM_OLD_STAT(name, Facts)                                                                                  \
    int name(int version, const char* path, struct Facts* facts) {                                                     \
        const std::string place = Found(path);                                                                         \
        return Next<int(int, const char*, struct Facts*)>(#name)(version, place.c_str(), facts);                       \
    }
#define EDGELAM_STATAT(name, Facts)                                                                                    \
    int name(int at, const char* path, struct Facts* facts, int flags) {                                               \
        const std::string place = at == AT_FDCWD ? Found(path) : path == nullptr ? "" : path;                          \
        return Next<int(int, const char*, struct Facts*, int)>(#name)(at, path == nullptr ? nullptr : place.c_str(),   \
                                                                      facts, flags);                                   \
    }

#pragma GCC diagnostic ignored "-Wnonnull-compare"
#pragma GCC visibility push(default)
extern "C" {
// clang-format off
#undef open
#undef open64
EDGELAM_OPEN(open)
EDGELAM_OPEN(open64)
EDGELAM_OPENAT(openat)
EDGELAM_OPENAT(openat64)
EDGELAM_CREAT(creat)
EDGELAM_CREAT(creat64)
EDGELAM_FOPEN(fopen)
EDGELAM_FOPEN(fopen64)
EDGELAM_STAT(stat, stat)
EDGELAM_STAT(stat64, stat64)
EDGELAM_STAT(lstat, stat)
EDGELAM_STAT(lstat64, stat64)
EDGELAM_OLD_STAT(__xstat, stat)
EDGELAM_OLD_STAT(__xstat64, stat64)
EDGELAM_OLD_STAT(__lxstat, stat)
EDGELAM_OLD_STAT(__lxstat64, stat64)
EDGELAM_STATAT(fstatat, stat)
EDGELAM_STATAT(fstatat64, stat64)
// clang-format on

// Compiled with _FORTIFY_SOURCE, a program calls these.
int __open_2(const char* path, int flags) {
    return Open("open", path, flags, 0);
}

int __open64_2(const char* path, int flags) {
    return Open("open64", path, flags, 0);
}

int __openat_2(int at, const char* path, int flags) {
    return OpenAt("openat", at, path, flags, 0);
}

int __openat64_2(int at, const char* path, int flags) {
    return OpenAt("openat64", at, path, flags, 0);
}

int access(const char* path, int mode) {
    const std::string place = (mode & W_OK) != 0 ? std::string(path) : Found(path);
    return Next<int(const char*, int)>("access")(place.c_str(), mode);
}

int mkdir(const char* path, mode_t mode) {
    MakeRoom(path, false);
    return Next<int(const char*, mode_t)>("mkdir")(path, mode);
}

int rename(const char* path, const char* target) {
    MakeRoom(target, false);
    return Next<int(const char*, const char*)>("rename")(path, target);
}

DIR* opendir(const char* path) {
    const std::string place = Found(path);
    return Next<DIR*(const char*)>("opendir")(place.c_str());
}

char* realpath(const char* path, char* resolved) {
    if (path == nullptr) {
        errno = EINVAL;
        return nullptr;
    }
    const std::string place = Found(path);
    return Next<char*(const char*, char*)>("realpath")(place.c_str(), resolved);
}
}
#pragma GCC visibility pop
