// Loaded into the program (LD_PRELOAD): counts its calls below some folders, whichever thread makes them, and lets one of
// them fail or be its last. strace numbers the calls of each thread, and every call into a share is made in a new one.
//
//   FAULTS_UNDER   folders, with ':' between them
//   FAULTS_LOG     gets a line 'CALL PATH' for each call, or, with FAULTS_AT, 'HIT CALL PATH' for that one
//   FAULTS_AT      the number, from 1, of the call that goes wrong
//   FAULTS_ERROR   errno; without it the process is killed before the call is made
//   FAULTS_LASTING all calls after that one fail too, as on a share that has gone away
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *under;
static long at;
static int error_number;
static int is_lasting;
static int log_descriptor = -1;
static atomic_long calls;

__attribute__((constructor)) static void begin(void) {
    // The parent only waits for the child that works.
    if (!getenv("CONSILIUM_SUPERVISED") || !getenv("FAULTS_LOG")) return;
    const char *number = getenv("FAULTS_AT"), *error = getenv("FAULTS_ERROR");
    at = number ? atol(number) : 0;
    error_number = error ? atoi(error) : 0;
    is_lasting = getenv("FAULTS_LASTING") != NULL;
    log_descriptor =
        (int)syscall(SYS_openat, AT_FDCWD, getenv("FAULTS_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    under = getenv("FAULTS_UNDER");
}

static int is_below(const char *path) {
    for (const char *next = under; next && *next;) {
        size_t length = strcspn(next, ":");
        if (!strncmp(path, next, length) && (path[length] == '/' || !path[length])) return 1;
        next += length + (next[length] == ':');
    }
    return 0;
}

// Whether the call has to fail; errno is set then.
static int fails(const char *call, const char *path) {
    if (!under || !path || !is_below(path)) return 0;
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (at && number > at && is_lasting) {
        errno = error_number;
        return 1;
    }
    if (at && number != at) return 0;
    char line[4200];
    int length = snprintf(line, sizeof line, "%s%s %s\n", at ? "HIT " : "", call, path);
    if (syscall(SYS_write, log_descriptor, line, length) < 0 || !at) return 0;
    if (!error_number) {
        kill(getpid(), SIGKILL);
        pause();
    }
    errno = error_number;
    return 1;
}

static int fails_at(const char *call, int descriptor) {
    if (!under) return 0;
    int before = errno;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return fails(call, path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return fails(flags & O_CREAT ? "create" : "open", path) ? -1 : NEXT(open)(path, flags, mode);
}

// What was to be written is written by half.
ssize_t write(int descriptor, const void *bytes, size_t count) {
    if (!fails_at("write", descriptor)) return NEXT(write)(descriptor, bytes, count);
    int error = errno;
    if (NEXT(write)(descriptor, bytes, count / 2) < 0) return -1;
    errno = error;
    return -1;
}

// The descriptor is gone all the same.
int close(int descriptor) {
    int has_failed = fails_at("close", descriptor), error = errno;
    int status = NEXT(close)(descriptor);
    if (!has_failed) return status;
    errno = error;
    return -1;
}

ssize_t pread(int descriptor, void *bytes, size_t count, off_t offset) {
    return fails_at("pread", descriptor) ? -1 : NEXT(pread)(descriptor, bytes, count, offset);
}
int fsync(int descriptor) { return fails_at("fsync", descriptor) ? -1 : NEXT(fsync)(descriptor); }
int fstat(int descriptor, struct stat *status) {
    return fails_at("stat", descriptor) ? -1 : NEXT(fstat)(descriptor, status);
}
int lstat(const char *path, struct stat *status) { return fails("stat", path) ? -1 : NEXT(lstat)(path, status); }
int unlink(const char *path) { return fails("unlink", path) ? -1 : NEXT(unlink)(path); }
int mkdir(const char *path, mode_t mode) { return fails("mkdir", path) ? -1 : NEXT(mkdir)(path, mode); }
int rmdir(const char *path) { return fails("rmdir", path) ? -1 : NEXT(rmdir)(path); }
int rename(const char *from, const char *to) { return fails("rename", to) ? -1 : NEXT(rename)(from, to); }
DIR *opendir(const char *path) { return fails("opendir", path) ? NULL : NEXT(opendir)(path); }
struct dirent *readdir(DIR *folder) {
    return fails_at("readdir", dirfd(folder)) ? NULL : NEXT(readdir)(folder);
}
