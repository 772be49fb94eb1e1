/* SPDX-License-Identifier: MIT
 * pt_zip.c -- from the end of the file: end record (and its 64-bit form), directory, local headers. Every
 * position is held against the file's size before it is read, every count before it is allocated for. */
#include "formats/pt_zip.h"
#include "formats/bytes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    END = 22,      /* bytes of the end record without a comment */
    END64 = 56,    /* of its 64-bit form */
    LOCATOR = 20,  /* which points there */
    CENTRAL = 46,  /* fixed part of a directory entry */
    LOCAL = 30,    /* fixed part of a local header */
    EXTRA64 = 1,   /* id of the extra field with 64-bit sizes */
    MADE_DIR = 16, /* bit of the DOS attributes */
    PIECE = 1 << 20
};
#define END_MAGIC     0x06054b50u
#define END64_MAGIC   0x06064b50u
#define LOCATOR_MAGIC 0x07064b50u
#define CENTRAL_MAGIC 0x02014b50u
#define LOCAL_MAGIC   0x04034b50u

typedef struct directory {
    uint64_t at, bytes, n; /* n: entries */
} directory;

/* ---- the end of the file ---------------------------------------------------------------------- */

/* The 64-bit record, when a locator lies in front of the end record at `end`. */
static int read_end64(const vl_ptz *z, uint64_t end, directory *d, bool *there, vl_err *e)
{
    uint8_t b[END64];
    uint64_t at;
    int rc;

    *there = false;
    if (end < LOCATOR + END64)
        return VL_OK;
    rc = vl_pread_all(z->src.fd, end - LOCATOR, b, LOCATOR, e);
    if (rc || vl_le32(b) != LOCATOR_MAGIC)
        return rc;
    at = vl_le64(b + 8);
    if (vl_le32(b + 4) || vl_le32(b + 16) > 1 || at != end - LOCATOR - END64)
        return vl_fail(e, VL_EFORMAT, "zip: the 64-bit end record is not where it must be");
    rc = vl_pread_all(z->src.fd, at, b, END64, e);
    if (rc)
        return rc;
    if (vl_le32(b) != END64_MAGIC || vl_le64(b + 4) != END64 - 12 || vl_le32(b + 16) || vl_le32(b + 20) ||
        vl_le64(b + 24) != vl_le64(b + 32))
        return vl_fail(e, VL_EFORMAT, "zip: the 64-bit end record is not one of a single file");
    *d = (directory){vl_le64(b + 48), vl_le64(b + 40), vl_le64(b + 32)};
    *there = true;
    return VL_OK;
}

static int read_end(const vl_ptz *z, directory *d, vl_err *e)
{
    uint64_t end = z->src.size - END, stop = end;
    uint8_t b[END];
    bool big;
    int rc;

    if (z->src.size < END)
        return vl_fail(e, VL_EFORMAT, "zip: %" PRIu64 " bytes are no archive", z->src.size);
    rc = vl_pread_all(z->src.fd, end, b, END, e);
    if (rc)
        return rc;
    if (vl_le32(b) != END_MAGIC || vl_le16(b + 20))
        return vl_fail(e, VL_EFORMAT, "zip: no end record at the end of the file: cut, or not a zip");
    if (vl_le16(b + 4) || vl_le16(b + 6) || vl_le16(b + 8) != vl_le16(b + 10))
        return vl_fail(e, VL_EFORMAT, "zip: one of several disks");
    rc = read_end64(z, end, d, &big, e);
    if (rc)
        return rc;
    if (big)
        stop = end - LOCATOR - END64;
    else
        *d = (directory){vl_le32(b + 16), vl_le32(b + 12), vl_le16(b + 10)};
    if (d->at > stop || d->bytes != stop - d->at)
        return vl_fail(e, VL_EFORMAT, "zip: the directory does not end where the end record begins");
    if (d->n > VL_PTZ_ENTRIES_MAX || d->n > d->bytes / CENTRAL)
        return vl_fail(e, VL_EFORMAT, "zip: %" PRIu64 " entries in a directory of %" PRIu64 " bytes", d->n,
                       d->bytes);
    if (d->bytes > (uint64_t)VL_PTZ_ENTRIES_MAX * (CENTRAL + 256))
        return vl_fail(e, VL_EFORMAT, "zip: a directory of %" PRIu64 " bytes", d->bytes);
    return VL_OK;
}

