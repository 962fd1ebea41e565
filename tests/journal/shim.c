/* Preloaded into a writer. BRINGUP_TEST_FAIL=N: the N-th call that touches a file whose path holds
   BRINGUP_TEST_MATCH fails with BRINGUP_TEST_ERRNO, and all after it where BRINGUP_TEST_ALL is set.
   BRINGUP_TEST_LOG: each such call is written there as it happens: kind, path, offset, length, bytes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int count = 0;

static int matches(const char *path) {
  const char *match = getenv("BRINGUP_TEST_MATCH");
  return match && path && strstr(path, match) != NULL;
}

static int path_of(int fd, char *out) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = syscall(SYS_readlink, link, out, 4095);
  if (n < 0) return 0;
  out[n] = 0;
  return matches(out);
}

static int fails(void) {
  const char *number = getenv("BRINGUP_TEST_FAIL");
  if (!number) return 0;
  count++;
  int wanted = atoi(number);
  if (count != wanted && !(getenv("BRINGUP_TEST_ALL") && count > wanted)) return 0;
  const char *reason = getenv("BRINGUP_TEST_ERRNO");
  errno = reason ? atoi(reason) : ENOSPC;
  return 1;
}

static void record(char kind, const char *path, int64_t offset, const void *data, int64_t length) {
  const char *log = getenv("BRINGUP_TEST_LOG");
  if (!log) return;
  int fd = syscall(SYS_open, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  int64_t head[3] = {(int64_t)strlen(path), offset, length};
  size_t size = 1 + sizeof head + head[0] + (data ? length : 0);
  char *line = malloc(size);
  line[0] = kind;
  memcpy(line + 1, head, sizeof head);
  memcpy(line + 1 + sizeof head, path, head[0]);
  if (data) memcpy(line + 1 + sizeof head + head[0], data, length);
  syscall(SYS_write, fd, line, size);
  syscall(SYS_close, fd);
  free(line);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
  char path[4096];
  if (path_of(fd, path)) {
    if (fails()) return -1;
    record('w', path, offset, data, length);
  }
  return syscall(SYS_pwrite64, fd, data, length, offset);
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

ssize_t write(int fd, const void *data, size_t length) {
  char path[4096];
  if (path_of(fd, path)) {
    if (fails()) return -1;
    record('w', path, lseek(fd, 0, SEEK_CUR), data, length);
  }
  return syscall(SYS_write, fd, data, length);
}

static int sync_it(int fd, long number) {
  char path[4096];
  if (path_of(fd, path)) {
    if (fails()) return -1;
    record('s', path, 0, NULL, 0);
  }
  return syscall(number, fd);
}
int fsync(int fd) { return sync_it(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_it(fd, SYS_fdatasync); }

int ftruncate64(int fd, off64_t length) {
  char path[4096];
  if (path_of(fd, path)) {
    if (fails()) return -1;
    record('t', path, length, NULL, 0);
  }
  return syscall(SYS_ftruncate, fd, length);
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int open_it(const char *path, int flags, mode_t mode) {
  if ((flags & (O_WRONLY | O_RDWR)) && matches(path) && fails()) return -1;
  return syscall(SYS_open, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return open_it(path, flags, mode);
}
int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return open_it(path, flags, mode);
}

int rename(const char *old, const char *new) {
  if (matches(old) && fails()) return -1;
  return syscall(SYS_rename, old, new);
}

int unlink(const char *path) {
  if (matches(path) && fails()) return -1;
  if (matches(path)) record('u', path, 0, NULL, 0);
  return syscall(SYS_unlink, path);
}
