/* SPDX-License-Identifier: MIT
 * sink.h -- where records go: one carrier each. The calls are those of a shard writer (shard.h):
 *
 *   (vl_sink_begin  vl_sink_tail?  add*  vl_sink_tail?  end)*  close | abort
 *
 * vl_sink_tail says what the open segment's tail will hold beside its counts; the last call counts. A sink with
 * `early` set needs it right behind vl_sink_begin: it may end a piece of the segment long before the segment ends. */
#ifndef VL_SINK_H
#define VL_SINK_H

#include "formats/shard.h"

typedef struct vl_sink vl_sink;
typedef struct vl_sink_counts vl_sink_counts;
struct vl_sink {
    bool early;
    int (*begin)(vl_sink *s, vl_err *e);                      /* by vl_sink_begin: a segment of s->manifest */
    int (*add)(vl_sink *s, const vls_record *rec, vl_err *e); /* VL_EARG: a name that may not be */
    int (*end)(vl_sink *s, vl_err *e);
    int (*close)(vl_sink *s, vl_err *e); /* all is there, under its own name; frees s in any case */
    void (*abort)(vl_sink *s);           /* nothing is left; frees s */
    /* for the sinks; of the open segment, references of s: */
    json_t *manifest, *parents, *notes; /* parents, notes: NULL where nothing was said */
    vl_sink_counts *counts;             /* the caller's; may be NULL */
};

/* vl_sink_begin -- a segment with a copy of this manifest begins; parents and notes of the one before are gone. */
VL_MUST_USE int vl_sink_begin(vl_sink *s, const json_t *manifest, vl_err *e);

/* vl_sink_tail -- parents: array of {content_id, kind}; notes: object; either may be NULL. Both are borrowed and kept by
 * reference. */
void vl_sink_tail(vl_sink *s, json_t *parents, json_t *notes);

/* vl_sink_clear -- for the sinks: frees what s holds of its segment, not s. */
void vl_sink_clear(vl_sink *s);

/* What a sink of arrays did not take; vl_sink_close's caller says so. */
struct vl_sink_counts {
    uint64_t shard;    /* shards: number of the one that is open, which a record may have begun */
    uint64_t files;    /* files that were written */
    uint64_t left_out; /* members that are no arrays */
};

typedef struct vl_shards_opts {
    const char *path; /* NULL or "-": standard output; with a bound: a pattern of numbered.h */
    uint64_t records,
        bytes;   /* of a shard, at most (bytes of tar, as decoded; at least one record); 0: no bound */
    bool plain;  /* the .tar carrier */
    bool seal;   /* a terminator behind the last segment */
    int threads; /* of the writer; 0: as many as it likes */
    bool dali;   /* NAME.idx beside each NAME.tar (plain, not standard output) */
    const vl_sign_key *sign; /* as in vls_write_opts */
} vl_shards_opts;

/* vl_shards_open -- shards, cut where a bound says so. A set of numbered shards whose first name exists is
 * refused. When a set fails, what was complete of it is removed, too.
 * counts: kept; shard is always up to date, the rest filled at close; may be NULL. Keeps o->path. */
VL_MUST_USE int vl_shards_open(const vl_shards_opts *o, vl_sink_counts *counts, vl_sink **out, vl_err *e);

/* vl_folder_open -- what tar would unpack: a file a member, and the metadata under __vl__. The folder
 * appears under its name at close; it must not exist or be empty. */
VL_MUST_USE int vl_folder_open(const char *path, vl_sink_counts *counts, vl_sink **out, vl_err *e);

typedef struct vl_arrays_opts {
    const char *path; /* NULL or "-": standard output */
    bool npz;         /* else safetensors */
    bool bare;        /* tensors are called EXT, not KEY.EXT (without .npy) */
    bool stack;       /* members of one name and shape become one tensor, a row a record; implies bare */
} vl_arrays_opts;

/* vl_arrays_open -- every .npy member as a tensor of one file; other members are counted and left out. */
VL_MUST_USE int vl_arrays_open(const vl_arrays_opts *o, vl_sink_counts *counts, vl_sink **out, vl_err *e);

#endif
