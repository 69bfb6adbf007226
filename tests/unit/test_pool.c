#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/random.h"
#include "connection/pool.h"

static const struct siphash_key key = {{1, 2}};

static struct ip
number(uint32_t i)
{
	uint8_t octets[16] = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, (uint8_t)(i >> 24),
	    (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

	return ip_from_v6(octets);
}

static void
test_size(void **state)
{
	struct pool pool;

	(void)state;
	errno = 0;
	assert_int_equal(pool_init(&pool, 0, &key), -1);
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_int_equal(pool_init(&pool, 65537, &key), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(pool_init(&pool, 65536, &key), 0);
	pool_fini(&pool);
	pool_fini(&pool);
	assert_true(pool_octets(65536) <= 28 * 65536 + 24);
	assert_true(pool_octets(1) > 0);
}

static void
test_same_address_same_handle(void **state)
{
	struct ip a = number(1), b = number(2);
	struct pool pool;
	uint32_t x, y;

	(void)state;
	assert_int_equal(pool_init(&pool, 4, &key), 0);
	x = pool_get(&pool, &a);
	y = pool_get(&pool, &b);
	assert_int_not_equal(x, y);
	assert_int_equal(pool_get(&pool, &a), x);
	assert_int_equal(pool.used, 2);
	assert_true(ip_equal(pool_ip(&pool, x), &a));
	assert_true(ip_equal(pool_ip(&pool, y), &b));
	/* it stays as long as somebody uses it */
	pool_put(&pool, x);
	assert_int_equal(pool_get(&pool, &a), x);
	pool_put(&pool, x);
	pool_put(&pool, x);
	assert_int_equal(pool.used, 1);
	pool_put(&pool, y);
	assert_int_equal(pool.used, 0);
	pool_fini(&pool);
}

static void
test_zero_address(void **state)
{
	struct ip zero = {{0}}, any = number(9);
	struct pool pool;
	uint32_t x;

	(void)state;
	assert_int_equal(pool_init(&pool, 1, &key), 0);
	x = pool_get(&pool, &any);
	/* it needs no room, and cannot be put too often */
	assert_int_equal(pool_get(&pool, &zero), POOL_ZERO);
	assert_true(ip_is_zero(pool_ip(&pool, POOL_ZERO)));
	pool_put(&pool, POOL_ZERO);
	pool_put(&pool, POOL_ZERO);
	assert_int_equal(pool_get(&pool, &zero), POOL_ZERO);
	assert_int_not_equal(x, POOL_ZERO);
	pool_fini(&pool);
}

static void
test_full(void **state)
{
	static uint32_t handles[65536];
	static const uint32_t sizes[] = {1, 2, 3, 255, 256, 257, 65536};
	struct pool pool;
	struct ip ip;

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		uint32_t size = sizes[s];

		assert_int_equal(pool_init(&pool, size, &key), 0);
		for (uint32_t i = 0; i < size; i++) {
			ip = number(i);
			handles[i] = pool_get(&pool, &ip);
			assert_in_range(handles[i], 1, size);
		}
		ip = number(size);
		assert_int_equal(pool_get(&pool, &ip), POOL_NONE);
		ip = number(size / 2);
		assert_int_equal(pool_get(&pool, &ip), handles[size / 2]);
		pool_put(&pool, handles[size / 2]);
		/* one out, one in */
		pool_put(&pool, handles[size / 2]);
		ip = number(size);
		assert_int_equal(pool_get(&pool, &ip), handles[size / 2]);
		ip = number(size + 1);
		assert_int_equal(pool_get(&pool, &ip), POOL_NONE);
		pool_fini(&pool);
	}
}

/* Against counting by hand. */
static void
test_model(void **state)
{
	enum { ADDRESSES = 300, SIZE = 200 };
	uint32_t users[ADDRESSES] = {0}, handle[ADDRESSES] = {0};
	uint32_t used = 0, full = 0;
	struct random random;
	struct pool pool;

	(void)state;
	random_init(&random, 5);
	assert_int_equal(pool_init(&pool, SIZE, &key), 0);
	for (uint32_t step = 0; step < 300000; step++) {
		uint32_t i = random_below(&random, ADDRESSES);
		struct ip ip = number(i);

		/* tends to full and to empty in turns */
		if (random_below(&random, 10) < (step / 5000 % 2 == 0 ? 7u : 3u)) {
			uint32_t h = pool_get(&pool, &ip);

			if (users[i] == 0 && used == SIZE) {
				assert_int_equal(h, POOL_NONE);
				full++;
				continue;
			}
			assert_int_not_equal(h, POOL_NONE);
			if (users[i] > 0)
				assert_int_equal(h, handle[i]);
			else
				used++;
			handle[i] = h;
			users[i]++;
		} else if (users[i] > 0) {
			pool_put(&pool, handle[i]);
			if (--users[i] == 0)
				used--;
		}
		assert_int_equal(pool.used, used);
		i = random_below(&random, ADDRESSES);
		ip = number(i);
		if (users[i] > 0)
			assert_true(ip_equal(pool_ip(&pool, handle[i]), &ip));
	}
	assert_true(full > 1000);
	pool_fini(&pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_size),
	    cmocka_unit_test(test_same_address_same_handle),
	    cmocka_unit_test(test_zero_address),
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
