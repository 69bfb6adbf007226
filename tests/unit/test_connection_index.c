/*
 * The index alone, with hashes that no key would give: collisions of all of the hash, lines
 * that overflow, the end of the table.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "connection/internal.h"
#include "connections.h"

#define RECORDS 60

/* Records of a table whose index was emptied, to be entered under any hash. */
struct fixture {
	struct connection_table *table;
	struct connection *c[RECORDS];
	struct connection_tuple tuple[RECORDS];
};

static void
setup(struct fixture *f)
{
	struct random random;

	random_init(&random, 3);
	f->table = table_of(RECORDS);
	for (uint32_t i = 0; i < RECORDS; i++) {
		struct connection_new what =
		    connection_of((enum connection_kind)(i % 4), IPPROTO_ICMP, i);

		f->c[i] = open_new(f->table, &what, &random, START);
		f->tuple[i] = connection_index_tuple(f->table, f->c[i], CONNECTION_FROM_CLIENT);
	}
	memset(f->table->buckets, 0, f->table->bucket_count * sizeof(*f->table->buckets));
}

static struct connection *
find(struct fixture *f, uint32_t i, uint64_t hash)
{
	enum connection_side side;

	return connection_index_find(f->table, &f->tuple[i], hash, &side);
}

static uint64_t
count_passed(const struct fixture *f)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < f->table->bucket_count; i++)
		n += f->table->buckets[i].passed;
	return n;
}

static void
assert_empty(const struct fixture *f)
{
	for (uint32_t i = 0; i < f->table->bucket_count; i++) {
		for (uint32_t j = 0; j < BUCKET_ENTRIES; j++)
			assert_int_equal(f->table->buckets[i].entry[j], 0);
		assert_int_equal(f->table->buckets[i].passed, 0);
	}
}

/* The hash only says where to look: what is found must be equal in each field. */
static void
test_same_hash_other_key(void **state)
{
	struct connection_table *table = table_of(16);
	struct random random;

	(void)state;
	random_init(&random, 3);
	for (uint32_t kind = 0; kind < CONNECTION_KINDS; kind++) {
		struct connection_new what =
		    connection_of((enum connection_kind)kind, IPPROTO_TCP, kind);
		struct connection *c = open_new(table, &what, &random, START);
		enum connection_side end =
		    what.kind == CONNECTION_LOCAL || what.kind == CONNECTION_RECEIVED
		    ? CONNECTION_FROM_SERVER
		    : CONNECTION_FROM_CLIENT;

		for (uint32_t s = 0; s <= end; s++) {
			struct connection_tuple exact =
			    connection_index_tuple(table, c, (enum connection_side)s);
			uint64_t hash = connection_index_hash(table, &exact);
			enum connection_side side = (enum connection_side)9;

			assert_ptr_equal(connection_index_find(table, &exact, hash, &side), c);
			assert_int_equal(side, s);
			for (size_t i = 0; i < sizeof(exact); i++) {
				struct connection_tuple other = exact;

				((uint8_t *)&other)[i] ^= 1;
				if (i == offsetof(struct connection_tuple, zero))
					continue;
				assert_null(connection_index_find(table, &other, hash, &side));
			}
		}
	}
	connection_table_free(table);
}

/* All of them at one place, first, in the middle and at the end of the table. */
static void
test_overflow(void **state)
{
	static const uint64_t homes[] = {0, 0x80000000, 0xffffffff};
	struct fixture f;

	(void)state;
	setup(&f);
	for (size_t h = 0; h < sizeof(homes) / sizeof(homes[0]); h++) {
		uint64_t hash = homes[h] | UINT64_C(0x77) << 56;
		uint32_t i;

		assert_empty(&f);
		for (i = 0; i < RECORDS; i++) {
			assert_null(find(&f, i, hash));
			connection_index_insert(f.table, f.c[i], CONNECTION_FROM_CLIENT, hash);
			assert_ptr_equal(find(&f, i, hash), f.c[i]);
		}
		/* four lines of 15: 45, 30 and 15 have gone past the first three */
		assert_int_equal(count_passed(&f), 90);
		for (i = 0; i < RECORDS; i += 2)
			connection_index_remove(f.table, f.c[i], CONNECTION_FROM_CLIENT, hash);
		for (i = 0; i < RECORDS; i++)
			assert_ptr_equal(find(&f, i, hash), i % 2 == 0 ? NULL : f.c[i]);
		/* they return to where there is room now */
		for (i = 0; i < RECORDS; i += 2)
			connection_index_insert(f.table, f.c[i], CONNECTION_FROM_CLIENT, hash);
		for (i = 0; i < RECORDS; i++)
			assert_ptr_equal(find(&f, i, hash), f.c[i]);
		for (i = RECORDS; i-- > 0;) {
			connection_index_remove(f.table, f.c[i], CONNECTION_FROM_CLIENT, hash);
			assert_null(find(&f, i, hash));
		}
	}
	assert_empty(&f);
	connection_table_free(f.table);
}

/* Both sides of the first and the last record, with each tag there is: none looks empty, none
 * reaches into the number of the record. */
static void
test_tags(void **state)
{
	static const uint32_t records[] = {0, 1, RECORDS - 1};
	struct fixture f;

	(void)state;
	setup(&f);
	for (uint64_t tag = 0; tag < 256; tag++) {
		for (size_t r = 0; r < sizeof(records) / sizeof(records[0]); r++) {
			uint32_t i = records[r];
			uint64_t hash = tag << 56 | 12345;

			connection_index_insert(f.table, f.c[i], CONNECTION_FROM_CLIENT, hash);
			assert_ptr_equal(find(&f, i, hash), f.c[i]);
			connection_index_remove(f.table, f.c[i], CONNECTION_FROM_CLIENT, hash);
			assert_null(find(&f, i, hash));
		}
	}
	assert_empty(&f);
	connection_table_free(f.table);
}

/* In and out at random, most at few places: everything that is in is found, nothing else, and
 * the end leaves nothing behind. */
static void
test_random(void **state)
{
	uint64_t hash[RECORDS];
	bool in[RECORDS] = {false};
	struct random random;
	struct fixture f;
	uint64_t most = 0;

	(void)state;
	random_init(&random, 11);
	setup(&f);
	for (uint32_t i = 0; i < RECORDS; i++)
		hash[i] = (uint64_t)random_below(&random, 3) << 56 |
		    (random_below(&random, 2) == 0 ? 0 : random_next(&random) & UINT32_MAX);
	for (uint32_t step = 0; step < 100000; step++) {
		uint32_t i = random_below(&random, RECORDS);

		if (in[i])
			connection_index_remove(f.table, f.c[i], CONNECTION_FROM_CLIENT, hash[i]);
		else
			connection_index_insert(f.table, f.c[i], CONNECTION_FROM_CLIENT, hash[i]);
		in[i] = !in[i];
		i = random_below(&random, RECORDS);
		assert_ptr_equal(find(&f, i, hash[i]), in[i] ? f.c[i] : NULL);
		if (count_passed(&f) > most)
			most = count_passed(&f);
	}
	assert_true(most > 5);
	for (uint32_t i = 0; i < RECORDS; i++) {
		if (in[i])
			connection_index_remove(f.table, f.c[i], CONNECTION_FROM_CLIENT, hash[i]);
	}
	assert_empty(&f);
	connection_table_free(f.table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same_hash_other_key),
	    cmocka_unit_test(test_overflow),
	    cmocka_unit_test(test_tags),
	    cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("connection_index", tests, NULL, NULL);
}
