#include "promql/reads.h"

#include "base/json.h"

void reads_init(struct read_sums *s, bool watched)
{
    *s = (struct read_sums){ .watched = watched, .thread = &io_work };
}

bool reads_are_own(const struct read_sums *s) { return s->thread == &io_work; }

struct reads_since reads_begin(bool watched)
{
    struct reads_since s = { io_work, io_major_faults() };
    io_work.watched |= watched;
    return s;
}

static void add(_Atomic uint64_t *to, uint64_t n)
{
    if (n) atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

void reads_end(struct read_sums *s, const struct reads_since *since)
{
    for (unsigned i = 0; i < IO_WORK_BACKENDS; i++) {
        const struct io_count *now = &io_work.by[i], *was = &since->work.by[i];
        if (now->pins == was->pins) continue;
        add(&s->by[i].pins, now->pins - was->pins);
        add(&s->by[i].bytes, now->bytes - was->bytes);
        add(&s->by[i].hits, now->hits - was->hits);
        add(&s->by[i].misses, now->misses - was->misses);
        add(&s->by[i].stalled_ns, now->stalled_ns - was->stalled_ns);
        add(&s->by[i].faults, now->faults - was->faults);
    }
    add(&s->major_faults, io_major_faults() - since->faults);
    io_work.watched = since->work.watched;
}

static uint64_t figure(const _Atomic uint64_t *f)
{
    return atomic_load_explicit(f, memory_order_relaxed);
}

struct read_counts reads_told(const struct read_sums *s)
{
    struct read_counts c = { .major_faults = figure(&s->major_faults), .watched = s->watched };
    for (unsigned i = 0; i < IO_WORK_BACKENDS; i++)
        c.by[i] = (struct io_count){ .pins = figure(&s->by[i].pins),
            .bytes = figure(&s->by[i].bytes),
            .hits = figure(&s->by[i].hits),
            .misses = figure(&s->by[i].misses),
            .stalled_ns = figure(&s->by[i].stalled_ns),
            .faults = figure(&s->by[i].faults) };
    return c;
}

void reads_json(struct json *j, const struct read_counts *c)
{
    json_obj(j);
    json_ku64(j, S("majorFaults"), c->major_faults);
    for (unsigned i = 0; i < IO_WORK_BACKENDS; i++) {
        const struct io_count *io = &c->by[i];
        bool mapped = io_work_maps(i);
        if (!io->pins) continue;
        json_key(j, str_z(io_work_backend(i)));
        json_obj(j);
        json_ku64(j, S("reads"), io->pins);
        json_ku64(j, S("bytes"), io->bytes);
        if (!mapped || c->watched) {
            json_ku64(j, S("hits"), io->hits);
            json_ku64(j, S("misses"), io->misses);
            if (mapped) json_ku64(j, S("majorFaults"), io->faults);
            json_key(j, S("stalledSeconds"));
            json_f64(j, (double)io->stalled_ns / 1e9);
        }
        json_obj_end(j);
    }
    json_obj_end(j);
}
