/* SPDX-License-Identifier: MIT
 * t_pt.c -- files that PyTorch wrote (tests/golden/pt), every kind of view in them, and hostile ones. */
#include "distill/import_pt.h"
#include "formats/bytes.h"
#include "formats/pt.h"
#include "tests/fuzz/zip_build.h"
#include "tests/shard_help.h"

static char golden[4096]; /* the folder */

static const char *file(const char *name)
{
    static char path[2][sizeof golden + 264];
    static int which;

    which ^= 1;
    snprintf(path[which], sizeof path[which], "%s/%s", golden, name);
    return path[which];
}

static void open_pt(const char *name, vl_pt *pt)
{
    vl_err e;

    if (vl_pt_open(file(name), pt, &e))
        fail_msg("%s: %s", name, e.text);
}

/* ---- views ------------------------------------------------------------------------------------- */

static const struct {
    const char *torch;
    vl_dtype dtype;
} names[] = {
    {"float16", VL_F16}, {"bfloat16", VL_BF16}, {"float32", VL_F32},   {"float64", VL_F64},
    {"uint8", VL_U8},    {"int8", VL_I8},       {"int16", VL_I16},     {"int32", VL_I32},
    {"int64", VL_I64},   {"bool", VL_BOOL},     {"complex64", VL_C64},
};

static vl_dtype dtype_of(const char *torch)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i].torch, torch))
            return names[i].dtype;
    fail_msg("dtype %s", torch);
    return 0;
}

/* A tensor against its line: name, dtype, shape, hex of its bytes in C order. */
static void check_view(vl_pt *pt, const vl_pk_node *cases, char *line)
{
    char *name = strsep(&line, "\t"), *torch = strsep(&line, "\t"), *shape = strsep(&line, "\t");
    const vl_pk_node *x = vl_pk_get(&pt->pickle, cases, name);
    char dims[64] = "", *hex;
    vl_pt_tensor t;
    uint8_t *bytes;
    size_t n;
    vl_err e;

    assert_non_null(x);
    assert_true(vl_pt_is_tensor(x));
    if (vl_pt_tensor_of(pt, x, &t, &e))
        fail_msg("%s: %s", name, e.text);
    assert_int_equal(t.dtype, dtype_of(torch));
    for (int i = 0; i < t.rank; i++)
        snprintf(dims + strlen(dims), sizeof dims - strlen(dims), i ? ",%d" : "%d", (int)t.shape[i]);
    assert_string_equal(dims, shape);
    n = (size_t)t.n * vl_dtype_size(t.dtype);
    bytes = malloc(n + 1);
    hex = malloc(2 * n + 1);
    assert_true(bytes && hex);
    assert_int_equal(vl_pt_read(pt, &t, bytes, &e), VL_OK);
    vl_hex(bytes, n, hex);
    line[strcspn(line, "\n")] = 0;
    if (strcmp(hex, line))
        fail_msg("%s: %s, %s expected", name, hex, line);
    free(hex);
    free(bytes);
}

static void views(void **state)
{
    static const char *const written[] = {"views_0.pt", "views_1.pt"}; /* protocols 2 and 4 */

    (void)state;
    for (int i = 0; i < 2; i++) {
        FILE *f = fopen(file("views.tsv"), "r");
        const vl_pk_node *cases, *weight, *bias;
        char line[2048];
        int n = 0;
        vl_pt pt;

        assert_non_null(f);
        open_pt(written[i], &pt);
        cases = vl_pk_get(&pt.pickle, vl_pk_root(&pt.pickle), "cases");
        assert_non_null(cases);
        while (fgets(line, sizeof line, f) && ++n)
            check_view(&pt, cases, line);
        assert_int_equal(n, 22);
        assert_int_equal(cases->n, 2 * n);
        /* The state dict has attributes (_metadata) and shares its tensors with the cases. */
        weight = vl_pk_get(&pt.pickle, vl_pk_get(&pt.pickle, vl_pk_root(&pt.pickle), "state"), "weight");
        bias = vl_pk_get(&pt.pickle, vl_pk_get(&pt.pickle, vl_pk_root(&pt.pickle), "state"), "bias");
        assert_true(weight && vl_pt_is_tensor(weight) && bias && vl_pt_is_tensor(bias));
        fclose(f);
        vl_pt_close(&pt);
    }
}

