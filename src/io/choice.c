/* The rules of auto, first match first:
 *
 *      nothing to map (simulated)                      buffered
 *      across a network or FUSE                        buffered   a fault there cannot be given up
 *      index-headers                                   buffered   hundreds are loaded while others
 *                                                                 wait; faults hold its map's lock
 *      a fault takes longer than SLOW_FAULT_NS         buffered
 *      chunks, more than half the memory, local disk   direct     no fault, no double copy, no scan
 *                                                                 that throws out everything else
 *      else                                            mmap       no copy; the kernel's cache is
 *                                                                 shared with those who write
 *
 * docs/mmap-study.md has the measurements behind them.
 */
#include "io/choice.h"

#include "io/fs_impl.h"
#include "io/guard.h"
#include "io/reader_impl.h"
#include "io/work.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/metric.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>

enum { DEVICES_MAX = 16, PROBES = 5, PROBE_FILE_MIN = 1 << 20, PAGE = 4096 };
static const int64_t SLOW_FAULT_NS = 10 * 1000 * 1000;

static const char *const kind_words[IO_KINDS] = { "index", "chunks", "head", "header", "log" };
const char *io_kind_word(enum io_kind k) { return kind_words[k]; }

struct device {
    uint64_t dev;
    int64_t fault_ns;
    bool measured;
};
struct books {
    uint64_t files, bytes;
    bool told;
    unsigned rules; /* that the log told of: a bit each, by enum io_rule */
    char why[CHOICE_WHY_MAX];
};
static struct io_plan plan;                       /* const after io_plan_set */
static _Atomic uint64_t plan_memory;              /* relaxed: a figure */
static struct mtx choice_mu;                      /* LOCK_LEAF */
static struct device devices[DEVICES_MAX];        /* GUARDED_BY(choice_mu) */
static size_t n_devices;                          /* GUARDED_BY(choice_mu) */
static struct books books[IO_KINDS][IO_BACKENDS]; /* GUARDED_BY(choice_mu) */

__attribute__((constructor)) static void choice_init(void) { mtx_init(&choice_mu, LOCK_LEAF); }

void io_plan_set(const struct io_plan *p) { plan = *p; }
void io_plan_memory(uint64_t bytes)
{
    atomic_store_explicit(&plan_memory, bytes, memory_order_relaxed);
}

static errc plan_word(struct io_plan *out, size_t kind, str word, struct err *e)
{
    out->populate[kind] = str_eq(word, S("mmap+populate"));
    if (io_backend_parse(out->populate[kind] ? S("mmap") : word, &out->of[kind])) return OK;
    return err_set(e, ERR_BAD_INPUT,
        "\"%.*s\" is none of auto, mmap, mmap+populate, buffered, direct", STR_ARG(word));
}

static errc plan_pair(struct io_plan *out, str pair, struct err *e)
{
    str kind, word;
    str_cut(pair, '=', &kind, &word);
    for (size_t k = 0; k < IO_KINDS; k++)
        if (str_eq(kind, str_z(kind_words[k]))) return plan_word(out, k, word, e);
    return err_set(e, ERR_BAD_INPUT,
        "\"%.*s\" is no kind of file: index, chunks, head, header, log", STR_ARG(kind));
}

errc io_plan_parse(struct io_plan *out, str text, struct err *e)
{
    struct io_plan p = { 0 };
    if (str_index(text, '=') == SIZE_MAX) {
        for (size_t k = 0; k < IO_KINDS; k++)
            if (k != IO_LOG) TRY(plan_word(&p, k, text, e));
        text = STR_EMPTY;
    }
    while (text.n) {
        str pair;
        str_cut(text, ',', &pair, &text);
        TRY(plan_pair(&p, pair, e));
    }
    *out = p;
    return OK;
}

/* ---- facts ---- */

/* statfs(2)'s numbers of what is not a disk of this machine. */
static const uint64_t remote_magic[] = {
    0x6969,     /* NFS */
    0x517b,     /* SMB */
    0xff534d42, /* CIFS */
    0xfe534d42, /* SMB2 */
    0x65735546, /* FUSE */
    0x00c36400, /* Ceph */
    0x01021997, /* 9P */
    0x0bd00bd0, /* Lustre */
    0x5346414f, /* AFS */
    0x786f4256, /* VirtualBox */
    0x47504653, /* GPFS */
    0x19830326, /* BeeGFS */
};

static bool is_remote(int fd)
{
    struct statfs st;
    if (fstatfs(fd, &st) < 0) return false;
    for (size_t i = 0; i < ARRAY_LEN(remote_magic); i++)
        if ((uint64_t)(uint32_t)st.f_type == remote_magic[i]) return true;
    return false;
}

