/*
 * table_direct: whether direct replies of another site get through, and so which rule its
 * connections follow.
 */
#include "base/clock.h"
#include "load/table.h"
#include "load/table_internal.h"

#define HOLD_MIN (60 * CLOCK_SECOND)
#define HOLD_MAX (3600 * CLOCK_SECOND)

static void
set_direct(struct load_table *table, uint32_t number, enum site_direct direct)
{
	struct site *site = load_table_site(table, number);

	if (site->direct == direct)
		return;
	site->direct = direct;
	table_changed(table, LOAD_CHANGE_SITE, number);
}

void
load_table_site_direct_reported(
    struct load_table *table, uint32_t number, enum site_direct direct, uint64_t now)
{
	struct site *site = load_table_site(table, number);

	/* a probe proves the way out of its network, not the one into each client's */
	if (site->direct_blocked_at != 0 && direct != SITE_DIRECT_BLOCKED &&
	    now - site->direct_blocked_at < site->direct_hold)
		return;
	site->direct_blocked_at = 0;
	set_direct(table, number, direct);
}

void
load_table_site_direct_blocked(struct load_table *table, uint32_t number, uint64_t now)
{
	struct site *site = load_table_site(table, number);

	if (site->direct_blocked_at == 0) {
		site->direct_hold = site->direct_hold == 0 ? HOLD_MIN : site->direct_hold * 2;
		if (site->direct_hold > HOLD_MAX)
			site->direct_hold = HOLD_MAX;
	}
	site->direct_blocked_at = now;
	set_direct(table, number, SITE_DIRECT_BLOCKED);
}

bool
site_wants_relay(const struct site *site)
{
	return site->reply == CONFIG_REPLY_TRANSFEROR ||
	    (site->reply == CONFIG_REPLY_AUTO && site->direct == SITE_DIRECT_BLOCKED);
}
