/* soak.c — two weeks in the life of a database, in minutes.
 *
 * A child process is the server: the library's database on the real file system, with its own
 * threads and a driven clock. It takes a page of each target every 15 simulated seconds, with
 * churn, late samples and deletions as soak_model.h has them, while a thread asks questions;
 * blocks are compacted and leave after three days. Each simulated day the parent kills it, at a
 * page or in the middle of a compaction, and starts another one on what is left. What was
 * acknowledged is counted in memory that both share; from that count the model knows every sample
 * that has to be found, and once a day all of them are looked for, and nothing else may be there.
 *
 *     bench_soak [--days 14] [--series 2000] [--dir DIR] [--seed 1] [--no-kill]
 *         [--image-kib KIB] [--verify PROGRAM]
 *
 * --verify: PROGRAM is called with `tsdb verify FOLDER` at the end. Ends with 1 if anything is
 * wrong: a sample that is lost, wrong or invented, a process that ended by itself, memory at rest
 * that grew by more than a tenth since day 4, more descriptors or files than then.
 */
#include "soak_model.h"

#include "base/account.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/opts.h"
#include "base/prng.h"
#include "block/meta_codec.h"
#include "head/head.h"
#include "io/proc.h"
#include "io/thread.h"
#include "tsdb/db.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* As the server has it. */
extern const char *malloc_conf;
const char *malloc_conf =
    "narenas:2,tcache_max:4096,dirty_decay_ms:500,muzzy_decay_ms:0,background_thread:true";

enum {
    DAYS_MAX = 366,
    FIRST_DAY = 4, /* what later days are compared with */
    RETENTION_HOURS = 72,
    SETTLE_STEPS = 40, /* so far the background may be behind */
    CLEAN_HOURS = 12,
    ASK_STEPS = 8,
    REST_LOOK_NS = 250000000,
    REST_LOOKS = 5, /* without a change: memory is at rest */
    REST_LOOKS_MAX = 40,
    LOOK_NS = 200000
};

struct args {
    int64_t days, series, seed, image_kib;
    str dir, verify;
    bool no_kill;
};

static const struct opt table[] = {
    { "days", .help = "Simulated days.", OPT_AT(struct args, days), &opt_num, .def = "14" },
    { "series", .help = "Series at a time.", OPT_AT(struct args, series), &opt_num, .def = "2000" },
    { "seed", .help = "Of the times of the kills.", OPT_AT(struct args, seed), &opt_num,
        .def = "1" },
    { "dir", .help = "The data folder, kept; default: one of its own.", OPT_AT(struct args, dir),
        &opt_str },
    { "verify", .help = "Called with `tsdb verify FOLDER` at the end.", OPT_AT(struct args, verify),
        &opt_str },
    { "image-kib", .help = "An image of the head after so much log; 0: as the server does.",
        OPT_AT(struct args, image_kib), &opt_num, .def = "0" },
    { "no-kill", .help = "One process lives through all days.", OPT_AT(struct args, no_kill),
        &opt_bool },
};

/* A day's figures, taken at midnight with nothing to do. */
struct reading {
    uint64_t rss_anon, accounts, fds, disk_bytes, blocks, series, head_series, samples;
    uint64_t files, log_files; /* log_files of them of the logs and the head's chunks */
    bool taken;
};

/* Shared by both processes: the tally. */
struct tally {
    _Atomic int64_t pages;                  /* acknowledged */
    _Atomic int64_t deletes, deletes_begun; /* up to this number */
    _Atomic int64_t day;                    /* so many were looked at */
    _Atomic bool checked;                   /* what the last process left */
    _Atomic uint64_t lost, wrong, invented, old, asked;
    struct reading readings[DAYS_MAX + 1];
    char failed[512];
};

static struct args args;
static struct tally *tally;

static void die(const char *what, const struct err *e)
{
    snprintf(tally->failed, sizeof(tally->failed), "%s: %.*s", what, STR_ARG(err_str(e)));
    fprintf(stderr, "soak: %s\n", tally->failed);
    _exit(1);
}

