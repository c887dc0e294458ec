/* Preloaded into a process under test: makes calls of the C library fail, wait or change their data, or
 * kills the process at one of them. Only files below PGMONETA_FAULTS_BELOW are affected.
 *
 * While a file of that name is in the directory PGMONETA_FAULTS:
 *   sync    fsync, fdatasync, syncfs and so on fail with EIO, as with a failing disk
 *   hang    they wait until the file is removed
 *   full    writes to regular files fail with ENOSPC
 *   garble  writes to files whose path contains the text in the switch have one flipped bit
 *   clock   CLOCK_REALTIME is shifted by the number of seconds in the file
 * Each fault that occurs appends a byte to the file hit-<name> there.
 *
 * The file "steps" there is mapped: the process counts its calls in it, and the test chooses the call at
 * which the process is killed or waits (struct steps; tests/harness/steps.rs has the same layout).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
        int fd = REAL(open)(path, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0666);
        if (fd >= 0) {
            if (REAL(write)(fd, "x", 1) < 0)
                abort();
            close(fd);
        }
    }
    errno = saved;
}

static int is_below(const char *path)
{
    const char *below = getenv("PGMONETA_FAULTS_BELOW");
    return below != NULL && strncmp(path, below, strlen(below)) == 0;
}

/* The path of an open file; empty if it has none. */
static void path_of_fd(char *path, int fd)
{
    char link[64];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
    errno = saved;
}

static int concerned(int fd)
{
    char path[PATH_MAX];
    path_of_fd(path, fd);
    return is_below(path);
}

/* Calls that open or change a file. */
enum call { OPEN, CREATE, WRITE, SYNC, RENAME, LINK, UNLINK, CALLS };

/* The effect at the chosen call. */
enum action { NOTHING, COUNT, KILL, HOLD };

struct steps {
    _Atomic uint64_t action;
    _Atomic uint64_t call;
    _Atomic uint64_t number;        /* the first call of this kind is 1 */
    _Atomic uint64_t reached;       /* 1 after the kill or stop */
    _Atomic uint64_t counts[CALLS]; /* calls so far */
    char part[256];                 /* only files with this in their path */
};

static struct steps *steps;
static pthread_once_t steps_mapped = PTHREAD_ONCE_INIT;