/* Rows of a tensor that is not contiguous are what the whole says. */
static void parts(void **state)
{
    const vl_pk_node *cases;
    vl_pt_tensor t, row;
    float whole[60], some[15];
    vl_pt pt;
    vl_err e;

    (void)state;
    open_pt("views_0.pt", &pt);
    cases = vl_pk_get(&pt.pickle, vl_pk_root(&pt.pickle), "cases");
    assert_int_equal(vl_pt_tensor_of(&pt, vl_pk_get(&pt.pickle, cases, "transposed"), &t, &e), VL_OK);
    assert_int_equal(vl_pt_read(&pt, &t, whole, &e), VL_OK);
    for (uint64_t i = 0; i < 5; i++) {
        row = vl_pt_part(&t, i);
        assert_int_equal(row.rank, 2);
        assert_int_equal(row.n, 12);
        assert_int_equal(vl_pt_read(&pt, &row, some, &e), VL_OK);
        assert_memory_equal(some, whole + 12 * i, 12 * sizeof *some);
    }
    vl_pt_close(&pt);
}

/* ---- import ------------------------------------------------------------------------------------ */

static void import(const char *const *paths, size_t n, const char *out, vld_import_counts *counts)
{
    vls_writer *w = NULL;
    vl_err e;

    assert_int_equal(vls_writer_open(out, &w, &e), VL_OK);
    if (vld_import_pt(paths, n, "test", w, counts, &e))
        fail_msg("%s", e.text);
    assert_int_equal(vls_writer_close(w, &e), VL_OK);
}

static void expect_array(const vls_record *rec, const char *ext, vl_dtype dtype, const char *shape, vl_npy *a)
{
    const vls_member *m = vls_get(rec, ext);
    char dims[64] = "";
    vl_err e;

    if (!m)
        fail_msg("%s: no %s", rec->key, ext);
    assert_int_equal(vl_npy_parse(m->data, m->n, a, &e), VL_OK);
    assert_int_equal(a->dtype, dtype);
    for (int i = 0; i < a->rank; i++)
        snprintf(dims + strlen(dims), sizeof dims - strlen(dims), i ? ",%d" : "%d", (int)a->shape[i]);
    assert_string_equal(dims, shape);
}

/* Both versions of torch saved the same numbers, as experts 0 and 1. */
static void replay(void **state)
{
    char path[4][sizeof golden + 64];
    const char *paths[4] = {path[0], path[1], path[2], path[3]};
    static const char *const name[4] = {"txt_replay_buffer_1.pt", "img_replay_buffer_0.pt",
                                        "img_replay_buffer_1.pt", "txt_replay_buffer_0.pt"};
    XXH64_hash_t sum[3] = {0};
    const vls_segment *seg;
    vld_import_counts k;
    vls_record rec;
    vls_reader *r;
    vl_npy a;
    vl_err e;
    int n = 0, got;

    (void)state;
    for (int i = 0; i < 4; i++)
        snprintf(path[i], sizeof path[i], "%s/%s", golden, name[i]);
    import(paths, 4, "t.tar.zst", &k);
    assert_int_equal(k.experts, 2);
    assert_int_equal(k.snapshots, 6);
    assert_int_equal(k.tensors, 6 * 9);
    assert_int_equal(vls_reader_open("t.tar.zst", NULL, &r, &e), VL_OK);
    while ((got = vls_next(r, &rec, &seg, &e)) == 1) {
        char key[40];
        XXH64_state_t *x = XXH64_createState();

        snprintf(key, sizeof key, "expert-%04d/snap-%04d", n / 3, n % 3);
        assert_string_equal(rec.key, key);
        assert_string_equal(seg->kind, "trajectory");
        assert_int_equal(seg->ordinal, n);
        assert_int_equal(rec.n_members, 10);
        expect_array(&rec, "image.0000.npy", VL_F32, "2,3,3,3", &a);
        expect_array(&rec, "image.0002.npy", VL_F32, "", &a);
        expect_array(&rec, "text.projection.weight.npy", VL_F32, "6,4", &a);
        expect_array(&rec, "text.fc.weight.npy", VL_F32, "6,6", &a);
        expect_array(&rec, "text.layer_norm.weight.npy", VL_F32, "6", &a);
        assert_int_equal(vl_le32(a.data), 0x3f800000); /* all ones: weight and bias are not mixed up */
        expect_array(&rec, "text.layer_norm.bias.npy", VL_F32, "6", &a);
        assert_int_equal(vl_le32(a.data), 0);
        XXH64_reset(x, 0);
        for (size_t i = 0; i < rec.n_members; i++)
            XXH64_update(x, rec.members[i].data, rec.members[i].n);
        if (n < 3)
            sum[n] = XXH64_digest(x);
        assert_int_equal(XXH64_digest(x), sum[n % 3]);
        XXH64_freeState(x);
        n++;
    }
    assert_int_equal(got, 0);
    assert_int_equal(n, 6);
    assert_int_not_equal(sum[0], sum[1]);
    vls_reader_close(r);
}

