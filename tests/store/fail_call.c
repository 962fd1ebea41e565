/* Fails the FAIL_AT-th call of FAIL_CALL with FAIL_ERRNO, once; says HIT on standard error when it does.
   With TELL set, each file or folder that is brought to the disk and each rename is a line there, in its order. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int calls;

static int fails(const char *name) {
    const char *wanted = getenv("FAIL_CALL"), *at = getenv("FAIL_AT"), *code = getenv("FAIL_ERRNO");
    if (!wanted || !at || !code || strcmp(wanted, name) || __sync_add_and_fetch(&calls, 1) != atoi(at)) return 0;
    syscall(SYS_write, 2, "HIT\n", 4);
    errno = atoi(code);
    return 1;
}

static void tell(const char *what, const char *path) {
    char line[8192];
    if (getenv("TELL")) syscall(SYS_write, 2, line, snprintf(line, sizeof line, "TOLD %s %s\n", what, path));
}

#define WRAP(name, result, parameters, arguments)                     \
    result name parameters {                                          \
        if (fails(#name)) return -1;                                  \
        return ((result(*) parameters)dlsym(RTLD_NEXT, #name)) arguments; \
    }

WRAP(write, ssize_t, (int fd, const void *data, size_t size), (fd, data, size))
WRAP(pwrite64, ssize_t, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
WRAP(pwrite, ssize_t, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))

int fsync(int fd) {
    char link[64], path[4096] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (fails("fsync") || syscall(SYS_fsync, fd) || syscall(SYS_readlink, link, path, sizeof path - 1) < 0) return -1;
    tell("synced", path);
    return 0;
}

int rename(const char *from, const char *to) {
    if (fails("rename") || syscall(SYS_rename, from, to)) return -1;
    tell("from", from);
    tell("to", to);
    return 0;
}

WRAP(ftruncate64, int, (int fd, off64_t size), (fd, size))
WRAP(ftruncate, int, (int fd, off_t size), (fd, size))
WRAP(fchmod, int, (int fd, mode_t mode), (fd, mode))
WRAP(mkdir, int, (const char *path, mode_t mode), (path, mode))
WRAP(unlink, int, (const char *path), (path))
