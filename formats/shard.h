/* SPDX-License-Identifier: MIT
 * shard.h -- the shard: open, stream records in order, write segments, finish. FORMAT.md is the law.
 *
 * A shard is one or more segments; each has a kind (pairs, embeddings, trajectory, distilled) and a
 * JSON manifest. A record is a key and its members (ext -> bytes), in file order.
 * Two carriers hold the same tar bytes: `.tar.zst` (frames with checksums and a table of them) and plain
 * `.tar`. Readers tell them apart by their first bytes, never by the name.
 * A reader hands out only records whose frames were verified whole (plain: whose members agree with the
 * segment's sums; through a pipe these come last, so there a mismatch is an error behind the records). */
#ifndef VLS_SHARD_H
#define VLS_SHARD_H

#include "formats/sign.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct vls_member {
    const char *ext; /* "txt", "vl-hash.txt.npy"; lower case, no leading dot */
    const uint8_t *data;
    size_t n; /* bytes */
} vls_member;

typedef struct vls_record {
    const char *key; /* UTF-8 */
    const vls_member *members;
    size_t n_members;
} vls_record;

/* vls_get -- the member with this ext, or NULL. */
const vls_member *vls_get(const vls_record *r, const char *ext);

/* A content id: SHA-256 in lower-case hex, and the kind of what it names; and what is known of its licences and
 * sources (licence.h). {0} is empty; vls_parent_free ends one that vls_reader_id filled. */
typedef struct vls_parent {
    char id[65];
    char kind[24];
    json_t *rights; /* NULL: nothing */
    bool too_many;  /* more licences or sources than can be carried: vls_add_parent refuses it */
} vls_parent;

void vls_parent_free(vls_parent *p);
void vls_parents_free(vls_parent *p, size_t n); /* and the array itself; NULL is harmless */

typedef struct vls_segment {
    uint64_t ordinal;       /* from 0, within the shard */
    const char *kind;       /* "pairs", "embeddings", "trajectory", "distilled"; from the manifest */
    const json_t *manifest; /* borrowed; stays valid until vls_reader_close */
} vls_segment;

/* ---- reading -------------------------------------------------------------------------------- */

typedef struct vls_reader vls_reader;

typedef struct vls_read_opts {
    bool skip_bad;   /* leave out what does not verify, count it, go on behind it (default: fail) */
    bool plain_fd;   /* treat even a regular file as a pipe (tests) */
    bool heads_only; /* hand out no record; in a file, step over the frames of records unread */
    bool
        one_thread; /* the caller's alone; else, beyond 3 MiB, frames of a file are decoded in one of the reader's
                         own and SHA-256 is computed in another */
    bool no_id;     /* leave out SHA-256, which takes more time than all else: for iterating over records.
                         Frames, sums and counts are compared as ever, the content id in the tail is not;
                         vls_reader_id gives none, so what is read this way cannot become a parent */
    const char *name; /* what messages call it; NULL: the path */
} vls_read_opts;

typedef struct vls_read_counts {
    uint64_t segments, records, frames;
    uint64_t raw_bytes, file_bytes; /* decoded tar bytes; compressed bytes */
    uint64_t sealed_segments;       /* segments whose table agreed with all that was read */
    uint64_t sealed_bytes;          /* where the last of them ends */
    /* with skip_bad */
    uint64_t bad_frames; /* left out: frames (plain: members or stretches of bytes) that do not verify */
    uint64_t lost_tails; /* segments whose tail or table is not there or bad: how much they had is unknown */
    uint64_t lost_records; /* records that tails count and vls_next did not give; at least, with lost_tails */
} vls_read_counts;

/* A place where skip_bad went on: between which keys of a segment records may be missing. */
typedef struct vls_loss {
    uint64_t segment, at;       /* its ordinal; the byte position of what did not verify */
    const char *after, *before; /* the records given last before and first behind it; NULL: none */
} vls_loss;

/* vls_reader_open -- path "-" is standard input; a regular file is opened through its seek tables
 * (walked backward from the end), anything else is streamed, and so is a file whose tables do not
 * chain: its good records come first. Reads up to the first manifest. opts may be NULL.
 * Errors: VL_EIO; VL_EFORMAT when the bytes are not a shard, with the path in front of the text. */