/* The time of one fault of a page that is put out of the cache before; 0: it did not leave. */
static int64_t probe_one(int fd, uint64_t off)
{
    off -= off % PAGE;
    posix_fadvise(fd, (off_t)off, PAGE, POSIX_FADV_DONTNEED);
    void *at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, (off_t)off);
    if (at == MAP_FAILED) return 0;
    madvise(at, PAGE, MADV_RANDOM);
    struct guard *g = guard_add(at, PAGE);
    uint64_t before = io_major_faults();
    int64_t since = clock_mono_ns();
    if (g) (void)*(volatile const uint8_t *)at;
    int64_t took = g && io_major_faults() > before ? clock_mono_ns() - since : 0;
    guard_remove(g);
    munmap(at, PAGE);
    return took;
}

static int time_order(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The median of a few places of the file. */
static int64_t measure_fault(int fd, uint64_t size)
{
    int64_t took[PROBES];
    size_t n = 0;
    for (size_t i = 0; i < PROBES; i++) {
        int64_t one = probe_one(fd, size / (PROBES + 1) * (i + 1));
        if (one) took[n++] = one;
    }
    if (!n) return 0;
    qsort(took, n, sizeof(*took), time_order);
    return took[n / 2];
}

static int64_t fault_of_device(int fd, uint64_t size)
{
    struct stat st;
    int64_t ns = 0;
    if (size < PROBE_FILE_MIN || fstat(fd, &st) < 0) return 0;
    mtx_lock(&choice_mu);
    size_t i = 0;
    while (i < n_devices && devices[i].dev != st.st_dev) i++;
    bool known = i < n_devices, room = n_devices < DEVICES_MAX;
    if (known) ns = devices[i].fault_ns;
    mtx_unlock(&choice_mu);
    if (known || !room) return ns;
    ns = measure_fault(fd, size);
    mtx_lock(&choice_mu);
    if (n_devices < DEVICES_MAX) devices[n_devices++] = (struct device){ st.st_dev, ns, true };
    mtx_unlock(&choice_mu);
    return ns;
}

/* ---- the decision ---- */

enum { WORDS_MAX = 32 };
static const char *bytes_words(char room[WORDS_MAX], uint64_t n)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double v = (double)n;
    size_t u = 0;
    for (; v >= 1024 && u + 1 < ARRAY_LEN(units); u++) v /= 1024;
    snprintf(room, WORDS_MAX, "%.*f %s", u && v < 10 ? 1 : 0, v, units[u]);
    return room;
}

static const char *fault_words(char room[WORDS_MAX], int64_t ns)
{
    if (!ns) return "not measured";
    snprintf(room, WORDS_MAX, "%.0f us", (double)ns / 1000);
    return room;
}

void io_choice_of(struct io_choice *out, const struct io_facts *f)
{
    char open[WORDS_MAX], memory[WORDS_MAX], fault[WORDS_MAX];
    bytes_words(open, f->open_bytes);
    if (f->memory_bytes) bytes_words(memory, f->memory_bytes);
    else snprintf(memory, sizeof(memory), "an unknown amount");
    const char *words = fault_words(fault, f->fault_ns);
    bool large = f->memory_bytes && f->open_bytes > f->memory_bytes / 2;
    out->backend = IO_BUFFERED;
    if (!f->mappable) {
        out->rule = IO_RULE_UNMAPPABLE;
        snprintf(out->why, CHOICE_WHY_MAX, "there is nothing to map");
    } else if (f->remote) {
        out->rule = IO_RULE_REMOTE;
        snprintf(out->why, CHOICE_WHY_MAX,
            "a network or FUSE file system: a page fault there cannot be given up");
    } else if (f->kind == IO_HEADER) {
        out->rule = IO_RULE_HEADER;
        snprintf(out->why, CHOICE_WHY_MAX, "index-headers are loaded while others wait");
    } else if (f->fault_ns > SLOW_FAULT_NS) {
        out->rule = IO_RULE_SLOW_FAULTS;
        snprintf(out->why, CHOICE_WHY_MAX, "a page fault takes %s here", words);
    } else if (f->kind == IO_CHUNKS && large && f->fault_ns) {
        out->backend = IO_DIRECT;
        out->rule = IO_RULE_MUCH_DATA;
        snprintf(out->why, CHOICE_WHY_MAX,
            "local disk (a fault takes %s), %s open are much for %s of memory", words, open,
            memory);
    } else {
        out->backend = IO_MMAP;
        out->rule = IO_RULE_LOCAL;
        snprintf(out->why, CHOICE_WHY_MAX, "local file system (a fault: %s), %s open, %s of memory",
            words, open, memory);
    }
}

