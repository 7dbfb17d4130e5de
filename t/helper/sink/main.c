/*
 * sink: a scripted SMTP server for tests and the demo. It accepts, refuses,
 * delays and hangs up as told (rule.c has the language), records every
 * connection and transaction (record.c has the format) and checks the wire
 * strictly. Never to be run on an address that others reach.
 */
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/unit.h"
#include "sink.h"

static const char usage_text[] =
    "usage: sink -l ADDRESS:PORT [OPTION ...]\n"
    "  -l, --listen A:P     listen; again for more; port 0: any, =: as before\n"
    "      --refuse A:P     bind only, so that connections are refused\n"
    "      --ready FILE     write the bound addresses there, once listening\n"
    "      --host NAME      own name (sink.example)\n"
    "      --no FEATURE     PIPELINING CHUNKING SIZE 8BITMIME SMTPUTF8 DSN\n"
    "                       ENHANCEDSTATUSCODES\n"
    "      --size N         SIZE limit (52428800)\n"
    "      --limits 'RCPTMAX=N MAILMAX=N'   offer LIMITS and enforce them\n"
    "      --ehlo LINE      one more EHLO keyword\n"
    "      --reply RULE     STAGE[:GLOB] [COND ...] CODE TEXT | raw TEXT\n"
    "      --delay RULE     STAGE[:GLOB] [COND ...] MILLISECONDS\n"
    "      --drop RULE      STAGE[:GLOB] [COND ...] [after] [rst] [bytes=N]\n"
    "      --rules FILE     lines `reply RULE`, `delay RULE`, `drop RULE`\n"
    "      --greylist       451 at the first attempt of each recipient\n"
    "      --seed N         of prob=\n"
    "      --dribble N      write at most N octets at a time\n"
    "      --log FILE       append a line for each event\n"
    "      --sync-log       write the log before replies\n"
    "      --log-header H   record this header field, too\n"
    "      --count-file F   totals, kept current\n"
    "      --store DIR      contents, as DIR/SEQ.eml\n"
    "STAGE: greeting ehlo helo mail rcpt data bdat body dot rset noop quit\n"
    "COND:  to=GLOB from=GLOB helo=GLOB first=N every=N skip=N prob=PERCENT\n"
    "       per-rcpt min-msgs=N min-conns=N min-rcpts=N\n"
    "SIGUSR1: write log and totals. SIGTERM: the same, totals to stdout, "
    "end.\n";

static const struct option options[] = {
	{ "listen", required_argument, NULL, 'l' },
	{ "refuse", required_argument, NULL, 'R' },
	{ "ready", required_argument, NULL, 'y' },
	{ "host", required_argument, NULL, 'h' },
	{ "no", required_argument, NULL, 'n' },
	{ "size", required_argument, NULL, 's' },
	{ "limits", required_argument, NULL, 'L' },
	{ "ehlo", required_argument, NULL, 'e' },
	{ "reply", required_argument, NULL, 'r' },
	{ "delay", required_argument, NULL, 'd' },
	{ "drop", required_argument, NULL, 'D' },
	{ "rules", required_argument, NULL, 'f' },
	{ "greylist", no_argument, NULL, 'g' },
	{ "seed", required_argument, NULL, 'S' },
	{ "dribble", required_argument, NULL, 'b' },
	{ "log", required_argument, NULL, 'o' },
	{ "sync-log", no_argument, NULL, 'y' + 128 },
	{ "log-header", required_argument, NULL, 'H' },
	{ "count-file", required_argument, NULL, 'c' },
	{ "store", required_argument, NULL, 't' },
	{ "help", no_argument, NULL, '?' + 128 },
	{ NULL, 0, NULL, 0 },
};

/* Add a listener. */
static int
add_listener(struct sink *s, const char *spec, bool bind_only)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	l->spec = xstrdup(spec);
	l->fd = -1;
	l->bind_only = bind_only;
	*s->listeners_end = l;
	s->listeners_end = &l->next;
	return (0);
}

/* Switch a feature off. */
static int
no_feature(struct sink *s, const char *name, struct verr *err)
{
	static const char *const names[] = { "PIPELINING", "CHUNKING", "SIZE",
		"8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES" };
	unsigned i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(names[i], name) == 0) {
			s->features &= ~(1U << i);
			return (0);
		}
	return (verr_set(err, VEX_USAGE, "no such feature: %s", name));
}

