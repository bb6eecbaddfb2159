#include "io/http_pems.h"

#include "base/test.h"

#include <fcntl.h>
#include <unistd.h>

TEST(http_pems_one_file_for_one_content)
{
    struct http_pems *p = http_pems_new();
    str a = http_pems_path(p, S("first")), b = http_pems_path(p, S("second"));
    EXPECT(!str_eq(a, b));
    EXPECT_STR(http_pems_path(p, S("first")), a);
    EXPECT_STR(http_pems_path(p, S("second")), b);
    const struct { const char *name; str path, pem; } files[] = { { "a", a, S("first") },
        { "b", b, S("second") } };
    TEST_EACH(f, files) {
        char room[16];
        int fd = open((const char *)f->path.p, O_RDONLY | O_CLOEXEC);
        EXPECT(fd >= 0);
        ssize_t n = read(fd, room, sizeof(room));
        EXPECT_STR(str_of(room, n > 0 ? (size_t)n : 0), f->pem);
        close(fd);
    }
    http_pems_free(p);
    http_pems_free(NULL);
}