VL_MUST_USE int vls_reader_open(const char *path, const vls_read_opts *opts, vls_reader **out, vl_err *e);

/* vls_next -- the next record in file order.
 *   returns 1 with *rec and *seg set, 0 at the verified end, negative on error.
 *   rec is borrowed: valid until the next call on r; *seg until vls_reader_close.
 * A truncated shard gives all its good records first and then VL_EFORMAT "truncated: ...". A record
 * is good when its frames are verified and the next record or the segment's tail has begun (until
 * then its end is unknown). Once negative, always the same error.
 * With skip_bad what fails is left out, and with it the record that was open and the first record behind it,
 * whose first members it may have held. Where the seek tables of a file chain they say where to go on; in a
 * pipe, or where a tail or table is lost, the next frame (plain: header) is searched for. A segment whose
 * manifest is lost is left out. An input of which nothing can be read stays an error, or is empty: without a
 * segment, as a shard of terminators alone is. */
VL_MUST_USE int vls_next(vls_reader *r, vls_record *rec, const vls_segment **seg, vl_err *e);

const vls_read_counts *vls_reader_counts(const vls_reader *r);

/* vls_reader_losses -- where skip_bad went on, in order, 1024 of them at most; borrowed until the next vls_next. */
size_t vls_reader_losses(const vls_reader *r, const vls_loss **out);

/* vls_reader_lost_keys -- keys of records that were not given, as far as the sums of their segments survived: *n
 * of them one behind the other, each with its NUL, 1 MiB at most; borrowed until the next vls_next. */
const char *vls_reader_lost_keys(const vls_reader *r, uint64_t *n);

/* vls_reader_loss_note -- all of that as JSON, for the tail of what is made of this input:
 *   {"bad_frames":..,"lost_records":..,"lost_tails":..,"keys":[..],"gaps":[{"after":..,"before":..}]}
 * with 100 keys and gaps at most. NULL when nothing was left out or memory is short. New reference. */
json_t *vls_reader_loss_note(const vls_reader *r);

/* vls_reader_segment -- segment number i, from 0; NULL when its manifest was not reached yet.
 * Borrowed until vls_reader_close. (A segment without records never comes out of vls_next.) */
const vls_segment *vls_reader_segment(const vls_reader *r, uint64_t i);

/* vls_reader_id -- after vls_next gave 0: the shard's content id, SHA-256 over the decoded DATA
 * bytes of all its segments, in hex, and the segments' common kind ("mixed" when they differ,
 * "empty" when there is none). With skip_bad: over the bytes that were verified. Empty id with
 * heads_only or no_id. Gives out->rights, those of all segments; one of them without a licence adds
 * VL_LICENCE_UNKNOWN where others have one. */
void vls_reader_id(const vls_reader *r, vls_parent *out);

/* vls_reader_tail -- after the end of segment ordinal i was passed: its tail JSON (counts, content
 * id, parents), borrowed; NULL when i was not reached. */
const json_t *vls_reader_tail(const vls_reader *r, uint64_t ordinal);

/* vls_reader_name -- what messages call it: the path, or "standard input". Borrowed. */
const char *vls_reader_name(const vls_reader *r);

void vls_reader_close(vls_reader *r); /* NULL is harmless */

/* ---- writing -------------------------------------------------------------------------------- */

typedef struct vls_writer vls_writer;

/* Which segments get a record index (VLIX), from which single records are fetched without reading the rest. */
typedef enum vls_index_rule {
    VLS_INDEX_AUTO, /* pairs and embeddings, which are drawn from at random */
    VLS_INDEX_NEVER,
    VLS_INDEX_ALWAYS
} vls_index_rule;

