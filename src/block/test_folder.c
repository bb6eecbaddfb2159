#include "block/test_folder.h"

#include "base/test.h"
#include "base/ulid.h"

str test_block_dir(struct fs *fs, struct arena *a)
{
    fs_entries all = { 0 };
    ulid id;
    str found = STR_EMPTY;
    EXPECT_OK(fs_list(fs, STR_EMPTY, a, &all, NULL));
    for (size_t i = 0; i < all.n && !found.n; i++)
        if (ulid_parse(all.at[i].name, &id)) found = all.at[i].name;
    vec_fini(&all);
    EXPECT(found.n > 0);
    return found;
}
