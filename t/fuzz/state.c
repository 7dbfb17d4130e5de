/*
 * The small files of the spool, damaged in any way: nothing is read from them
 * that could not have been written, and what is read, written again, is read
 * as the same. The first octet of the input says which file it is.
 */
#include "acct/export_state.h"
#include "base/map.h"
#include "base/stamp.h"
#include "base/unit.h"
#include "dns/hostsfile.h"
#include "fuzz.h"
#include "report/live.h"
#include "spool/control.h"
#include "spool/counter.h"
#include "spool/record.h"
#include "spool/select.h"
#include "spool/state.h"
#include "spool/submit.h"
#include "spool/trigger.h"

#define VMTA "v"
#define DOMAIN "d.example"
#define ID "1lp6jv7m0d3k8q2r5t1ua"
#define HASH "0123456789abcdef0123456789abcdef"

/* state/NAME, made. */
static int
state_dir(struct spool *sp, const char *name)
{
	return (fuzz_mkdirs(sp->state_fd, name));
}

static bool
same(const char *a, const char *b)
{
	return ((a == NULL || *a == '\0') ? b == NULL || *b == '\0' :
					    b != NULL && strcmp(a, b) == 0);
}

static void
try_retry(struct spool *sp, const struct fuzz_in *in)
{
	int fd = state_dir(sp, "retry/" VMTA);
	struct retry_state st, again;

	fuzz_put(fd, DOMAIN, in->p, in->n);
	if (retry_state_read(sp, VMTA, DOMAIN, &st, NULL) == 0) {
		FUZZ_CHECK(strlen(st.status) < sizeof(st.status));
		FUZZ_CHECK(st.error == NULL || strchr(st.error, '\n') == NULL);
		FUZZ_CHECK(retry_state_write(sp, VMTA, DOMAIN, &st, NULL) == 0);
		FUZZ_CHECK(retry_state_read(sp, VMTA, DOMAIN, &again, NULL) ==
		    0);
		FUZZ_CHECK(again.step == st.step);
		/* what was read is escaped already, and stays as it is */
		FUZZ_CHECK(same(st.error, again.error));
		FUZZ_CHECK(same(st.host, again.host));
		retry_state_release(&again);
		retry_state_release(&st);
	}
	(void)close(fd);
}

static void
try_pauses(struct spool *sp, const struct fuzz_in *in)
{
	const struct pause all = { .job = "*" };
	struct batch_name n = { .job = batch_job_hash("weekly") };
	struct pause_list *l, *l2;
	struct pause p;
	size_t i, gone = 0;

	fuzz_put(sp->state_fd, "pauses", in->p, in->n);
	FUZZ_CHECK(pause_list_read(sp, &l, NULL) == 0);
	(void)pause_match(l, DOMAIN, VMTA, "weekly");
	(void)pause_match_name(l, DOMAIN, VMTA, &n);
	for (i = 0; i < pause_list_count(l) && i < 4; i++) {
		p = *pause_list_get(l, i);
		FUZZ_CHECK(p.queue != NULL || p.vmta != NULL ||
		    p.domain != NULL || p.job != NULL);
		if (pause_add(sp, &p, NULL) == -1)
			continue;
		FUZZ_CHECK(pause_list_read(sp, &l2, NULL) == 0);
		FUZZ_CHECK(pause_list_count(l2) > 0);
		pause_list_free(l2);
	}
	pause_list_free(l);
	FUZZ_CHECK(pause_remove(sp, &all, &gone, NULL) == 0);
	FUZZ_CHECK(pause_list_read(sp, &l, NULL) == 0);
	for (i = 0; i < pause_list_count(l); i++)
		FUZZ_CHECK(pause_list_get(l, i)->job == NULL);
	pause_list_free(l);
	(void)unlinkat(sp->state_fd, "pauses", 0);
}

