/*
 * The inside of a session, shared by the files of lib/smtp only:
 *
 *	connect.c  socket, bind, connect
 *	greet.c    greeting, EHLO, HELO
 *	txn.c      MAIL, RCPT, DATA, BDAT, RSET and their answers
 *	body.c     everything that is written to the socket
 *	result.c   what becomes of each recipient
 *	read.c     answers, matched to their commands
 *	fail.c     how it ends
 *	trace.c    what it tells about itself
 *	conn.c     life, timers, the public functions
 */
#ifndef VMTA_SMTP_CONN_INT_H
#define VMTA_SMTP_CONN_INT_H

#include "base/buf.h"
#include "smtp/conn.h"
#include "smtp/reply.h"

enum smtp_verb {
	SMTP_V_GREETING, /* no command: what a server says first */
	SMTP_V_EHLO,
	SMTP_V_HELO,
	SMTP_V_MAIL,
	SMTP_V_RCPT,
	SMTP_V_DATA,
	SMTP_V_END,  /* the final dot; in flight from the first octet on */
	SMTP_V_BDAT, /* BDAT n LAST with its octets */
	SMTP_V_RSET,
	SMTP_V_QUIT
};

/* A command that has no answer yet. */
struct smtp_flight {
	enum smtp_verb verb;
	size_t rcpt;	/* of SMTP_V_RCPT */
	uint64_t begin; /* octets that went through out before it */
};

enum smtp_state {
	SMTP_S_CONNECT, /* connect has not finished */
	SMTP_S_GREET,	/* until EHLO or HELO is accepted */
	SMTP_S_READY,	/* idle, or in a transaction */
	SMTP_S_QUIT,	/* on its own: waits for the answer to QUIT */
	SMTP_S_DEAD	/* closed; freed when no event runs */
};

/* What the one timer of a session is set for. */
enum smtp_wait {
	SMTP_W_NONE,
	SMTP_W_CONNECT,
	SMTP_W_WRITE,
	SMTP_W_REPLY,
	SMTP_W_QUIT,
	SMTP_W_KICK /* work on in the next turn */
};

enum smtp_body {
	SMTP_BODY_NONE,	   /* not begun, or nothing is to be sent */
	SMTP_BODY_SENDING, /* from pos on */
	SMTP_BODY_QUEUED,  /* all read; the rest of it waits in out */
	SMTP_BODY_SENT	   /* the end of data is with the kernel */
};

/* One recipient of the running transaction, beside its result. */
struct smtp_txn_rcpt {
	size_t text;   /* offset of its text in smtp_txn.text */
	bool settled;  /* its result is final */
	bool accepted; /* 2xx to RCPT */
};

struct smtp_txn {
	bool active;
	const struct smtp_message *m; /* the owner's */
	struct smtp_result *res;      /* m->n_rcpt of them */
	struct smtp_txn_rcpt *rc;
	struct buf text;  /* texts of the results */
	size_t next;	  /* recipient of the next RCPT */
	size_t rcpt_wait; /* RCPT commands without an answer */
	size_t unsettled;
	size_t accepted;
	bool bdat;  /* content goes by BDAT */
	bool ahead; /* content goes with the RCPT commands */
	bool mail_said, mail_ok, data_said;
	bool in_step; /* 354 came where it had to: so did all before it */
	bool ended;   /* the server has left the transaction */
	bool answered, reused, chunking_broken, too_many;
	bool untried;	     /* what is not settled was not tried */
	bool asked, granted; /* may_end */
	bool end_sent;
	bool bol; /* stuffing: at the begin of a line */
	enum smtp_body body;
	enum smtp_stage stage;
	int64_t pos; /* octets of content taken */
	int64_t started, body_started;
	bool bye; /* 421 was the answer to something in it */
	struct smtp_result bye_res;
	size_t bye_text;
};

/* A fault met where no event may be sent; told in the next turn. */
struct smtp_fault {
	bool set;
	enum smtp_blame blame;
	int errnum;
	const char *what;
};

struct smtp_conn {
	struct loop *loop;
	struct sys *sys;
	const struct smtp_events *ev;
	void *arg;
	struct smtp_settings set;
	struct smtp_target target;
	struct smtp_source source;
	char *host, *ehlo; /* theirs */
	enum smtp_state state;
	enum smtp_stage stage; /* outside of transactions */
	int fd;
	struct loop_io *io;
	struct loop_timer *timer;
	enum smtp_wait wait;
	int64_t reply_since; /* when the wait for the next reply began */
	unsigned busy;	     /* depth of events; freed only at 0 */
	bool again;	     /* there is something new to send */
	bool blocked;	     /* the socket takes no more */
	bool wrote;	     /* and took something in this turn */
	bool closing;	     /* no further transaction */
	struct smtp_fault fault;
	struct smtp_caps caps;
	size_t count;	    /* transactions begun */
	size_t rcpt_learnt; /* "too many recipients" after so many; 0 */
	size_t mail_learnt; /* "too many messages" after so many; 0 */
	struct smtp_reply reply;
	const char *rest; /* input behind the reply in hand */
	size_t rest_len;
	struct buf out; /* to be sent before any content */
	size_t out_off;
	uint64_t out_gone; /* octets of out that were sent, of all times */
	struct smtp_flight *flight;
	size_t f_head, f_end, f_cap;
	struct smtp_txn txn;
};

/* conn.c */
/*
 * Before a close that is no polite one: does the kernel still hold something,
 * since the peer reads nothing? Then that shall never go, the close is a
 * reset; and if the end of data is in it, it was not sent after all.
 */
