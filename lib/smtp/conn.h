/*
 * One SMTP session as client (RFC 5321): connect from a given address, EHLO,
 * transactions one after the other, QUIT. Nothing blocks: the session lives
 * on the loop and tells its owner by events. lib/smtp is the only place that
 * speaks SMTP.
 *
 * Life: smtp_conn_new; then either failed(), or ready(). From ready() on the
 * owner may call smtp_conn_send for one message; done() gives the outcome of
 * each recipient; then the next message, or quit, or the session rests. The
 * session ends by exactly one of: failed() (before ready), closed() (after
 * ready; when a transaction was running done() comes first), smtp_conn_quit,
 * smtp_conn_abort. After each of these four the pointer is the owner's no
 * more and no event follows, but gone() after a QUIT.
 *
 * Events come from the loop only, never from inside a function of this
 * header, except may_end and trace, and from smtp_conn_give_up. An event may
 * call any function of this header. The process must ignore SIGPIPE.
 */
#ifndef VMTA_SMTP_CONN_H
#define VMTA_SMTP_CONN_H

#include <sys/socket.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/sys.h"
#include "smtp/ehlo.h"
#include "smtp/message.h"
#include "smtp/status.h"

struct smtp_conn;

/* Where to. host: name for the log only. Copied. */
struct smtp_target {
	struct sockaddr_storage peer;
	socklen_t peer_len;
	const char *host;
};

/* From where: bound before connect, always. Copied. The port must be 0. */
struct smtp_source {
	struct sockaddr_storage addr;
	socklen_t addr_len;
	const char *ehlo; /* name for EHLO and HELO */
};

/* Milliseconds, > 0 unless said otherwise. Copied. */
struct smtp_settings {
	int64_t connect;
	int64_t greeting;  /* the greeting, to its last line */
	int64_t command;   /* a whole answer to a command */
	int64_t data_send; /* no progress in sending */
	int64_t data_end;  /* the whole answer to the end of data */
	int64_t message;   /* ceiling for sending one content; 0: none */
	int64_t quit;	   /* wait for the answer to QUIT */
	bool ignore_8bitmime;
	bool ignore_chunking;
	bool ignore_pipelining;
	bool ignore_dsn;
	bool log_connections; /* which trace() calls are wanted */
	bool log_commands;
	bool log_data;
};

/* RFC 5321 4.5.3.2 and the defaults of vmta.conf; no switches, no trace. */
void smtp_settings_init(struct smtp_settings *set);

enum smtp_stage {
	SMTP_STAGE_CONNECT,
	SMTP_STAGE_GREETING,
	SMTP_STAGE_EHLO, /* EHLO or HELO */
	SMTP_STAGE_IDLE, /* ready, no transaction */
	SMTP_STAGE_MAIL, /* in a transaction, as far as the last answer: */
	SMTP_STAGE_RCPT,
	SMTP_STAGE_DATA, /* DATA, or sending content */
	SMTP_STAGE_END	 /* the end of data was sent */
};
/* `connect`, `greeting`, `ehlo`, `idle`, `mail`, `rcpt`, `data`, `end`. */
const char *smtp_stage_name(enum smtp_stage stage);

/* Whose fault it is when a session breaks. */
enum smtp_blame {
	SMTP_BLAME_PEER,  /* peer or network: counts against the queue */
	SMTP_BLAME_LOCAL, /* this machine (descriptors, ports, memory, no
			     route, disk): never charged to a domain */
	SMTP_BLAME_SOURCE /* the source address is not on this machine */
};

/* Why a session failed or ended. Lives during the event only. */
struct smtp_failure {
	enum smtp_stage stage;
	enum smtp_blame blame;
	bool timeout;  /* our patience ended */
	bool protocol; /* the peer does not speak SMTP, or is out of step */
	int errnum;    /* errno behind it; 0: none */
	int code;      /* reply code behind it; 0: no reply */
	struct smtp_status status; /* of that reply; else 4.4.1, 4.4.2 ... */
	const char *text; /* the reply's text, or what went wrong; one line,
			     not escaped */
	size_t text_len;
};

enum smtp_class {
	SMTP_DELIVERED, /* 2xx to the end of data */
	SMTP_TEMPORARY, /* 4xx (or 552 to RCPT) */
	SMTP_PERMANENT, /* 5xx, or refused here (code 0: UTF-8, bad address) */
	SMTP_BROKEN,	/* session broke before the end of data was sent */
	SMTP_AMBIGUOUS, /* end of data sent, no answer: retry, count, log */
	SMTP_UNTRIED	/* nothing was said about this recipient, or only "not
			   in this transaction": again at once in another
			   transaction, no attempt is charged */
};
/* `delivered`, `temporary`, ... */
const char *smtp_class_name(enum smtp_class cls);

#define SMTP_TEXT_MAX 2048 /* octets of a text in a result */

/* What became of one recipient. */
struct smtp_result {
	enum smtp_class cls;
	enum smtp_stage stage; /* MAIL, RCPT, DATA, END: what was answered, or
				  where it broke */
	int code;	       /* reply code; 0: no reply */
	struct smtp_status status;
	const char *text; /* not escaped, one line; never NULL */
	size_t text_len;
};