static void
try_submit(struct spool *sp, const struct fuzz_in *in)
{
	int fd = state_dir(sp, "submit");
	struct spool_submission s, again;

	fuzz_put(fd, HASH, in->p, in->n);
	if (spool_submit_lookup(sp, HASH, &s, NULL) == 0) {
		FUZZ_CHECK(id_valid(s.msgid));
		FUZZ_CHECK(spool_submit_put(sp, HASH, &s, NULL) == 0);
		FUZZ_CHECK(spool_submit_lookup(sp, HASH, &again, NULL) == 0);
		FUZZ_CHECK(s.count == again.count &&
		    strcmp(s.print, again.print) == 0);
	}
	(void)close(fd);
}

/* A commit record: parsed, written, parsed. */
static void
try_record(const struct fuzz_in *in)
{
	char *p = fuzz_rest(in);
	struct record r, again;
	struct buf b = BUF_INIT;
	struct batch_name n;
	size_t i;

	if (commit_record_parse(p, in->n, &r) == 0) {
		record_begin(&b);
		for (i = 0; i < r.n; i++) {
			FUZZ_CHECK(spool_vmta_valid(r.item[i].vmta));
			FUZZ_CHECK(spool_domain_valid(r.item[i].domain));
			FUZZ_CHECK(batch_name_parse(r.item[i].name, &n) == 0);
			record_rename(&b, r.item[i].area, r.item[i].vmta,
			    r.item[i].domain, r.item[i].name);
		}
		if (r.hash != NULL)
			record_submit(&b, r.hash, &r.submit);
		record_end(&b);
		FUZZ_CHECK(commit_record_parse(b.p, b.len, &again) == 0);
		FUZZ_CHECK(again.n == r.n &&
		    again.submit.count == r.submit.count);
		FUZZ_CHECK(same(again.hash, r.hash));
		commit_record_release(&again);
		commit_record_release(&r);
	}
	buf_release(&b);
	free(p);
}

static void
try_export(struct spool *sp, const struct fuzz_in *in)
{
	static const char path[] = "/log/acct.csv";
	struct export_state s, again;
	struct verr err = VERR_INIT;
	int fd = state_dir(sp, "export");
	char name[20];

	(void)snprintf(name, sizeof(name), "%016llx",
	    (unsigned long long)map_hash(path, strlen(path)));
	fuzz_put(fd, name, in->p, in->n);
	(void)close(fd);
	if (export_state_open(sp, path, ID, false, &s, &err) != 0) {
		FUZZ_CHECK(strchr(err.text, '\n') == NULL);
		return;
	}
	FUZZ_CHECK(strchr(s.out, '/') == NULL);
	FUZZ_CHECK(export_state_save(&s, FUZZ_NOW, NULL) == 0);
	export_state_release(&s);
	FUZZ_CHECK(export_state_open(sp, path, ID, false, &again, NULL) == 0);
	FUZZ_CHECK(strcmp(s.out, again.out) == 0 && s.date == again.date &&
	    s.serial == again.serial && s.swept == again.swept &&
	    (s.out[0] == '\0' || s.length == again.length));
	export_state_release(&again);
}

static void
on_trigger(void *arg, const char *domain, const char *vmta)
{
	(void)arg;
	FUZZ_CHECK(strcmp(domain, "*") == 0 || spool_domain_valid(domain));
	FUZZ_CHECK(spool_vmta_valid(vmta));
}

static void
try_trigger(struct spool *sp, const struct fuzz_in *in)
{
	struct trigger_reader *r;
	bool all;
	int i;

	/* once as what is there at first, once as what comes later */
	(void)unlinkat(sp->fd, "trigger", 0);
	fuzz_put(sp->fd, "trigger", in->p, in->n);
	FUZZ_CHECK(trigger_reader_open(sp, &r, NULL) == 0);
	FUZZ_CHECK(trigger_append(sp, (const char *)in->p, in->n, NULL) == 0);
	for (i = 0; i < 2; i++)
		FUZZ_CHECK(trigger_poll(r, on_trigger, NULL, &all, NULL) == 0);
	FUZZ_CHECK(trigger_mark(sp, NULL) == 0);
	FUZZ_CHECK(trigger_poll(r, on_trigger, NULL, &all, NULL) == 0);
	trigger_reader_close(r);
}

