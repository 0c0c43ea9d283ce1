/* Loaded into a command before all others (LD_PRELOAD): makes system calls fail.
 *
 * FAULT_CALL   write | fsync | syncfs
 * FAULT_PATH   only for files whose path contains this
 * FAULT_AT     the call that fails, counted from 1 (those after it succeed); 0 for all of them
 * FAULT_ERRNO  what it fails with; 0 for a write of half of what was asked for
 * FAULT_DONE   a file that is made when a call has failed
 *
 * syncfs is called without the C library by Rust code, so it is refused by a filter in the kernel, always. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *call, *path, *done;
static long at, error;
static long count;

static void note(void) {
  if (done) close(open(done, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

__attribute__((constructor)) static void start(void) {
  call = getenv("FAULT_CALL");
  path = getenv("FAULT_PATH");
  done = getenv("FAULT_DONE");
  at = atol(getenv("FAULT_AT") ? getenv("FAULT_AT") : "0");
  error = atol(getenv("FAULT_ERRNO") ? getenv("FAULT_ERRNO") : "5");
  if (!call || strcmp(call, "syncfs") != 0) return;
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_syncfs, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {sizeof program / sizeof *program, program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0) note();
}

/* Whether this call on this file is to fail. */
static int is_meant(const char *name, int fd) {
  char link[64], file[4096];
  if (!call || strcmp(call, name) != 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, file, sizeof file - 1);
  if (length < 0) return 0;
  file[length] = 0;
  if (path && !strstr(file, path)) return 0;
  if (__sync_add_and_fetch(&count, 1) != at && at != 0) return 0;
  note();
  return 1;
}

#define NEXT(name) (name##_type) dlsym(RTLD_NEXT, #name)
typedef ssize_t (*write_type)(int, const void *, size_t);
typedef ssize_t (*pwrite_type)(int, const void *, size_t, off_t);
typedef ssize_t (*pwrite64_type)(int, const void *, size_t, off64_t);
typedef int (*fsync_type)(int);
typedef int (*fdatasync_type)(int);

ssize_t write(int fd, const void *data, size_t size) {
  if (size > 0 && is_meant("write", fd)) {
    if (error != 0) return errno = error, -1;
    size = (size + 1) / 2;
  }
  return (NEXT(write))(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
  if (size > 0 && is_meant("write", fd)) {
    if (error != 0) return errno = error, -1;
    size = (size + 1) / 2;
  }
  return (NEXT(pwrite))(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
  if (size > 0 && is_meant("write", fd)) {
    if (error != 0) return errno = error, -1;
    size = (size + 1) / 2;
  }
  return (NEXT(pwrite64))(fd, data, size, offset);
}

int fsync(int fd) {
  if (is_meant("fsync", fd)) return errno = error, -1;
  return (NEXT(fsync))(fd);
}

int fdatasync(int fd) {
  if (is_meant("fsync", fd)) return errno = error, -1;
  return (NEXT(fdatasync))(fd);
}