/* ---- the server: what it is given */

struct late {
    unsigned slot;
    int64_t step;
};
struct late_list {
    struct late *at; /* args.series */
    size_t n;
};

struct feeder {
    struct db *db;
    series_handle *handles; /* of each slot's series, 0: not known to this process */
    int64_t *gens;
    struct late_list due[LATE_MAX_STEPS + 1]; /* by step, as a ring */
};

static struct labels labels_of(struct label *l, char (*text)[32], unsigned slot, int64_t gen)
{
    snprintf(text[0], 32, "soak_%u", slot % 97);
    snprintf(text[1], 32, "%" PRId64, gen);
    snprintf(text[2], 32, "%u", slot_group(slot));
    snprintf(text[3], 32, "10.0.0.%u:9100", slot_target(slot));
    snprintf(text[4], 32, "pod-%u-%" PRIx64, slot, mix(slot, (uint64_t)gen) >> 40);
    snprintf(text[5], 32, "%u", slot);
    static const char *const names[] = { "__name__", "gen", "group", "instance", "pod", "slot" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        l[i] = (struct label){ str_z(names[i]), str_z(text[i]) };
    return (struct labels){ l, ARRAY_LEN(names) };
}

static void feeder_series(struct appender *a, unsigned slot, int64_t gen, series_handle *out)
{
    struct label l[6];
    char text[6][32];
    struct err e = { 0 };
    if (a->ops->series(a, labels_of(l, text, slot, gen), out, &e) != OK) die("series", &e);
}

static void feeder_append(
    struct feeder *f, struct appender *a, unsigned slot, int64_t gen, int64_t step)
{
    struct err e = { 0 };
    series_handle h = f->handles[slot];
    bool known = h && f->gens[slot] == gen;
    errc rc = ERR_NOT_FOUND;
    int64_t t = sample_time(slot, step);
    double v = value_at(slot, gen, step);
    if (known) rc = a->ops->append(a, h, t, v, 0, &e);
    if (rc == ERR_NOT_FOUND) {
        feeder_series(a, slot, gen, &h);
        rc = a->ops->append(a, h, t, v, 0, &e);
    }
    if (rc != OK) die("append", &e);
    if (gen_at(slot, step) != gen) return; /* its last one */
    if (gen < f->gens[slot]) return;
    f->handles[slot] = h;
    f->gens[slot] = gen;
}

static void feeder_page(struct feeder *f, unsigned target, int64_t step)
{
    struct appendable *to = db_appendable(f->db);
    struct appender *a = NULL;
    struct err e = { 0 };
    struct late_list *due = &f->due[step % (LATE_MAX_STEPS + 1)];
    if (to->ops->begin(to, &a, &e) != OK) die("begin", &e);
    for (unsigned slot = target; slot < args.series; slot += TARGETS) {
        int64_t gen = gen_at(slot, step);
        if (gen && gen_first(slot, gen) == step) feeder_append(f, a, slot, gen - 1, step);
        if (!late_by(slot, step)) feeder_append(f, a, slot, gen, step);
    }
    for (size_t i = 0; i < due->n; i++)
        if (slot_target(due->at[i].slot) == target)
            feeder_append(
                f, a, due->at[i].slot, gen_at(due->at[i].slot, due->at[i].step), due->at[i].step);
    if (a->ops->commit(a, &e) != OK) die("commit", &e);
}

/* Shared memory is not the server's own, which is what is measured. */
static void feeder_lists(struct feeder *f)
{
    size_t bytes = (size_t)args.series * sizeof(struct late);
    uint8_t *at = mmap(NULL, bytes * ARRAY_LEN(f->due), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) exit(2);
    for (size_t i = 0; i < ARRAY_LEN(f->due); i++) f->due[i].at = (struct late *)(at + i * bytes);
}

/* Notes what of a step comes later, from `now` on. */
static void feeder_late(struct feeder *f, int64_t step, int64_t now)
{
    for (unsigned slot = 0; slot < args.series; slot++) {
        int64_t by = late_by(slot, step);
        if (!by || step + by < now) continue;
        struct late_list *due = &f->due[(step + by) % (LATE_MAX_STEPS + 1)];
        if (due->n == (size_t)args.series) die("too many late samples", &(struct err){ 0 });
        due->at[due->n++] = (struct late){ slot, step };
    }
}

static void feeder_delete(struct feeder *f, int64_t n)
{
    struct err e = { 0 };
    struct soak_delete d = delete_of(n);
    char group[16];
    snprintf(group, sizeof(group), "%u", d.group);
    struct matcher m = { .type = MATCH_EQ, .name = S("group"), .value = str_z(group) };
    atomic_store(&tally->deletes_begun, n);
    if (db_delete(f->db, (struct matchers){ &m, 1 }, d.mint, d.maxt, &e) != OK) die("delete", &e);
    atomic_store(&tally->deletes, n);
    if (n % CLEAN_HOURS == 0 && db_clean_tombstones(f->db, &e) != OK) die("clean tombstones", &e);
}

/* The pages of a step that are not there yet. */
static void feeder_step(struct feeder *f, int64_t step)
{
    feeder_late(f, step, step);
    if (step % STEPS_HOUR == DELETE_AT && step > STEPS_HOUR &&
        atomic_load(&tally->deletes) < step / STEPS_HOUR)
        feeder_delete(f, step / STEPS_HOUR);
    int64_t from = atomic_load(&tally->pages) - step * TARGETS;
    for (unsigned target = (unsigned)MAX(from, 0); target < TARGETS; target++) {
        feeder_page(f, target, step);
        atomic_store(&tally->pages, step * TARGETS + target + 1);
    }
    f->due[step % (LATE_MAX_STEPS + 1)].n = 0;
}

/* ---- what has to be found */

/* sure: it must be, or must not be; else a kill or the retention decides */
struct expected {
    bool there, sure;
};

struct deletes {
    struct soak_delete at[32];
    bool sure[32];
    size_t n;
};

static void deletes_of(struct deletes *out, unsigned group, int64_t mint)
{
    int64_t done = atomic_load(&tally->deletes), begun = atomic_load(&tally->deletes_begun);
    out->n = 0;
    for (int64_t n = MAX(begun, done); n > 0 && delete_of(n).maxt + 40 * HOUR_MS > mint; n--) {
        struct soak_delete d = delete_of(n);
        if (d.group != group || d.maxt < mint) continue;
        assert(out->n < ARRAY_LEN(out->at));
        out->sure[out->n] = n <= done;
        out->at[out->n++] = d;
    }
}

static struct expected expected_at(
    const struct deletes *gone, unsigned slot, int64_t gen, int64_t step, int64_t pages)
{
    int64_t t = sample_time(slot, step), last = gen_first(slot, gen + 1);
    bool stale = step == last;
    if (step < gen_first(slot, gen) || step > last) return (struct expected){ false, true };
    int64_t page = page_number(slot, step + (stale ? 0 : late_by(slot, step)));
    struct expected x = { page < pages, page != pages };
    for (size_t i = 0; i < gone->n; i++) {
        if (t < gone->at[i].mint || t > gone->at[i].maxt) continue;
        if (gone->sure[i]) return (struct expected){ false, true };
        x.sure = false;
    }
    return x;
}

struct checker {
    int64_t pages, mint, oldest; /* from mint on all must be there; before oldest nothing */
    int64_t first_gen_step;
    uint8_t *seen; /* by slot: a bit for each series from the oldest on */
    uint64_t series, samples, lost, wrong, invented, old;
};

static void tell(const char *what, unsigned slot, int64_t gen, int64_t step, double v, uint64_t n)
{
    if (n > 10) return;
    fprintf(stderr,
        "soak: %s: slot %u gen %" PRId64 " step %" PRId64 " (t=%" PRId64
        ") value %g, late by %" PRId64 "; %" PRId64 " pages, %" PRId64 " deletions\n",
        what, slot, gen, step, sample_time(slot, step), v, late_by(slot, step),
        atomic_load(&tally->pages), atomic_load(&tally->deletes));
}

/* Steps [from, to) of a series were not answered. */
static void check_gap(struct checker *c, const struct deletes *gone, unsigned slot, int64_t gen,
    int64_t from, int64_t to)
{
    for (int64_t step = from; step < to; step++) {
        if (sample_time(slot, step) < c->mint) continue;
        struct expected x = expected_at(gone, slot, gen, step, c->pages);
        if (x.there && x.sure) tell("lost", slot, gen, step, 0, ++c->lost);
    }
}

static void check_sample(
    struct checker *c, const struct deletes *gone, unsigned slot, int64_t gen, int64_t t, double v)
{
    int64_t step = (t - sample_time(slot, 0)) / STEP_MS;
    struct expected x = expected_at(gone, slot, gen, step, c->pages);
    if (sample_time(slot, step) != t || (!x.there && x.sure))
        tell("invented", slot, gen, step, v, ++c->invented);
    else if (f64_bits(value_at(slot, gen, step)) != f64_bits(v))
        tell("wrong", slot, gen, step, v, ++c->wrong);
    if (t < c->oldest) c->old++;
    c->samples++;
}

static int64_t label_number(struct labels l, str name)
{
    uint64_t n;
    return str_u64(labels_get(l, name), &n) ? (int64_t)n : -1;
}

static void check_series(struct checker *c, struct series *s, struct sample_iter **it)
{
    struct err e = { 0 };
    struct deletes gone;
    int64_t number = label_number(s->labels, S("slot")), gen = label_number(s->labels, S("gen"));
    if (number < 0 || number >= args.series || gen < 0) {
        c->invented++;
        return;
    }
    unsigned slot = (unsigned)number;
    deletes_of(&gone, slot_group(slot), c->oldest - 24 * HOUR_MS);
    int64_t next = MAX(gen_first(slot, gen), c->first_gen_step);
    int64_t end = MIN(gen_first(slot, gen + 1), (c->pages + TARGETS - 1) / TARGETS) + 1;
    if (s->ops->iterate(s, it, &e) != OK) die("iterate", &e);
    for (struct sample_batch b = { .n = 1 }; b.n;) {
        if (sample_iter_fill(*it, &b, &e) != OK) die("samples", &e);
        for (size_t i = 0; i < b.n; i++) {
            int64_t step = (b.t[i] - sample_time(slot, 0)) / STEP_MS;
            check_gap(c, &gone, slot, gen, next, step);
            check_sample(c, &gone, slot, gen, b.t[i], b.v[i]);
            next = step + 1;
        }
    }
    check_gap(c, &gone, slot, gen, next, end);
    int64_t bit = gen - gen_at(slot, c->first_gen_step);
    if (bit >= 0 && bit < 8) c->seen[slot] |= (uint8_t)(1u << bit);
    c->series++;
}

/* Series that were not answered at all. */
static void check_unseen(struct checker *c)
{
    int64_t now = (c->pages - 1) / TARGETS;
    for (unsigned slot = 0; slot < args.series; slot++) {
        int64_t first = gen_at(slot, c->first_gen_step), last = gen_at(slot, now);
        struct deletes gone;
        deletes_of(&gone, slot_group(slot), c->oldest - 24 * HOUR_MS);
        for (int64_t gen = first; gen <= last && gen < first + 8; gen++)
            if (!(c->seen[slot] & 1u << (gen - first)))
                check_gap(c, &gone, slot, gen, MAX(gen_first(slot, gen), c->first_gen_step),
                    MIN(gen_first(slot, gen + 1), now) + 1);
    }
}

/* All that is in the database, against the model. */
static void check(struct db *db, struct reading *r)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    SCOPED(sample_iter_freep) struct sample_iter *it = NULL;
    struct checker c = { .pages = atomic_load(&tally->pages) };
    struct matcher all = { .type = MATCH_NE, .name = METRIC_NAME, .value = S("") };
    struct queryable *from = db_queryable(db);
    struct err e = { 0 };
    int64_t now = T0 + (c.pages / TARGETS) * STEP_MS;
    c.mint = now - (RETENTION_HOURS - 2) * HOUR_MS;
    c.oldest = now - (RETENTION_HOURS + 12) * HOUR_MS;
    c.first_gen_step = MAX(c.mint - T0, 0) / STEP_MS;
    c.seen = mem_zalloc((size_t)args.series);
    if (!c.pages) return mem_free(c.seen);
    if (from->ops->querier(from, INT64_MIN, INT64_MAX, &q, &e) != OK) die("querier", &e);
    if (q->ops->select(q, (struct matchers){ &all, 1 }, NULL, &set, &e) != OK) die("select", &e);
    for (;;) {
        struct series *s = NULL;
        if (set->ops->next(set, &s, &e) != OK) die("next", &e);
        if (!s) break;
        check_series(&c, s, &it);
    }
    check_unseen(&c);
    mem_free(c.seen);
    atomic_fetch_add(&tally->lost, c.lost);
    atomic_fetch_add(&tally->wrong, c.wrong);
    atomic_fetch_add(&tally->invented, c.invented);
    atomic_fetch_add(&tally->old, c.old);
    if (r) r->samples = c.samples, r->series = c.series;
}