static int
on_request(void *arg, const struct control_request *rq)
{
	struct selection sel;
	struct verr err = VERR_INIT;
	char *copy, *value;
	size_t i;

	(void)arg;
	FUZZ_CHECK(rq->command != NULL);
	selection_init(&sel);
	for (i = 0; i < rq->n; i++) {
		copy = xstrdup(rq->option[i]);
		value = strchr(copy, '=');
		if (value != NULL)
			*value++ = '\0';
		(void)selection_add(&sel, copy, value != NULL ? value : "",
		    &err);
		free(copy);
	}
	(void)selection_queue(&sel, DOMAIN, VMTA);
	selection_release(&sel);
	return (0);
}

static void
try_request(struct spool *sp, const struct fuzz_in *in)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd;

	fuzz_put(sp->control_fd, ID ".req", in->p, in->n);
	fd = openat(sp->control_fd, ID ".req", O_RDWR | O_CLOEXEC);
	FUZZ_CHECK(fd != -1 && fcntl(fd, F_OFD_SETLK, &l) == 0);
	FUZZ_CHECK(control_requests(sp, "w", on_request, NULL, NULL) == 0);
	(void)close(fd);
	(void)unlinkat(sp->control_fd, ID ".req", 0);
}

static void
try_reply(struct spool *sp, const struct fuzz_in *in)
{
	struct control_reply sum;
	struct id id = { ID };
	size_t i;

	fuzz_put(sp->control_fd, ID ".w.rep", in->p, in->n);
	if (control_collect(sp, &id, &sum, NULL) == 0) {
		for (i = 0; i < sum.n_flight; i++)
			FUZZ_CHECK(strlen(sum.flight[i].msgid) <= ID_LEN);
		control_reply_release(&sum);
	}
	FUZZ_CHECK(control_done(sp, &id, -1, NULL) == 0);
}

static void
try_counter(struct spool *sp, const struct fuzz_in *in)
{
	int fd = state_dir(sp, "counter");
	uint64_t old = 0, again = 1;

	fuzz_put(fd, "c", in->p, in->n);
	FUZZ_CHECK(counter_add(sp, "c", 5, &old, NULL) == 0);
	FUZZ_CHECK(counter_add(sp, "c", 1, &again, NULL) == 0);
	FUZZ_CHECK(again == old + 5);
	(void)close(fd);
}

static void
try_nochunk(struct spool *sp, const struct fuzz_in *in)
{
	int fd = state_dir(sp, "nochunk");

	fuzz_put(fd, "mx.example", in->p, in->n);
	(void)state_nochunk(sp, "mx.example", FUZZ_NOW);
	FUZZ_CHECK(state_nochunk_set(sp, "mx.example", FUZZ_NOW + 1, NULL) ==
	    0);
	FUZZ_CHECK(state_nochunk(sp, "mx.example", FUZZ_NOW));
	(void)close(fd);
}

static int
on_live(void *arg, const struct live_queue *q, struct verr *err)
{
	(void)err;
	++*(unsigned *)arg;
	FUZZ_CHECK(q->why == NULL || strchr(q->why, '\n') == NULL);
	return (0);
}

static void
try_live(struct spool *sp, const struct fuzz_in *in)
{
	static const char batch[] = "20261123T215405Z-050-" ID "-2-40-00000000";
	struct report_filter f = { 0 };
	unsigned n = 0;
	int fd;

	fd = fuzz_mkdirs(sp->queue_fd, VMTA "/new/" DOMAIN);
	fuzz_put(fd, batch, "", 0);
	fuzz_put(sp->state_fd, "live.w", in->p, in->n);
	FUZZ_CHECK(live_walk(sp, NULL, &f, FUZZ_NOW, on_live, &n, NULL, NULL) ==
	    0);
	FUZZ_CHECK(n == 1);
	(void)unlinkat(sp->state_fd, "live.w", 0);
	(void)close(fd);
}

