/*
 * What the sink writes down. The log is one line an event, fields separated
 * by TAB, each `name=value` but the first, which is the event:
 *
 *	connect   t id src port local
 *	ehlo      t id verb name
 *	msg       t id seq src local ehlo method chunks size reply from rcpt...
 *	          msgid [headers asked for]; one line a transaction whose
 *	          content was complete, whatever the answer; `reply=-` when the
 *	          connection was dropped instead
 *	refuse    t id stage arg reply
 *	drop      t id stage
 *	violation t id what detail
 *	close     t id how msgs
 *
 * Values are escaped as by esc_line. It is written in blocks, at the latest
 * 100 ms after the event, at SIGUSR1 and SIGTERM; with --sync-log before the
 * reply to the event leaves. Contents go to DIR/SEQ.eml, dots un-stuffed.
 * A full disk or a vanished directory ends the sink (exit 74): a record with
 * holes would make tests lie.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/esc.h"
#include "base/file.h"
#include "base/sys.h"
#include "sink.h"

/* End the process: the record cannot be kept. */
static void __attribute__((noreturn)) record_fail(const char *what)
{
	(void)fprintf(stderr, "sink: %s: %s\n", what, strerror(errno));
	exit(VEX_IO);
}

int
record_open(struct sink *s, struct verr *err)
{
	s->log_fd = s->store_fd = -1;
	if (s->log_path != NULL) {
		s->log_fd = open(s->log_path,
		    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (s->log_fd == -1)
			return (verr_sys(err, "%s", s->log_path));
	}
	if (s->store_path != NULL) {
		s->store_fd = open(s->store_path,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (s->store_fd == -1)
			return (verr_sys(err, "%s", s->store_path));
	}
	return (0);
}

void
record_begin(struct sink *s, const char *event, const struct conn *c)
{
	struct timespec ts;

	if (s->log_fd == -1)
		return;
	if (s->log.len == 0)
		s->log_due = s->now + 100;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	buf_addf(&s->log, "%s\tt=%lld.%03d\tid=%" PRIu64, event,
	    (long long)ts.tv_sec, (int)(ts.tv_nsec / 1000000), c->id);
}

void
record_escape(struct buf *b, const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] == 0x7f || p[i] == '\\')
			break;
	if (i == n)
		buf_add(b, p, n);
	else
		esc_line(b, p, n);
}

void
record_field(struct sink *s, const char *name, const char *value)
{
	if (s->log_fd == -1)
		return;
	buf_addc(&s->log, '\t');
	buf_adds(&s->log, name);
	buf_addc(&s->log, '=');
	record_escape(&s->log, value, strlen(value));
}

void
record_end(struct sink *s)
{
	s->dirty = true;
	if (s->log_fd == -1)
		return;
	buf_addc(&s->log, '\n');
	if (s->log.len > (1 << 20))
		record_flush(s);
}

void
record_flush(struct sink *s)
{
	s->log_due = 0;
	if (s->log.len == 0)
		return;
	if (sys_write_all(sys_real(), s->log_fd, s->log.p, s->log.len) == -1)
		record_fail(s->log_path);
	buf_clear(&s->log);
}

void
record_fault(struct sink *s, struct conn *c, const char *what,
    const char *detail)
{
	s->faults++;
	record_begin(s, "violation", c);
	record_field(s, "what", what);
	record_field(s, "detail", detail);
	record_end(s);
}

/* Put the content of message seq into the store. */
static void
store(struct sink *s, const struct buf *content, uint64_t seq)
{
	char tmp[32], name[32];
	int fd;

	(void)snprintf(tmp, sizeof(tmp), ".%08" PRIu64, seq);
	(void)snprintf(name, sizeof(name), "%08" PRIu64 ".eml", seq);
	fd = openat(s->store_fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
	    0644);
	if (fd == -1 ||
	    sys_write_all(sys_real(), fd, buf_str(content), content->len) ==
		-1 ||
	    close(fd) == -1 ||
	    renameat(s->store_fd, tmp, s->store_fd, name) == -1)
		record_fail(s->store_path);
}