bool smtp_conn_drop_unsent(struct smtp_conn *c);
/* Close the socket. */
void smtp_conn_close(struct smtp_conn *c);
/* Close it and be dead: no event comes after this. */
void smtp_conn_die(struct smtp_conn *c);
/* It has said QUIT and is over: event gone. */
void smtp_conn_is_gone(struct smtp_conn *c);
/* EHLO or HELO was accepted. */
void smtp_conn_is_ready(struct smtp_conn *c);

/* read.c */
/* Read what has come, and act on it. */
void smtp_conn_read(struct smtp_conn *c);
/* A command stands in out from offset at: remember it, trace it. */
void smtp_conn_said(struct smtp_conn *c, enum smtp_verb verb, size_t rcpt,
    size_t at);
/* Commands without an answer. */
size_t smtp_conn_flights(const struct smtp_conn *c);
/* Is there input behind the reply in hand, other than a 421 notice? */
bool smtp_conn_surplus(const struct smtp_conn *c);

/* fail.c: events done (when a transaction runs), then failed or closed */
void smtp_conn_fail(struct smtp_conn *c, const struct smtp_failure *why);
void smtp_conn_fail_reply(struct smtp_conn *c, const struct smtp_reply *r);
/* The peer does not speak SMTP, or is out of step. */
void smtp_conn_fail_protocol(struct smtp_conn *c, const char *what);
void smtp_conn_fail_errno(struct smtp_conn *c, enum smtp_blame blame,
    int errnum, const char *what);
void smtp_conn_fail_local(struct smtp_conn *c, const char *what);
void smtp_conn_fail_eof(struct smtp_conn *c);
void smtp_conn_fail_timeout(struct smtp_conn *c);
/* End a session that takes no further message: closed. */
void smtp_conn_end(struct smtp_conn *c);
/* Remember a fault; the session ends by it as soon as it may. */
void smtp_conn_set_fault(struct smtp_conn *c, enum smtp_blame blame, int errnum,
    const char *what);
/* It may now: first hear what the peer has said before. */
void smtp_conn_faulted(struct smtp_conn *c);

/* trace.c */
void smtp_conn_trace(struct smtp_conn *c, char dir, const char *p, size_t n);
void smtp_conn_trace_note(struct smtp_conn *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void smtp_conn_trace_connect(struct smtp_conn *c);
void smtp_conn_trace_reply(struct smtp_conn *c, const struct smtp_reply *r);

/* connect.c */
/* 0: under way or connected (*ret_now); -1: c->fault is set. */
int smtp_connect_begin(struct smtp_conn *c, bool *ret_now);
/* The errno that ended it, 0: connected. */
int smtp_connect_result(struct smtp_conn *c);

/* greet.c */
void smtp_greet_begin(struct smtp_conn *c);
void smtp_on_greeting(struct smtp_conn *c, const struct smtp_reply *r);
void smtp_on_ehlo(struct smtp_conn *c, const struct smtp_reply *r);
void smtp_on_helo(struct smtp_conn *c, const struct smtp_reply *r);

/* txn.c */
void smtp_txn_start(struct smtp_conn *c, const struct smtp_message *m);
/* Say what may be said now. */
void smtp_txn_next(struct smtp_conn *c);
/* End the transaction, with done(), when nothing is open any more. */
void smtp_txn_check(struct smtp_conn *c);
void smtp_on_mail(struct smtp_conn *c, const struct smtp_reply *r);
void smtp_on_rcpt(struct smtp_conn *c, size_t i, const struct smtp_reply *r);
void smtp_on_data(struct smtp_conn *c, const struct smtp_reply *r);
void smtp_on_end(struct smtp_conn *c, const struct smtp_reply *r);
void smtp_on_bdat(struct smtp_conn *c, const struct smtp_reply *r);
void smtp_on_rset(struct smtp_conn *c, const struct smtp_reply *r);

/* body.c */
#define SMTP_TAIL LOOP_SCRATCH /* the last octets wait for may_end */
void smtp_body_begin(struct smtp_conn *c);
/* Is content (or its end) still to be sent? */
bool smtp_body_busy(const struct smtp_conn *c);
/*
 * Write what can be written. 0: all of it, or the rest waits for may_end; 1:
 * the socket is full (or others shall have their turn); -1: c->fault is set.
 */
int smtp_body_flush(struct smtp_conn *c);

/* result.c */
/* TEMPORARY or PERMANENT by the first digit. */
enum smtp_class smtp_class_of(int code);
void smtp_txn_init(struct smtp_txn *t, const struct smtp_message *m);
void smtp_txn_release(struct smtp_txn *t);
/* Keep the text of a reply; offset for the results that share it. */
size_t smtp_txn_text(struct smtp_txn *t, const char *p, size_t n);
/* A result from a reply to the command of this stage. */
struct smtp_result smtp_txn_reply(struct smtp_txn *t, enum smtp_class cls,
    enum smtp_stage stage, const struct smtp_reply *r, size_t *ret_text);
/* Recipient i is finished, unless it was already. */
void smtp_txn_settle(struct smtp_txn *t, size_t i,
    const struct smtp_result *res, size_t text);
/* All that are not finished yet. */
void smtp_txn_settle_all(struct smtp_txn *t, const struct smtp_result *res,
    size_t text);
/* All that are not finished yet, after the session broke. */
void smtp_txn_break(struct smtp_txn *t, const struct smtp_failure *why);
/* Tell the owner; the transaction is over before done() is called. */
void smtp_txn_done(struct smtp_conn *c, bool usable,
    const struct smtp_failure *why);
#endif
