/* SPDX-License-Identifier: MIT
 * outfolder.c -- the folder is removed by system calls alone (getdents64, unlinkat), so that a signal handler
 * may do it, too; `live` names it from the moment it exists until it has its own name or is gone. */
#include "formats/outfolder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct vl_outfolder {
    char *target;
    int fd; /* of the temporary folder */
};

static char live[PATH_MAX];
static atomic_bool is_live;

/* ---- removing ------------------------------------------------------------------------------------- */

/* Everything in the folder that fd is open on. Closes fd. What cannot be removed stays, and ends the loop. */
static void empty_folder(int fd)
{
    _Alignas(struct dirent64) char block[2048];
    bool gone;

    do {
        long n, at;
        gone = false;
        lseek(fd, 0, SEEK_SET);
        while ((n = syscall(SYS_getdents64, fd, block, sizeof block)) > 0) {
            for (at = 0; at < n;) {
                const struct dirent64 *d = (const struct dirent64 *)(const void *)(block + at);
                at += d->d_reclen;
                if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
                    continue;
                if (unlinkat(fd, d->d_name, 0)) {
                    int sub = openat(fd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                    if (sub >= 0)
                        empty_folder(sub);
                    if (unlinkat(fd, d->d_name, AT_REMOVEDIR))
                        continue;
                }
                gone = true;
            }
        }
    } while (gone); /* a folder that changes while it is listed may hide a name */
    close(fd);
}

void vl_outfolder_on_signal(void)
{
    int fd;

    if (!atomic_load(&is_live))
        return;
    fd = open(live, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        empty_folder(fd);
    rmdir(live);
}

void vl_outfolder_abort(vl_outfolder *f)
{
    if (!f)
        return;
    vl_outfolder_on_signal();
    atomic_store(&is_live, false);
    if (f->fd >= 0)
        close(f->fd);
    free(f->target);
    free(f);
}

/* ---- making --------------------------------------------------------------------------------------- */

static int check_target(const char *path, vl_err *e)
{
    struct dirent *d;
    bool empty = true;
    DIR *dir = opendir(path);

    if (!dir)
        return errno == ENOENT ? VL_OK : vl_fail_errno(e, "%s", path);
    while ((d = readdir(dir)))
        empty = empty && (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."));
    closedir(dir);
    return empty ? VL_OK : vl_fail(e, VL_EIO, "%s: is a folder with something in it", path);
}

/* The folder exists exactly as long as it is live, as far as a signal can see. */
static int make_temporary(vl_outfolder *f, vl_err *e)
{
    size_t n = strlen(f->target);
    sigset_t all, old;
    int made = -1, why = ENAMETOOLONG;

    while (n > 1 && f->target[n - 1] == '/') /* the temporary one lies beside it, not in it */
        f->target[--n] = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    if (snprintf(live, sizeof live, "%s.tmp-%ld", f->target, (long)getpid()) < (int)sizeof live) {
        made = mkdir(live, 0777);
        why = errno;
    }
    atomic_store(&is_live, !made);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = why;
    if (!made)
        f->fd = open(live, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return f->fd < 0 ? vl_fail_errno(e, "%s", f->target) : VL_OK;
}

int vl_outfolder_open(const char *path, vl_outfolder **out, vl_err *e)
{
    vl_outfolder *f;
    int rc = check_target(path, e);

    if (rc)
        return rc;
    if (atomic_load(&is_live))
        return vl_fail(e, VL_EARG, "%s: another folder is being written", path);
    f = vl_alloc(1, sizeof *f, e);
    if (!f)
        return VL_ENOMEM;
    f->fd = -1;
    f->target = vl_strdup(path, e);
    rc = f->target ? make_temporary(f, e) : VL_ENOMEM;
    if (rc)
        vl_outfolder_abort(f);
    else
        *out = f;
    return rc;
}

static int bad_part(const char *part, size_t n)
{
    return !n || n > NAME_MAX || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.');
}

/* Opens the file's folder, part by part. *last: the file's own name. */
static int descend(vl_outfolder *f, const char *name, int *fd, const char **last, vl_err *e)
{
    int at = dup(f->fd);

    for (;; name++) {
        char part[NAME_MAX + 1];
        size_t n = strcspn(name, "/");
        int next;

        if (at < 0)
            return vl_fail_errno(e, "%s", f->target);
        if (bad_part(name, n)) {
            close(at);
            return vl_fail(e, VL_EARG, "%s: a name that may not be: %s", f->target, name);
        }
        if (!name[n])
            break;
        memcpy(part, name, n);
        part[n] = 0;
        next = mkdirat(at, part, 0777) && errno != EEXIST
                   ? -1
                   : openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        close(at);
        at = next;
        name += n;
    }
    *fd = at;
    *last = name;
    return VL_OK;
}

static int write_all(int fd, const void *p, size_t n)
{
    const char *at = p;

    while (n) {
        ssize_t k = write(fd, at, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -1;
        at += k;
        n -= (size_t)k;
    }
    return 0;
}

int vl_outfolder_put(vl_outfolder *f, const char *name, const void *p, size_t n, vl_err *e)
{
    const char *last = NULL;
    int folder = -1, fd, bad, rc = descend(f, name, &folder, &last, e);

    if (rc)
        return rc;
    fd = openat(folder, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST)
        rc = vl_fail(e, VL_EARG, "%s/%s: is there twice", f->target, name);
    else if (fd < 0)
        rc = vl_fail_errno(e, "%s/%s", f->target, name);
    close(folder);
    if (rc)
        return rc;
    bad = write_all(fd, p, n);
    if (bad)
        vl_fail_errno(e, "%s/%s: write", f->target, name);
    if (close(fd) && !bad) {
        vl_fail_errno(e, "%s/%s: close", f->target, name);
        bad = -1;
    }
    return bad ? VL_EIO : VL_OK;
}

int vl_outfolder_commit(vl_outfolder *f, vl_err *e)
{
    int rc = VL_OK;

    if (syncfs(f->fd))
        rc = vl_fail_errno(e, "%s: sync", f->target);
    if (!rc && rename(live, f->target)) /* onto an empty folder is fine */
        rc = vl_fail_errno(e, "%s: rename", f->target);
    if (!rc)
        atomic_store(&is_live, false);
    vl_outfolder_abort(f);
    return rc;
}
