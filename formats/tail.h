/* SPDX-License-Identifier: MIT
 * tail.h -- what ends a segment before its seek table: the list of sums and the tail's JSON. */
#ifndef VLS_TAIL_H
#define VLS_TAIL_H

#include "formats/digest.h"
#include "formats/manifest.h"
#include "formats/shard.h"

#define VLS_RECORDS_MAX        ((uint64_t)1 << 20) /* records in a segment */
#define VLS_MEMBERS_MAX        ((uint64_t)1 << 22) /* members in a segment */
#define VLS_RECORD_MEMBERS_MAX 4096                /* members in a record */
#define VLS_RECORD_BYTES_MAX   ((uint64_t)1 << 30) /* bytes of all members of a record */

/* What the tail says of the segment's DATA, and what its reader counted. */
typedef struct vls_totals {
    uint64_t records, members, frames, bytes; /* bytes: decoded tar bytes */
    char content_id[VL_SHA_HEX + 1];          /* empty: not computed, and not compared */
} vls_totals;

/* vls_sums_line -- appends "<16 hex>  <name>\n"; the hex is the XXH64 of the member's bytes. */
VL_MUST_USE int vls_sums_line(const char *name, uint64_t xxh64, vl_buf *out, vl_err *e);

/* vls_line_hash -- XXH64 of such a line without its newline: what a reader keeps of a member. */
VL_MUST_USE int vls_line_hash(const char *name, uint64_t xxh64, uint64_t *hash, vl_err *e);

/* vls_line_names_tail -- is this line of the sums that of the tail? */
bool vls_line_names_tail(const uint8_t *p, size_t n);

/* vls_is_sums -- does this decoded frame begin with the sums member of the segment id? */
int vls_is_sums(const uint8_t *raw, size_t n, const char *id);

/* vls_tail_build -- the decoded bytes of TAIL, appended: sums and tail. notes: extra names (not the
 * fixed ones), parents: array of {content_id, kind}; both borrowed. own_line: sums gets a last line for
 * the tail itself (plain carrier: no frame checksum covers it). */
VL_MUST_USE int vls_tail_build(const char *id, vl_buf *sums, const vls_totals *t, const json_t *parents,
                               const json_t *notes, bool own_line, vl_buf *out, vl_err *e);

/* vls_tail_reserved -- is name one of the fixed names of the tail's JSON? */
int vls_tail_reserved(const char *name);

/* Reading TAIL piece by piece: memory holds one frame and one line, however many sums there are. */
typedef struct vls_tail_reader {
    char id[VLS_ID_HEX + 1];
    vl_buf b; /* append decoded bytes here, then call vls_tail_step */
    size_t at;
    int step;
    uint64_t left;        /* bytes of the sums that are to come */
    const uint64_t *line; /* line hashes of the members that were read, borrowed */
    size_t n_lines, i;
    bool gaps;       /* frames were left out: sums of unseen members are passed over */
    vl_buf lost;     /* keys of such members, each with its NUL, as long as there are 1 MiB of them */
    uint64_t n_lost; /* so many */
    size_t last_lost;
    bool mismatch;     /* the failure is that members and sums disagree, not that bytes make no sense */
    bool own_line;     /* the sums end with a line for the tail */
    uint64_t own_hash; /* and this is its hash */
    json_t *json;      /* set when done; the reader's to take */
} vls_tail_reader;

void vls_tail_start(vls_tail_reader *t, const char *id, const uint64_t *line, size_t n, bool gaps);
/* vls_tail_step -- 1 done (and nothing is left over), 0 more bytes are needed, negative:
 * VL_EFORMAT. */
VL_MUST_USE int vls_tail_step(vls_tail_reader *t, vl_err *e);
void vls_tail_free(vls_tail_reader *t);

/* vls_tail_check -- parents are well formed, and unless gaps the totals are those that were
 * counted. */
VL_MUST_USE int vls_tail_check(const json_t *tail, const vls_totals *got, bool gaps, bool plain, vl_err *e);

#endif
