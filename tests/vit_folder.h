/* SPDX-License-Identifier: MIT
 * vit_folder.h -- a scratch folder with the files of a small transformer, as the hub lays them out: open_scratch and
 * close_scratch are a group's setup and teardown. Behind GOLDEN_BOUND. */
#ifndef VL_TESTS_VIT_FOLDER_H
#define VL_TESTS_VIT_FOLDER_H

#include "tests/golden_read.h"

#include <unistd.h>

static const char *const families[] = {"vit", "dinov2"};

/* What the hub calls the files, and what the tree does. */
static const char *const files[] = {"config.json", "preprocessor_config.json", "model.safetensors"};
static const char *const kept_as[] = {"config.json", "preprocessor.json", "model.safetensors"};
static char scratch[] = "/tmp/vit_folder.XXXXXX";

static inline uint8_t *read_kept(const char *family, size_t f, size_t *n)
{
    uint8_t *p = calloc(1, 1 << 16);
    char path[100];
    FILE *in;

    snprintf(path, sizeof path, GOLDEN "%s_%s", family, kept_as[f]);
    in = fopen(path, "rb");
    assert_true(in && p);
    *n = fread(p, 1, 1 << 16, in);
    fclose(in);
    return p;
}

static inline void write_file(size_t f, const void *p, size_t n)
{
    char path[100];
    FILE *out;

    snprintf(path, sizeof path, "%s/%s", scratch, files[f]);
    out = fopen(path, "wb");
    assert_true(out && fwrite(p, 1, n, out) == n && !fclose(out));
}

/* The family's folder, in scratch. */
static inline const char *folder_of(const char *family)
{
    for (size_t f = 0; f < 3; f++) {
        size_t n;
        uint8_t *p = read_kept(family, f, &n);
        write_file(f, p, n);
        free(p);
    }
    return scratch;
}

static inline int open_scratch(void **state)
{
    (void)state;
    return !mkdtemp(scratch);
}

static inline int close_scratch(void **state)
{
    (void)state;
    for (size_t f = 0; f < 3; f++) {
        char path[100];
        snprintf(path, sizeof path, "%s/%s", scratch, files[f]);
        unlink(path);
    }
    return rmdir(scratch);
}

#endif
