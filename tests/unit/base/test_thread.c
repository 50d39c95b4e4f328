/* test_thread.c - the pool runs every item once, the queue keeps order and drains. */
#include "src/base/mem.h"
#include "src/base/thread.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct count {
    atomic_int seen[1000];
    int workers;
};

static void bump(void *ctx, int item, int worker)
{
    struct count *c = ctx;
    assert_in_range(worker, 0, c->workers - 1);
    atomic_fetch_add(&c->seen[item], 1);
}

static void test_pool(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        struct pool *p = pool_new(threads);
        struct count *c = xcalloc(1, sizeof *c);
        c->workers = pool_size(p);
        for (int round = 1; round <= 300; round++) {
            const int n = round % 7 == 0 ? 1000 : round % 5;
            pool_run(p, n, bump, c);
            for (int i = 0; i < n; i++)
                assert_int_equal(atomic_exchange(&c->seen[i], 0), 1);
            if (round % 100 == 0)
                usleep(20000); /* long enough for the workers to sleep */
        }
        pool_free(p);
        free(c);
    }
    pool_free(NULL);
    assert_true(thread_default_count() >= 1);
}

static void *produce(void *arg)
{
    struct queue *q = arg;
    static int item[500];
    for (int i = 0; i < 500; i++) {
        item[i] = i;
        if (!queue_put(q, &item[i]))
            return NULL;
    }
    queue_close(q);
    return NULL;
}

static void test_queue(void **state)
{
    (void)state;
    struct queue *q = queue_new(3);
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, produce, q), 0);
    for (int i = 0; i < 500; i++) {
        int *item = queue_take(q);
        assert_non_null(item);
        assert_int_equal(*item, i);
    }
    assert_null(queue_take(q));
    pthread_join(t, NULL);
    int one = 1;
    assert_false(queue_put(q, &one)); /* closed: the item stays with the caller */
    queue_free(q);
}

/* A producer that waits for room is let go by close. */
static void test_queue_close(void **state)
{
    (void)state;
    struct queue *q = queue_new(2);
    pthread_t t;
    assert_null(queue_try_take(q));
    assert_int_equal(pthread_create(&t, NULL, produce, q), 0);
    usleep(20000);
    queue_close(q);
    pthread_join(t, NULL);
    int n = 0;
    while (queue_take(q))
        n++;
    assert_int_equal(n, 2);
    queue_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_queue_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