/* ---- a thread that asks while all this goes on */

struct asker {
    struct db *db;
    _Atomic bool stop;
    _Atomic int64_t step;
};

/* The last two hours of a group: each sample is one of the model's. */
static void ask(struct asker *a, struct prng *r, int64_t step)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    SCOPED(sample_iter_freep) struct sample_iter *it = NULL;
    struct queryable *from = db_queryable(a->db);
    struct err e = { 0 };
    char group[16];
    snprintf(group, sizeof(group), "%u", (unsigned)prng_below(r, GROUPS));
    struct matcher m = { .type = MATCH_EQ, .name = S("group"), .value = str_z(group) };
    int64_t maxt = T0 + step * STEP_MS;
    if (prng_below(r, 8) == 0) maxt -= (int64_t)prng_below(r, RETENTION_HOURS) * HOUR_MS;
    if (from->ops->querier(from, maxt - 2 * HOUR_MS, maxt, &q, &e) != OK) die("querier", &e);
    if (q->ops->select(q, (struct matchers){ &m, 1 }, NULL, &set, &e) != OK) die("select", &e);
    for (;;) {
        struct series *s = NULL;
        if (set->ops->next(set, &s, &e) != OK) die("next", &e);
        if (!s) return;
        int64_t slot = label_number(s->labels, S("slot")), gen = label_number(s->labels, S("gen"));
        if (s->ops->iterate(s, &it, &e) != OK) die("iterate", &e);
        for (struct sample_batch b = { .n = 1 }; b.n;) {
            if (sample_iter_fill(it, &b, &e) != OK) die("samples", &e);
            for (size_t i = 0; i < b.n; i++) {
                int64_t at = (b.t[i] - sample_time((unsigned)slot, 0)) / STEP_MS;
                if (f64_bits(value_at((unsigned)slot, gen, at)) != f64_bits(b.v[i]))
                    tell("wrong", (unsigned)slot, gen, at, b.v[i],
                        atomic_fetch_add(&tally->wrong, 1) + 1);
            }
            atomic_fetch_add(&tally->asked, b.n);
        }
    }
}

