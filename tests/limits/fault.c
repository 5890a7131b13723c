// SPDX-License-Identifier: GPL-2.0-only
//
// Preloaded into a process: the FAULT_AT-th call of one function on a file below FAULT_FOLDER fails with errno
// FAULT_ERRNO, and, with FAULT_STAYS, so does every later one. It says so in the file FAULT_TOLD.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int calls;

static int Below(const char* path) {
    const char* folder = getenv("FAULT_FOLDER");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static int BelowFd(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, sizeof(path) - 1);
    if (length < 0) {
        return 0;
    }
    path[length] = 0;
    return Below(path);
}

static int Fails(const char* function) {
    const char* wanted = getenv("FAULT_CALL");
    if (!wanted || strcmp(wanted, function) != 0) {
        return 0;
    }
    const int now = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST), at = atoi(getenv("FAULT_AT"));
    if (now != at && !(now > at && getenv("FAULT_STAYS"))) {
        return 0;
    }
    const int told = syscall(257 /* openat */, AT_FDCWD, getenv("FAULT_TOLD"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (told >= 0) {
        syscall(1 /* write */, told, "x", 1);
        syscall(3 /* close */, told);
    }
    errno = atoi(getenv("FAULT_ERRNO"));
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void* data, size_t size) {
    return BelowFd(fd) && Fails("write") ? -1 : REAL(write)(fd, data, size);
}
int fsync(int fd) {
    return BelowFd(fd) && Fails("fsync") ? -1 : REAL(fsync)(fd);
}
int rename(const char* from, const char* to) {
    return Below(to) && Fails("rename") ? -1 : REAL(rename)(from, to);
}
int mkdir(const char* path, mode_t mode) {
    return Below(path) && Fails("mkdir") ? -1 : REAL(mkdir)(path, mode);
}
int open64(const char* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return Below(path) && Fails("open") ? -1 : REAL(open64)(path, flags, mode);
}
int open(const char* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return Below(path) && Fails("open") ? -1 : REAL(open)(path, flags, mode);
}