/* What became of a transaction. Lives during done() only. */
struct smtp_outcome {
	const struct smtp_result *rcpt; /* in the order of the message */
	size_t n_rcpt;
	bool usable;	      /* another message may be sent now */
	bool answered;	      /* a reply to this transaction was read */
	bool reused;	      /* not the first transaction of the session */
	bool end_sent;	      /* end of data given to the kernel */
	bool bdat;	      /* BDAT was used */
	bool chunking_broken; /* peer offers CHUNKING and refuses BDAT: use
				 DATA for a day; recipients are UNTRIED */
	bool too_many_rcpts;  /* peer answered "too many recipients" */
	int64_t sent;	      /* octets of content sent */
	int64_t ms;	      /* from MAIL to the last answer */
	const struct smtp_failure *failure; /* why it broke; NULL: it did not */
};

/* Trace: '*' the session, '>' we sent, '<' we got, '+' content we sent. */
struct smtp_events {
	/* EHLO (or HELO) was accepted. */
	void (*ready)(void *arg, struct smtp_conn *c);
	/* It never became ready. */
	void (*failed)(void *arg, struct smtp_conn *c,
	    const struct smtp_failure *why);
	/*
	 * The end of data for n_rcpt recipients is about to be sent (in one
	 * flight before any content goes; of a long content all but the last
	 * 64 KiB has gone). true: go on, their results come by done().
	 * false: wait for smtp_conn_resume. Asked once a message at most, and
	 * not when nobody is left to send to.
	 */
	bool (*may_end)(void *arg, struct smtp_conn *c, size_t n_rcpt);
	/* The transaction is over. */
	void (*done)(void *arg, struct smtp_conn *c,
	    const struct smtp_outcome *out);
	/*
	 * The session ended after ready(), not by the owner. At
	 * SMTP_STAGE_IDLE that is no failure of the peer's: idle sessions
	 * end, and MAILMAX is reached.
	 */
	void (*closed)(void *arg, struct smtp_conn *c,
	    const struct smtp_failure *why);
	/*
	 * After smtp_conn_quit, when that said so: the connection is closed
	 * now. May be NULL.
	 */
	void (*gone)(void *arg);
	/* One line, without its end, not escaped. May be NULL. */
	void (*trace)(void *arg, struct smtp_conn *c, char dir, const char *p,
	    size_t n);
};

/*
 * Begin a session. set, target, source are copied; sys, loop and ev must live
 * longer than the session. Never NULL: a failure comes as failed().
 */
struct smtp_conn *smtp_conn_new(struct loop *loop, struct sys *sys,
    const struct smtp_target *target, const struct smtp_source *source,
    const struct smtp_settings *set, const struct smtp_events *ev, void *arg);

/*
 * Send m in one transaction. SMTP_FIT_OK: done() will come. Anything else:
 * nothing was sent, done() does not come, the session is as before;
 * SMTP_FIT_GONE: it is ending, closed() will come. Only between ready() or
 * done() (with usable) and the next send. Uses the loop's scratch.
 */
enum smtp_fit smtp_conn_send(struct smtp_conn *c, const struct smtp_message *m);
/* may_end said false: now the end of data may be sent. */
void smtp_conn_resume(struct smtp_conn *c);
/*
 * Say QUIT and go. True: waits for its answer on its own, gone() will come,
 * until then smtp_conn_abort may end it. False: as smtp_conn_abort, since a
 * transaction is running. NULL is fine.
 */
bool smtp_conn_quit(struct smtp_conn *c);
/* Close at once; nothing more is sent, no event comes. NULL is fine. */
void smtp_conn_abort(struct smtp_conn *c);
/* Is the end of data sent, and has no answer come? */
bool smtp_conn_awaits(const struct smtp_conn *c);
/*
 * Close at once and say what is known: an answer that has come is read, then
 * done() and closed() (or failed()) come from inside this call, with the blame
 * on this machine.
 */
void smtp_conn_give_up(struct smtp_conn *c);

/* What the peer offers; all zero before ready() and after HELO. */
const struct smtp_caps *smtp_conn_caps(const struct smtp_conn *c);
/* Recipients that the peer takes in a transaction; SIZE_MAX: no limit known. */
size_t smtp_conn_rcpt_max(const struct smtp_conn *c);
/* Messages that may still be sent (LIMITS MAILMAX, or the host said that there
 * were too many); SIZE_MAX: no limit. */
size_t smtp_conn_mail_left(const struct smtp_conn *c);
/* Is it ready for a message? */
bool smtp_conn_idle(const struct smtp_conn *c);
/* Messages begun so far. */
size_t smtp_conn_count(const struct smtp_conn *c);
/* As given to smtp_conn_new. */
const struct smtp_target *smtp_conn_target(const struct smtp_conn *c);
const struct smtp_source *smtp_conn_source(const struct smtp_conn *c);
/* Change arg, for a session that another queue takes over. */
void smtp_conn_set_owner(struct smtp_conn *c, const struct smtp_events *ev,
    void *arg);

#endif