static void asker_run(void *ctx)
{
    struct asker *a = ctx;
    struct prng r = { (uint64_t)args.seed };
    int64_t last = -ASK_STEPS;
    while (!atomic_load(&a->stop)) {
        int64_t step = atomic_load(&a->step);
        if (step < last + ASK_STEPS) {
            clock_sleep_ns(LOOK_NS);
            continue;
        }
        ask(a, &r, step);
        last = step;
    }
}

/* ---- the server: its days */

static bool is_log(str dir)
{
    return str_eq(dir, S("wal")) || str_eq(dir, S("wbl")) || str_eq(dir, S("chunks_head"));
}

static void folder_count(struct fs *fs, str dir, bool log, struct reading *r)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    if (fs_list(fs, dir, &a, &all, NULL) != OK) return;
    for (size_t i = 0; i < all.n; i++) {
        str path = path_join(&a, dir, all.at[i].name);
        struct fs_stat st;
        if (all.at[i].is_dir) {
            folder_count(fs, path, log || is_log(path), r);
        } else if (fs_stat(fs, path, &st, NULL) == OK) {
            r->files++;
            r->log_files += log;
            r->disk_bytes += st.size_bytes;
        }
    }
    vec_fini(&all);
}

static void count_block(void *ctx, const struct block_meta *m)
{
    (void)m;
    ((struct reading *)ctx)->blocks++;
}

