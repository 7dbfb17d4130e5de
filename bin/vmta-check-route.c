/*
 * vmta-check route: to which VirtualMTA or pool would a message go, and by
 * which rule? Nothing is submitted and nothing is written.
 *
 * A line a recipient, tab-separated: recipient (`-` when none was given),
 * VirtualMTA or pool, which of the two it is, priority (`-`: that of the
 * submission), why. 0; 65 when it would be refused, with the reason.
 */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/esc.h"
#include "conf/conf.h"
#include "mail/addr.h"
#include "mail/field.h"
#include "submit/select.h"
#include "vmta-check.h"

enum { O_CONFIG = 1, O_FROM, O_HEADER, O_SOURCE, O_VMTA, O_MERGE };

static const struct cli_opt opts[] = { { "config", 'C', "FILE",
					   "use this configuration", O_CONFIG },
	{ NULL, 'f', "SENDER", "envelope sender; <> for none", O_FROM },
	{ "header", 0, "FIELD",
	    "a header field, 'NAME: VALUE'; may be repeated", O_HEADER },
	{ "source", 0, "NAME", "who submits: user:NAME, pickup ...", O_SOURCE },
	{ "vmta", 0, "NAME", "what the submission names", O_VMTA },
	{ "merge-vmta", 0, "NAME", "what the mail merge's *vmta names",
	    O_MERGE },
	CLI_END };
static const struct cli_tool tool = { "vmta-check route",
	"[OPTION ...] [RCPT ...]",
	"Say which VirtualMTA a message would go to, and why.", opts };

struct route_args {
	const char *file, *source, *vmta, *merge;
	struct addr from;
	struct buf header;
	char user[80];
};

/* `NAME: VALUE` into the header. */
static int
route_header(struct route_args *a, const char *text, struct verr *err)
{
	const char *colon = strchr(text, ':');
	struct buf name = BUF_INIT;
	int rc;

	if (colon == NULL)
		return (verr_set(err, VEX_USAGE,
		    "--header: expected 'NAME: VALUE'"));
	buf_add(&name, text, (size_t)(colon - text));
	colon += strspn(colon, ": ");
	rc = field_add(&a->header, buf_str(&name), colon, strlen(colon), err);
	buf_release(&name);
	return (rc);
}

/* One option; 0 or -1. */
static int
route_option(struct route_args *a, int id, const char *arg, struct verr *err)
{
	switch (id) {
	case O_CONFIG:
		a->file = arg;
		break;
	case O_FROM:
		if (addr_parse(arg, strlen(arg), ADDR_SENDER, &a->from, err) ==
		    -1)
			return (verr_prefix(err, "-f"));
		break;
	case O_HEADER:
		return (route_header(a, arg, err));
	case O_SOURCE:
		a->source = arg;
		break;
	case O_VMTA:
		a->vmta = arg;
		break;
	default:
		a->merge = arg;
	}
	return (0);
}

/* Why, in words. */
static void
route_why(const struct select_choice *c, struct buf *out)
{
	static const char *const by[] = { "*vmta of the mail merge",
		"named by the submission", "header field X-Virtual-MTA", "",
		"default-virtual-mta of the source" };

	buf_adds(out, by[c->by]);
	if (c->fallback)
		buf_adds(out, ": unknown, invalid-virtual-mta-fallback");
	if (c->list == NULL)
		return;
	if (c->by != SELECT_RULE)
		buf_adds(out, "; ");
	buf_addf(out, "pattern-list %s, rule %zu: ", c->list, c->number);
	esc_line(out, c->rule, strlen(c->rule));
}

/* One line. */
static void
route_print(const char *rcpt, const struct select_choice *c)
{
	struct buf line = BUF_INIT;

	esc_line(&line, rcpt, strlen(rcpt));
	buf_addf(&line, "\t%s\t%s\t", target_name(&c->target),
	    c->target.vmta != NULL ? "virtual-mta" : "virtual-mta-pool");
	if (c->prio == -1)
		buf_adds(&line, "-\t");
	else
		buf_addf(&line, "%d\t", c->prio);
	route_why(c, &line);
	(void)printf("%s\n", buf_str(&line));
	buf_release(&line);
}

/* The choice for one recipient, printed; 0 or -1. */
static int
route_one(struct selector *sel, const struct route_args *a, const char *text,
    struct verr *err)
{
	struct select_choice c;
	struct addr rcpt;

	if (text == NULL) {
		if (selector_rcpt(sel, "", a->merge, &c, err) == -1)
			return (-1);
		route_print("-", &c);
		return (0);
	}
	if (addr_parse(text, strlen(text), ADDR_RCPT, &rcpt, err) == -1 ||
	    selector_rcpt(sel, rcpt.smtp, a->merge, &c, err) == -1)
		return (verr_prefix(err, "%.200s", text));
	route_print(rcpt.smtp, &c);
	return (0);
}

/* All recipients; 0 or -1. */
static int
route_all(const struct route_args *a, const struct cli *cli, struct verr *err)
{
	const struct select_facts facts = { .from = a->from.smtp,
		.named = a->vmta,
		.header = { { buf_str(&a->header), a->header.len },
		    { "", 0 } } };
	struct selector *sel;
	struct conf *c;
	int i, rc;

	if (conf_open(sys_real(), a->file, &c, err) == -1)
		return (-1);
	if (conf_stale(c) != NULL)
		(void)fprintf(stderr, "%s\n", conf_stale(c));
	sel = selector_new(c, a->source);
	rc = selector_begin(sel, &facts, err);
	if (rc == 0 && cli->nrest == 0)
		rc = route_one(sel, a, NULL, err);
	for (i = 0; i < cli->nrest && rc == 0; i++)
		rc = route_one(sel, a, cli->rest[i], err);
	selector_free(sel);
	conf_unref(c);
	return (rc);
}

/* Who we are, as a source. */
static void
route_self(struct route_args *a)
{
	const struct passwd *pw = getpwuid(getuid());

	if (pw != NULL)
		(void)snprintf(a->user, sizeof(a->user), "user:%s",
		    pw->pw_name);
	else
		(void)snprintf(a->user, sizeof(a->user), "user:%lu",
		    (unsigned long)getuid());
	a->source = a->user;
}

int
check_cmd_route(int argc, char **argv)
{
	struct route_args a = { .header = BUF_INIT };
	struct verr err = VERR_INIT;
	struct cli cli;
	bool bad = false;
	int id, rc;

	route_self(&a);
	cli_init(&cli, &tool, argc, argv);
	while ((id = cli_next(&cli, &err)) > 0)
		bad = bad || route_option(&a, id, cli.arg, &err) == -1;
	if (id == CLI_DONE)
		return (VEX_OK);
	if (id == CLI_ERROR || bad || route_all(&a, &cli, &err) == -1)
		rc = cli_fail(&cli, &err);
	else
		rc = cli_finish(&cli);
	buf_release(&a.header);
	return (rc);
}
