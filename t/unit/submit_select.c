/* Which VirtualMTA: each step of the order against the one below it. */
#include "submit_util.h"

#include "submit/select.h"

#define RULES                                                                  \
	"pattern-list routes { match = {\n"                                    \
	"  'mail-from /^abc/ virtual-mta=b',\n"                                \
	"  'header X-Stream /urgent/i virtual-mta=c,recipient-priority=90',\n" \
	"  'rcpt-to /@x\\.com$/ call-to:xlist',\n"                             \
	"  'header Subject /^ exact$/ recipient-priority=7',\n"                \
	"  '* virtual-mta=p'} }\n"                                             \
	"pattern-list xlist { match = {\n"                                     \
	"  'rcpt-to /^vip@/ virtual-mta=even,recipient-priority=100',\n"       \
	"  'mail-from /^never/ virtual-mta=a'} }\n"

#define SOURCES                                             \
	"invalid-virtual-mta-fallback = c\n"                \
	"source 'user:rules' { pattern-list = routes }\n"   \
	"source 'user:head' { pattern-list = routes  "      \
	"process-x-virtual-mta = yes }\n"                   \
	"source 'user:few' { process-x-virtual-mta = yes  " \
	"allow-virtual-mta = {'b', 'ev*'} }\n"              \
	"source 'user:none' { allow-virtual-mta = {} }\n"   \
	"source 'user:lax' { process-x-virtual-mta = yes  " \
	"reject-invalid-virtual-mta = no }\n"

/* One question; NULL want: refused. */
struct ask {
	const char *source, *merge, *named, *header, *from, *rcpt;
	const char *want;
	int prio;
	enum select_by by;
};

static void
ask_one(const struct ask *t)
{
	struct selector *sel = selector_new(conf, t->source);
	struct verr err = VERR_INIT;
	struct select_choice c;
	struct select_facts f = { .from = t->from != NULL ? t->from : "s@y.z",
		.named = t->named };
	int rc;

	f.header[0].p = t->header != NULL ? t->header : "";
	f.header[0].n = strlen(f.header[0].p);
	f.header[1].p = "";
	rc = selector_begin(sel, &f, &err);
	if (rc == 0)
		rc = selector_rcpt(sel, t->rcpt != NULL ? t->rcpt : "r@q.r",
		    t->merge, &c, &err);
	if (t->want == NULL) {
		assert_int_equal(rc, -1);
		assert_int_equal(err.code, VEX_DATA);
	} else if (rc == -1) {
		fail_msg("%s: %s", t->want, err.text);
	} else {
		assert_string_equal(target_name(&c.target), t->want);
		assert_int_equal(c.prio, t->prio);
		assert_int_equal(c.by, t->by);
	}
	selector_free(sel);
}

#define XV(name) "Subject: x\r\nX-Virtual-MTA: " name "\r\n\r\n"
#define URGENT "X-Stream: very\r\n Urgent\r\n"

static void
test_order(void **state)
{
	static const struct ask t[] = {
		/* source, merge, named, header, from, rcpt, want */
		{ "user:x", NULL, NULL, NULL, NULL, NULL, "a", -1,
		    SELECT_DEFAULT },
		{ "user:x", "b", NULL, NULL, NULL, NULL, "b", -1,
		    SELECT_MERGE },
		/* 1 before 2 */
		{ "user:x", "b", "c", NULL, NULL, NULL, "b", -1, SELECT_MERGE },
		/* 2 before 3 */
		{ "user:head", NULL, "b", XV("c"), NULL, NULL, "b", -1,
		    SELECT_NAMED },
		/* 1 before 3 */
		{ "user:head", "b", NULL, XV("c"), NULL, NULL, "b", -1,
		    SELECT_MERGE },
		/* 3 before 4 */
		{ "user:head", NULL, NULL, XV("a"), "abc@x.y", NULL, "a", -1,
		    SELECT_HEADER },
		/* a header that the source may not use says nothing */
		{ "user:rules", NULL, NULL, XV("a"), "abc@x.y", NULL, "b", -1,
		    SELECT_RULE },
		{ "user:x", NULL, NULL, XV("b"), NULL, NULL, "a", -1,
		    SELECT_DEFAULT },
		/* 2 before 4; the rule's priority counts all the same */
		{ "user:rules", NULL, "a", URGENT, NULL, NULL, "a", 90,
		    SELECT_NAMED },
		{ "user:head", NULL, NULL, URGENT XV("a"), NULL, NULL, "a", 90,
		    SELECT_HEADER },
		{ "user:rules", "a", NULL, NULL, NULL, "vip@x.com", "a", 100,
		    SELECT_MERGE },
		/* 4 before 5; rules in order, the first match wins */
		{ "user:rules", NULL, NULL, URGENT, "abc@x.y", NULL, "b", -1,
		    SELECT_RULE },
		{ "user:rules", NULL, NULL, URGENT, "zabc@x.y", "vip@x.com",
		    "c", 90, SELECT_RULE },
		{ "user:rules", NULL, NULL, NULL, NULL, "vip@x.com", "even",
		    100, SELECT_RULE },
		/* a called list without a match: the caller goes on */
		{ "user:rules", NULL, NULL, NULL, NULL, "u@x.com", "p", -1,
		    SELECT_RULE },
		{ "user:rules", NULL, NULL, NULL, NULL, NULL, "p", -1,
		    SELECT_RULE },
		/* a rule that gives only a priority: the default's VirtualMTA
		 */
		{ "user:rules", NULL, NULL, "Subject: exact\r\n", NULL, NULL,
		    "a", 7, SELECT_DEFAULT },
		{ "user:rules", NULL, NULL, "Subject:  exact\r\n", NULL, NULL,
		    "p", -1, SELECT_RULE },
		/* any of several fields */
		{ "user:rules", NULL, NULL,
		    "X-Stream: no\r\nx-stream: URGENT\r\n", NULL, NULL, "c", 90,
		    SELECT_RULE },
		{ "user:rules", NULL, NULL, NULL, "", NULL, "p", -1,
		    SELECT_RULE },
	};
	size_t i;

	(void)state;
	set_conf(CONF RULES SOURCES);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		ask_one(&t[i]);
}