/* ---- the directory ---------------------------------------------------------------------------- */

/* Sizes of 4 GiB and more stand in an extra field, in this order, each only when the short one is full. */
static bool read_extra(vl_cursor c, uint64_t *raw, uint64_t *stored, uint64_t *head)
{
    uint64_t *const value[] = {raw, stored, head};
    bool wanted = false;

    for (int i = 0; i < 3; i++)
        wanted |= *value[i] == UINT32_MAX;
    while (wanted && vl_cur_left(&c) >= 4) {
        uint16_t id = vl_cur_u16(&c), n = vl_cur_u16(&c);
        const uint8_t *p = vl_cur_bytes(&c, n);
        vl_cursor x = vl_cur(p, n);

        if (!p || id != EXTRA64)
            continue;
        for (int i = 0; i < 3; i++)
            if (*value[i] == UINT32_MAX)
                *value[i] = vl_cur_u64(&x);
        return !x.over;
    }
    return !wanted;
}

/* One entry of the directory; its name goes to *name, which moves on. */
static int read_central(vl_cursor *c, vl_ptz_entry *x, char **name, vl_err *e)
{
    const uint8_t *b = vl_cur_bytes(c, CENTRAL), *text, *extra;
    uint64_t stored;
    uint16_t n, n_extra;

    if (!b || vl_le32(b) != CENTRAL_MAGIC)
        return vl_fail(e, VL_EFORMAT, "zip: byte %zu of the directory: no entry", c->at);
    n = vl_le16(b + 28);
    n_extra = vl_le16(b + 30);
    text = vl_cur_bytes(c, n);
    extra = vl_cur_bytes(c, n_extra);
    vl_cur_bytes(c, vl_le16(b + 32));
    if (c->over || !n || n > VL_PTZ_NAME_MAX || memchr(text, 0, n))
        return vl_fail(e, VL_EFORMAT, "zip: an entry's name is empty, too long or cut");
    memcpy(*name, text, n);
    (*name)[n] = 0;
    x->name = *name;
    *name += n + 1;
    if (vl_le16(b + 10))
        return vl_fail(e, VL_EFORMAT, "zip: '%s' is compressed (method %u): torch.save stores", x->name,
                       vl_le16(b + 10));
    if (vl_le16(b + 8) & 1 || vl_le16(b + 34) || vl_le32(b + 38) & MADE_DIR)
        return vl_fail(e, VL_EFORMAT, "zip: '%s' is encrypted, a folder, or on another disk", x->name);
    x->crc = vl_le32(b + 16);
    stored = vl_le32(b + 20);
    x->n = vl_le32(b + 24);
    x->head = vl_le32(b + 42);
    if (!read_extra(vl_cur(extra, n_extra), &x->n, &stored, &x->head) || stored != x->n)
        return vl_fail(e, VL_EFORMAT, "zip: '%s': its sizes contradict each other", x->name);
    return VL_OK;
}

static int read_directory(vl_ptz *z, const directory *d, vl_err *e)
{
    uint8_t *bytes = vl_alloc((size_t)d->bytes, 1, e);
    vl_cursor c = vl_cur(bytes, (size_t)d->bytes);
    char *name;
    int rc = bytes ? vl_pread_all(z->src.fd, d->at, bytes, (size_t)d->bytes, e) : VL_ENOMEM;

    /* A name takes one byte more here, but the fixed part of its entry is longer. */
    if (!rc && (!(z->names = name = vl_alloc((size_t)d->bytes, 1, e)) ||
                !(z->entry = vl_alloc((size_t)d->n, sizeof *z->entry, e))))
        rc = VL_ENOMEM;
    for (z->n = 0; !rc && z->n < d->n; z->n++)
        rc = read_central(&c, &z->entry[z->n], &name, e);
    if (!rc && vl_cur_left(&c))
        rc = vl_fail(e, VL_EFORMAT, "zip: %zu bytes left over in the directory", vl_cur_left(&c));
    free(bytes);
    return rc;
}

/* ---- local headers ---------------------------------------------------------------------------- */