/* `RCPTMAX=N MAILMAX=N`, either or both. */
static int
set_limits(struct sink *s, const char *text, struct verr *err)
{
	char copy[80], *p = copy, *w, *v;
	int64_t n;

	(void)snprintf(copy, sizeof(copy), "%s", text);
	while ((w = strsep(&p, " ")) != NULL) {
		v = strchr(w, '=');
		if (v == NULL || unit_int(v + 1, &n) == -1)
			return (verr_set(err, VEX_USAGE, "limits: %s", text));
		if (strncmp(w, "RCPTMAX=", 8) == 0)
			s->rcpt_max = (uint64_t)n;
		else if (strncmp(w, "MAILMAX=", 8) == 0)
			s->mail_max = (uint64_t)n;
		else
			return (verr_set(err, VEX_USAGE, "limits: %s", text));
	}
	s->features |= F_LIMITS;
	return (0);
}

/* A number for an option. */
static int
set_num(uint64_t *to, const char *text, struct verr *err)
{
	int64_t n;

	if (unit_int(text, &n) == -1)
		return (verr_set(err, VEX_USAGE, "not a number: %s", text));
	*to = (uint64_t)n;
	return (0);
}

/* Options that only keep a word; false: opt is none of them. */
static bool
set_word(struct sink *s, int opt, const char *word)
{
	switch (opt) {
	case 'y':
		s->ready = word;
		return (true);
	case 'h':
		s->host = word;
		return (true);
	case 'o':
		s->log_path = word;
		return (true);
	case 'c':
		s->count_path = word;
		return (true);
	case 't':
		s->store_path = word;
		return (true);
	default:
		return (false);
	}
}

/* One option of the command line. */
static int
set_option(struct sink *s, int opt, const char *arg, struct verr *err)
{
	switch (opt) {
	case 'l':
	case 'R':
		return (add_listener(s, arg, opt == 'R'));
	case 'n':
		return (no_feature(s, arg, err));
	case 's':
		return (set_num(&s->size_max, arg, err));
	case 'L':
		return (set_limits(s, arg, err));
	case 'e':
		buf_addf(&s->ehlo_extra, "\n%s", arg);
		return (0);
	case 'r':
		return (rule_add(s, ACT_REPLY, arg, err));
	case 'd':
		return (rule_add(s, ACT_DELAY, arg, err));
	case 'D':
		return (rule_add(s, ACT_DROP, arg, err));
	case 'f':
		return (rule_file(s, arg, err));
	case 'g':
		return (rule_add(s, ACT_REPLY,
		    "rcpt per-rcpt first=1 451 4.7.1 Greylisted, come again",
		    err));
	case 'S':
		return (set_num(&s->seed, arg, err));
	case 'b':
		return (set_num(&s->dribble, arg, err));
	case 'y' + 128:
		s->sync_log = true;
		return (0);
	case 'H':
		buf_add(&s->log_header, arg, strlen(arg) + 1);
		return (0);
	default:
		return (verr_set(err, VEX_USAGE, "see sink --help"));
	}
}

/* The whole command line. */
static int
parse_options(struct sink *s, int argc, char **argv, struct verr *err)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "l:", options, NULL)) != -1) {
		if (opt == '?' + 128) {
			(void)fputs(usage_text, stdout);
			exit(0);
		}
		if (!set_word(s, opt, optarg) &&
		    set_option(s, opt, optarg, err) == -1)
			return (-1);
	}
	if (optind < argc || s->listeners == NULL)
		return (verr_set(err, VEX_USAGE, "see sink --help"));
	if (s->seed == 0)
		s->seed = 1;
	return (0);
}

/* Tell the bound addresses, a line each, whole or not at all. */
static int
write_ready(struct sink *s, struct verr *err)
{
	struct buf b = BUF_INIT, tmp = BUF_INIT;
	const struct listener *l;
	int fd, r = 0;

	if (s->ready == NULL)
		return (0);
	for (l = s->listeners; l != NULL; l = l->next)
		buf_addf(&b, "%s\n", l->name);
	buf_addf(&tmp, "%s.tmp", s->ready);
	fd = open(tmp.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd == -1 || sys_write_all(sys_real(), fd, b.p, b.len) == -1 ||
	    close(fd) == -1 || rename(tmp.p, s->ready) == -1)
		r = verr_sys(err, "%s", s->ready);
	buf_release(&tmp);
	buf_release(&b);
	return (r);
}

