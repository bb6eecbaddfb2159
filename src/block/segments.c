#include "block/segments.h"

#include "block/segment_codec.h"

#include <stdlib.h>

enum { GUESS_BYTES = 1024 };

struct segments {
    VEC(struct reader *) files;
    uint64_t bytes;
};

void segments_close(struct segments *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->files.n; i++)
        if (s->files.at[i]) reader_close(s->files.at[i]);
    vec_fini(&s->files);
    mem_free(s);
}

size_t segments_count(const struct segments *s) { return s->files.n; }
uint64_t segments_bytes(const struct segments *s) { return s->bytes; }

uint64_t segments_size(const struct segments *s, uint32_t segment)
{
    return segment < s->files.n && s->files.at[segment] ? reader_size(s->files.at[segment]) : 0;
}

static errc file_open(struct segments *s, struct fs *fs, str path, enum io_backend backend,
    enum io_pattern pattern, struct err *e)
{
    struct reader *r = NULL;
    struct pin pin = { 0 };
    TRY(reader_open(&r, fs, path, (struct read_as){ backend, IO_CHUNKS, pattern }, e));
    vec_push(&s->files, r);
    s->bytes += reader_size(r);
    if (reader_size(r) < SEGMENT_HEADER_BYTES)
        return err_set(e, ERR_CORRUPT, "%" PRIu64 " bytes are no chunk segment", reader_size(r));
    if (reader_far(r)) return OK;
    TRY(reader_pin(r, 0, SEGMENT_HEADER_BYTES, &pin, e));
    errc rc = segment_header_check(pin.bytes, e), un = reader_unpin(&pin, e);
    return un != OK ? un : rc;
}

static errc files_open(struct segments *s, struct fs *fs, str dir, enum io_backend backend,
    enum io_pattern pattern, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    errc rc = fs_list(fs, dir, &a, &all, e);
    for (size_t i = 0; rc == OK && i < all.n; i++) { /* sorted by name: six digits */
        uint64_t number;
        if (all.at[i].is_dir || !str_u64(all.at[i].name, &number)) continue;
        rc = file_open(s, fs, path_join(&a, dir, all.at[i].name), backend, pattern, e);
        if (rc != OK) rc = err_in(e, rc, "%.*s", STR_ARG(all.at[i].name));
    }
    vec_fini(&all);
    return rc;
}

errc segments_open(struct segments **out, struct fs *fs, str dir, enum io_backend backend,
    enum io_pattern pattern, struct err *e)
{
    struct segments *s = NEW(struct segments);
    errc rc = files_open(s, fs, dir, backend, pattern, e);
    if (rc != OK) segments_close(s);
    else *out = s;
    return rc;
}

/* Files that are not as they should be. */

static errc damaged_open(struct segments *s, uint64_t number, struct fs *fs, str path,
    enum io_backend backend, struct findings *f, struct err *e)
{
    struct segments one = { 0 };
    struct err why = { 0 };
    errc rc = file_open(&one, fs, path, backend, IO_SEQUENTIAL, &why);
    bool damaged = rc == ERR_CORRUPT || rc == ERR_NOT_FOUND;   /* a link to nothing */
    if (damaged) findings_add_at(f, path, 0, "%s", why.msg);
    else if (rc != OK) rc = err_set(e, rc, "%s", why.msg);
    while (s->files.n < number) vec_push(&s->files, NULL);
    s->bytes += one.bytes;
    if (one.files.n && !s->files.at[number - 1]) s->files.at[number - 1] = one.files.at[0];
    else if (one.files.n) reader_close(one.files.at[0]);
    vec_fini(&one.files);
    return damaged ? OK : rc;
}

errc segments_open_damaged(struct segments **out, struct fs *fs, str dir, enum io_backend backend,
    struct findings *f, struct err *e)
{
    enum { NUMBER_MAX = 1 << 20 };
    SCOPED(arena_fini) struct arena a = { 0 };
    struct segments *s = NEW(struct segments);
    fs_entries all = { 0 };
    errc rc = fs_list(fs, dir, &a, &all, e);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        uint64_t number;
        str path = path_join(&a, dir, all.at[i].name);
        if (!str_u64(all.at[i].name, &number)) continue;
        if (all.at[i].is_dir) findings_add(f, path, "a folder with the name of a file");
        else if (number && number <= NUMBER_MAX)
            rc = damaged_open(s, number, fs, path, backend, f, e);
    }
    for (size_t i = 0; rc == OK && i < s->files.n; i++)
        if (!s->files.at[i])
            findings_add(f, arena_fmt(&a, "%.*s/%06zu", STR_ARG(dir), i + 1), "there is none");
    vec_fini(&all);
    if (rc != OK) segments_close(s);
    else *out = s;
    return rc;
}

/* So many bytes from the first on have the last, `before` bytes behind it, as far as can be told;
 * what is far away is had in one piece, if it can be. */
static uint64_t records_guess(
    const struct reader *r, uint64_t first, uint64_t before, uint64_t wide)
{
    uint64_t guess = MAX(before + GUESS_BYTES, wide),
             piece = READER_FAR_BYTES - first % READER_FAR_BYTES;
    if (!reader_far(r)) return guess;
    bool in_one = piece >= before + SEGMENT_LENGTH_MAX_BYTES;
    return in_one ? MIN(guess, piece) : before + GUESS_BYTES;
}

/* The bytes from a record up to the end of a later one, or the same; at least so many behind the
 * first, if there are. */
