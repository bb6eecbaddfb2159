/* probes   What single steps of the machine cost, by a small program of its own that shares nothing
 * with the laboratory: NAME \t VALUE.
 *
 * getpid_ns            the system call
 * pipe_one_ns          a byte handed to another process by a pipe, both on core 0
 * pipe_across_ns       the same, on cores 0 and 1
 * touch_us             the first touch of an anonymous page of 4 KiB
 * drop_0_us .. drop_2  a page touched and given back, beside so many threads that run
 * map_ns, pread_ns     4 KiB of a cached file anywhere, looked at in a map or copied
 *
 *     bench_probes FILE        FILE: 64 MiB or more, of which it reads
 *
 * With "large": of 4 KiB anywhere in a file that memory has no room for (who calls limits it) the
 * CPU time, and of batches of 32 how many in a second:
 *
 * map_us, pread_us, direct_us, ring_us, ring_reads
 *
 *     bench_probes FILE large
 */
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, FILE_BYTES = 64 << 20, CALLS = 500000, ROUNDS = 20000, READS = 200000 };

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void stay_on(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static void getpids(void)
{
    double began = now_ns();
    for (int i = 0; i < CALLS; i++) syscall(SYS_getpid);
    printf("getpid_ns\t%.1f\n", (now_ns() - began) / CALLS);
}

static void pipes(const char *name, int core)
{
    int there[2], back[2];
    char c = 0;
    if (pipe(there) || pipe(back)) exit(1);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        close(there[1]);
        stay_on(core);
        while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1) continue;
        _exit(0);
    }
    close(there[0]);
    cpu_set_t before;
    sched_getaffinity(0, sizeof(before), &before);
    stay_on(0);
    double began = now_ns();
    for (int i = 0; i < ROUNDS; i++)
        if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1) exit(1);
    printf("%s\t%.0f\n", name, (now_ns() - began) / ROUNDS / 2);
    sched_setaffinity(0, sizeof(before), &before);
    close(there[1]);
    close(back[0]);
    close(back[1]);
    waitpid(child, NULL, 0);
}

static uint8_t *anonymous(size_t n)
{
    uint8_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) exit(1);
    madvise(p, n, MADV_NOHUGEPAGE);
    return p;
}

static void touches(void)
{
    volatile uint8_t *p = anonymous(FILE_BYTES);
    double began = now_ns();
    for (size_t i = 0; i < FILE_BYTES; i += PAGE) p[i] = 1;
    printf("touch_us\t%.3f\n", (now_ns() - began) / (FILE_BYTES / PAGE) / 1e3);
    munmap((void *)p, FILE_BYTES);
}

static _Atomic int spin;
static void *spins(void *arg)
{
    while (atomic_load_explicit(&spin, memory_order_relaxed)) continue;
    return arg;
}

static void drops(int beside)
{
    pthread_t t[2];
    volatile uint8_t *p = anonymous(PAGE);
    atomic_store(&spin, 1);
    for (int i = 0; i < beside; i++)
        if (pthread_create(&t[i], NULL, spins, NULL)) exit(1);
    double began = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        *p = 1;
        madvise((void *)p, PAGE, MADV_DONTNEED);
    }
    printf("drop_%d_us\t%.3f\n", beside, (now_ns() - began) / ROUNDS / 1e3);
    atomic_store(&spin, 0);
    for (int i = 0; i < beside; i++) pthread_join(t[i], NULL);
    munmap((void *)p, PAGE);
}

static uint64_t next(uint64_t *s) { return *s = *s * 6364136223846793005u + 1442695040888963407u; }

static void reads(const char *path)
{
    static uint8_t page[PAGE];
    int fd = open(path, O_RDONLY);
    const uint8_t *map = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    uint64_t s = 1, sum = 0;
    if (fd < 0 || map == MAP_FAILED) exit(1);
    madvise((void *)map, FILE_BYTES, MADV_RANDOM);
    for (size_t i = 0; i < FILE_BYTES; i += PAGE) sum += map[i];
    double began = now_ns();
    for (int i = 0; i < READS; i++) {
        const uint64_t *at = (const void *)(map + (next(&s) >> 40) % (FILE_BYTES / PAGE) * PAGE);
        for (size_t k = 0; k < PAGE / sizeof(*at); k++) sum += at[k];
    }
    double mid = now_ns();
    for (int i = 0; i < READS; i++) {
        off_t at = (off_t)((next(&s) >> 40) % (FILE_BYTES / PAGE) * PAGE);
        if (pread(fd, page, PAGE, at) != PAGE) exit(1);
        const uint64_t *words = (const void *)page;
        for (size_t k = 0; k < PAGE / sizeof(*words); k++) sum += words[k];
    }
    printf("map_ns\t%.0f\npread_ns\t%.0f\n", (mid - began) / READS, (now_ns() - mid) / READS);
    fprintf(stderr, "%llu\n", (unsigned long long)sum);
    close(fd);
}

