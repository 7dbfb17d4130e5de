/* The plan without a run: names of batches, retry clocks, pauses. */
#include <stdio.h>
#include <string.h>

#include "base/stamp.h"
#include "conf/conf.h"
#include "run/dry.h"
#include "spool/list.h"
#include "spool/spool.h"
#include "spool/state.h"

struct dry {
	struct sys *sys;
	struct conf *conf;
	const struct run_options *opt;
	FILE *out;
	struct spool *sp;
	struct pause_list *pauses;
	const char *vmta;
	enum batch_area area;
	uint64_t rcpts;
	uint64_t bytes;
	int64_t due;
	uint64_t other; /* batches in new/ of a domain that is shown for cur/ */
	struct verr *err;
};

static int
dry_on_batch(void *arg, const char *file, const struct batch_name *n)
{
	struct dry *d = arg;

	(void)file;
	if (n == NULL)
		return (0);
	d->rcpts += n->open;
	d->bytes += n->bytes;
	d->other++;
	if (n->due < d->due)
		d->due = n->due;
	return (0);
}

/* When, and what stands in the way. */
static const char *
dry_reason(struct dry *d, const char *domain)
{
	struct retry_state st;
	struct verr err = VERR_INIT;

	if (conf_vmta(d->conf, d->vmta) == NULL)
		return ("no-virtual-mta");
	if (pause_match(d->pauses, domain, d->vmta, NULL))
		return ("paused");
	if (!d->opt->now &&
	    retry_state_read(d->sp, d->vmta, domain, &st, &err) == 0) {
		if (st.next > d->due)
			d->due = st.next;
		retry_state_release(&st);
		return ("retry");
	}
	return ("-");
}

/* The line of one queue. */
static int
dry_on_domain(void *arg, const char *domain, bool foreign)
{
	struct dry *d = arg;
	char stamp[STAMP_ACCT_LEN + 1];
	const char *reason;
	int64_t now = sys_now(d->sys);

	if (foreign ||
	    (d->opt->domain != NULL && strcmp(d->opt->domain, domain) != 0))
		return (0);
	d->rcpts = d->bytes = d->other = 0;
	d->due = INT64_MAX;
	if (d->area == BATCH_CUR) { /* shown already when it has new mail */
		if (spool_batches(d->sp, d->vmta, BATCH_NEW, domain,
			dry_on_batch, d, d->err) == -1)
			return (-1);
		if (d->other > 0)
			return (0);
	} else if (spool_batches(d->sp, d->vmta, BATCH_NEW, domain,
		       dry_on_batch, d, d->err) == -1)
		return (-1);
	if (spool_batches(d->sp, d->vmta, BATCH_CUR, domain, dry_on_batch, d,
		d->err) == -1)
		return (-1);
	if (d->rcpts == 0)
		return (0);
	reason = dry_reason(d, domain);
	if (d->due < now || d->opt->now)
		d->due = now;
	(void)fprintf(d->out, "%s/%s\t%llu\t%llu\t%s\t%s\n", domain, d->vmta,
	    (unsigned long long)d->rcpts,
	    (unsigned long long)(d->bytes + 1023) / 1024,
	    stamp_acct(d->due, stamp), reason);
	return (0);
}

static int
dry_on_vmta(void *arg, const char *name, bool foreign)
{
	struct dry *d = arg;

	if (foreign ||
	    (d->opt->vmta != NULL && strcmp(d->opt->vmta, name) != 0))
		return (0);
	d->vmta = name;
	d->area = BATCH_NEW;
	if (spool_domains(d->sp, name, BATCH_NEW, dry_on_domain, d, d->err) ==
	    -1)
		return (-1);
	d->area = BATCH_CUR;
	return (spool_domains(d->sp, name, BATCH_CUR, dry_on_domain, d,
	    d->err));
}

int
dry_print(struct sys *sys, struct conf *c, const struct run_options *opt,
    FILE *out, struct verr *err)
{
	struct dry d = { .sys = sys,
		.conf = c,
		.opt = opt,
		.out = out,
		.err = err };
	int rc;

	if (spool_open(sys, conf_spool(c), &d.sp, err) == -1)
		return (-1);
	rc = pause_list_read(d.sp, &d.pauses, err);
	if (rc == 0)
		rc = spool_vmtas(d.sp, dry_on_vmta, &d, err);
	pause_list_free(d.pauses);
	spool_close(d.sp);
	if (rc == 0 && ferror(out) != 0)
		rc = verr_sys(err, "write");
	return (rc);
}
