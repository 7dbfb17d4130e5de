/*
 * The scripted SMTP sink of the tests and the demo: what its parts share.
 * One process, one epoll loop, one struct sink.
 */
#ifndef VMTA_T_SINK_H
#define VMTA_T_SINK_H

#include <sys/socket.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/map.h"

/* What EHLO can offer. */
enum {
	F_PIPELINING = 1 << 0,
	F_CHUNKING = 1 << 1,
	F_SIZE = 1 << 2,
	F_8BITMIME = 1 << 3,
	F_SMTPUTF8 = 1 << 4,
	F_DSN = 1 << 5,
	F_ENHANCED = 1 << 6,
	F_LIMITS = 1 << 7
};

/* Where a rule can act. ST_BODY is inside the octets of a message. */
enum stage {
	ST_GREETING,
	ST_EHLO,
	ST_HELO,
	ST_MAIL,
	ST_RCPT,
	ST_DATA,
	ST_BDAT,
	ST_BODY,
	ST_DOT,
	ST_RSET,
	ST_NOOP,
	ST_QUIT,
	ST_OTHER,
	ST_N
};

enum action { ACT_REPLY, ACT_DELAY, ACT_DROP };

/* How a connection ends once what it has to say is written. */
enum end { END_NO, END_DRAIN, END_CLOSE, END_RST };

/* What epoll's pointers point to, as first member; the sink itself: signals. */
enum { IS_LISTENER, IS_CONN };

/* One line of the script: an action, and when it applies. */
struct rule {
	struct rule *next;
	enum action act;
	enum stage stage;
	char *glob;		/* of the stage's argument; NULL: any */
	char *to, *from, *helo; /* globs; NULL: any */
	uint64_t prob;		/* percent; 0: always */
	uint64_t every, first, skip;
	uint64_t min_msgs, min_conns, min_rcpts;
	bool per_rcpt;	/* count for each argument apart */
	bool raw;	/* the text goes out as it is */
	bool after;	/* drop after the reply */
	enum end how;	/* drop: END_CLOSE or END_RST */
	uint64_t bytes; /* drop in the body after so many octets */
	int64_t ms;	/* delay */
	int code;
	char *text;
	uint64_t seen;
	struct map per; /* argument: times seen */
};

/* What was counted for a source or a local address. */
struct peer {
	char *name;
	uint64_t conns, msgs, rcpts, bytes;
	uint64_t now, max; /* open connections */
};

/* A mail transaction, from MAIL to the reply after its content. */
struct txn {
	bool mail_seen; /* there was a MAIL, accepted or not */
	bool mail_ok;
	bool eight, utf8; /* BODY=8BITMIME, SMTPUTF8 */
	struct buf path;  /* sender address */
	struct buf from;  /* `<sender> PARAMS`, escaped */
	struct buf rcpts; /* `\trcpt=<address> PARAMS` for each, escaped */
	size_t nrcpt;
	int64_t declared; /* SIZE=, -1: none */

	enum { BODY_NO, BODY_DATA, BODY_BDAT } body; /* being read */
	bool last;				     /* BDAT ... LAST */
	bool done;     /* the content, or this chunk, is complete */
	int refuse;    /* code to answer this chunk with, or 0 */
	uint64_t left; /* octets left in the chunk */
	unsigned chunks;
	uint64_t size; /* content octets, dots un-stuffed */
	bool bol, cr;  /* after CRLF; after a CR at the end of a read */
	bool in_header;
	uint64_t line_len;
	uint64_t drop_at; /* UINT64_MAX: never */
	const struct rule *drop;
	unsigned faults;    /* bit set of what was reported for it */
	struct buf hdr;	    /* header field being collected */
	struct buf seen;    /* `\tmsgid=...` and --log-header fields */
	struct buf content; /* when stored */
};

struct conn {
	int kind;		  /* IS_CONN */
	struct conn *prev, *next; /* of the open ones; next: of the spare */
	int fd;
	uint32_t gen;	 /* counts uses of this struct */
	uint32_t events; /* what epoll watches */
	uint64_t id;
	uint16_t port;
	struct peer *src, *local;
	struct buf in, out;
	size_t out_ready; /* of out, may be written now */
	bool paused;	  /* a delay is running */
	bool sync;	  /* last command had to be the last of its group */
	bool counted;	  /* still one of src->now */
	bool drained;	  /* our side is shut down */
	enum end end;
	const char *how;  /* why it ended, for the log */
	unsigned offered; /* features of the last EHLO reply */
	bool ehlo_ok;
	bool chunk_bad;	  /* a chunk failed: 503 until RSET */
	bool grouped;	  /* a fault of grouping was reported already */
	struct buf helo;  /* name that was given, escaped */
	const char *verb; /* the command being run */
	uint64_t msgs;
	struct txn t;
};

struct listener {
	int kind; /* IS_LISTENER */
	struct listener *next;
	char *spec; /* as given */
	int fd;
	bool bind_only;
	char name[64]; /* ADDRESS:PORT as bound */
};

struct timer {
	int64_t at;
	struct conn *c;
	uint32_t gen;
};

struct sink {
	/* options */
	struct listener *listeners, **listeners_end;
	const char *ready, *log_path, *count_path, *store_path, *host;
	unsigned features;
	uint64_t size_max, rcpt_max, mail_max;
	struct buf ehlo_extra; /* `\nKEYWORD` for each further one */
	struct buf ehlo_text;  /* the lines of the EHLO reply */
	bool sync_log;
	bool exact;	       /* rules ask for open connections */
	uint64_t dribble;      /* octets a write; 0: no limit */
	struct buf log_header; /* names of --log-header, each with NUL */
	struct rule *rules[ST_N], **rules_end[ST_N];
	uint64_t seed;