/* RssAnon when it falls no more: unused pages go back half a second later, in a round of the
 * background. Where the clock stands there are no rounds but those that are asked for. */
static uint64_t at_rest(struct db *db, struct proc_sample *p)
{
    uint64_t least = UINT64_MAX;
    for (int calm = 0, looks = 0; calm < REST_LOOKS && looks < REST_LOOKS_MAX; looks++) {
        clock_sleep_ns(REST_LOOK_NS);
        db_settle(db);
        proc_read(p);
        calm = p->rss_anon_bytes < least ? 0 : calm + 1;
        least = MIN(least, p->rss_anon_bytes);
    }
    return least;
}

static void read_day(struct db *db, struct fs *fs, int64_t day)
{
    struct reading *r = &tally->readings[day];
    struct proc_sample p;
    *r = (struct reading){ 0 };
    r->rss_anon = at_rest(db, &p);
    r->accounts = (uint64_t)account_sum();
    r->fds = p.open_fds;
    r->head_series = head_series_count(db_head(db));
    folder_count(fs, S(""), false, r);
    db_block_metas(db, count_block, r);
    check(db, r);
    r->taken = true;
    if (getenv("SOAK_ACCOUNTS"))
        for (struct account *a = account_first(); a; a = a->next)
            fprintf(stderr, "    %-24s %9.3f MiB\n", a->name, (double)account_bytes(a) / 1048576);
    atomic_store(&tally->day, day);
}

