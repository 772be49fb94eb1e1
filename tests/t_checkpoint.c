/* SPDX-License-Identifier: MIT
 * t_checkpoint.c -- a state written and brought back bit for bit; another run's, and what is damaged, is refused. */
#include "distill/checkpoint.h"
#include "distill/outer.h"
#include "pipeline/rng.h"
#include "tests/shard_help.h"

enum { N = 1000 };

typedef struct world {
    vl_real x[N];
    double d[3];
    int count;
    vld_state s;
    json_t *manifest;
    vls_parent parent;
    vld_run run;
} world;

static void make_world(world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    vl_rng_normal(seed, 0, N, 1, w->x);
    w->x[3] = VL_R(-0.0);
    for (int i = 0; i < 3; i++)
        w->d[i] = 1.0 / (double)(seed + 3 + (uint64_t)i);
    w->count = (int)seed;
    vld_state_reals(&w->s, "part", "x", w->x, N);
    vld_state_reals(&w->s, "part", "none", NULL, 0);
    vld_state_doubles(&w->s, "part", "d", w->d, 3);
    vld_state_count(&w->s, "count", &w->count);
    w->manifest = json_pack("{s:s, s:{s:i}}", "kind", "distilled", "options", "pairs", 7);
    w->parent = (vls_parent){.kind = "pairs"};
    memset(w->parent.id, 'c', 64);
    w->run = (vld_run){w->manifest, &w->parent, 1, NULL};
}

static void there_and_back(void **state)
{
    world a, b;
    vl_err e;

    (void)state;
    make_world(&a, 1);
    make_world(&b, 2);
    if (vld_checkpoint_write("c", &a.run, &a.s, &e))
        fail_msg("%s", e.text);
    if (vld_checkpoint_read("c", &b.run, &b.s, &e))
        fail_msg("%s", e.text);
    assert_memory_equal(a.x, b.x, sizeof a.x);
    assert_memory_equal(a.d, b.d, sizeof a.d);
    assert_int_equal(b.count, 1);
    a.count = 5; /* a second one takes the first one's place */
    assert_int_equal(vld_checkpoint_write("c", &a.run, &a.s, &e), VL_OK);
    assert_int_equal(vld_checkpoint_read("c", &b.run, &b.s, &e), VL_OK);
    assert_int_equal(b.count, 5);
    json_decref(a.manifest);
    json_decref(b.manifest);
}

static void expect(const char *path, const world *w, int rc, const char *text)
{
    vl_err e = {0};

    assert_int_equal(vld_checkpoint_read(path, &w->run, &w->s, &e), rc);
    if (strcmp(e.text, text))
        fail_msg("'%s' where '%s' is expected", e.text, text);
}

static void others(void **state)
{
    vl_real longer[N + 1] = {0};
    world a, b;
    vl_err e;

    (void)state;
    make_world(&a, 1);
    make_world(&b, 2);
    assert_int_equal(vld_checkpoint_write("c", &a.run, &a.s, &e), VL_OK);
    json_object_set_new(json_object_get(b.manifest, "options"), "pairs", json_integer(8));
    expect("c", &b, VL_EARG, "c: another run's: its manifest has another 'options.pairs'");
    json_object_set_new(json_object_get(b.manifest, "options"), "pairs", json_integer(7));
    b.parent.id[5] = 'd';
    expect("c", &b, VL_EARG, "c: another run's: it was made of other data");
    b.parent.id[5] = 'c';
    b.s.array[0].reals = longer;
    b.s.array[0].n = N + 1;
    expect("c", &b, VL_EFORMAT, "c: part.x.npy: shape [1000], [1001] expected");
    b.s.array[0].n = N;
    vld_state_count(&b.s, "more", &b.count);
    expect("c", &b, VL_EFORMAT, "c: json: more is no count");
    make("p", 1, 2, 100);
    assert_int_equal(vld_checkpoint_read("p", &a.run, &a.s, &e), VL_EFORMAT);
    json_decref(a.manifest);
    json_decref(b.manifest);
}

/* Every bit and every cut: refused, or the same state (some bits of a zstd frame do not matter). */
static void damaged(void **state)
{
    world a, b;
    uint8_t *p;
    size_t n;
    vl_err e;

    (void)state;
    make_world(&a, 1);
    assert_int_equal(vld_checkpoint_write("c", &a.run, &a.s, &e), VL_OK);
    slurp("c", &p, &n);
    for (size_t i = 0; i < n; i += 7) {
        make_world(&b, 2);
        p[i] ^= (uint8_t)(1u << i % 8);
        spill("b", p, n);
        p[i] ^= (uint8_t)(1u << i % 8);
        if (!vld_checkpoint_read("b", &b.run, &b.s, &e))
            assert_memory_equal(a.x, b.x, sizeof a.x);
        spill("b", p, i);
        assert_int_not_equal(vld_checkpoint_read("b", &b.run, &b.s, &e), VL_OK);
        json_decref(b.manifest);
    }
    free(p);
    json_decref(a.manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(there_and_back, enter, leave),
                                       cmocka_unit_test_setup_teardown(others, enter, leave),
                                       cmocka_unit_test_setup_teardown(damaged, enter, leave)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
