/* SPDX-License-Identifier: MIT
 * b_memory -- the peak memory of a tool that streams does not follow the shard: writes 4 GiB of records into a
 * pipe, which vlls --check reads; prints both peaks and fails above 128 MiB. BIN names the folder of the tools. */
#include "formats/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECORDS = 65536, BYTES = 64 << 10, LIMIT_KIB = 128 << 10 };

static int fill(vls_writer *w, vl_err *e)
{
    static uint8_t data[BYTES];
    vls_member m[2] = {{"jpg", data, BYTES}, {"txt", (const uint8_t *)"a caption", 9}};
    uint64_t x = 88172645463325252u;
    char key[32];
    vls_record rec = {key, m, 2};
    int rc = VL_OK;

    for (size_t i = 0; i < BYTES; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        data[i] = (uint8_t)(x >> 32);
    }
    for (int i = 0; !rc && i < RECORDS; i++) {
        snprintf(key, sizeof key, "%08d", i);
        snprintf((char *)data, 32, "%d", i); /* no two alike */
        rc = vls_add(w, &rec, e);
    }
    return rc;
}

static int write_all(bool plain, vl_err *e)
{
    const vls_write_opts opts = {.plain = plain};
    json_t *m = json_pack("{s:s}", "kind", "pairs");
    vls_writer *w;
    int rc = vls_writer_open_opts("-", &opts, &w, e);

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
    if (!write_all(plain, &e))
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

static int one(const char *name, bool plain, const char *tool)
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
    printf("%-8s %.1f GiB: writer %.1f MiB, vlls --check %.1f MiB\n", name,
           (double)RECORDS * BYTES / (double)(1 << 30), (double)w.ru_maxrss / 1024,
           (double)r.ru_maxrss / 1024);
    return w.ru_maxrss > LIMIT_KIB || r.ru_maxrss > LIMIT_KIB;
}

int main(void)
{
    const char *bin = getenv("BIN");
    char tool[4096];

    if (!bin || snprintf(tool, sizeof tool, "%s/vlls", bin) >= (int)sizeof tool) {
        fputs("b_memory: BIN must name the folder of the tools\n", stderr);
        return 1;
    }
    return one("framed", false, tool) | one("plain", true, tool);
}