static struct db *serve_open(struct fs *fs)
{
    struct db *db = NULL;
    struct db_opened what = { 0 };
    struct err e = { 0 };
    struct db_opts o = { .fs = fs,
        .backend = IO_MMAP,
        .wal_compress = COMPRESS_SNAPPY,
        .fsync_interval_ms = 1000,
        .retention = { .ms = RETENTION_HOURS * HOUR_MS },
        .ooo_window_ms = 2 * HOUR_MS,
        .image_log_bytes = (uint64_t)MAX(args.image_kib, 0) << 10 };
    if (db_open(&db, &o, &what, &e) != OK) die("open", &e);
    if (what.corruptions > what.torn || what.unknown_refs || what.blocks_set_aside) {
        struct err why = { 0 };
        (void)err_set(&why, ERR_CORRUPT,
            "%" PRIu64 " damaged, %" PRIu64 " unknown, %" PRIu64 " blocks aside",
            what.corruptions - what.torn, what.unknown_refs, what.blocks_set_aside);
        die("found at start", &why);
    }
    return db;
}

static void serve(void)
{
    struct fs *fs = fs_real_new(args.dir);
    int64_t step = atomic_load(&tally->pages) / TARGETS, end = args.days * STEPS_DAY;
    clock_fake_set(T0 + step * STEP_MS);
    struct db *db = serve_open(fs);
    check(db, NULL);
    atomic_store(&tally->checked, true);
    struct feeder f = { .db = db,
        .handles = mem_zalloc((size_t)args.series * sizeof(series_handle)),
        .gens = mem_zalloc((size_t)args.series * sizeof(int64_t)) };
    feeder_lists(&f);
    struct asker a = { .db = db, .step = step };
    struct thread *asking = thread_start("asker", asker_run, &a);
    for (int64_t s = MAX(step - LATE_MAX_STEPS, 0); s < step; s++) feeder_late(&f, s, step);
    for (; step <= end; step++) {
        if (step % SETTLE_STEPS == 0) db_settle(db);
        if (step % STEPS_DAY == 0 && atomic_load(&tally->day) < step / STEPS_DAY)
            read_day(db, fs, step / STEPS_DAY);
        if (step == end) break;
        feeder_step(&f, step);
        clock_fake_advance(STEP_MS);
        atomic_store(&a.step, step);
    }
    atomic_store(&a.stop, true);
    thread_join(asking);
    struct err e = { 0 };
    if (db_close(db, &e) != OK) die("close", &e);
    fs_free(fs);
}