	/* state */
	int epfd;
	int sigfd;
	bool stop;
	int64_t now; /* ms, monotonic, of this turn */
	struct conn *open, *spare;
	uint64_t nopen, max_open, next_id;
	struct heap timers;
	struct map sources, locals;
	char *scratch;

	/* record */
	int log_fd;
	int store_fd;
	struct buf log;
	int64_t log_due;    /* ms, when the log is to be flushed; 0: empty */
	bool dirty;	    /* counts changed since they were written */
	int64_t counts_due; /* ms, not to write them before */
	uint64_t flushes, next_seq;
	uint64_t conns, msgs, rcpts, bytes, refused, faults, drops, lost;
	uint64_t wasted;
};

/* The judgement on one step: what to say, when, and whether to hang up. */
struct verdict {
	int code;
	const char *text;
	bool raw;
	int64_t delay;
	enum end drop;
	bool after;
};

/* rule.c */

/*
 * Add a rule to s: `STAGE[:GLOB] [COND ...] REST`, with REST `CODE TEXT` or
 * `raw TEXT` for ACT_REPLY, `MS` for ACT_DELAY, `[after] [rst] [bytes=N]`
 * for ACT_DROP. 0, or -1 with err.
 */
int rule_add(struct sink *s, enum action act, const char *text,
    struct verr *err);
/* Add each line `reply ...`, `delay ...`, `drop ...` of a file. */
int rule_file(struct sink *s, const char *path, struct verr *err);
/*
 * Change v by the rules of a stage. Rules for replies only apply to a v that
 * accepts (code < 400). arg: what globs match against.
 */
void rule_judge(struct sink *s, struct conn *c, enum stage st, const char *arg,
    struct verdict *v);
/* The rule that drops in the body, or NULL. */
const struct rule *rule_body(struct sink *s, struct conn *c);
const char *stage_name(enum stage st);
void rule_free(struct sink *s);

/* record.c */
int record_open(struct sink *s, struct verr *err);
/* Begin a log line: event, time, connection id. */
void record_begin(struct sink *s, const char *event, const struct conn *c);
/* A field `\tname=value`, escaped. */
void record_field(struct sink *s, const char *name, const char *value);
/* End the line; it is written within 100 ms. */
void record_end(struct sink *s);
/* As esc_line, quicker for plain ASCII. */
void record_escape(struct buf *b, const char *p, size_t n);
/* Something that a client must not do; once per kind (bit) and message. */
void record_fault(struct sink *s, struct conn *c, const char *what,
    const char *detail);
/* A finished transaction with its final reply; stores the content. */
void record_message(struct sink *s, struct conn *c, const struct verdict *v);
/* Write the log out. */
void record_flush(struct sink *s);
/* Write the counts, to --count-file. */
void record_counts(struct sink *s);
/* Append the counts as text. */
void record_summary(struct sink *s, struct buf *b);
void record_close(struct sink *s);

/* session.c */
/* Text of the EHLO reply, once the options are known. */
void session_init(struct sink *s);
/* Greet, with what the rules say. */
void session_greet(struct sink *s, struct conn *c);
/* Take what can be taken of n octets; returns how many were. */
size_t session_input(struct sink *s, struct conn *c, const char *p, size_t n);
/* Octets follow the last command unasked: is that allowed? */
void session_group(struct sink *s, struct conn *c);
/* Say code and text (rules may change it); returns the code said. */
int session_answer(struct sink *s, struct conn *c, enum stage st,
    const char *arg, int code, const char *text);
/* Say what was judged. */
void session_say(struct sink *s, struct conn *c, enum stage st, const char *arg,
    const struct verdict *v);
void txn_reset(struct txn *t);
void txn_release(struct txn *t);

/* params.c */

/* Take `<path>` off s: length used, or 0; *ret_path, *ret_len inside it. */
size_t params_path(const char *s, const char **ret_path, size_t *ret_len);
/*
 * Check the ESMTP parameters of MAIL (mail) or RCPT against what was
 * offered; fills eight, utf8 and declared of c->t. Reports faults. Returns 0,
 * or the code to refuse with.
 */
int params_check(struct sink *s, struct conn *c, bool mail, const char *text);

/* body.c */
/* Prepare c->t for content. */
void body_begin(struct sink *s, struct conn *c);
/* Take content; returns octets used, fewer than n at the content's end. */
size_t body_eat(struct sink *s, struct conn *c, const char *p, size_t n);
/* The content is complete: last checks. */
void body_end(struct sink *s, struct conn *c);

/* verbs.c */
/* Run a command line without its line end. */
void verb_run(struct sink *s, struct conn *c, char *line);
/* The content, or a chunk of it, is complete: answer. */
void verb_content(struct sink *s, struct conn *c);

/* listen.c */
int listen_open(struct sink *s, struct verr *err);
/* ADDRESS:PORT (brackets around IPv6) and the bare address of ss. */
void listen_name(const struct sockaddr_storage *ss, char *full, size_t fn,
    char *bare, size_t bn, uint16_t *ret_port);

/* net.c */
void net_init(struct sink *s);
void net_accept(struct sink *s, struct listener *l);
void net_event(struct sink *s, struct conn *c, uint32_t events);
/* Milliseconds until the next timer, at most limit. */
int net_wait(struct sink *s, int64_t limit);
void net_timers(struct sink *s);
/* Let c wait for ms before it says more. */
void net_pause(struct sink *s, struct conn *c, int64_t ms);
void net_close_all(struct sink *s);

#endif
