/* SPDX-License-Identifier: MIT
 * layout_dir.c -- records from a folder of images with captions beside them; layout.h states the rules.
 *
 * The walk keeps one listing for each folder on the way from the root to the file at hand. A listing is
 * sorted with a slash behind the names of folders, so that the walk visits files in the order of their
 * whole paths. A name counts as ignored when its listing is left and no pair took it. */
#include "pipeline/layout.h"
#include "formats/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 64 };

typedef struct entry {
    char *name;
    bool folder, link;
    bool used; /* an image, a caption file of an image, or a folder that was walked */
} entry;

typedef struct listing {
    entry *entries;
    size_t n, room, at;
    size_t path_n; /* bytes of dir.path up to and with the slash behind this folder */
} listing;

typedef struct dir {
    vl_layout base;
    char *real; /* the root without symbolic links, for comparing */
    size_t root_n;
    char path[PATH_MAX], caption_path[PATH_MAX], key[PATH_MAX]; /* of the file at hand */
    char *text; /* [VL_LAYOUT_LINE_MAX + 1], its caption file */
    listing stack[DEPTH_MAX];
    int depth;
} dir;

static void drop(listing *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->entries[i].name);
    free(s->entries);
    *s = (listing){0};
}

static void close_dir(vl_layout *l)
{
    dir *d = (dir *)l;

    for (int i = 0; i < DEPTH_MAX; i++)
        drop(&d->stack[i]);
    free(d->text);
    free(d->real);
    free(d);
}

/* ---- listings ----------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    size_t i = 0;

    while (x->name[i] && x->name[i] == y->name[i])
        i++;
    unsigned char p = (unsigned char)x->name[i], q = (unsigned char)y->name[i];
    p = p ? p : x->folder ? '/' : 0;
    q = q ? q : y->folder ? '/' : 0;
    return (p > q) - (p < q);
}

static int add(listing *s, const char *name, bool folder, bool link, vl_err *e)
{
    if (s->n == s->room) {
        size_t room = s->room ? 2 * s->room : 64;
        entry *grown = vl_realloc(s->entries, room, sizeof *grown, e);
        if (!grown)
            return VL_ENOMEM;
        s->entries = grown;
        s->room = room;
    }
    entry *p = &s->entries[s->n];
    *p = (entry){.name = vl_strdup(name, e), .folder = folder, .link = link};
    if (!p->name)
        return VL_ENOMEM;
    s->n++;
    return VL_OK;
}

/* Names that begin with a dot are hidden and stay so. Sockets and devices are listed as files: they
 * are ignored like any other, or refused when somebody named one x.jpg. */
static int list_names(dir *d, listing *s, DIR *folder, vl_err *e)
{
    const struct dirent *f;
    struct stat st;
    int rc;

    while ((errno = 0, f = readdir(folder))) {
        if (!strcmp(f->d_name, ".") || !strcmp(f->d_name, ".."))
            continue;
        if (f->d_name[0] == '.') {
            d->base.ignored++;
            continue;
        }
        if (f->d_type != DT_UNKNOWN) /* most file systems say it here */
            st.st_mode = DTTOIF(f->d_type);
        else if (fstatat(dirfd(folder), f->d_name, &st, AT_SYMLINK_NOFOLLOW))
            return vl_fail_errno(e, "%s%s", d->path, f->d_name);
        rc = add(s, f->d_name, S_ISDIR(st.st_mode), S_ISLNK(st.st_mode), e);
        if (rc)
            return rc;
    }
    return errno ? vl_fail_errno(e, "%s", d->path) : VL_OK;
}

/* Lists the folder whose path, a slash behind it, is in d->path. */
static int enter(dir *d, size_t path_n, vl_err *e)
{
    listing *s = &d->stack[d->depth];
    DIR *folder;
    int rc;

    if (d->depth == DEPTH_MAX)
        return vl_fail(e, VL_EIO, "%s: more than %d folders deep", d->path, DEPTH_MAX);
    folder = opendir(d->path);
    if (!folder)
        return vl_fail_errno(e, "%s", d->path);
    rc = list_names(d, s, folder, e);
    closedir(folder);
    if (rc)
        return rc;
    if (s->n)
        qsort(s->entries, s->n, sizeof *s->entries, by_path);
    s->path_n = path_n;
    d->depth++;
    return VL_OK;
}

static void leave(dir *d)
{
    listing *s = &d->stack[--d->depth];

    for (size_t i = 0; i < s->n; i++)
        d->base.ignored += !s->entries[i].used;
    drop(s);
}

/* ---- one record --------------------------------------------------------------------------------- */

static bool is_image(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot && dot != name &&
           (!strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg") || !strcasecmp(dot, ".png") ||
            !strcasecmp(dot, ".webp"));
}

/* A link may lead anywhere; what it names must lie below the root. */
static int inside(const dir *d, const char *path, vl_err *e)
{
    char *real = realpath(path, NULL);
    size_t n = strlen(d->real);
    bool below;

    if (!real)
        return vl_fail(e, VL_EFORMAT, "%s", strerror(errno));
    below = !strncmp(real, d->real, n) && (real[n] == '/' || (n && d->real[n - 1] == '/'));
    free(real);
    return below ? VL_OK
                 : vl_fail(e, VL_EFORMAT, "symbolic link leads out of %.*s", (int)d->root_n - 1, d->path);
}

