/* SPDX-License-Identifier: MIT
 * spill.c -- a record in the file: u32 bytes of the key, u32 members, key NUL; for each member u32 bytes of
 * its ext, u64 of its content, ext NUL, content. Only this program reads it, on this machine. */
#include "pipeline/spill.h"

#include "formats/bytes.h"
#include "formats/source.h"
#include "formats/tmpfile.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SPILL_BUF = 1 << 20 };

struct vl_spill {
    int fd;
    uint64_t flushed; /* bytes in the file */
    vl_buf out;       /* bytes behind them */
    vl_buf in;        /* the record that was read last */
    vl_buf member;    /* vls_member[] of it */
};

int vl_spill_new(vl_spill **out, vl_err *e)
{
    vl_spill *s = vl_alloc(1, sizeof *s, e);
    int rc = s ? vl_tmpfile(&s->fd, e) : VL_ENOMEM;

    if (rc)
        free(s);
    else
        *out = s;
    return rc;
}

void vl_spill_free(vl_spill *s)
{
    if (!s)
        return;
    close(s->fd);
    free(s->out.p);
    free(s->in.p);
    free(s->member.p);
    free(s);
}

static int flush(vl_spill *s, vl_err *e)
{
    int rc = vl_tmp_write(s->fd, s->out.p, s->out.n, e);

    s->flushed += s->out.n;
    s->out.n = 0;
    return rc;
}

static int append(vl_spill *s, const void *p, size_t n, vl_err *e)
{
    int rc = VL_OK;

    if (s->out.n + n > SPILL_BUF && s->out.n)
        rc = flush(s, e);
    if (rc || n < SPILL_BUF)
        return rc ? rc : vl_buf_add(&s->out, p, n, e);
    s->flushed += n;
    return vl_tmp_write(s->fd, p, n, e);
}

int vl_spill_add(vl_spill *s, const void *p, size_t n, uint64_t *at, vl_err *e)
{
    *at = s->flushed + s->out.n;
    return append(s, p, n, e);
}

int vl_spill_put(vl_spill *s, const vls_record *rec, uint64_t *at, vl_err *e)
{
    uint8_t head[16];
    size_t key_n = strlen(rec->key);
    int rc;

    vl_put_le64(head, 0);
    for (size_t i = 0; i < rec->n_members; i++) /* the record's bytes come first, to be read in one piece */
        vl_put_le64(head, vl_le64(head) + 12 + strlen(rec->members[i].ext) + 1 + rec->members[i].n);
    vl_put_le64(head, vl_le64(head) + key_n + 1);
    vl_put_le32(head + 8, (uint32_t)key_n);
    vl_put_le32(head + 12, (uint32_t)rec->n_members);
    rc = vl_spill_add(s, head, sizeof head, at, e);
    if (!rc)
        rc = append(s, rec->key, key_n + 1, e);
    for (size_t i = 0; !rc && i < rec->n_members; i++) {
        const vls_member *m = &rec->members[i];
        size_t ext_n = strlen(m->ext);
        vl_put_le32(head, (uint32_t)ext_n);
        vl_put_le64(head + 4, m->n);
        rc = append(s, head, 12, e);
        if (!rc)
            rc = append(s, m->ext, ext_n + 1, e);
        if (!rc)
            rc = append(s, m->data, m->n, e);
    }
    return rc;
}

int vl_spill_read(vl_spill *s, uint64_t at, void *p, size_t n, vl_err *e)
{
    int rc = s->out.n ? flush(s, e) : VL_OK;

    if (!rc && (rc = vl_pread_all(s->fd, at, p, n, e)))
        vl_within(e, "temporary copy in %s", vl_tmp_folder());
    return rc;
}

static int damaged(vl_err *e)
{
    return vl_fail(e, VL_EIO, "temporary copy in %s: is not what was written", vl_tmp_folder());
}

int vl_spill_get(vl_spill *s, uint64_t at, vls_record *rec, vl_err *e)
{
    uint8_t head[16];
    vl_cursor c;
    uint64_t n;
    uint32_t key_n, members;
    int rc = vl_spill_read(s, at, head, sizeof head, e);

    if (rc)
        return rc;
    n = vl_le64(head);
    key_n = vl_le32(head + 8);
    members = vl_le32(head + 12);
    s->in.n = s->member.n = 0;
    rc = vl_buf_room(&s->in, (size_t)n, e);
    if (!rc)
        rc = vl_buf_room(&s->member, members * sizeof(vls_member), e);
    if (!rc)
        rc = vl_spill_read(s, at + sizeof head, s->in.p, (size_t)n, e);
    if (rc)
        return rc;
    c = vl_cur(s->in.p, (size_t)n);
    rec->key = (const char *)vl_cur_bytes(&c, (size_t)key_n + 1);
    for (uint32_t i = 0; i < members && !c.over; i++) {
        vls_member m;
        uint32_t ext_n = vl_cur_u32(&c);
        m.n = (size_t)vl_cur_u64(&c);
        m.ext = (const char *)vl_cur_bytes(&c, (size_t)ext_n + 1);
        m.data = vl_cur_bytes(&c, m.n);
        rc = vl_buf_add(&s->member, &m, sizeof m, e);
        if (rc)
            return rc;
    }
    rec->members = (const vls_member *)(const void *)s->member.p;
    rec->n_members = members;
    return c.over ? damaged(e) : VL_OK;
}