static void distilled(void **state)
{
    static const struct {
        const char *name, *members;
        double rate[2];
    } sets[] = {
        {"distilled_0.pt",
         "rates.npy similarity.diag.npy similarity.left.npy similarity.right.npy similarity.npy json ",
         {0.125, 0.0625}},
        {"distilled_1.pt",
         "rates.npy similarity_params.0.npy similarity.npy logit_scale.npy json ",
         {0.25, 0.5}},
    };

    (void)state;
    for (int s = 0; s < 2; s++) {
        const char *path = file(sets[s].name);
        const vls_segment *seg;
        char members[256] = "";
        vld_import_counts k;
        double rate[2];
        vls_record rec;
        vls_reader *r;
        vl_npy a;
        vl_err e;

        import(&path, 1, "d.tar.zst", &k);
        assert_int_equal(k.pairs, 4);
        assert_int_equal(vls_reader_open("d.tar.zst", NULL, &r, &e), VL_OK);
        assert_int_equal(vls_next(r, &rec, &seg, &e), 1);
        assert_string_equal(rec.key, "set");
        assert_string_equal(seg->kind, "distilled");
        for (size_t i = 0; i < rec.n_members; i++)
            strcat(strcat(members, rec.members[i].ext), " ");
        assert_string_equal(members, sets[s].members);
        expect_array(&rec, "rates.npy", VL_F64, "2", &a);
        assert_int_equal(vl_npy_doubles(&a, rate, &e), VL_OK);
        assert_memory_equal(rate, sets[s].rate, sizeof rate);
        if (s)
            assert_memory_equal(
                vls_get(&rec, "json")->data,
                "{\"values\":{\"iteration\":3000,\"note\":\"trained twice\",\"resumed\":null}}", 67);
        for (int i = 0; i < 4; i++) {
            char key[24];
            snprintf(key, sizeof key, "syn-%05d", i);
            assert_int_equal(vls_next(r, &rec, &seg, &e), 1);
            assert_string_equal(rec.key, key);
            expect_array(&rec, "pixels.npy", VL_F32, "3,8,8", &a);
            expect_array(&rec, "text.npy", VL_F32, "5", &a);
            assert_memory_equal(vls_get(&rec, "png")->data, "\x89PNG", 4);
        }
        assert_int_equal(vls_next(r, &rec, &seg, &e), 0);
        vls_reader_close(r);
    }
}

static const struct {
    const char *name[2];
    const char *why;
} sorting[] = {
    {{"img_replay_buffer_0.pt", "img_replay_buffer_1.pt"}, "go together"},
    {{"img_replay_buffer_0.pt", "txt_replay_buffer_1.pt"}, "go together"},
    {{"txt_replay_buffer_0.pt", NULL}, "go together"},
    {{"img_replay_buffer_0.pt", "distilled_0.pt"}, "a shard holds one of them"},
    {{"distilled_0.pt", "distilled_1.pt"}, "one distilled set"},
    {{"views_0.pt", NULL}, "a dict without image and text"},
    {{"missing.pt", NULL}, "missing.pt: open"},
};

static void files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sorting / sizeof *sorting; i++) {
        const char *paths[2] = {file(sorting[i].name[0]), NULL};
        vld_import_counts k;
        vls_writer *w = NULL;
        vl_err e = {0};
        int rc;

        if (sorting[i].name[1])
            paths[1] = file(sorting[i].name[1]);
        assert_int_equal(vls_writer_open("never.tar.zst", &w, &e), VL_OK);
        rc = vld_import_pt(paths, paths[1] ? 2 : 1, "test", w, &k, &e);
        vls_writer_abort(w);
        if (!rc || !strstr(e.text, sorting[i].why))
            fail_msg("row %zu: code %d, %s", i, rc, e.text);
        assert_int_not_equal(access("never.tar.zst", F_OK), 0);
    }
}

/* ---- hostile ----------------------------------------------------------------------------------- */

/* Each file of bad.tsv, as both halves of an expert or (bad-set-...) as a distilled set: refused, with these
 * words. */