static void map_steps(void)
{
    char path[PATH_MAX];
    int fd = path_of(path, "steps") ? REAL(open)(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof *steps, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED)
        steps = mapped;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Counts a call; returns whether to kill the process at it. Waits if the process is to be stopped. */
static int step(enum call call, const char *path)
{
    int saved = errno;
    pthread_once(&steps_mapped, map_steps);
    errno = saved;
    if (steps == NULL || steps->action == NOTHING || !is_below(path) || strstr(path, steps->part) == NULL)
        return 0;
    uint64_t number = atomic_fetch_add(&steps->counts[call], 1) + 1;
    if (steps->action == KILL && steps->call == call && steps->number == number) {
        steps->reached = 1;
        return 1;
    }
    if (steps->action == HOLD && steps->call == call && steps->number <= number) {
        steps->reached = 1;
        while (steps->action == HOLD)
            usleep(1000);
        errno = saved;
    }
    return 0;
}

static int step_fd(enum call call, int fd)
{
    char path[PATH_MAX];
    if (steps != NULL && steps->action == NOTHING)
        return 0;
    path_of_fd(path, fd);
    return step(call, path);
}

static int step_at(enum call call, int directory, const char *name)
{
    char path[2 * PATH_MAX] = "";
    if (name[0] != '/' && directory != AT_FDCWD) {
        path_of_fd(path, directory);
        strcat(path, "/");
    }
    return step(call, strncat(path, name, PATH_MAX));
}

static void step_or_die(enum call call, int directory, const char *name)
{
    if (step_at(call, directory, name))
        die();
}

static int sync_fails(int fd)
{
    if (step_fd(SYNC, fd))
        die();
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

int fsync(int fd) { return sync_fails(fd) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return sync_fails(fd) ? -1 : REAL(fdatasync)(fd); }
int syncfs(int fd) { return sync_fails(fd) ? -1 : REAL(syncfs)(fd); }

static size_t text_of(char *text, size_t size, const char *name)
{
    char path[PATH_MAX];
    int saved = errno;
    ssize_t length = 0;
    if (path_of(path, name)) {
        int fd = REAL(open)(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            length = read(fd, text, size - 1);
            close(fd);
        }
    }
    errno = saved;
    text[length > 0 ? length : 0] = 0;
    return length > 0 ? length : 0;
}

/* The changed bytes to write; NULL to write them unchanged. */
static void *garbled(int fd, const void *data, size_t size)
{
    char text[64], path[PATH_MAX];
    if (size == 0 || !wanted("garble") || !concerned(fd) || text_of(text, sizeof text, "garble") == 0)
        return NULL;
    path_of_fd(path, fd);
    if (strstr(path, text) == NULL)
        return NULL;
    unsigned char *other = malloc(size);
    if (other != NULL) {
        memcpy(other, data, size);
        other[size / 2] ^= 1;
        hit("garble");
    }
    return other;
}

/* A process that is killed in a write has written half of it. */
ssize_t write(int fd, const void *data, size_t size)
{
    int dies = step_fd(WRITE, fd);
    if (is_full(fd))
        return -1;
    void *other = garbled(fd, data, size);
    ssize_t written = REAL(write)(fd, other != NULL ? other : data, dies ? size / 2 : size);
    if (dies)
        die();
    free(other);
    return written;
}

#define WRITTEN_AT(name)                                                      \
    int dies = step_fd(WRITE, fd);                                            \
    if (is_full(fd))                                                          \
        return -1;                                                            \
    ssize_t written = REAL(name)(fd, data, dies ? size / 2 : size, at);       \
    if (dies)                                                                 \
        die();                                                                \
    return written

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { WRITTEN_AT(pwrite); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { WRITTEN_AT(pwrite64); }

static int change_fails(int fd)
{
    if (step_fd(WRITE, fd))
        die();
    return is_full(fd);
}

ssize_t writev(int fd, const struct iovec *parts, int count) { return change_fails(fd) ? -1 : REAL(writev)(fd, parts, count); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return change_fails(fd) ? -1 : REAL(pwritev)(fd, parts, count, at); }
int fallocate(int fd, int mode, off_t at, off_t size) { return change_fails(fd) ? -1 : REAL(fallocate)(fd, mode, at, size); }
int fallocate64(int fd, int mode, off64_t at, off64_t size) { return change_fails(fd) ? -1 : REAL(fallocate64)(fd, mode, at, size); }
int posix_fallocate(int fd, off_t at, off_t size) { return change_fails(fd) ? ENOSPC : REAL(posix_fallocate)(fd, at, size); }
int posix_fallocate64(int fd, off64_t at, off64_t size) { return change_fails(fd) ? ENOSPC : REAL(posix_fallocate64)(fd, at, size); }

#define OPENED(name, directory, ...)                                            \
    mode_t mode = 0;                                                            \
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) {                \
        va_list more;                                                           \
        va_start(more, flags);                                                  \
        mode = va_arg(more, mode_t);                                            \
        va_end(more);                                                           \
    }                                                                           \
    step_or_die(flags &O_CREAT ? CREATE : OPEN, directory, path);               \
    return REAL(name)(__VA_ARGS__, flags, mode)

int open(const char *path, int flags, ...) { OPENED(open, AT_FDCWD, path); }
int open64(const char *path, int flags, ...) { OPENED(open64, AT_FDCWD, path); }
int openat(int at, const char *path, int flags, ...) { OPENED(openat, at, at, path); }
int openat64(int at, const char *path, int flags, ...) { OPENED(openat64, at, at, path); }

int mkdir(const char *path, mode_t mode)
{
    step_or_die(CREATE, AT_FDCWD, path);
    return REAL(mkdir)(path, mode);
}

int symlink(const char *target, const char *path)
{
    step_or_die(CREATE, AT_FDCWD, path);
    return REAL(symlink)(target, path);
}

int rename(const char *from, const char *to)
{
    step_or_die(RENAME, AT_FDCWD, to);
    return REAL(rename)(from, to);
}

int link(const char *from, const char *to)
{
    step_or_die(LINK, AT_FDCWD, to);
    return REAL(link)(from, to);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
    step_or_die(LINK, to_at, to);
    return REAL(linkat)(from_at, from, to_at, to, flags);
}

int unlink(const char *path)
{
    step_or_die(UNLINK, AT_FDCWD, path);
    return REAL(unlink)(path);
}

int unlinkat(int at, const char *path, int flags)
{
    step_or_die(UNLINK, at, path);
    return REAL(unlinkat)(at, path, flags);
}

int rmdir(const char *path)
{
    step_or_die(UNLINK, AT_FDCWD, path);
    return REAL(rmdir)(path);
}

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