/* How a shard is laid down. {0} is the default; none of it changes a record or the content id. */
typedef struct vls_write_opts {
    bool plain; /* the `.tar` carrier: no frames, no tables, no index, levels mean nothing */
    bool seal;  /* end with TERM, the end-of-archive mark that strict tar readers want; stock tools then
                   see nothing of what `cat` puts behind it */
    const vl_sign_key *sign; /* signs every segment's content id (sign.h); borrowed; NULL: no signature */
    vls_index_rule index;
    bool part;   /* a file is written as NAME.part, which abort, signals and crashes leave once it holds a
                    sealed segment. One that is there holds an earlier run's: VL_EARG unless `resume` is set,
                    then its sealed segments stay, what follows them is cut, and writing goes on */
    bool resume; /* with part. VL_EFORMAT when NAME.part is damaged or no shard; it is left as it is then */
    int threads; /* that compress, hash and write, 1 to 64; 0: the processors online, 4 at most. The bytes do
                    not depend on it. They start when the first frame is full */
} vls_write_opts;

/* vls_writer_open_opts -- vls_writer_open with options; opts may be NULL. */
VL_MUST_USE int vls_writer_open_opts(const char *path, const vls_write_opts *opts, vls_writer **out,
                                     vl_err *e);

/* vls_writer_open -- path NULL or "-" is standard output. A file is written under a temporary name
 * beside it and appears under its own name, synced, only at vls_writer_close; signals and
 * vls_writer_abort remove it (outfile.h). After a failed write every call repeats that error. */
VL_MUST_USE int vls_writer_open(const char *path, vls_writer **out, vl_err *e);

/* What a writer with `part` found; {0} otherwise. */
typedef struct vls_resumed {
    const char *path;  /* NAME.part, borrowed: whole segments only, to be read while the writer is open.
                          NULL for what is written directly (standard output, devices) */
    uint64_t segments; /* sealed ones that stay */
    uint64_t bytes;    /* of them */
    uint64_t cut;      /* bytes that followed and are gone */
} vls_resumed;

vls_resumed vls_writer_resumed(const vls_writer *w);

/* vls_writer_discard -- as vls_writer_abort; NAME.part goes, too, whatever it holds. */
void vls_writer_discard(vls_writer *w);

/* vls_segment_begin -- starts a segment. manifest: the caller's object (borrowed, copied); must
 * hold "kind"; "format", "ordinal" and "first_key" are filled in by the writer. level: zstd level 1
 * to 19 of the records' frames, 0 = by what a frame holds: -1 where
 * image files are more than half of it (they are compressed in themselves), else 1 (tensors gain nothing
 * from more; .vlt members are compressed plane by plane). */
VL_MUST_USE int vls_segment_begin(vls_writer *w, const json_t *manifest, int level, vl_err *e);

/* vls_add -- one record. Names are checked as FORMAT.md says and refused, never repaired; a key may
 * appear once in a shard for each kind. The bytes are copied. A refused record (VL_EARG) leaves no trace: the
 * next one may follow. Bounds: 4096 members and 1 GiB a record, 2^20 records and 2^22 members a
 * segment. Errors name the key. */
VL_MUST_USE int vls_add(vls_writer *w, const vls_record *rec, vl_err *e);

/* vls_add_parent -- a parent of the open segment (known only once its reader reached its end). Its licences and
 * sources go into the tail, with the strictest licence of all; VL_LICENCE_UNKNOWN among them for a parent that names
 * none beside others that do. */
VL_MUST_USE int vls_add_parent(vls_writer *w, const vls_parent *p, vl_err *e);

/* vls_segment_note -- sets tail[name] = value (e.g. counts of what was left out). Takes value. The lists "licences"
 * and "sources" are added to those of the parents. */
VL_MUST_USE int vls_segment_note(vls_writer *w, const char *name, json_t *value, vl_err *e);

/* vls_segment_end -- tail, sums and seek table; a file is synced, so a sealed segment survives a crash. */
VL_MUST_USE int vls_segment_end(vls_writer *w, vl_err *e);

/* vls_writer_close -- checks that no segment is open and one was written, flushes, syncs, renames;
 * frees w in any case. */
VL_MUST_USE int vls_writer_close(vls_writer *w, vl_err *e);

/* vls_writer_abort -- removes what was written (a file, but for a NAME.part with a sealed segment), frees w. What went into a stream stays there and
 * reads as truncated, even behind a sealed segment. NULL is harmless. */
void vls_writer_abort(vls_writer *w);

#endif
