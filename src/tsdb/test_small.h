/* test_small.h — a small database for tests: six series, a sample a minute.
 *
 * What        Opens one on any disk, fills it, counts what is asked of it, deletes.
 * Invariants  none
 * Ownership   the caller's
 * Threads     one test
 * Errors      a failure fails the test
 * Format      none
 */
#ifndef EPI_TSDB_TEST_SMALL_H
#define EPI_TSDB_TEST_SMALL_H

#include "base/ulid.h"
#include "io/fs_sim.h"
#include "tsdb/db.h"

enum { SERIES = 6, STEP_MS = 60000, ROUNDS = 300 };            /* five hours: a block and a head */
#define T0 1700006400000ll

/* with small chunks and segments and no thread, else as said; what: may be NULL */
struct db *open_small(const struct db_opts *o, struct db_opened *what);
struct db *open_db(struct fs *fs, int64_t fsync_interval_ms);
void close_db(struct db *db);
void fill(struct db *db, int from, int to);
/* of series 1, a second behind that round */
void late_sample(struct db *db, int64_t round);
/* samples of series id, or of all (-1), in [from, to] rounds */
unsigned count(struct db *db, int id, int from, int to);
/* of the series that m accepts */
unsigned count_in(struct queryable *all, struct matcher m, int64_t mint, int64_t maxt);
errc delete_of(struct db *db, unsigned id, int from, int to);
/* the folder of a snapshot on a disk of its own, opened */
struct db *open_snapshot(struct fs *fs, str name, struct fs **copy);
/* of all blocks; series: the sum of levels */
struct block_stats;
void metas_of(struct db *db, struct block_stats *sum);
/* the name of the folder's newest block */
void block_name(struct fs *fs, char name[ULID_CHARS + 1]);
/* five hours, of which the older are a block; logs nothing until end */
void begin(struct fs **fs, struct db **db);
void end(struct fs *fs, struct db *db);
void hush(bool on);

#endif
