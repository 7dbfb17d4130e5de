/* The files that an acct-file section makes: append, rotate, move, remove. */
#ifndef VMTA_ACCT_EXPORT_OUT_H
#define VMTA_ACCT_EXPORT_OUT_H

#include <stdint.h>

#include "acct/export.h"
#include "acct/export_state.h"
#include "base/err.h"
#include "base/sys.h"

struct export_out {
	struct sys *sys;
	const struct acct_file *conf;
	struct export_state *st; /* st->out, length, opened, serial */
	int64_t now;		 /* wall seconds */
	int dfd;		 /* where it is written */
	int move_dfd;		 /* where it goes then, -1: stays */
	int fd;			 /* -1: not open */
	const char *stem;	 /* of the name: `acct` of `log/acct.csv` */
	int stem_len;
	const char *ext; /* `.csv` */
};

/*
 * Open the directories (made when missing, one level) and the file that st
 * says is being written, cut to the length that st knows. A file that is
 * gone, or shorter than that, is let go of: the next one is begun. 0 or -1.
 */
int export_out_open(const struct acct_file *conf, struct export_state *st,
    struct sys *sys, int64_t now, struct export_out *ret_o, struct verr *err);
/*
 * Append rows and sync; the first ones create the file, with its header row.
 * st->length grows; the caller saves st afterwards. 0 or -1.
 */
int export_out_append(struct export_out *o, const char *p, size_t n,
    struct verr *err);
/*
 * Close and move the file when it is due by size or time; st is saved. Then,
 * once an hour, remove those older than delete-after. 0 or -1.
 */
int export_out_rotate(struct export_out *o, struct verr *err);
void export_out_release(struct export_out *o);

#endif
