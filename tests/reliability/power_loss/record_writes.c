/* Preloaded into a process: what it does to files below KETGATE_RECORD_ROOT is written to KETGATE_RECORD_LOG, in the
 * order in which it happened, content included. One lock is held over each call and its record.
 *
 * A record: char kind, uint64 file, int64 offset, uint32 size, bytes, uint32 size, bytes (little-endian).
 *   C created (path) | W written (offset, content) | T truncated (offset: to) | S synced
 *   D folder synced (path) | M folder made | R renamed (from, to) | L linked (from, to) | U unlinked
 * Writes to ROOT/marks are what the process says of itself: K (content). Shared memory (-shm) is not recorded: it is
 * made anew after a crash. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES_MAX 4096
enum { NONE, FILE_, FOLDER, MARKS };

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static unsigned char kinds[FILES_MAX];
static uint64_t inodes[FILES_MAX];
static char *paths[FILES_MAX];
static const char *root;
static size_t root_size;
static int log_fd = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    root = getenv("KETGATE_RECORD_ROOT");
    const char *log = getenv("KETGATE_RECORD_LOG");
    if (!root || !log) return;
    root_size = strlen(root);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) abort();
}

static int inside(const char *path) {
    if (log_fd < 0 || strncmp(path, root, root_size) || (path[root_size] != '/' && path[root_size])) return 0;
    size_t size = strlen(path);
    return size < 4 || strcmp(path + size - 4, "-shm");
}

static const char *below(const char *path) { return path[root_size] ? path + root_size + 1 : ""; }

static void put(const void *content, size_t size) {
    const char *next = content;
    while (size) {
        ssize_t written = syscall(SYS_write, log_fd, next, size);
        if (written <= 0) abort();
        next += written, size -= (size_t)written;
    }
}

static void note(char kind, uint64_t file, int64_t offset, const void *a, size_t a_size, const void *b, size_t b_size) {
    char head[21];
    uint32_t size = (uint32_t)a_size;
    head[0] = kind;
    memcpy(head + 1, &file, 8), memcpy(head + 9, &offset, 8), memcpy(head + 17, &size, 4);
    put(head, sizeof head), put(a, a_size);
    size = (uint32_t)b_size;
    put(&size, 4), put(b, b_size);
}

static void note_paths(char kind, const char *a, const char *b) {
    const char *from = below(a), *to = b ? below(b) : "";
    note(kind, 0, 0, from, strlen(from), to, strlen(to));
}

static int kind_of(int fd) { return fd >= 0 && fd < FILES_MAX ? kinds[fd] : NONE; }

static int opened(int fd, const char *path, int flags, int existed) {
    if (fd < 0) return fd;
    if (fd >= FILES_MAX) abort();
    struct stat status;
    if (fstat(fd, &status)) abort();
    if (!strcmp(below(path), "marks")) return kinds[fd] = MARKS, fd;
    kinds[fd] = S_ISDIR(status.st_mode) ? FOLDER : FILE_;
    inodes[fd] = status.st_ino;
    free(paths[fd]);
    paths[fd] = strdup(below(path));
    if (!existed)
        note('C', status.st_ino, 0, paths[fd], strlen(paths[fd]), "", 0);
    else if ((flags & O_TRUNC) && kinds[fd] == FILE_)
        note('T', status.st_ino, 0, "", 0, "", 0);
    return fd;
}

static int open_noted(const char *path, int flags, mode_t mode) {
    pthread_mutex_lock(&lock);
    int existed = !syscall(SYS_faccessat, AT_FDCWD, path, F_OK);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    opened(fd, path, flags, existed);
    pthread_mutex_unlock(&lock);
    return fd;
}

#define OPEN(name)                                                            \
    int name(const char *path, int flags, ...) {                              \
        va_list rest;                                                         \
        va_start(rest, flags);                                                \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                         \
        return inside(path) ? open_noted(path, flags, mode) : REAL(name)(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                          \
    int name(int folder, const char *path, int flags, ...) {                  \
        va_list rest;                                                         \
        va_start(rest, flags);                                                \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                         \
        return inside(path) ? open_noted(path, flags, mode) : REAL(name)(folder, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    pthread_mutex_lock(&lock);
    if (kind_of(fd)) kinds[fd] = NONE;
    int result = (int)syscall(SYS_close, fd);
    pthread_mutex_unlock(&lock);
    return result;
}

static void wrote(int fd, const void *content, ssize_t size, off_t offset) {
    if (size <= 0) return;
    if (kinds[fd] == MARKS)
        note('K', 0, 0, content, (size_t)size, "", 0);
    else
        note('W', inodes[fd], offset, content, (size_t)size, "", 0);
}

ssize_t write(int fd, const void *content, size_t size) {
    if (!kind_of(fd)) return syscall(SYS_write, fd, content, size);
    pthread_mutex_lock(&lock);
    int append = fcntl(fd, F_GETFL) & O_APPEND;
    off_t offset = lseek(fd, 0, append ? SEEK_END : SEEK_CUR);
    ssize_t written = syscall(SYS_write, fd, content, size);
    wrote(fd, content, written, offset);
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t pwrite64(int fd, const void *content, size_t size, off64_t offset) {
    if (!kind_of(fd)) return syscall(SYS_pwrite64, fd, content, size, offset);
    pthread_mutex_lock(&lock);
    ssize_t written = syscall(SYS_pwrite64, fd, content, size, offset);
    wrote(fd, content, written, offset);
    pthread_mutex_unlock(&lock);
    return written;
}
ssize_t pwrite(int fd, const void *content, size_t size, off_t offset) { return pwrite64(fd, content, size, offset); }

/* Nothing that is tested here writes so: rather no record than a wrong one. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (kind_of(fd)) abort();
    return syscall(SYS_writev, fd, parts, count);
}
int fallocate(int fd, int mode, off_t offset, off_t size) {
    if (kind_of(fd)) abort();
    return (int)syscall(SYS_fallocate, fd, mode, offset, size);
}
int truncate(const char *path, off_t size) {
    if (inside(path)) abort();
    return (int)syscall(SYS_truncate, path, size);
}

int ftruncate64(int fd, off64_t size) {
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_ftruncate, fd, size);
    if (!result && kind_of(fd)) note('T', inodes[fd], size, "", 0, "", 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

/* The model needs the order only, not the disk. */
static int synced(int fd) {
    pthread_mutex_lock(&lock);
    if (kinds[fd] == FOLDER)
        note('D', 0, 0, paths[fd], strlen(paths[fd]), "", 0);
    else
        note('S', inodes[fd], 0, "", 0, "", 0);
    pthread_mutex_unlock(&lock);
    return 0;
}
int fsync(int fd) { return kind_of(fd) ? synced(fd) : (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return kind_of(fd) ? synced(fd) : (int)syscall(SYS_fdatasync, fd); }

static int changed(char kind, const char *a, const char *b, int result) {
    if (!result && (inside(a) || (b && inside(b)))) note_paths(kind, a, b);
    return result;
}
#define LOCKED(expression)               \
    pthread_mutex_lock(&lock);           \
    int result = (int)(expression);      \
    pthread_mutex_unlock(&lock);         \
    return result;

int rename(const char *from, const char *to) {
    LOCKED(changed('R', from, to, (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0)))
}
int renameat(int a, const char *from, int b, const char *to) {
    LOCKED(changed('R', from, to, (int)syscall(SYS_renameat2, a, from, b, to, 0)))
}
int link(const char *from, const char *to) {
    LOCKED(changed('L', from, to, (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0)))
}
int linkat(int a, const char *from, int b, const char *to, int flags) {
    LOCKED(changed('L', from, to, (int)syscall(SYS_linkat, a, from, b, to, flags)))
}
int unlink(const char *path) { LOCKED(changed('U', path, NULL, (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0))) }
int unlinkat(int folder, const char *path, int flags) {
    LOCKED(changed('U', path, NULL, (int)syscall(SYS_unlinkat, folder, path, flags)))
}
int mkdir(const char *path, mode_t mode) {
    LOCKED(changed('M', path, NULL, (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode)))
}
int mkdirat(int folder, const char *path, mode_t mode) {
    LOCKED(changed('M', path, NULL, (int)syscall(SYS_mkdirat, folder, path, mode)))
}
