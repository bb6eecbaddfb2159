/* range_pages_test.c — pages come, go in the order of use, and come back from the file behind. */
#include "bucket/range_pages.h"

#include "base/test.h"
#include "bucket/page_file.h"
#include "io/fs_sim.h"

enum { PAGE = 64, PAGES = 8, TAIL = 10 };

struct rig {
    struct fs *disk;
    struct range_pages t;
    struct page_owner owner;
};

/* slots: of the file behind; 0: there is none */
static void rig_init(struct rig *r, uint64_t budget_pages, unsigned slots)
{
    struct page_file *behind = NULL;
    struct err e = { 0 };
    r->disk = fs_sim_new(test_seed());
    if (slots)
        EXPECT_OK_E(page_file_open(&behind, r->disk, S("pages"), PAGE, slots * PAGE, &e), &e);
    range_pages_init(&r->t, budget_pages * PAGE, PAGE, behind);
    page_owner_init(&r->owner, PAGES * PAGE + TAIL);
    mtx_lock(&r->t.mu);
}

static void rig_fini(struct rig *r)
{
    range_pages_forget(&r->t, &r->owner);
    EXPECT_EQ(r->t.bytes, 0);
    EXPECT_EQ(r->t.disk_bytes, 0);
    EXPECT_EQ(r->t.loading, 0);
    mtx_unlock(&r->t.mu);
    range_pages_fini(&r->t);
    fs_free(r->disk);
}

static struct range_page *page(const struct rig *r, uint64_t index)
{
    return range_pages_find(&r->t, &r->owner, index);
}

/* It came, its index in each byte; held until it is released. */
static struct range_page *page_come(struct rig *r, uint64_t index)
{
    struct range_page *p = range_pages_add(&r->t, &r->owner, index);
    range_page_hold(p);
    range_page_room(&r->t, p);
    memset(p->fresh, (int)index, p->n);
    range_page_came(&r->t, p);
    return p;
}

static void page_let_go(struct rig *r, struct range_page *p)
{
    range_page_release(&r->t, p);
    range_pages_evict(&r->t);
}

static void page_spill(struct rig *r, struct range_page *p)
{
    page_spills v = { 0 };
    range_pages_spill(&r->t, p, &v);
    mtx_unlock(&r->t.mu);
    range_pages_write(&r->t, &v);
    mtx_lock(&r->t.mu);
}

TEST(what_was_used_longest_ago_goes_first)
{
    struct rig r;
    rig_init(&r, 2, 0);
    for (uint64_t i = 0; i < 2; i++) page_let_go(&r, page_come(&r, i));
    range_page_hold(page(&r, 0));
    page_let_go(&r, page(&r, 0));
    page_let_go(&r, page_come(&r, 2));
    EXPECT(page(&r, 0) && !page(&r, 1) && page(&r, 2));
    EXPECT_EQ(r.t.evicted, 1);
    struct range_page *held = page(&r, 0);
    range_page_hold(held);
    for (uint64_t i = 3; i < 6; i++) page_let_go(&r, page_come(&r, i));
    EXPECT(page(&r, 0) == held && !page(&r, 4) && page(&r, 5));
    page_let_go(&r, held);
    rig_fini(&r);
}

TEST(a_page_that_is_forgotten_lives_as_long_as_it_is_held)
{
    struct rig r;
    rig_init(&r, 4, 0);
    struct range_page *held = page_come(&r, 3), *last = page_come(&r, PAGES);
    EXPECT_EQ(last->n, TAIL);
    range_pages_forget(&r.t, &r.owner);
    EXPECT(!page(&r, 3) && !page(&r, PAGES));
    struct range_page *fresh = page_come(&r, 3);
    EXPECT(fresh != held && page(&r, 3) == fresh);
    EXPECT_EQ(held->at[PAGE - 1], 3);
    page_let_go(&r, held);
    EXPECT(page(&r, 3) == fresh);
    page_let_go(&r, fresh);
    page_let_go(&r, last);
    rig_fini(&r);
}

TEST(a_page_that_failed_says_why_to_those_who_hold_it)
{
    struct rig r;
    rig_init(&r, 4, 0);
    struct range_page *p = range_pages_add(&r.t, &r.owner, 1);
    range_page_hold(p);
    range_page_room(&r.t, p);
    range_page_failed(&r.t, p, ERR_IO, S("it was to fail"));
    EXPECT(!page(&r, 1));
    EXPECT_EQ(p->state, PAGE_FAILED);
    EXPECT_EQ(p->rc, ERR_IO);
    EXPECT_STR(p->why, S("it was to fail"));
    page_let_go(&r, p);
    rig_fini(&r);
}

/* Reads one that is on the disk; whether it came back whole. */
static bool page_back(struct rig *r, struct range_page *p)
{
    page_list claimed = { 0 }, fresh = { 0 };
    EXPECT_EQ(p->state, PAGE_ON_DISK);
    range_page_claim(&r->t, p, &claimed);
    range_page_hold(p);
    mtx_unlock(&r->t.mu);
    range_pages_load(&r->t, &claimed, &fresh);
    bool whole = !fresh.n;
    EXPECT_EQ(p->state, whole ? PAGE_READY : PAGE_LOADING);
    vec_fini(&claimed);
    vec_fini(&fresh);
    return whole;
}

TEST(what_memory_has_no_room_for_comes_back_from_the_disk)
{
    struct rig r;
    rig_init(&r, 1, 4);
    for (uint64_t i = 0; i < 3; i++) {
        struct range_page *p = page_come(&r, i);
        page_spill(&r, p);
        page_let_go(&r, p);
    }
    EXPECT_EQ(r.t.disk_bytes, 3 * PAGE);
    EXPECT_EQ(r.t.bytes, PAGE);
    struct range_page *p = page(&r, 0);
    EXPECT(page_back(&r, p));
    for (size_t i = 0; i < PAGE; i++) EXPECT_EQ(p->at[i], 0);
    page_let_go(&r, p);
    rig_fini(&r);
}

TEST(a_copy_that_is_not_what_was_written_is_fetched_anew)
{
    struct rig r;
    rig_init(&r, 0, 4);
    struct range_page *p = page_come(&r, 5);
    page_spill(&r, p);
    page_let_go(&r, p);
    p->crc ^= 1;
    EXPECT(!page_back(&r, p));
    EXPECT_EQ(r.t.disk_bytes, 0);
    range_page_failed(&r.t, p, ERR_IO, S("nobody fetches it here"));
    page_let_go(&r, p);
    rig_fini(&r);
}

TEST(the_copy_that_was_read_longest_ago_makes_room)
{
    struct rig r;
    rig_init(&r, 0, 2);
    for (uint64_t i = 0; i < 3; i++) {
        struct range_page *p = page_come(&r, i);
        page_spill(&r, p);
        page_let_go(&r, p);
    }
    EXPECT(!page(&r, 0) && page(&r, 1) && page(&r, 2));
    EXPECT_EQ(r.t.disk_bytes, 2 * PAGE);
    rig_fini(&r);
}