static void
test_names(void **state)
{
	static const struct ask t[] = {
		{ "user:x", NULL, "", NULL, NULL, NULL, "a", -1,
		    SELECT_DEFAULT },
		{ "user:x", NULL, "p", NULL, NULL, NULL, "p", -1,
		    SELECT_NAMED },
		{ "user:x", NULL, "nix", NULL, NULL, NULL, NULL, 0, 0 },
		{ "user:x", NULL, "../b", NULL, NULL, NULL, NULL, 0, 0 },
		{ "user:x", NULL, "b\n", NULL, NULL, NULL, NULL, 0, 0 },
		{ "user:x", "nix", NULL, NULL, NULL, NULL, NULL, 0, 0 },
		{ "user:few", NULL, "b", NULL, NULL, NULL, "b", -1,
		    SELECT_NAMED },
		{ "user:few", NULL, "even", NULL, NULL, NULL, "even", -1,
		    SELECT_NAMED },
		{ "user:few", NULL, "a", NULL, NULL, NULL, NULL, 0, 0 },
		{ "user:few", "p", NULL, NULL, NULL, NULL, NULL, 0, 0 },
		{ "user:few", NULL, NULL, XV("a"), NULL, NULL, NULL, 0, 0 },
		{ "user:few", NULL, NULL, XV(" b "), NULL, NULL, "b", -1,
		    SELECT_HEADER },
		{ "user:few", NULL, NULL, XV(""), NULL, NULL, NULL, 0, 0 },
		{ "user:few", NULL, NULL, XV("b b"), NULL, NULL, NULL, 0, 0 },
		{ "user:none", NULL, "a", NULL, NULL, NULL, NULL, 0, 0 },
		{ "user:none", NULL, NULL, NULL, NULL, NULL, "a", -1,
		    SELECT_DEFAULT },
		{ "user:lax", NULL, "nix", NULL, NULL, NULL, "c", -1,
		    SELECT_NAMED },
		{ "user:lax", "nix", NULL, NULL, NULL, NULL, "c", -1,
		    SELECT_MERGE },
		{ "user:lax", NULL, NULL, XV("nix"), NULL, NULL, "c", -1,
		    SELECT_HEADER },
		{ "user:lax", NULL, "b", NULL, NULL, NULL, "b", -1,
		    SELECT_NAMED },
		{ "user:lax", NULL, "/", NULL, NULL, NULL, NULL, 0, 0 },
	};
	size_t i;

	(void)state;
	set_conf(CONF RULES SOURCES);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		ask_one(&t[i]);
}

static void
test_no_default(void **state)
{
	static const struct ask t[] = {
		{ "user:x", NULL, NULL, NULL, NULL, NULL, NULL, 0, 0 },
		{ "user:x", NULL, "a", NULL, NULL, NULL, "a", -1,
		    SELECT_NAMED },
	};
	size_t i;

	(void)state;
	set_conf("smtp-source-host = {'192.0.2.1 x.example'}\n"
		 "virtual-mta a { }\n");
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		ask_one(&t[i]);
}

/* The same selector, message after message: nothing of the last one stays. */
static void
test_next_message(void **state)
{
	static const struct {
		const char *from, *want;
	} t[] = { { "abc@x.y", "b" }, { "other@x.y", "p" },
		{ "abc@x.y", "b" } };
	struct verr err = VERR_INIT;
	struct select_choice c;
	struct selector *sel;
	size_t i, k;

	(void)state;
	set_conf(CONF RULES SOURCES);
	sel = selector_new(conf, "user:rules");
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct select_facts f = { .from = t[i].from,
			.header = { { "", 0 }, { "", 0 } } };

		assert_int_equal(selector_begin(sel, &f, &err), 0);
		for (k = 0; k < 3; k++) {
			assert_int_equal(selector_rcpt(sel, "r@q.r", NULL, &c,
					     &err),
			    0);
			assert_string_equal(target_name(&c.target), t[i].want);
		}
	}
	selector_free(sel);
}

/* An expression that gives up refuses; it is never taken for "no". */
static void
test_gives_up(void **state)
{
	struct ask t = { .source = "user:x",
		.named = NULL,
		.header = "X: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n" };

	(void)state;
	set_conf(CONF "pattern-list slow { match = {\n"
		      "  'header X /(b+)+[cd]/ virtual-mta=b',\n"
		      "  '* virtual-mta=c'} }\n"
		      "source 'user:x' { pattern-list = slow }\n");
	ask_one(&t);
	t.header = "X: bc\r\n";
	t.want = "b";
	t.prio = -1;
	t.by = SELECT_RULE;
	ask_one(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_order),
		SCRATCH_TEST(test_names),
		SCRATCH_TEST(test_no_default),
		SCRATCH_TEST(test_next_message),
		SCRATCH_TEST(test_gives_up),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
