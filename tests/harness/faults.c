/* Preloaded into a daemon under test: makes calls of the C library fail, wait or lie while a file of that name is in
 * the directory PGMONETA_FAULTS. Only files below PGMONETA_FAULTS_BELOW are concerned.
 *   sync    fsync, fdatasync, syncfs and so on fail with EIO, as a dying disk
 *   hang    they wait until the file is gone
 *   full    writes to regular files fail with ENOSPC
 *   garble  of what is written to files with the text in the switch in their path, one bit is another one
 *   clock   CLOCK_REALTIME is off by as many seconds as the file says
 * Each fault that was really caused leaves a file hit-<name> there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int path_of(char *path, const char *name)
{
    const char *directory = getenv("PGMONETA_FAULTS");
    return directory != NULL && snprintf(path, PATH_MAX, "%s/%s", directory, name) < PATH_MAX;
}

static int wanted(const char *name)
{
    char path[PATH_MAX];
    int saved = errno;
    int answer = path_of(path, name) && access(path, F_OK) == 0;
    errno = saved;
    return answer;
}

static void hit(const char *name)
{
    char path[PATH_MAX], label[64];
    int saved = errno;
    snprintf(label, sizeof label, "hit-%s", name);
    if (path_of(path, label)) {
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
        if (fd >= 0)
            close(fd);
    }
    errno = saved;
}

static ssize_t name_of(char *path, int fd)
{
    char link[64];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    errno = saved;
    if (length >= 0)
        path[length] = 0;
    return length;
}

static int concerned(int fd)
{
    const char *below = getenv("PGMONETA_FAULTS_BELOW");
    char path[PATH_MAX];
    ssize_t length = name_of(path, fd);
    return below != NULL && length >= (ssize_t)strlen(below) && strncmp(path, below, strlen(below)) == 0;
}

static int sync_fails(int fd)
{
    if (!concerned(fd))
        return 0;
    while (wanted("hang")) {
        hit("hang");
        usleep(10000);
    }
    if (!wanted("sync"))
        return 0;
    hit("sync");
    errno = EIO;
    return 1;
}

static int is_full(int fd)
{
    struct stat info;
    if (!wanted("full") || !concerned(fd) || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return 0;
    hit("full");
    errno = ENOSPC;
    return 1;
}

static size_t text_of(char *text, size_t size, const char *name)
{
    char path[PATH_MAX];
    int saved = errno;
    ssize_t length = 0;
    if (path_of(path, name)) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            length = read(fd, text, size - 1);
            close(fd);
        }
    }
    errno = saved;
    text[length > 0 ? length : 0] = 0;
    return length > 0 ? length : 0;
}

/* The bytes to write instead; NULL for those that were given. */
static void *garbled(int fd, const void *data, size_t size)
{
    char text[64], path[PATH_MAX];
    if (size == 0 || !wanted("garble") || !concerned(fd) || text_of(text, sizeof text, "garble") == 0)
        return NULL;
    if (name_of(path, fd) < 0 || strstr(path, text) == NULL)
        return NULL;
    unsigned char *other = malloc(size);
    if (other != NULL) {
        memcpy(other, data, size);
        other[size / 2] ^= 1;
        hit("garble");
    }
    return other;
}

int fsync(int fd) { return sync_fails(fd) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return sync_fails(fd) ? -1 : REAL(fdatasync)(fd); }
int syncfs(int fd) { return sync_fails(fd) ? -1 : REAL(syncfs)(fd); }

ssize_t write(int fd, const void *data, size_t size)
{
    if (is_full(fd))
        return -1;
    void *other = garbled(fd, data, size);
    ssize_t written = REAL(write)(fd, other != NULL ? other : data, size);
    free(other);
    return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count) { return is_full(fd) ? -1 : REAL(writev)(fd, parts, count); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return is_full(fd) ? -1 : REAL(pwrite)(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return is_full(fd) ? -1 : REAL(pwrite64)(fd, data, size, at); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return is_full(fd) ? -1 : REAL(pwritev)(fd, parts, count, at); }
int fallocate(int fd, int mode, off_t at, off_t size) { return is_full(fd) ? -1 : REAL(fallocate)(fd, mode, at, size); }
int fallocate64(int fd, int mode, off64_t at, off64_t size) { return is_full(fd) ? -1 : REAL(fallocate64)(fd, mode, at, size); }
int posix_fallocate(int fd, off_t at, off_t size) { return is_full(fd) ? ENOSPC : REAL(posix_fallocate)(fd, at, size); }
int posix_fallocate64(int fd, off64_t at, off64_t size) { return is_full(fd) ? ENOSPC : REAL(posix_fallocate64)(fd, at, size); }

static long clock_offset(void)
{
    char text[32];
    text_of(text, sizeof text, "clock");
    return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int answer = REAL(clock_gettime)(clock, now);
    if (answer == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        long offset = clock_offset();
        if (offset != 0) {
            now->tv_sec += offset;
            hit("clock");
        }
    }
    return answer;
}
