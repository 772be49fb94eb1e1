/* SPDX-License-Identifier: MIT
 * cat_args.h -- what vlcat's command line says, checked and taken apart. vlcat.c holds the table. */
#ifndef CLI_CAT_ARGS_H
#define CLI_CAT_ARGS_H

#include "cli/opt.h"
#include "cli/operands.h"
#include "pipeline/cat.h"

typedef struct cat_args { /* as the table fills it */
    cli_common common;
    const char *kind, *keys, *range, *part, *prefix, *strip, *to;
    cli_list key, drop, rename, join;
    int64_t every, head, shuffle, shard_records;
    uint64_t shard_size;
    bool any_parent, plain, reseal, seal, dali, bare, stack, skip_bad;
} cat_args;

typedef enum cat_carrier { CAT_ZST, CAT_TAR, CAT_FOLDER, CAT_SAFETENSORS, CAT_NPZ } cat_carrier;

/* cat_carrier_of -- by --to, else by the output's name: .tar, .safetensors, .npz, a '/' at the end or a folder
 * that exists; else .tar.zst. Exits 2 when an option does not go with it. */
cat_carrier cat_carrier_of(const cat_args *a);

/* cat_pick_of, cat_trim_of -- the library's options. keys: filled from --keys. Exit 2 when a range, a part or a
 * rename is none. Errors: VL_EIO, VL_EFORMAT of the file of keys. */
VL_MUST_USE int cat_pick_of(const cat_args *a, vl_keytab *keys, uint64_t *keys_sum, vl_pick_opts *out,
                            vl_err *e);
void cat_trim_of(const cat_args *a, vl_trim_opts *out);

/* cat_step_of -- what is done to the records, as the manifest tells it; *out stays NULL where nothing is. */
VL_MUST_USE int cat_step_of(const cat_args *a, const vl_pick_opts *pick, uint64_t keys_sum, json_t **out,
                            vl_err *e);

#endif
