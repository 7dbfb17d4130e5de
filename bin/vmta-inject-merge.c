/*
 * vmta-inject --merge LIST: a template from standard input, a row of the list
 * for each recipient. All of it is one commit at the end; what ends it before
 * (a signal, a full disk) leaves nothing.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/csvread.h"
#include "base/esc.h"
#include "base/mem.h"
#include "submit/merge.h"
#include "vmta-inject.h"

struct merging {
	struct inject *j;
	struct submit *s;
	struct submit_merge *m;
	struct rejects rejects;
	char **cell;  /* the header: as it is written, */
	char **name;  /* and as variables; NULL: none */
	size_t n;     /* cells of the header, 0: not read yet */
	size_t email; /* which is the recipient */
	size_t *from; /* cell of each column that is submitted */
	size_t n_column;
	struct merge_value *value;
	int64_t row;
	bool printed; /* --preview has what it wanted */
};

/* --- the header ----------------------------------------------------------- */

/* A cell without blanks around it. */
static char *
cell_text(const struct csvread_cell *c)
{
	const char *p = c->p, *end = c->p + c->n;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return (xstrndup(p, (size_t)(end - p)));
}

static const char name_chars[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

/*
 * The variable of a column: what cannot be in a name becomes `_`, and `v_` is
 * put before what does not begin with a letter. NULL: an empty cell.
 */
static char *
cell_name(const char *cell)
{
	struct buf b = BUF_INIT;
	size_t len;

	if (*cell == '\0')
		return (NULL);
	if (*cell == '*')
		return (xstrdup(cell));
	if (!merge_name_valid(cell, 1))
		buf_adds(&b, "v_");
	for (; *cell != '\0' && b.len < MERGE_NAME_MAX; cell += len) {
		len = esc_utf8(cell, strlen(cell));
		if (len == 0)
			len = 1;
		buf_addc(&b, strchr(name_chars, *cell) != NULL ? *cell : '_');
	}
	return (buf_take(&b));
}

/* Do two columns become one variable? */
static int
head_collision(const struct merging *t, size_t i, struct verr *err)
{
	size_t k;

	for (k = 0; k < i; k++)
		if (t->name[k] != NULL &&
		    strcasecmp(t->name[k], t->name[i]) == 0)
			return (verr_set(err, VEX_DATA,
			    "columns '%.80s' and '%.80s' are one variable, %s",
			    t->cell[k], t->cell[i], t->name[i]));
	return (0);
}

/* Which column is the recipient? */
static int
head_email(struct merging *t, struct verr *err)
{
	const char *want = t->j->email_column != NULL ? t->j->email_column :
							"email";
	size_t i;

	for (i = 0; i < t->n; i++)
		if (strcasecmp(t->cell[i], want) == 0 ||
		    (t->name[i] != NULL && strcasecmp(t->name[i], want) == 0)) {
			t->email = i;
			return (0);
		}
	return (verr_set(err, VEX_DATA, "the list has no column '%.80s'",
	    want));
}

/* The first row. */
static int
merging_head(struct merging *t, const struct csvread_cell *cell, size_t n,
    struct verr *err)
{
	const char **column = xcalloc(n + 1, sizeof(*column));
	size_t i;
	int rc = 0;

	t->cell = xcalloc(n + 1, sizeof(*t->cell));
	t->name = xcalloc(n + 1, sizeof(*t->name));
	t->from = xcalloc(n + 1, sizeof(*t->from));
	t->value = xcalloc(n + 1, sizeof(*t->value));
	t->n = n;
	for (i = 0; i < n; i++) {
		t->cell[i] = cell_text(&cell[i]);
		t->name[i] = cell_name(t->cell[i]);
	}
	for (i = 0; i < n && rc == 0; i++) {
		if (t->name[i] == NULL)
			continue;
		rc = head_collision(t, i, err);
		t->from[t->n_column] = i;
		column[t->n_column++] = t->name[i];
	}
	if (rc == 0)
		rc = head_email(t, err);
	if (rc == 0)
		rc = submit_merge_columns(t->m, column, t->n_column, err);
	free(column);
	return (rc);
}

/* --- the rows ------------------------------------------------------------- */

/* Standard output gets the message; line ends as text files have them. */
static int
row_preview(struct merging *t, const struct submit_rcpt *r, struct verr *err)
{
	struct buf b = BUF_INIT;
	size_t i;
	int rc;

	rc = submit_merge_preview(t->m, r, t->value, &b, err);
	for (i = 0; rc == 0 && i < b.len; i++)
		if (b.p[i] != '\r')
			(void)putchar((unsigned char)b.p[i]);
	buf_release(&b);
	t->printed = rc == 0;
	if (rc == 0)
		(void)verr_set(err, VEX_OK, "enough");
	return (-1);
}

/* A row that the submission does not see; returns -1. */
static int
row_pass(struct merging *t)
{
	submit_merge_pass(t->m);
	return (-1);
}

/* A row that is whole: to the submission. 0 or -1. */
static int
row_submit(struct merging *t, const struct csvread_cell *cell, struct verr *err)
{
	struct submit_rcpt r = { .notify = NULL };
	struct addr a;
	char *email;
	size_t i;
	int rc;

	if (strlen(cell[t->email].p) != cell[t->email].n) {
		(void)verr_set(err, VEX_DATA, "NUL in the recipient");
		return (row_pass(t));
	}
	email = cell_text(&cell[t->email]);
	rc = inject_addr(t->s, "recipient", email, ADDR_RCPT, &a, err);
	free(email);
	if (rc == -1)
		return (row_pass(t));
	r.smtp = a.smtp;
	r.domain = addr_domain(&a);
	for (i = 0; i < t->n_column; i++)
		t->value[i] = (struct merge_value) { cell[t->from[i]].p,
			cell[t->from[i]].n };
	if (t->j->preview > 0)
		return (row_preview(t, &r, err));
	return (submit_merge_rcpt(t->m, &r, t->value, err));
}

/* csvread's. */
static int
merging_row(void *arg, uint64_t line, const struct csvread_cell *cell, size_t n,
    const char *bad, struct verr *err)
{
	struct merging *t = arg;
	int rc = 0;

	if (t->n == 0 && bad != NULL)
		return (verr_set(err, VEX_DATA, "header: %s", bad));
	if (t->n == 0)
		return (merging_head(t, cell, n, err));
	t->row++;
	if (t->j->preview > 0 && t->row != t->j->preview)
		return (0);
	if (bad != NULL)
		(void)verr_set(err, VEX_DATA, "%s", bad);
	else if (n != t->n)
		(void)verr_set(err, VEX_DATA, "%zu fields, the header has %zu",
		    n, t->n);
	rc = bad != NULL || n != t->n ? row_pass(t) : row_submit(t, cell, err);
	if (rc == -1 && err->code == VEX_DATA && t->j->preview == 0) {
		rejects_line(&t->rejects, t->j->merge, line, err->text);
		return (0);
	}
	return (rc);
}

/* --- all of it ------------------------------------------------------------ */

/* Standard input is the template. 0, INPUT_STOP or -1. */
static int
merging_template(struct merging *t, struct verr *err)
{
	ssize_t n;

	while ((n = input_read(&t->j->in, STDIN_FILENO, -1, err)) > 0)
		if (submit_merge_data(t->m, t->j->in.p, (size_t)n, err) == -1)
			return (-1);
	return ((int)n);
}

/* The rows of an open list. 0, INPUT_STOP or -1. */
static int
merging_fd(struct merging *t, int fd, struct verr *err)
{
	struct csvread_opts o = { .delimiter = t->j->delimiter,
		.row = merging_row,
		.arg = t };
	struct csvread *r = xcalloc(1, sizeof(*r));
	ssize_t n;
	int rc = 0;

	csvread_init(r, &o);
	while (rc == 0 && (n = input_read(&t->j->in, fd, -1, err)) != 0)
		rc = n > 0 ? csvread_feed(r, t->j->in.p, (size_t)n, err) :
			     (int)n;
	if (rc == 0)
		rc = csvread_end(r, err);
	csvread_release(r);
	free(r);
	if (rc == 0 && t->n == 0)
		rc = verr_set(err, VEX_DATA, "the list has no header row");
	return (rc);
}

/* Template, list, commit. 0, INPUT_STOP or -1. */
static int
merging_run(struct merging *t, struct verr *err)
{
	int fd, rc;

	if (submit_merge_ok(t->m, err) == -1)
		return (-1);
	rc = merging_template(t, err);
	if (rc != 0)
		return (rc);
	if ((fd = rights_open(t->j->merge, O_RDONLY, 0, err)) == -1)
		return (-1);
	rc = merging_fd(t, fd, err);
	(void)close(fd);
	if (t->printed || rc == INPUT_STOP)
		return (t->printed ? 0 : rc);
	if (rc == -1)
		return (verr_prefix(err, "%s", t->j->merge));
	if (t->j->preview > 0)
		return (verr_set(err, VEX_PART, "%s: there is no row %" PRId64,
		    t->j->merge, t->j->preview));
	if (t->j->all_or_nothing && submit_merge_rejected(t->m) > 0)
		return (0);
	if (submit_merge_finish(t->m, err) == -1)
		return (-1);
	return (submit_complete(t->s, err));
}

/* The totals, and the exit code. */
static int
merging_end(struct merging *t, int rc, struct verr *err, const struct cli *cli)
{
	uint64_t ok = rc == -1 ? 0 : submit_merge_accepted(t->m);
	uint64_t bad = submit_merge_rejected(t->m);
	uint64_t twice = submit_merge_duplicates(t->m);

	if (inject_rejects_end(&t->rejects, ok, rc, err) == -1)
		rc = -1;
	if (rc == INPUT_STOP)
		(void)verr_set(err, VEX_TEMP,
		    "ended by a signal: nothing was accepted");
	if (t->j->preview > 0 || (rc != 0 && t->row == 0))
		return (rc != 0 ? cli_fail(cli, err) : cli_finish(cli));
	if (twice > 0 && rc == 0)
		(void)fprintf(stderr,
		    "vmta-inject: %s: %" PRIu64 " duplicates, %s\n",
		    t->j->merge, twice,
		    t->j->dedupe ? "left out" : "submitted all the same");
	(void)printf("accepted %" PRIu64 " rejected %" PRIu64
		     " suppressed %" PRIu64 "\n",
	    ok, bad, submit_merge_suppressed(t->m));
	if (rc != 0)
		return (cli_fail(cli, err));
	return (inject_end(cli, ok,
	    bad == 0   ? VEX_OK :
		ok > 0 ? VEX_PART :
			 VEX_DATA));
}

int
inject_merge(struct inject *j, struct submit *s, const struct cli *cli)
{
	struct submit_merge_opts o = { .dedupe = j->dedupe,
		.undefined = (enum submit_undefined)j->undefined };
	struct merging t = { .j = j, .s = s };
	struct verr err = VERR_INIT;
	size_t i;
	int rc;

	if (j->sender != NULL) {
		if (inject_addr(s, "sender", j->sender, ADDR_SENDER, &j->from,
			&err) == -1)
			return (cli_fail(cli, &err));
		j->env.from = &j->from;
	}
	if (rejects_open(&t.rejects, j->rejects, &err) == -1)
		return (cli_fail(cli, &err));
	o.env = j->env;
	t.m = submit_merge_new(s, &o);
	rc = merging_run(&t, &err);
	rc = merging_end(&t, rc, &err, cli);
	submit_merge_free(t.m);
	for (i = 0; i < t.n; i++) {
		free(t.cell[i]);
		free(t.name[i]);
	}
	free(t.cell);
	free(t.name);
	free(t.from);
	free(t.value);
	return (rc);
}