/* ---- the parent */

static pid_t serve_start(void)
{
    atomic_store(&tally->checked, false);
    fflush(stdout);
    pid_t child = fork();
    if (child != 0) return child;
    log_set(LOG_WARN, LOG_LOGFMT);
    serve();
    _exit(0);
}

static bool failed(void)
{
    return tally->failed[0] || atomic_load(&tally->lost) || atomic_load(&tally->wrong) ||
           atomic_load(&tally->invented) || atomic_load(&tally->old);
}

static void print_day(int64_t day, int64_t began_ns)
{
    const struct reading *r = &tally->readings[day];
    printf("day %3" PRId64 "  RssAnon %6.2f MiB, accounts %6.2f, head series %5" PRIu64
           ", descriptors %3" PRIu64 ", files %3" PRIu64 " (%" PRIu64
           " of logs) of %6.1f MiB, blocks %2" PRIu64
           ", %5" PRIu64 " series with %9" PRIu64 " samples found, %4.0f s\n",
        day, (double)r->rss_anon / 1048576, (double)r->accounts / 1048576, r->head_series, r->fds,
        r->files, r->log_files, (double)r->disk_bytes / 1048576, r->blocks, r->series, r->samples,
        (double)(clock_mono_ns() - began_ns) * 1e-9);
    fflush(stdout);
}

/* Waits until the child ends or comes to a page; prints days. True: it ended. */
static bool wait_until(pid_t child, int64_t page, int64_t *printed, int64_t began_ns, int *status)
{
    for (;;) {
        bool ended = waitpid(child, status, WNOHANG) == child;
        while (*printed < atomic_load(&tally->day)) print_day(++*printed, began_ns);
        if (ended) return true;
        if (page >= 0 && atomic_load(&tally->pages) >= page && atomic_load(&tally->checked))
            return false;
        clock_sleep_ns(LOOK_NS);
    }
}

/* Somewhere in a day; every other time where the head becomes a block. */
static int64_t kill_page(struct prng *r, int64_t day)
{
    int64_t step =
        day * STEPS_DAY + STEPS_HOUR + (int64_t)prng_below(r, STEPS_DAY - 2 * STEPS_HOUR);
    if (day % 2) step = (step / STEPS_HOUR | 1) * STEPS_HOUR;
    return step * TARGETS + (int64_t)prng_below(r, 2 * TARGETS);
}