static double cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static off_t place(uint64_t *s, uint64_t pages)
{
    return (off_t)((next(s) >> 24) % pages * PAGE);
}

static uint64_t lines(const uint8_t *p)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < PAGE; i += 64) sum += p[i];
    return sum;
}

enum { BATCH = 32, BATCHES = 500 };

static uint64_t by_ring(int fd, uint64_t pages, uint8_t *room)
{
    struct io_uring ring;
    struct iovec iov[BATCH];
    uint64_t s = 3, sum = 0;
    if (io_uring_queue_init(BATCH, &ring, 0)) exit(1);
    for (size_t i = 0; i < BATCH; i++) iov[i] = (struct iovec){ room + i * PAGE, PAGE };
    if (io_uring_register_buffers(&ring, iov, BATCH)) exit(1);
    double cpu = cpu_us(), began = now_ns();
    for (int k = 0; k < BATCHES; k++) {
        for (unsigned i = 0; i < BATCH; i++)
            io_uring_prep_read_fixed(io_uring_get_sqe(&ring), fd, iov[i].iov_base, PAGE,
                (uint64_t)place(&s, pages), (int)i);
        if (io_uring_submit_and_wait(&ring, BATCH) != BATCH) exit(1);
        for (size_t i = 0; i < BATCH; i++) {
            struct io_uring_cqe *c;
            if (io_uring_wait_cqe(&ring, &c) || c->res != PAGE) exit(1);
            io_uring_cqe_seen(&ring, c);
            sum += lines(room + i * PAGE);
        }
    }
    printf("ring_us\t%.3f\nring_reads\t%.0f\n", (cpu_us() - cpu) / (BATCHES * BATCH),
        BATCHES * BATCH * 1e9 / (now_ns() - began));
    io_uring_queue_exit(&ring);
    return sum;
}

static void large(const char *path)
{
    int fd = open(path, O_RDONLY), direct = open(path, O_RDONLY | O_DIRECT);
    struct stat st;
    uint8_t *room = anonymous(BATCH * PAGE);
    if (fd < 0 || direct < 0 || fstat(fd, &st)) exit(1);
    uint64_t pages = (uint64_t)st.st_size / PAGE, s = 1, sum = 0, n = BATCHES * BATCH;
    uint8_t *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) exit(1);
    madvise(map, (size_t)st.st_size, MADV_RANDOM);
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    for (uint64_t i = 0; i < n; i++) sum += lines(map + place(&s, pages)); /* memory is full */
    double at = cpu_us();
    for (uint64_t i = 0; i < n; i++) sum += lines(map + place(&s, pages));
    printf("map_us\t%.3f\n", (cpu_us() - at) / (double)n);
    munmap(map, (size_t)st.st_size);
    for (int k = 0; k < 2; k++) {
        at = cpu_us();
        for (uint64_t i = 0; i < n; i++) {
            if (pread(k ? direct : fd, room, PAGE, place(&s, pages)) != PAGE) exit(1);
            sum += lines(room);
        }
        printf("%s\t%.3f\n", k ? "direct_us" : "pread_us", (cpu_us() - at) / (double)n);
    }
    sum += by_ring(direct, pages, room);
    fprintf(stderr, "%llu\n", (unsigned long long)sum);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[2], "large") == 0) {
        large(argv[1]);
        return 0;
    }
    if (argc != 2) return 2;
    getpids();
    pipes("pipe_one_ns", 0);
    if (sysconf(_SC_NPROCESSORS_ONLN) > 1) pipes("pipe_across_ns", 1);
    touches();
    for (int i = 0; i <= 2; i++) drops(i);
    reads(argv[1]);
    return 0;
}