static int read_local(const vl_ptz *z, vl_ptz_entry *x, uint64_t stop, vl_err *e)
{
    size_t n = strlen(x->name);
    uint8_t b[LOCAL + VL_PTZ_NAME_MAX];
    int rc;

    if (x->head > stop || stop - x->head < LOCAL + n)
        return vl_fail(e, VL_EFORMAT, "zip: '%s' begins at byte %" PRIu64 ", behind the entries", x->name,
                       x->head);
    rc = vl_pread_all(z->src.fd, x->head, b, LOCAL + n, e);
    if (rc)
        return rc;
    if (vl_le32(b) != LOCAL_MAGIC || vl_le16(b + 8) || vl_le16(b + 26) != n || memcmp(b + LOCAL, x->name, n))
        return vl_fail(e, VL_EFORMAT, "zip: '%s': its local header is not that of the directory", x->name);
    x->at = x->head + LOCAL + n + vl_le16(b + 28);
    if (x->at > stop || x->n > stop - x->at)
        return vl_fail(e, VL_EFORMAT, "zip: '%s': %" PRIu64 " bytes do not fit the file", x->name, x->n);
    return VL_OK;
}

static int by_head(const void *a, const void *b)
{
    const vl_ptz_entry *x = a, *y = b;

    return x->head < y->head ? -1 : x->head > y->head;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const vl_ptz_entry *)a)->name, ((const vl_ptz_entry *)b)->name);
}

static int check_entries(vl_ptz *z, uint64_t stop, vl_err *e)
{
    int rc = VL_OK;

    for (size_t i = 0; !rc && i < z->n; i++)
        rc = read_local(z, &z->entry[i], stop, e);
    if (rc)
        return rc;
    qsort(z->entry, z->n, sizeof *z->entry, by_head);
    for (size_t i = 1; i < z->n; i++)
        if (z->entry[i].head < z->entry[i - 1].at + z->entry[i - 1].n)
            return vl_fail(e, VL_EFORMAT, "zip: '%s' and '%s' overlap", z->entry[i - 1].name,
                           z->entry[i].name);
    qsort(z->entry, z->n, sizeof *z->entry, by_name);
    for (size_t i = 1; i < z->n; i++)
        if (!strcmp(z->entry[i].name, z->entry[i - 1].name))
            return vl_fail(e, VL_EFORMAT, "zip: '%s' is there twice", z->entry[i].name);
    return VL_OK;
}

/* ---- the outside ------------------------------------------------------------------------------ */

int vl_ptz_open(const char *path, vl_ptz *z, vl_err *e)
{
    directory d = {0};
    int rc;

    *z = (vl_ptz){.src.fd = -1};
    rc = vl_source_open(path, &z->src, e);
    if (!rc && !z->src.regular)
        rc = vl_fail(e, VL_EFORMAT, "zip: a pipe: it is read from its end, so it must be a file");
    if (!rc)
        rc = read_end(z, &d, e);
    if (!rc)
        rc = read_directory(z, &d, e);
    if (!rc)
        rc = check_entries(z, d.at, e);
    if (rc)
        vl_ptz_close(z);
    return rc;
}

void vl_ptz_close(vl_ptz *z)
{
    free(z->entry);
    free(z->names);
    vl_source_close(&z->src);
    *z = (vl_ptz){.src.fd = -1};
}

const vl_ptz_entry *vl_ptz_find(const vl_ptz *z, const char *name)
{
    const vl_ptz_entry x = {.name = name};

    return z->n ? bsearch(&x, z->entry, z->n, sizeof x, by_name) : NULL;
}

int vl_ptz_read(const vl_ptz *z, const vl_ptz_entry *x, uint8_t *out, vl_err *e)
{
    uLong crc = crc32(0, NULL, 0);

    for (uint64_t i = 0; i < x->n; i += PIECE) {
        size_t n = x->n - i < PIECE ? (size_t)(x->n - i) : PIECE;

        if (vl_pread_all(z->src.fd, x->at + i, out + i, n, e))
            return vl_within(e, "zip: '%s'", x->name);
        crc = crc32(crc, out + i, (uInt)n);
    }
    if (crc != x->crc)
        return vl_fail(e, VL_EFORMAT, "zip: '%s': its CRC-32 is %08lx, %08x expected", x->name, crc, x->crc);
    return VL_OK;
}
