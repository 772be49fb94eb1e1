/* SPDX-License-Identifier: MIT
 * b_memory -- the peak memory of a tool that streams does not follow the shard. Writes 4 GiB of records in each carrier,
 * into a pipe that vlls --check reads, and into a file in TMPDIR [/tmp] that each tool reads in turn; prints the peaks
 * and fails above 128 MiB. Needs 4.3 GB of disk; BIN names the folder of the tools. */
#include "formats/shard.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECORDS = 65536, BYTES = 64 << 10, LIMIT_KIB = 128 << 10 };

/* Noise, so that the file is as long as what it holds. */
static void noise(uint64_t *x, uint8_t *data)
{
    for (size_t i = 0; i < BYTES; i += 8) {
        *x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
        memcpy(data + i, x, 8);
    }
}

static int fill(vls_writer *w, vl_err *e)
{
    static uint8_t data[BYTES];
    vls_member m[2] = {{"jpg", data, BYTES}, {"txt", (const uint8_t *)"a caption", 9}};
    uint64_t x = 88172645463325252u;
    char key[32];
    vls_record rec = {key, m, 2};
    int rc = VL_OK;

    for (int i = 0; !rc && i < RECORDS; i++) {
        snprintf(key, sizeof key, "%08d", i);
        noise(&x, data);
        rc = vls_add(w, &rec, e);
    }
    return rc;
}

static int write_all(const char *path, bool plain, vl_err *e)
{
    const vls_write_opts opts = {.plain = plain};
    json_t *m = json_pack("{s:s}", "kind", "pairs");
    vls_writer *w;
    int rc = vls_writer_open_opts(path, &opts, &w, e);

    if (!rc)
        rc = vls_segment_begin(w, m, 0, e);
    json_decref(m);
    if (!rc)
        rc = fill(w, e);
    if (!rc)
        rc = vls_segment_end(w, e);
    return rc ? rc : vls_writer_close(w, e);
}

/* The child that writes; its peak is what wait4 says. */
static pid_t start_writer(int fd, bool plain)
{
    pid_t pid = fork();
    vl_err e;

    if (pid)
        return pid;
    dup2(fd, STDOUT_FILENO);
    if (!write_all("-", plain, &e))
        _exit(0);
    fprintf(stderr, "b_memory: %s\n", e.text);
    _exit(1);
}

static pid_t start_reader(int fd, int other, const char *tool)
{
    pid_t pid = fork();

    if (pid)
        return pid;
    close(other);
    dup2(fd, STDIN_FILENO);
    execl(tool, tool, "--check", "-", (char *)NULL);
    _exit(127);
}

/* ---- a pipe ------------------------------------------------------------------------------------- */

static int through_pipe(const char *name, bool plain, const char *tool)
{
    struct rusage w, r;
    int fd[2], ws, rs;
    pid_t writer, reader;

    if (pipe(fd))
        return 1;
    fflush(stdout);
    reader = start_reader(fd[0], fd[1], tool);
    close(fd[0]);
    writer = start_writer(fd[1], plain);
    close(fd[1]);
    if (wait4(writer, &ws, 0, &w) < 0 || wait4(reader, &rs, 0, &r) < 0 || ws || rs)
        return 1;
    printf("%s, %.1f GiB through a pipe: writer %.1f MiB, vlls --check - %.1f MiB\n", name,
           (double)RECORDS * BYTES / (double)(1 << 30), (double)w.ru_maxrss / 1024,
           (double)r.ru_maxrss / 1024);
    return w.ru_maxrss > LIMIT_KIB || r.ru_maxrss > LIMIT_KIB;
}

/* ---- a file ------------------------------------------------------------------------------------- */

enum { WORDS = 8 };

/* What is said to stream; the shard is the last operand, the output /dev/null. */
static const char *const rows[][WORDS] = {
    {"vlls", "--check"},
    {"vlls", "--skip-bad", "--check"},
    {"vlls", "--json"},
    {"vlcat", "-q", "--to", "tar"},
    {"vlcat", "-q", "--to", "tar.zst"},
    {"vlcat", "-q", "--to", "tar.zst", "--reseal"},
    {"vlcat", "-q", "--range", "1000:60000", "--drop", "txt"},
    {"vlcat", "-q", "--shuffle", "1"},
    {"vlselect", "-q", "-n", "1000"},
    {"vlembed", "-q", "--text-model", "hash768"},
};

static pid_t start(const char *bin, const char *const *row, const char *path)
{
    char tool[4096], shard[4096];
    char *argv[WORDS + 2] = {tool};
    int n = 1, null;
    pid_t pid = fork();

    if (pid)
        return pid;
    null = open("/dev/null", O_WRONLY);
    if (null < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        snprintf(tool, sizeof tool, "%s/%s", bin, row[0]) >= (int)sizeof tool ||
        snprintf(shard, sizeof shard, "%s", path) >= (int)sizeof shard)
        _exit(126);
    for (; n < WORDS && row[n]; n++)
        argv[n] = strdup(row[n]);
    argv[n] = shard;
    execv(tool, argv);
    _exit(127);
}

static int one_tool(const char *name, const char *bin, const char *const *row, const char *path)
{
    struct rusage r;
    int status;

    fflush(stdout);
    if (wait4(start(bin, row, path), &status, 0, &r) < 0)
        return 1;
    printf("%s file: %6.1f MiB ", name, (double)r.ru_maxrss / 1024);
    for (int i = 0; i < WORDS && row[i]; i++)
        printf(" %s", row[i]);
    puts(status ? "  FAILED" : "");
    return status || r.ru_maxrss > LIMIT_KIB;
}

/* The program itself must not grow: a child takes the memory that its parent had as a first peak. */
static int from_file(const char *name, bool plain, const char *bin)
{
    const char *dir = getenv("TMPDIR");
    char path[4096];
    vl_err e;
    int status = 0, bad = 0;
    pid_t writer;

    if (snprintf(path, sizeof path, "%s/vlkit-memory-%d", dir ? dir : "/tmp", (int)getpid()) >=
        (int)sizeof path)
        return 1;
    writer = fork();
    if (!writer) {
        bad = write_all(path, plain, &e) != VL_OK;
        if (bad)
            fprintf(stderr, "b_memory: %s\n", e.text);
        _exit(bad);
    }
    bad = writer < 0 || waitpid(writer, &status, 0) < 0 || status;
    for (size_t i = 0; !status && i < sizeof rows / sizeof *rows; i++)
        bad |= one_tool(name, bin, rows[i], path);
    unlink(path);
    return bad;
}

int main(void)
{
    const char *bin = getenv("BIN");
    char tool[4096];

    if (!bin || snprintf(tool, sizeof tool, "%s/vlls", bin) >= (int)sizeof tool) {
        fputs("b_memory: BIN must name the folder of the tools\n", stderr);
        return 1;
    }
    return through_pipe("tar.zst", false, tool) | through_pipe("tar", true, tool) |
           from_file("tar.zst", false, bin) | from_file("tar    ", true, bin);
}