/* Not by a FILE, whose buffer and fstat cost as much as the reading. */
static int read_text(dir *d, size_t *n, vl_err *e)
{
    int fd = open(d->caption_path, O_RDONLY | O_CLOEXEC), rc = VL_OK;
    ssize_t got = 1;

    if (fd < 0)
        return vl_fail(e, errno == ENOMEM || errno == EMFILE || errno == ENFILE ? VL_EIO : VL_EFORMAT, "%s",
                       strerror(errno));
    for (*n = 0; got && *n <= VL_LAYOUT_LINE_MAX; *n += (size_t)got) {
        do
            got = read(fd, d->text + *n, VL_LAYOUT_LINE_MAX + 1 - *n);
        while (got < 0 && errno == EINTR);
        if (got < 0) {
            rc = vl_fail(e, VL_EFORMAT, "%s", strerror(errno));
            break;
        }
    }
    if (!rc && *n > VL_LAYOUT_LINE_MAX)
        rc = vl_fail(e, VL_EFORMAT, "more than %d bytes", VL_LAYOUT_LINE_MAX);
    close(fd);
    return rc;
}

static int captions(dir *d, size_t n, vl_err *e)
{
    char *p = d->text, *end = d->text + n;

    while (p < end) {
        char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t length = (size_t)((newline ? newline : end) - p);
        length -= length && p[length - 1] == '\r';
        if (length) {
            int rc = vl_layout_caption(&d->base, p, length, e);
            if (rc)
                return rc;
        }
        p = newline ? newline + 1 : end;
    }
    return d->base.n_captions ? VL_OK : vl_fail(e, VL_EFORMAT, "holds no caption");
}

/* The captions beside the image of d->path, whose name in s is entry x. */
static int read_captions(dir *d, listing *s, const entry *x, vl_err *e)
{
    size_t stem = strlen(d->path) - strlen(strrchr(d->path, '.')), n = 0;
    char *name = d->caption_path + s->path_n;
    entry *text, want = {.name = name};
    int rc;

    if (stem + sizeof ".txt" > sizeof d->caption_path)
        return vl_fail(e, VL_EFORMAT, "%s: %s", d->path, strerror(ENAMETOOLONG));
    memcpy(d->caption_path, d->path, stem);
    memcpy(d->caption_path + stem, ".txt", sizeof ".txt");
    text = bsearch(&want, s->entries, s->n, sizeof *s->entries, by_path);
    if (!text)
        return vl_fail(e, VL_EFORMAT, "%s: no %s beside it", d->path, name);
    text->used = true;
    if (x->link && (rc = inside(d, d->path, e)))
        return vl_within(e, "%s", d->path);
    rc = text->link ? inside(d, d->caption_path, e) : VL_OK;
    if (!rc)
        rc = read_text(d, &n, e);
    if (!rc)
        rc = captions(d, n, e);
    return rc ? vl_within(e, "%s", d->caption_path) : VL_OK;
}

static int record(dir *d, listing *s, const entry *x, vl_pair *pair, vl_err *e)
{
    int rc;

    *pair = (vl_pair){.index = d->base.index++};
    rc = vl_layout_key(d->path + d->root_n, d->key, e);
    if (rc)
        return vl_within(e, "%s", d->path);
    rc = read_captions(d, s, x, e);
    if (rc)
        return rc;
    pair->key = d->key;
    pair->image = pair->where = d->path;
    pair->captions = d->base.caption;
    pair->caption_bytes = d->base.caption_bytes;
    pair->n_captions = d->base.n_captions;
    return 1;
}

static int next_dir(vl_layout *l, vl_pair *pair, vl_err *e)
{
    dir *d = (dir *)l;

    while (d->depth) {
        listing *s = &d->stack[d->depth - 1];
        if (s->at == s->n) {
            leave(d);
            continue;
        }
        entry *x = &s->entries[s->at++];
        size_t n = strlen(x->name);
        if (!x->folder && !is_image(x->name))
            continue;
        d->path[s->path_n] = 0;
        x->used = true;
        if (s->path_n + n + 2 > sizeof d->path)
            return vl_fail(e, VL_EIO, "%s%s: %s", d->path, x->name, strerror(ENAMETOOLONG));
        memcpy(d->path + s->path_n, x->name, n + 1);
        if (!x->folder)
            return record(d, s, x, pair, e);
        memcpy(d->path + s->path_n + n, "/", 2);
        int rc = enter(d, s->path_n + n + 1, e);
        if (rc)
            return rc;
    }
    return 0;
}

int vl_layout_dir(const char *path, vl_layout **out, vl_err *e)
{
    size_t n = strlen(path);
    dir *d = vl_alloc(1, sizeof *d, e);
    int rc = VL_ENOMEM;

    if (!d)
        return rc;
    d->base.next = next_dir;
    d->base.close = close_dir;
    if (n + 2 > sizeof d->path) {
        rc = vl_fail(e, VL_EIO, "%s: %s", path, strerror(ENAMETOOLONG));
        goto out;
    }
    memcpy(d->path, path, n);
    if (n && d->path[n - 1] != '/')
        d->path[n++] = '/';
    d->root_n = n;
    d->text = vl_alloc(VL_LAYOUT_LINE_MAX + 1, 1, e);
    if (!d->text)
        goto out;
    d->real = realpath(path, NULL);
    rc = d->real ? enter(d, n, e) : vl_fail_errno(e, "%s", path);
out:
    if (rc)
        close_dir(&d->base);
    else
        *out = &d->base;
    return rc;
}