static bool live(int64_t began_ns)
{
    struct prng r = { (uint64_t)args.seed };
    int64_t printed = 0;
    int status = 0;
    for (int64_t day = 0; day < args.days && !args.no_kill; day++) {
        pid_t child = serve_start();
        if (wait_until(child, kill_page(&r, day), &printed, began_ns, &status)) return false;
        clock_sleep_ns((int64_t)prng_below(&r, day % 2 ? 60000000 : 5000000));
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        if (failed()) return false;
    }
    for (int i = 0; i < 2; i++) { /* to the end, and once more to look */
        pid_t child = serve_start();
        wait_until(child, -1, &printed, began_ns, &status);
        if (status != 0 || failed()) return false;
    }
    return true;
}

static bool told(bool ok, const char *what)
{
    printf("%s  %s\n", ok ? "ok    " : "FAILED", what);
    return ok;
}

static bool verified(void)
{
    char *program = mem_cstr(args.verify), *dir = mem_cstr(args.dir);
    int status = 1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execl(program, program, "tsdb", "verify", dir, (char *)NULL);
        _exit(127);
    }
    waitpid(child, &status, 0);
    mem_free(program);
    mem_free(dir);
    return status == 0;
}

/* What grew between FIRST_DAY and the last day. A start begins a file of the log, which stays for
 * some hours: with the time of the day's kill there is one more or less of them. */
static bool compare(void)
{
    const struct reading *a = &tally->readings[FIRST_DAY], *b = &tally->readings[args.days];
    bool ok = true;
    if (args.days <= FIRST_DAY) return true;
    double grown = ((double)b->rss_anon / (double)a->rss_anon - 1) * 100;
    printf("RssAnon: %+.1f %% since day %d\n", grown, FIRST_DAY);
    ok &= told(grown < 10, "memory at rest has not grown by a tenth");
    ok &= told(b->fds <= a->fds, "no more descriptors");
    ok &= told(b->files - b->log_files <= a->files - a->log_files, "no more files of blocks");
    ok &= told(b->log_files <= a->log_files + !args.no_kill,
        "no more files of logs, but one of a start");
    return ok;
}

static bool folder_of_its_own(char *made)
{
    if (args.dir.n) return false;
    if (!mkdtemp(made)) exit(2);
    args.dir = str_z(made);
    return true;
}

int main(int argc, char **argv)
{
    struct opts_run run = { 0 };
    struct err e = { 0 };
    char made[] = "/var/tmp/soak.XXXXXX";
    if (opts_parse(&args, table, ARRAY_LEN(table), argc, argv, &run, &e) != OK || run.help ||
        args.days < 1 || args.days > DAYS_MAX || args.series < 1) {
        struct buf b = { 0 };
        opts_help(
            &b, "bench_soak", "Two weeks in the life of a database.", table, ARRAY_LEN(table));
        fprintf(stderr, "%.*s\n%.*s\n", STR_ARG(err_str(&e)), STR_ARG(buf_view(&b)));
        return 2;
    }
    bool own = folder_of_its_own(made);
    tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED) return 2;
    int64_t began_ns = clock_mono_ns();
    bool ok = live(began_ns);
    ok &= told(ok && !failed(), "every sample that was acknowledged is found, and no other");
    if (!ok)
        printf("lost %" PRIu64 ", wrong %" PRIu64 ", invented %" PRIu64
               ", beyond the retention %" PRIu64 " %s; the folder is kept: %.*s\n",
            atomic_load(&tally->lost), atomic_load(&tally->wrong), atomic_load(&tally->invented),
            atomic_load(&tally->old), tally->failed, STR_ARG(args.dir));
    if (ok) ok &= compare();
    if (args.verify.n) ok &= told(verified(), "the folder is verified");
    printf("%" PRId64 " days in %.0f s, %" PRIu64 " samples were asked for meanwhile\n", args.days,
        (double)(clock_mono_ns() - began_ns) * 1e-9, atomic_load(&tally->asked));
    str name;
    struct fs *fs = fs_real_of(args.dir, &name);
    if (own && ok && fs_remove_tree(fs, name, &e) != OK) fprintf(stderr, "%s\n", e.msg);
    fs_free(fs);
    opts_fini(&run);
    return ok ? 0 : 1;
}