static errc records_pin(struct reader *r, uint64_t first, uint64_t last, uint64_t wide,
    struct pin *out, struct err *e)
{
    uint64_t size = reader_size(r), n = 0;
    if (first < SEGMENT_HEADER_BYTES || last < first || last >= size)
        return err_set(e, ERR_CORRUPT, "beyond the file");
    size_t before = (size_t)(last - first);
    uint64_t guess = records_guess(r, first, before, wide);
    TRY(reader_pin(r, first, (size_t)MIN(size - first, guess), out, e));
    errc rc = segment_record_bytes(str_from(out->bytes, before), &n, e);
    if (rc == OK && n > out->bytes.n - before && n <= size - last) {
        TRY(reader_unpin(out, e));
        return reader_pin(r, first, before + (size_t)n, out, e);
    }
    if (rc == OK) return OK;
    errc un = reader_unpin(out, e);
    return un != OK ? un : rc;
}

static errc run_pin(struct segments *s, uint64_t first, uint64_t last, uint64_t wide,
    struct segment_run *out, struct err *e)
{
    uint32_t i = segment_of(first), at = segment_offset(first);
    struct pin pin = { 0 };
    assert(segment_of(last) == i);
    if (i >= s->files.n || !s->files.at[i])
        return err_set(e, ERR_CORRUPT, "chunks: there is no segment %u", i + 1);
    TRY_IN(e, records_pin(s->files.at[i], at, segment_offset(last), wide, &pin, e),
        "chunks: segment %u: at %u", i + 1, at);
    *out = (struct segment_run){ first, pin };
    return OK;
}

errc segments_pin_run(
    struct segments *s, uint64_t first, uint64_t last, struct segment_run *out, struct err *e)
{
    return run_pin(s, first, last, 0, out, e);
}

errc segments_pin_wide(
    struct segments *s, uint64_t first, uint64_t last, struct segment_run *out, struct err *e)
{
    uint64_t wide = SEGMENT_WIDE_BYTES;
    if (segments_wants(s)) wide -= first % SEGMENT_WIDE_BYTES;
    return run_pin(s, first, last, wide, out, e);
}

bool segment_run_holds(const struct segment_run *r, uint64_t first, uint64_t last)
{
    uint64_t n;
    if (first < r->first || last < r->first || last - r->first >= r->pin.bytes.n) return false;
    size_t at = (size_t)(last - r->first);
    return segment_record_bytes(str_from(r->pin.bytes, at), &n, NULL) == OK &&
           n <= r->pin.bytes.n - at;
}

static str run_from(const struct segment_run *r, uint64_t ref)
{
    assert(ref >= r->first && ref - r->first < r->pin.bytes.n);
    return str_from(r->pin.bytes, (size_t)(ref - r->first));
}

errc segment_run_chunk(
    const struct segment_run *r, uint64_t ref, struct segment_record *out, struct err *e)
{
    TRY_IN(e, segment_record_decode(out, run_from(r, ref), e),
        "chunks: segment %u: at %u", segment_of(ref) + 1, segment_offset(ref));
    return OK;
}

errc segment_run_split(
    const struct segment_run *r, uint64_t ref, struct segment_record *out, struct err *e)
{
    TRY_IN(e, segment_record_split(out, run_from(r, ref), e),
        "chunks: segment %u: at %u", segment_of(ref) + 1, segment_offset(ref));
    return OK;
}

errc segments_unpin_run(struct segment_run *r, struct err *e)
{
    errc rc = reader_unpin(&r->pin, e);
    *r = (struct segment_run){ 0 };
    return rc;
}

void segments_want(struct segments *s, uint64_t first, uint64_t last)
{
    uint32_t i = segment_of(first);
    if (i >= s->files.n || !s->files.at[i] || segment_of(last) != i || last < first) return;
    reader_want(s->files.at[i], segment_offset(first), last - first + GUESS_BYTES);
}

bool segments_far(const struct segments *s)
{
    return s->files.n && s->files.at[0] && reader_far(s->files.at[0]);
}

bool segments_wants(const struct segments *s)
{
    return s->files.n && s->files.at[0] && reader_wants(s->files.at[0]);
}

static errc chunk_pin(struct segments *s, uint64_t ref, struct segment_pin *out, struct err *e)
{
    struct segment_run run;
    struct segment_record record;
    TRY(segments_pin_run(s, ref, ref, &run, e));
    errc rc = segment_run_chunk(&run, ref, &record, e);
    if (rc != OK) {
        errc un = segments_unpin_run(&run, e);
        return un != OK ? un : rc;
    }
    *out = (struct segment_pin){ record.enc, record.data, run.pin };
    return OK;
}

/* It tells its length itself: at first no more is known. */
static bool chunk_again(struct segments *s, uint64_t ref, unsigned tries)
{
    uint32_t i = segment_of(ref);
    uint64_t n = tries ? SEGMENT_WIDE_BYTES : GUESS_BYTES;
    return i < s->files.n && s->files.at[i] && reader_again(s->files.at[i], segment_offset(ref), n);
}

errc segments_pin(struct segments *s, uint64_t ref, struct segment_pin *out, struct err *e)
{
    enum { AGAIN_MAX = 2 };
    for (unsigned tries = 0;; tries++) {
        errc rc = chunk_pin(s, ref, out, e);
        if (rc != ERR_CORRUPT || tries == AGAIN_MAX || !chunk_again(s, ref, tries)) return rc;
    }
}

errc segments_unpin(struct segment_pin *p, struct err *e)
{
    errc rc = reader_unpin(&p->pin, e);
    *p = (struct segment_pin){ 0 };
    return rc;
}
