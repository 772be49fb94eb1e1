/* SPDX-License-Identifier: MIT
 * outfile.c -- temporary names and the table of them that a signal handler may walk.
 *
 * A slot of the table goes FREE -> BUSY (being filled) -> LIVE (name complete) <-> KEPT. The handler
 * reads only LIVE slots and only calls unlink, so it may interrupt anything. A name becomes LIVE while
 * signals are blocked, right after its file exists; it leaves the table after the rename, when
 * unlinking it can do no harm any more. */
#include "formats/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOTS = 64, FREE = 0, BUSY, LIVE, KEPT };

static struct {
    atomic_int state;
    char name[PATH_MAX];
} table[SLOTS];

struct vl_outfile {
    int fd;
    int slot;       /* -1: written directly */
    bool is_stdout; /* the descriptor is not ours to close */
    bool regular;   /* fsync means something */
    bool part;      /* NAME.part */
    uint64_t bytes;
    char *name;   /* as the caller gave it */
    char *target; /* links resolved; NULL when written directly */
};

void vl_outfile_on_signal(void)
{
    int i;

    for (i = 0; i < SLOTS; i++)
        if (atomic_load(&table[i].state) == LIVE)
            unlink(table[i].name);
}

static int slot_take(void)
{
    int i, want;

    for (i = 0; i < SLOTS; i++) {
        want = FREE;
        if (atomic_compare_exchange_strong(&table[i].state, &want, BUSY))
            return i;
    }
    return -1;
}

static void slot_unlink(vl_outfile *f)
{
    if (f->slot < 0)
        return;
    if (atomic_load(&table[f->slot].state) == LIVE)
        unlink(table[f->slot].name);
    atomic_store(&table[f->slot].state, FREE);
    f->slot = -1;
}

/* Creates a file that did not exist. A leftover of a killed process with our number is stepped
 * over. */
static int create_temporary(vl_outfile *f, vl_err *e)
{
    sigset_t all, old;
    char *name;
    int i, n = 0;

    f->slot = slot_take();
    if (f->slot < 0)
        return vl_fail(e, VL_EARG, "%s: more than %d files open for writing", f->name, SLOTS);
    name = table[f->slot].name;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    for (i = 0; i < 100; i++) {
        n = snprintf(name, PATH_MAX, "%s.tmp-%ld-%d", f->target, (long)getpid(), i);
        if (n >= PATH_MAX) {
            errno = ENAMETOOLONG;
            break;
        }
        f->fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd >= 0 || errno != EEXIST)
            break;
    }
    i = errno;
    atomic_store(&table[f->slot].state, f->fd >= 0 ? LIVE : FREE);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (f->fd >= 0)
        return VL_OK;
    f->slot = -1;
    errno = i;
    return vl_fail_errno(e, "%s", f->name);
}

