/* Lets every write, sync and rename fail after the first FAIL_WRITES_AFTER of them, as a dying disk
 * does. Standard output and error go on. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/uio.h>

static int fails(int fd) {
    static long left = -1;
    static int known = 0;
    if (fd >= 0 && fd <= 2) return 0;
    if (!known) {
        const char *after = getenv("FAIL_WRITES_AFTER");
        left = after ? atol(after) : -1;
        known = 1;
    }
    if (left < 0) return 0;
    if (__sync_fetch_and_sub(&left, left > 0 ? 1 : 0) > 0) return 0;
    errno = EIO;
    return 1;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

ssize_t write(int fd, const void *bytes, size_t count) {
    REAL(write);
    return fails(fd) ? -1 : real(fd, bytes, count);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    REAL(pwrite64);
    return fails(fd) ? -1 : real(fd, bytes, count, offset);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    REAL(pwrite);
    return fails(fd) ? -1 : real(fd, bytes, count, offset);
}
int fsync(int fd) {
    REAL(fsync);
    return fails(fd) ? -1 : real(fd);
}
int fdatasync(int fd) {
    REAL(fdatasync);
    return fails(fd) ? -1 : real(fd);
}
int sync_file_range(int fd, off64_t offset, off64_t count, unsigned int flags) {
    REAL(sync_file_range);
    return fails(fd) ? -1 : real(fd, offset, count, flags);
}
int rename(const char *from, const char *to) {
    REAL(rename);
    return fails(-1) ? -1 : real(from, to);
}