/* Signals as a descriptor; as many descriptors as allowed. */
static int
set_process(struct sink *s, struct verr *err)
{
	struct epoll_event ev = { .events = EPOLLIN, .data = { .ptr = s } };
	struct rlimit rl;
	sigset_t set;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	s->epfd = epoll_create1(EPOLL_CLOEXEC);
	s->sigfd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->epfd == -1 || s->sigfd == -1 ||
	    epoll_ctl(s->epfd, EPOLL_CTL_ADD, s->sigfd, &ev) == -1)
		return (verr_sys(err, "epoll"));
	return (0);
}

static void
take_signal(struct sink *s)
{
	struct signalfd_siginfo si;

	while (read(s->sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo != SIGUSR1)
			s->stop = true;
		record_flush(s);
		record_counts(s);
	}
}

static int64_t
now_ms(void)
{
	return (sys_real()->mono(sys_real()) / 1000);
}

/* One turn: connections first, so that those that ended are not counted. */
static void
turn(struct sink *s)
{
	struct epoll_event ev[512];
	int64_t limit = 1000;
	int i, n;

	if (s->log_due > 0 || s->dirty)
		limit = 100;
	if (s->log_due > 0 && s->log_due - s->now < limit)
		limit = s->log_due - s->now;
	n = epoll_wait(s->epfd, ev, 512, net_wait(s, limit));
	s->now = now_ms();
	for (i = 0; i < n; i++)
		if (ev[i].data.ptr != s && *(int *)ev[i].data.ptr == IS_CONN)
			net_event(s, ev[i].data.ptr, ev[i].events);
	for (i = 0; i < n; i++)
		if (ev[i].data.ptr != s &&
		    *(int *)ev[i].data.ptr == IS_LISTENER)
			net_accept(s, ev[i].data.ptr);
	net_timers(s);
	if (s->log_due > 0 && s->now >= s->log_due)
		record_flush(s);
	if (s->dirty && s->now >= s->counts_due) {
		record_counts(s);
		s->counts_due = s->now + 100;
	}
	for (i = 0; i < n; i++)
		if (ev[i].data.ptr == s)
			take_signal(s);
}

/* Give everything back. */
static void
release(struct sink *s)
{
	struct map *maps[2] = { &s->sources, &s->locals };
	struct peer *p;
	size_t i, at;

	for (i = 0; i < 2; i++) {
		for (at = 0; (p = map_next(maps[i], &at, NULL)) != NULL;)
			free(p->name);
		map_release(maps[i], free);
	}
	rule_free(s);
	buf_release(&s->ehlo_extra);
	buf_release(&s->ehlo_text);
	buf_release(&s->log_header);
	(void)close(s->sigfd);
	(void)close(s->epfd);
}

int
main(int argc, char **argv)
{
	static struct sink s;
	struct verr err = VERR_INIT;
	struct buf b = BUF_INIT;
	int i;

	s.listeners_end = &s.listeners;
	for (i = 0; i < ST_N; i++)
		s.rules_end[i] = &s.rules[i];
	s.host = "sink.example";
	s.size_max = 52428800;
	s.features = F_PIPELINING | F_CHUNKING | F_SIZE | F_8BITMIME |
	    F_SMTPUTF8 | F_DSN | F_ENHANCED;
	s.now = now_ms();
	if (parse_options(&s, argc, argv, &err) == -1 ||
	    set_process(&s, &err) == -1 || record_open(&s, &err) == -1 ||
	    listen_open(&s, &err) == -1 || write_ready(&s, &err) == -1) {
		(void)fprintf(stderr, "sink: %s\n", err.text);
		return (err.code);
	}
	net_init(&s);
	session_init(&s);
	while (!s.stop)
		turn(&s);
	net_close_all(&s);
	record_counts(&s);
	record_summary(&s, &b);
	record_close(&s);
	(void)fputs(b.p, stdout);
	buf_release(&b);
	release(&s);
	return (0);
}
