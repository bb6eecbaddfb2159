/* exposition.h — a scraped page, entry by entry: text format 0.0.4 / 1.0.0, OpenMetrics 0.0.1 /
 * 1.0.0 and protobuf.
 *
 * What        An iterator over a whole body in memory. An entry is what Prometheus' parser of the
 *             same format yields, with the same bytes accepted and refused and the same words;
 *             labels, histograms, exemplars and start timestamps are only made on demand. Classic
 *             histograms may become native ones with custom buckets (NHCB) on the way.
 * Invariants  (1) No byte beyond the padding is read. (2) After the end or an error expo_next keeps
 *             answering the same.
 *             (3) The text format may hold raw newlines inside quotes: an entry is not a line.
 * Ownership   borrows the body until expo_fini; slices of an entry live as long as the body, unless
 *             said otherwise
 * Threads     one thread at a time
 * Errors      ERR_BAD_INPUT with the words of Prometheus' parser (cut at the size of struct err)
 * Format      prometheus.io/docs/instrumenting/exposition_formats, OpenMetrics 1.0;
 *             conformance/exposition
 */
#ifndef EPI_INGEST_EXPOSITION_H
#define EPI_INGEST_EXPOSITION_H

#include "base/err.h"
#include "base/vec.h"
#include "model/int_histogram.h"
#include "model/labels.h"
#include "model/metadata.h"

/* zero bytes behind a body; the first is written to (a closing newline) */
enum { EXPO_PADDING = 64 };

enum expo_format { EXPO_NONE, EXPO_TEXT, EXPO_OPENMETRICS, EXPO_PROTOBUF };
enum expo_entry {
    EXPO_END,
    EXPO_TYPE,
    EXPO_HELP,
    EXPO_UNIT,
    EXPO_COMMENT,
    EXPO_SERIES,
    EXPO_HISTOGRAM                     /* a series whose value is a native histogram */
};

struct expo_opts {
    bool type_and_unit_labels;         /* adds __type__ and __unit__ */
    /* OpenMetrics: _created lines are start timestamps, not series */
    bool skip_created;
    bool ignore_native;                /* protobuf: histograms are read as classic ones */
    bool keep_classic;                 /* also what is, or becomes, a native histogram */
    bool convert_classic;              /* classic histograms become NHCB */
};

/* Where a float series of a protobuf page stands: expo_return reads it again. */
struct expo_spot { str family, metric; int64_t part; };

struct expo_pb;
struct expo_nhcb;

struct expo {
    enum expo_format format;
    struct expo_opts opts;
    uint8_t *b;                        /* the body */
    size_t n;                          /* bytes that are lexed: the text format adds a newline */
    size_t i, tok, start;              /* next byte, start of the token, start of the entry */
    uint8_t state;                     /* of the lexer */
    bool done;
    errc rc;                           /* of a failure, which stays */

    /* The entry. */
    enum expo_entry kind;
    /* type, help, unit: the family's name as it stands in the page */
    str name;
    str text;                          /* help (still escaped), comment (with its #), unit */
    enum metric_type type;             /* of the family named last */
    str unit;                          /* OpenMetrics: the unit named last */
    str series;                        /* the text of name and labels: the key of the line cache */
    double value;
    int64_t ts;                        /* ms; valid if has_ts */
    bool has_ts;

    size_t name_from, name_to;         /* SIZE_MAX: not seen */
    VEC(size_t) pairs;                 /* from, to of name and of value: four for each label */
    VEC(size_t) ex_pairs;
    bool has_exemplar, exemplar_has_ts;
    double exemplar_value;
    int64_t exemplar_ts;

    /* What stands for the series, or for a comment that is not a line: its hash and length. Not
     * keyed: the text of the line does (`series`). */
    bool keyed;
    uint32_t key_len;
    uint64_t key;
    size_t exemplars_told;             /* of the entry, by expo_exemplar */
    /* 1 << type: their lines have to be parsed, known or not */
    uint32_t parsed_types;
    bool collecting;                   /* parts of a classic histogram, or they are being told */
    struct expo_pb *pb;                /* protobuf */
    struct expo_nhcb *nhcb;            /* text formats with convert_classic */

    /* Start timestamps by looking ahead for a _created line. */
    size_t family_len;
    int64_t st;
    uint64_t st_hash;
    bool peeking;
};

struct expo_exemplar { struct labels labels; double value; int64_t ts; bool has_ts; };

/* body has n bytes and EXPO_PADDING zero bytes behind them. REQUIRES: a format */
void expo_init(
    struct expo *x, enum expo_format format, uint8_t *body, size_t n, const struct expo_opts *opts);
void expo_fini(struct expo *x);
/* Another reader of the same page, at its start: to read a line again while x goes on. Histograms
 * are not converted. */
void expo_again(struct expo *out, const struct expo *x);

MUST_USE errc expo_next(struct expo *x, enum expo_entry *out, struct err *e);

/* True between two entries, where a reader that knows what the line says may move on with
 * expo_skip. */
static inline bool expo_at_line(const struct expo *x)
{
    return x->state == 0 && !x->done && !x->collecting && !(x->parsed_types >> x->type & 1);
}
static inline size_t expo_pos(const struct expo *x) { return x->i; }
static inline void expo_skip(struct expo *x, size_t to)
{
    assert(to >= x->i && to <= x->n && x->state == 0);
    x->i = to;
}
/* Back to the start of an entry seen before; `type` is what x->type was there. Then expo_next gives
 * that entry again. */
void expo_seek(struct expo *x, size_t pos, enum metric_type type);
/* Protobuf, of a series entry; and then that entry stands there again. */
struct expo_spot expo_spot(const struct expo *x);
MUST_USE errc expo_return(struct expo *x, struct expo_spot spot, struct err *e);

/* Of a series or histogram entry: its labels sorted by name. Repeated names and empty values are
 * kept: the caller decides. */
struct labels expo_labels(const struct expo *x, struct arena *a);
str expo_help(const struct expo *x, struct arena *a);          /* unescaped */
/* The next exemplar of a series or histogram entry; false: that was all. */
MUST_USE bool expo_exemplar(struct expo *x, struct arena *a, struct expo_exemplar *out);
/* Of a histogram entry, one of the two is set. None: the page says it is none (in a family of
 * native histograms). */
struct expo_histogram { struct int_histogram *whole; struct histogram *floats; };
struct expo_histogram expo_histogram(const struct expo *x, struct arena *a);

/* Start timestamp in ms of the series or histogram entry, 0: none. Reads ahead; read labels,
 * values and exemplars of the entry before. */
int64_t expo_start_ts(struct expo *x);

#endif