static void tell(enum io_kind kind, enum io_backend b, enum io_rule rule, const char *why)
{
    mtx_lock(&choice_mu);
    struct books *k = &books[kind][b];
    bool first = !(k->rules & 1u << rule);
    k->rules |= 1u << rule;
    k->told = true;
    snprintf(k->why, sizeof(k->why), "%s", why);
    mtx_unlock(&choice_mu);
    if (first)
        LOG(INFO, "backend of storage reads chosen", kv_z("files", io_kind_word(kind)),
            kv_z("backend", io_backend_word(b)), kv_z("reason", why));
}

static uint64_t bytes_open(enum io_kind kind)
{
    uint64_t n = 0;
    mtx_lock(&choice_mu);
    for (size_t b = 0; b < IO_BACKENDS; b++) n += books[kind][b].bytes;
    mtx_unlock(&choice_mu);
    return n;
}

enum io_backend io_choose(struct file *f, uint64_t size, enum io_kind kind)
{
    if (plan.of[kind] != IO_AUTO) return plan.of[kind];
    if (io_forced()) return io_forced();
    int fd = file_fd(f);
    bool remote = fd >= 0 && is_remote(fd);
    struct io_facts facts = { .kind = kind,
        .mappable = fd >= 0,
        .remote = remote,
        .open_bytes = bytes_open(kind) + size,
        .memory_bytes = atomic_load_explicit(&plan_memory, memory_order_relaxed),
        .fault_ns = fd >= 0 && !remote && kind != IO_LOG ? fault_of_device(fd, size) : 0 };
    struct io_choice c;
    io_choice_of(&c, &facts);
    tell(kind, c.backend, c.rule, c.why);
    return c.backend;
}

bool io_populates(uint64_t size, enum io_kind kind)
{
    char open[WORDS_MAX], memory[WORDS_MAX], why[CHOICE_WHY_MAX];
    if (!plan.populate[kind]) return false;
    uint64_t most = atomic_load_explicit(&plan_memory, memory_order_relaxed) / 2,
             bytes = bytes_open(kind) + size;
    if (!most || bytes <= most) {
        tell(kind, IO_MMAP, IO_RULE_FILLED, "asked for, filled at its opening");
        return true;
    }
    snprintf(why, sizeof(why), "asked for, but not filled: %s open, and half the memory is %s",
        bytes_words(open, bytes), bytes_words(memory, most));
    tell(kind, IO_MMAP, IO_RULE_TOO_MUCH_TO_FILL, why);
    return false;
}

GAUGE_VEC(m_files, "epimetheus_io_open_files", "Files that storage reads from, by what reads them.",
    "backend", "files")
GAUGE_VEC(m_bytes, "epimetheus_io_open_file_bytes", "Bytes of these files.", "backend", "files")

void io_opened(enum io_kind kind, enum io_backend b, int64_t files, int64_t bytes)
{
    mtx_lock(&choice_mu);
    struct books *k = &books[kind][b];
    k->files += (uint64_t)files;
    k->bytes += (uint64_t)bytes;
    mtx_unlock(&choice_mu);
    str backend = str_z(io_backend_word(b)), word = str_z(kind_words[kind]);
    metric_add_to(METRIC_WITH(&m_files, backend, word), (double)files);
    metric_add_to(METRIC_WITH(&m_bytes, backend, word), (double)bytes);
}

void io_fell_back(enum io_kind kind, enum io_backend asked, enum io_backend b, str why)
{
    char words[CHOICE_WHY_MAX];
    snprintf(words, sizeof(words), "%.*s", (int)MIN(why.n, sizeof(words) - 1), (const char *)why.p);
    mtx_lock(&choice_mu);
    struct books *k = &books[kind][b];
    bool first = strncmp(k->why, words, sizeof(k->why)) != 0 || !k->told;
    k->told = true;
    memcpy(k->why, words, sizeof(words));
    mtx_unlock(&choice_mu);
    if (first)
        LOG(WARN, "storage is read by another backend than asked for",
            kv_z("files", io_kind_word(kind)), kv_z("asked", io_backend_word(asked)),
            kv_z("backend", io_backend_word(b)), kv_z("reason", words));
}

size_t io_states(struct io_state out[IO_STATES_MAX])
{
    size_t n = 0;
    mtx_lock(&choice_mu);
    for (size_t k = 0; k < IO_KINDS; k++)
        for (size_t b = 0; b < IO_BACKENDS; b++) {
            if (!books[k][b].files) continue;
            struct io_state *s = &out[n++];
            *s = (struct io_state){ .kind = (enum io_kind)k,
                .asked = plan.of[k],
                .runs = (enum io_backend)b,
                .files = books[k][b].files,
                .bytes = books[k][b].bytes };
            memcpy(s->why, books[k][b].why, sizeof(s->why));
            if (!s->why[0]) snprintf(s->why, sizeof(s->why), "asked for");
        }
    mtx_unlock(&choice_mu);
    return n;
}