/* Count a transaction that was answered with 2xx. */
static void
count_message(struct sink *s, struct conn *c)
{
	struct peer *p[2] = { c->src, c->local };
	int i;

	c->msgs++;
	s->msgs++;
	s->rcpts += c->t.nrcpt;
	s->bytes += c->t.size;
	for (i = 0; i < 2; i++) {
		p[i]->msgs++;
		p[i]->rcpts += c->t.nrcpt;
		p[i]->bytes += c->t.size;
	}
}

void
record_message(struct sink *s, struct conn *c, const struct verdict *v)
{
	bool dropped = v->drop != END_NO && !v->after;
	uint64_t seq;

	if (dropped)
		s->lost++;
	else if (v->code >= 200 && v->code < 300)
		count_message(s, c);
	seq = ++s->next_seq;
	if (s->store_fd != -1)
		store(s, &c->t.content, seq);
	record_begin(s, "msg", c);
	if (s->log_fd == -1)
		return;
	buf_addf(&s->log, "\tseq=%" PRIu64 "\tsrc=%s\tlocal=%s\tehlo=", seq,
	    c->src->name, c->local->name);
	buf_add(&s->log, buf_str(&c->helo), c->helo.len);
	buf_addf(&s->log, "\tmethod=%s\tchunks=%u\tsize=%" PRIu64 "\treply=",
	    c->t.body == BODY_DATA ? "DATA" : "BDAT", c->t.chunks, c->t.size);
	if (dropped)
		buf_addc(&s->log, '-');
	else if (!v->raw)
		buf_addf(&s->log, "%d ", v->code);
	if (!dropped)
		record_escape(&s->log, v->text, strlen(v->text));
	buf_adds(&s->log, "\tfrom=");
	buf_add(&s->log, buf_str(&c->t.from), c->t.from.len);
	buf_add(&s->log, buf_str(&c->t.rcpts), c->t.rcpts.len);
	buf_add(&s->log, buf_str(&c->t.seen), c->t.seen.len);
	record_end(s);
}

/* A line of counts for each peer of a map. */
static void
summary_peers(struct buf *b, const char *what, const struct map *m)
{
	const struct peer *p;
	size_t i = 0;

	while ((p = map_next(m, &i, NULL)) != NULL)
		buf_addf(b,
		    "%s name=%s connections=%" PRIu64 " messages=%" PRIu64
		    " recipients=%" PRIu64 " bytes=%" PRIu64
		    " max-concurrent=%" PRIu64 "\n",
		    what, p->name, p->conns, p->msgs, p->rcpts, p->bytes,
		    p->max);
}

void
record_summary(struct sink *s, struct buf *b)
{
	buf_addf(b,
	    "total connections=%" PRIu64 " messages=%" PRIu64
	    " recipients=%" PRIu64 " bytes=%" PRIu64 " refused=%" PRIu64
	    " violations=%" PRIu64 " drops=%" PRIu64 " lost=%" PRIu64
	    " wasted=%" PRIu64 " open=%" PRIu64 " max-concurrent=%" PRIu64
	    " flush=%" PRIu64 "\n",
	    s->conns, s->msgs, s->rcpts, s->bytes, s->refused, s->faults,
	    s->drops, s->lost, s->wasted, s->nopen, s->max_open, s->flushes);
	summary_peers(b, "source", &s->sources);
	summary_peers(b, "local", &s->locals);
}

void
record_counts(struct sink *s)
{
	struct buf b = BUF_INIT, tmp = BUF_INIT;
	int fd;

	s->dirty = false;
	s->flushes++;
	if (s->count_path == NULL)
		return;
	record_summary(s, &b);
	buf_addf(&tmp, "%s.tmp", s->count_path);
	fd = open(tmp.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd == -1 || sys_write_all(sys_real(), fd, b.p, b.len) == -1 ||
	    close(fd) == -1 || rename(tmp.p, s->count_path) == -1)
		record_fail(s->count_path);
	buf_release(&tmp);
	buf_release(&b);
}

void
record_close(struct sink *s)
{
	record_flush(s);
	if (s->log_fd != -1 && close(s->log_fd) == -1)
		record_fail(s->log_path);
	if (s->store_fd != -1)
		(void)close(s->store_fd);
	buf_release(&s->log);
}