/* Between our open and our lock another run may have renamed the file: then it is not ours. */
static int lock_part(int fd, const char *name, struct stat *st, vl_err *e)
{
    struct stat there;

    if (flock(fd, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? vl_fail(e, VL_EIO, "%s: another run is writing it", name)
                                    : vl_fail_errno(e, "%s: lock", name);
    if (fstat(fd, st) || lstat(name, &there) || there.st_ino != st->st_ino || there.st_dev != st->st_dev)
        return vl_fail(e, VL_EIO, "%s: it was renamed while it was opened", name);
    return S_ISREG(st->st_mode) ? VL_OK : vl_fail(e, VL_EIO, "%s: is no regular file", name);
}

/* Opens or creates NAME.part. Until it is known what the file holds, it is kept. */
static int open_part(vl_outfile *f, vl_err *e)
{
    struct stat st;
    char *name;
    int rc = VL_OK;

    f->slot = slot_take();
    if (f->slot < 0)
        return vl_fail(e, VL_EARG, "%s: more than %d files open for writing", f->name, SLOTS);
    name = table[f->slot].name;
    if (snprintf(name, PATH_MAX, "%s.part", f->target) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        rc = vl_fail_errno(e, "%s", f->name);
    }
    if (!rc) {
        f->fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
        rc = f->fd < 0 ? vl_fail_errno(e, "%s", name) : lock_part(f->fd, name, &st, e);
    }
    if (!rc && lseek(f->fd, 0, SEEK_END) < 0)
        rc = vl_fail_errno(e, "%s: seek", name);
    if (!rc)
        f->bytes = (uint64_t)st.st_size;
    atomic_store(&table[f->slot].state, rc || f->bytes ? KEPT : LIVE);
    return rc;
}

static int open_path(vl_outfile *f, vl_err *e)
{
    struct stat st;

    if (!stat(f->name, &st)) {
        if (S_ISDIR(st.st_mode))
            return vl_fail(e, VL_EIO, "%s: is a folder", f->name);
        if (!S_ISREG(st.st_mode)) { /* /dev/null, a FIFO: replacing them would be wrong */
            f->fd = open(f->name, O_WRONLY | O_CLOEXEC);
            return f->fd < 0 ? vl_fail_errno(e, "%s", f->name) : VL_OK;
        }
        f->target = realpath(f->name, NULL);
        if (!f->target)
            return vl_fail_errno(e, "%s", f->name);
    } else {
        f->target = vl_strdup(f->name, e);
        if (!f->target)
            return VL_ENOMEM;
    }
    f->regular = true;
    return f->part ? open_part(f, e) : create_temporary(f, e);
}

static int open_any(const char *path, bool part, vl_outfile **out, vl_err *e)
{
    bool std = !path || !strcmp(path, "-");
    vl_outfile *f = vl_alloc(1, sizeof *f, e);
    struct stat st;
    int rc = VL_ENOMEM;

    if (!f)
        return VL_ENOMEM;
    f->fd = f->slot = -1;
    f->part = part;
    f->name = vl_strdup(std ? "standard output" : path, e);
    if (!f->name)
        goto out;
    rc = VL_OK;
    if (std) {
        f->fd = STDOUT_FILENO;
        f->is_stdout = true;
        if (fstat(f->fd, &st))
            rc = vl_fail_errno(e, "%s", f->name);
        else
            f->regular = S_ISREG(st.st_mode);
    } else {
        rc = open_path(f, e);
    }
out:
    if (rc)
        vl_outfile_abort(f);
    else
        *out = f;
    return rc;
}

int vl_outfile_open(const char *path, vl_outfile **out, vl_err *e)
{
    return open_any(path, false, out, e);
}

int vl_outfile_open_part(const char *path, vl_outfile **out, vl_err *e)
{
    return open_any(path, true, out, e);
}

const char *vl_outfile_part(const vl_outfile *f)
{
    return f->part && f->slot >= 0 ? table[f->slot].name : NULL;
}

int vl_outfile_cut(vl_outfile *f, uint64_t n, vl_err *e)
{
    if (!vl_outfile_part(f))
        return VL_OK;
    if (ftruncate(f->fd, (off_t)n) || lseek(f->fd, (off_t)n, SEEK_SET) < 0 || fsync(f->fd))
        return vl_fail_errno(e, "%s: cut to %" PRIu64 " bytes", vl_outfile_part(f), n);
    f->bytes = n;
    if (!n)
        vl_outfile_keep(f, false);
    return VL_OK;
}

void vl_outfile_keep(vl_outfile *f, bool keep)
{
    if (vl_outfile_part(f))
        atomic_store(&table[f->slot].state, keep ? KEPT : LIVE);
}

int vl_outfile_write(vl_outfile *f, const void *p, size_t n, vl_err *e)
{
    const char *at = p;
    ssize_t k;

    while (n) {
        k = write(f->fd, at, n < (size_t)1 << 30 ? n : (size_t)1 << 30);
        if (k < 0 && errno == EINTR)
            continue;
        if (k == 0)
            errno = ENOSPC;
        if (k <= 0)
            return vl_fail_errno(e, "%s: write at byte %" PRIu64, f->name, f->bytes);
        at += k;
        n -= (size_t)k;
        f->bytes += (uint64_t)k;
    }
    return VL_OK;
}

int vl_outfile_sync(vl_outfile *f, vl_err *e)
{
    if (f->regular && fsync(f->fd))
        return vl_fail_errno(e, "%s: sync", f->name);
    return VL_OK;
}

uint64_t vl_outfile_bytes(const vl_outfile *f)
{
    return f->bytes;
}

const char *vl_outfile_name(const vl_outfile *f)
{
    return f->name;
}

/* The name in its folder survives a power cut only when the folder is synced too. Some file systems
 * refuse to sync folders; the data are safe by then, so that is not a failure. */
static void sync_folder(const char *target)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(target, '/');
    size_t n = slash ? (size_t)(slash - target) : 0;
    int fd;

    if (n >= sizeof dir)
        return;
    memcpy(dir, target, n);
    dir[n] = 0;
    fd = open(slash ? (n ? dir : "/") : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        if (fsync(fd))
            errno = 0;
        close(fd);
    }
}

/* Network file systems report some write errors only at close; for standard output a duplicate is
 * closed, the descriptor itself belongs to the program. */
static int close_checked(vl_outfile *f, vl_err *e)
{
    int fd = f->is_stdout ? dup(f->fd) : f->fd;

    if (!f->is_stdout)
        f->fd = -1;
    if (fd < 0 || close(fd))
        return vl_fail_errno(e, "%s: close", f->name);
    return VL_OK;
}

int vl_outfile_commit(vl_outfile *f, vl_err *e)
{
    int rc = vl_outfile_sync(f, e);

    if (!rc)
        rc = close_checked(f, e);
    if (!rc && f->slot >= 0) {
        if (rename(table[f->slot].name, f->target)) {
            rc = vl_fail_errno(e, "%s: rename", f->name);
        } else {
            atomic_store(&table[f->slot].state, FREE);
            f->slot = -1;
            sync_folder(f->target);
        }
    }
    vl_outfile_abort(f);
    return rc;
}

void vl_outfile_abort(vl_outfile *f)
{
    if (!f)
        return;
    slot_unlink(f);
    if (f->fd >= 0 && !f->is_stdout)
        close(f->fd);
    free(f->name);
    free(f->target);
    free(f);
}

int vl_write_file(const char *path, const void *p, size_t n, vl_err *e)
{
    vl_outfile *f = NULL;
    int rc = vl_outfile_open(path, &f, e);

    if (rc)
        return rc;
    rc = vl_outfile_write(f, p, n, e);
    if (rc) {
        vl_outfile_abort(f);
        return rc;
    }
    return vl_outfile_commit(f, e);
}
