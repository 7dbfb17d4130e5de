/*
 * X-Schedule: windows in order that do not touch; what is stored is read back
 * as it was; the next second inside of a window is inside of one.
 */
#include "fuzz.h"
#include "mail/schedule.h"

/* Does schedule_next say what the windows say? */
static void
check_next(const struct schedule *s, int64_t t)
{
	int64_t next = schedule_next(s, t);
	bool inside = false, before = false;
	size_t i;

	for (i = 0; i < s->n; i++) {
		inside = inside ||
		    (next >= s->window[i].from && next < s->window[i].to);
		before = before || t < s->window[i].to;
	}
	FUZZ_CHECK(before == (next != -1));
	FUZZ_CHECK(next == -1 || (inside && next >= t));
	FUZZ_CHECK(next == -1 || schedule_end(s, next) > next);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf one = BUF_INIT, two = BUF_INIT;
	struct verr err = VERR_INIT;
	struct schedule s, again;
	size_t i;

	if (schedule_parse((const char *)data, size, 1000, &s, &err) == -1) {
		FUZZ_CHECK(err.code == VEX_DATA && err.text[0] != '\0');
		return (0);
	}
	FUZZ_CHECK(s.n > 0 && s.n <= SCHEDULE_MAX);
	for (i = 0; i < s.n; i++) {
		FUZZ_CHECK(s.window[i].from < s.window[i].to);
		FUZZ_CHECK(i == 0 || s.window[i - 1].to < s.window[i].from);
		check_next(&s, s.window[i].from - 1);
		check_next(&s, s.window[i].from);
		check_next(&s, s.window[i].to - 1);
		check_next(&s, s.window[i].to);
	}
	schedule_format(&s, &one);
	FUZZ_CHECK(schedule_parse(one.p, one.len, 0, &again, &err) == 0);
	schedule_format(&again, &two);
	FUZZ_CHECK(one.len == two.len && memcmp(one.p, two.p, one.len) == 0);
	buf_release(&one);
	buf_release(&two);
	return (0);
}
