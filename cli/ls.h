/* SPDX-License-Identifier: MIT
 * ls.h -- the parts of vlls: each prints to standard output and returns the exit status, 0 or 1 with its
 * message printed. */
#ifndef CLI_LS_H
#define CLI_LS_H

#include "formats/shard.h"

typedef struct ls_opts {
    bool manifest, check, json, skip_bad;
    const vl_sign_key *key; /* check: every segment must be signed by its owner; NULL: none */
    int threads;
} ls_opts;

/* ls_list -- records of one shard, or its manifests. The records before a fault are printed all the same. */
int ls_list(const ls_opts *o, const char *path);

/* ls_record -- one record, as ls_list prints it. */
void ls_record(const ls_opts *o, const char *path, const vls_record *rec, const vls_segment *seg);

/* ls_check -- a line a shard, in order, threads shards at a time. */
int ls_check(const ls_opts *o, char *const *path, size_t n);

/* ls_recipe -- the command lines that made path[0], back through its parents. These are looked for in the
 * others, which may be folders; without others, in the folder of path[0]. */
int ls_recipe(const ls_opts *o, char *const *path, size_t n);

/* ls_diff -- what differs between two shards; 1 when something does. */
int ls_diff(const ls_opts *o, const char *a, const char *b);

/* ls_print_json -- prints j on a line, its names in order, and frees it. */
void ls_print_json(json_t *j);

/* ls_terms -- adds what a manifest says under `name` ("licence", "source") to a list, each once: the string,
 * or those that a merge found (carry.h). */
void ls_terms(json_t *list, const json_t *manifest, const char *name);

/* ls_terms_text -- the list as "a, b"; gives it (free()), NULL when it is empty. */
char *ls_terms_text(const json_t *list);

#endif