static void hostile(void **state)
{
    FILE *f = fopen(file("bad.tsv"), "r");
    char line[256];
    int n = 0;

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        char *why = strchr(line, '\t');
        vld_import_counts k = {0};
        vls_writer *w = NULL;
        vl_err e = {0};
        int rc;

        assert_non_null(why);
        *why++ = 0;
        why[strcspn(why, "\n")] = 0;
        assert_int_equal(vls_writer_open("never.tar.zst", &w, &e), VL_OK);
        rc = strncmp(line, "bad-set-", 8) ? vld_import_replay(file(line), file(line), "test", w, &k, &e)
                                          : vld_import_distilled(file(line), "test", w, &k, &e);
        vls_writer_abort(w);
        if (rc != VL_EFORMAT || !strstr(e.text, why) || !strstr(e.text, line))
            fail_msg("%s: code %d, '%s', '%s' expected", line, rc, e.text, why);
        n++;
    }
    assert_true(n >= 64);
    fclose(f);
}

/* More than a record can hold, as a view of much less: refused before memory is taken for it. */
static void too_much(void **state)
{
    static const uint8_t pickle[] =
        "\x80\2]]]ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\n"
        "X\1\0\0\0"
        "0X\3\0\0\0cpuJ\0\0\x14\0tQK\0J\1\0\0\x10\x85K\0\x85\x89"
        "ccollections\nOrderedDict\n)RtRaaa.";
    uint8_t *storage = calloc(0x140000, 4);
    const zip_part part[] = {{"a/data.pkl", pickle, sizeof pickle - 1}, {"a/data/0", storage, 0x140000 * 4}};
    vld_import_counts k = {0};
    vls_writer *w = NULL;
    vl_buf zip = {0};
    vl_err e;
    int rc;

    (void)state;
    assert_non_null(storage);
    zip_build(part, 2, &zip);
    spill("much.pt", zip.p, zip.n);
    assert_int_equal(vls_writer_open("never.tar.zst", &w, &e), VL_OK);
    rc = vld_import_replay("much.pt", "much.pt", "test", w, &k, &e);
    vls_writer_abort(w);
    assert_int_equal(rc, VL_EFORMAT);
    if (!strstr(e.text, "more than 1073741824 bytes in a record"))
        fail_msg("%s", e.text);
    free(zip.p);
    free(storage);
}

/* XXH64 of all tensors of an expert; false when one does not read. */
static bool sum_up(vl_pt *pt, XXH64_hash_t *sum)
{
    const vl_pk_node *expert = vl_pk_kid(&pt->pickle, vl_pk_root(&pt->pickle), 0);
    uint8_t bytes[256];
    vl_pt_tensor t;
    vl_err e;

    *sum = 0;
    for (uint32_t s = 0; s < expert->n; s++) {
        const vl_pk_node *snap = vl_pk_kid(&pt->pickle, expert, s);
        for (uint32_t i = 0; i < snap->n; i++) {
            if (vl_pt_tensor_of(pt, vl_pk_kid(&pt->pickle, snap, i), &t, &e))
                return false;
            assert_true(t.n * vl_dtype_size(t.dtype) <= sizeof bytes);
            if (vl_pt_read(pt, &t, bytes, &e))
                return false;
            *sum = XXH64(bytes, (size_t)t.n * vl_dtype_size(t.dtype), *sum);
        }
    }
    return true;
}

/* Every byte of a good file changed in turn, and every length: an error, or the same numbers. */
static void damage(void **state)
{
    XXH64_hash_t sum, want;
    uint8_t *good, *bad;
    int read = 0;
    vl_err e;
    size_t n;
    vl_pt pt;

    (void)state;
    open_pt("txt_replay_buffer_0.pt", &pt);
    assert_true(sum_up(&pt, &want));
    vl_pt_close(&pt);
    slurp(file("txt_replay_buffer_0.pt"), &good, &n);
    bad = malloc(n);
    assert_non_null(bad);
    for (size_t i = 0; i < 2 * n; i++) {
        memcpy(bad, good, n);
        bad[i % n] ^= i < n ? 0x41 : 0;
        spill("bad.pt", bad, i < n ? n : i - n);
        e.text[0] = 0;
        if (vl_pt_open("bad.pt", &pt, &e)) {
            assert_true(e.text[0] != 0);
            continue;
        }
        if (sum_up(&pt, &sum)) {
            read++;
            assert_int_equal(sum, want);
        }
        vl_pt_close(&pt);
    }
    assert_true(read > 0 && read < (int)n); /* padding and dates do not matter */
    free(bad);
    free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views),     cmocka_unit_test(parts),  cmocka_unit_test(replay),
        cmocka_unit_test(distilled), cmocka_unit_test(files),  cmocka_unit_test(hostile),
        cmocka_unit_test(too_much),  cmocka_unit_test(damage),
    };
    char cwd[4000];

    if (!getcwd(cwd, sizeof cwd))
        return 1;
    snprintf(golden, sizeof golden, "%s/tests/golden/pt", cwd);
    return cmocka_run_group_tests(tests, enter, leave);
}
