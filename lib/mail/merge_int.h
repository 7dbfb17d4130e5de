/* Inside of merges: shared by merge.c, merge_seq.c, merge_head.c, merge_text.c
 * only. */
#ifndef VMTA_MAIL_MERGE_INT_H
#define VMTA_MAIL_MERGE_INT_H

#include "base/map.h"
#include "mail/charset.h"
#include "mail/merge.h"
#include "mail/mime.h"

#define MERGE_LINE_MAX 998 /* octets of a line */

/* A variable that the template uses. */
struct mvar {
	char *name;	/* lower case */
	int reserved;	/* number of a reserved one, -1: none */
	int column;	/* -1: undefined */
	bool header;	/* it is in a header field */
	struct buf url; /* value of a *NAME_url */
};

/* The value of a variable in one rendering. */
struct mval {
	const char *p; /* NULL: undefined */
	size_t n;
	bool high; /* octets over 127 */
	bool eol;  /* CR or LF */
};

/* Text with placeholders: pieces of literal text, and variables. */
struct mitem {
	size_t off; /* in text: the literal, or how the variable is written */
	size_t n;
	int var; /* -1: literal */
	/* a literal of a text part, encoded: */
	size_t enc_off, enc_n; /* in the part's enc */
	size_t head;	       /* octets that are encoded when rendering */
	size_t col;	       /* column at its end */
	size_t first, last, longest; /* octets of its lines */
	bool lines;		     /* it has a line end */
};

struct mseq {
	struct buf text;
	struct mitem *item;
	size_t n, cap;
	bool high;   /* a literal has octets over 127 */
	bool active; /* there is a variable or a doubled bracket */
	bool vars;
};

enum mfield_kind {
	MFIELD_VERBATIM, /* from here to there in the template */
	MFIELD_TEXT,	 /* unstructured */
	MFIELD_OTHER,	 /* structured: ASCII only */
	MFIELD_ADDRESS
};

/* A piece of an address field: text, or a mailbox. */
struct mbox {
	struct mseq literal; /* before the mailbox */
	struct mseq phrase;
	struct mseq addr;
	bool mailbox; /* there is one */
	bool angle;
	bool quoted; /* the phrase is in quotes */
};

struct mfield {
	enum mfield_kind kind;
	size_t off, n; /* verbatim text, or `Name:` */
	struct mseq seq;
	struct mbox *box;
	size_t n_box;
};

/* A text part with variables. */
struct mtext {
	bool top;	       /* the message itself: no header of its own */
	size_t head_off, head; /* its header */
	enum mime_cte cte;
	struct charset *charset;
	bool relabel; /* always UTF-8, whatever its header says */
	bool strict7; /* it must not become 8bit: what is around says 7bit */
	bool eol;     /* its encoded form ends in CRLF */
	struct mseq seq;
	struct buf enc;
	struct buf *boundary; /* of what is around it, with hyphens */
	size_t n_boundary;
};

/* The body: verbatim text and text parts in turn. */
struct mchunk {
	size_t off, n;
	struct mtext *text; /* NULL: verbatim */
};

struct merge {
	struct buf text; /* the template */
	size_t header;	 /* octets of its header, empty line included */
	struct mvar *var;
	size_t n_var, cap_var;
	size_t *user; /* numbers of the variables that are not reserved */
	size_t n_user;
	struct map names; /* lower case -> number + 1 */
	struct mfield *field;
	size_t n_field;
	struct mchunk *chunk;
	size_t n_chunk;
	size_t n_entity;
	bool empty; /* undefined variables are */
	/* of a rendering */
	struct mval *val;
	struct buf scratch, value, copy, check;
};

/* merge_seq.c */

/* Find the placeholders of text that is decoded; header: it is of a field. */
void mseq_parse(struct merge *m, struct mseq *s, const char *p, size_t n,
    bool header);
/* Only a literal. */
void mseq_literal(struct mseq *s, const char *p, size_t n);
void mseq_release(struct mseq *s);
/* Append the text with its values. */
void mseq_render(const struct merge *m, const struct mseq *s, struct buf *out);
/* The octets that an item stands for, line ends as they were given. */
const char *mitem_text(const struct merge *m, const struct mseq *s,
    const struct mitem *i, size_t *ret_n);
/* Is it a variable whose value has this property? */
bool mitem_high(const struct merge *m, const struct mitem *i);

/* merge_head.c */

/* Parse the fields of the header. 0 or -1. */
int mhead_parse(struct merge *m, struct verr *err);
void mhead_release(struct merge *m);
/* Append the header for the present values. 0 or -1. */
int mhead_render(struct merge *m, struct buf *out, struct verr *err);
/*
 * Append a header with its empty line in which the character set is UTF-8
 * (utf8) and the encoding cte (NULL: as it is). top: of a message.
 */
void mhead_switch(const char *p, size_t n, bool utf8, const char *cte, bool top,
    struct buf *out);

/* merge_text.c */

/*
 * A text part from its raw body; x->top, head, cte, charset, strict7 and
 * boundaries are set. 0: it has variables; 1: it has none; -1 with err.
 */
int mtext_parse(struct merge *m, struct mtext *x, const char *p, size_t n,
    struct verr *err);
void mtext_free(struct mtext *x);

/* How a part is to be written this time. */
struct mplan {
	bool utf8;	 /* in UTF-8, against its header */
	const char *cte; /* its new name; NULL: as it was */
	enum mime_cte as;
};

void mtext_plan(struct merge *m, const struct mtext *x, struct mplan *ret_p);
/* Append header (unless it is the message itself) and body. */
void mtext_render(struct merge *m, const struct mtext *x, const struct mplan *p,
    struct buf *out);

#endif