/* Names of batch files, queues and ids. */
static void
try_names(const struct fuzz_in *in)
{
	char domain[SPOOL_DOMAIN_MAX + 1], vmta[SPOOL_VMTA_MAX + 1];
	char *s = fuzz_string(in), text[BATCH_NAME_MAX];
	struct batch_name n;
	struct id id;

	if (batch_name_parse(s, &n) == 0)
		FUZZ_CHECK(strcmp(batch_name_format(&n, text), s) == 0);
	if (spool_queue_split(s, domain, vmta) == 0) {
		FUZZ_CHECK(strlen(domain) + strlen(vmta) + 1 == strlen(s));
		FUZZ_CHECK(strchr(domain, '/') == NULL);
		FUZZ_CHECK(domain[0] != '.' && vmta[0] != '.');
	}
	if (id_valid(s)) {
		memcpy(id.s, s, sizeof(id.s));
		FUZZ_CHECK(id_time(&id) >= 0);
	}
	free(s);
}

/* Numbers, intervals, sizes, rates, times: read, shown, read. */
static void
try_units(const struct fuzz_in *in)
{
	char *s = fuzz_string(in), text[64];
	struct rate r, rate;
	int64_t n, again;
	bool b;

	(void)unit_bool(s, &b);
	if (unit_int(s, &n) == 0)
		FUZZ_CHECK(n >= 0);
	if (unit_interval(s, &n) == 0) {
		FUZZ_CHECK(n >= 0);
		(void)unit_show_interval(n, text, sizeof(text));
		FUZZ_CHECK(unit_interval(text, &again) == 0 && again == n);
	}
	if (unit_size(s, &n) == 0) {
		FUZZ_CHECK(n >= 0);
		(void)unit_show_size(n, text, sizeof(text));
		FUZZ_CHECK(unit_size(text, &again) == 0 && again == n);
	}
	if (unit_rate(s, false, &r) == 0) {
		FUZZ_CHECK(r.n >= 0 && r.per > 0);
		(void)unit_show_rate(&r, text, sizeof(text));
		FUZZ_CHECK(unit_rate(text, false, &rate) == 0);
		FUZZ_CHECK(rate.n == r.n && rate.per == r.per);
	}
	if (stamp_parse(s, FUZZ_NOW, &n) == 0 && n >= 0 &&
	    n <= INT64_C(253402300799)) {
		(void)stamp_name(n, text);
		FUZZ_CHECK(stamp_parse_name(text, &again) == 0 && again == n);
		(void)stamp_acct(n, text);
		FUZZ_CHECK(stamp_parse(text, 0, &again) == 0 && again == n);
	}
	free(s);
}

static void
try_hosts(const struct fuzz_in *in)
{
	const union dns_addr *addr;
	struct dns_hostsfile *f;
	struct buf path = BUF_INIT;
	size_t n;

	buf_addf(&path, "%s/hosts", fuzz_scratch());
	fuzz_put(AT_FDCWD, path.p, in->p, in->n);
	f = dns_hostsfile_new(path.p);
	addr = dns_hostsfile_find(f, "a.example", &n);
	FUZZ_CHECK((addr != NULL) == (n > 0));
	dns_hostsfile_free(f);
	buf_release(&path);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spool *sp = fuzz_spool();
	struct fuzz_in in = { data, size };

	switch (fuzz_byte(&in) % 14) {
	case 0:
		try_retry(sp, &in);
		break;
	case 1:
		try_pauses(sp, &in);
		break;
	case 2:
		try_submit(sp, &in);
		break;
	case 3:
		try_record(&in);
		break;
	case 4:
		try_export(sp, &in);
		break;
	case 5:
		try_trigger(sp, &in);
		break;
	case 6:
		try_request(sp, &in);
		break;
	case 7:
		try_reply(sp, &in);
		break;
	case 8:
		try_counter(sp, &in);
		break;
	case 9:
		try_nochunk(sp, &in);
		break;
	case 10:
		try_live(sp, &in);
		break;
	case 11:
		try_names(&in);
		break;
	case 12:
		try_units(&in);
		break;
	case 13:
		try_hosts(&in);
		break;
	}
	return (0);
}
