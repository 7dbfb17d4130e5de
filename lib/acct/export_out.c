/*
 * Output files of an acct-file section: STEM-YYYY-MM-DD-NNNN.EXT, the day of
 * its beginning (UTC) and a number that begins with 0001 each day.
 *
 * Crash behaviour: state/export/HASH is the truth.
 * - A name is recorded (length 0) before the file is created.
 * - Rows are written and synced, then their length is recorded together with
 *   the place in the journal. What a file holds beyond its recorded length
 *   is cut off by the next process, and written again by it.
 * - A file is moved, both directories are synced, then it is struck from the
 *   record. Between the two it is missing from its directory, which is taken
 *   for what it is.
 * So nobody but vmta may write the newest file of a section; whoever wants to
 * take it away early finds it let go of, and a new one begun.
 */
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "acct/export_out.h"
#include "acct/record.h"
#include "base/file.h"
#include "base/mem.h"

/* Seconds between two looks for old files. */
#define SWEEP_EVERY 3600

/* Open directory path; make it when it is missing. fd, or -1 with err. */
static int
out_open_dir(struct sys *sys, const char *path, struct verr *err)
{
	int fd, parent, flags = O_RDONLY | O_DIRECTORY;
	char *copy, *slash;

	fd = sys->openat(sys, AT_FDCWD, path, flags, 0);
	if (fd != -1 || errno != ENOENT)
		goto out;
	copy = xstrdup(path);
	slash = strrchr(copy, '/');
	if (slash != NULL)
		*slash = '\0';
	parent = sys->openat(sys, AT_FDCWD,
	    slash == NULL     ? "." :
		slash == copy ? "/" :
				copy,
	    flags, 0);
	if (parent != -1) {
		if (file_make_dir(sys, parent, slash == NULL ? copy : slash + 1,
			0750, err) == 0)
			fd = sys->openat(sys, AT_FDCWD, path, flags, 0);
		(void)sys->close(sys, parent);
	}
	free(copy);
out:
	if (fd == -1)
		(void)verr_sys(err, "open directory %s", path);
	return (fd);
}

/* Split conf->path; open its directory and the one to move to. */
static int
out_dirs(struct export_out *o, struct verr *err)
{
	const char *path = o->conf->path, *base = strrchr(path, '/');
	char *dir;

	dir = base == NULL ? xstrdup(".") :
	    base == path   ? xstrdup("/") :
			     xstrndup(path, (size_t)(base - path));
	o->stem = base == NULL ? path : base + 1;
	o->ext = strrchr(o->stem, '.');
	if (o->ext == NULL || o->ext == o->stem)
		o->ext = o->stem + strlen(o->stem);
	o->stem_len = (int)(o->ext - o->stem);
	if (o->stem_len == 0 || strlen(o->stem) > 200) {
		free(dir);
		return (verr_set(err, VEX_CONFIG, "acct-file %s: no file name",
		    path));
	}
	o->dfd = out_open_dir(o->sys, dir, err);
	free(dir);
	if (o->dfd == -1)
		return (-1);
	if (o->conf->move_to != NULL && o->conf->move_to[0] != '\0' &&
	    (o->move_dfd = out_open_dir(o->sys, o->conf->move_to, err)) == -1)
		return (-1);
	return (0);
}

/* Strike the present file from the record. */
static void
out_forget(struct export_out *o)
{
	if (o->fd != -1)
		(void)o->sys->close(o->sys, o->fd);
	o->fd = -1;
	o->st->out[0] = '\0';
	o->st->length = 0;
}

/* Open the recorded file and cut it to its recorded length. */
static int
out_resume(struct export_out *o, struct verr *err)
{
	struct stat st;

	o->fd = o->sys->openat(o->sys, o->dfd, o->st->out,
	    O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
	if (o->fd == -1) {
		if (errno != ENOENT)
			return (verr_sys(err, "open %s", o->st->out));
		if (o->st->length > 0)
			out_forget(o);
		return (0);
	}
	if (o->sys->fstat(o->sys, o->fd, &st) == -1)
		return (verr_sys(err, "stat %s", o->st->out));
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < o->st->length) {
		out_forget(o);
		return (0);
	}
	if ((uint64_t)st.st_size > o->st->length &&
	    o->sys->ftruncate(o->sys, o->fd, (off_t)o->st->length) == -1)
		return (verr_sys(err, "cut %s back", o->st->out));
	/* who made it may have died before its name was durable */
	if (o->st->length == 0 && o->sys->fsync(o->sys, o->dfd) == -1)
		return (verr_sys(err, "sync directory of %s", o->st->out));
	return (0);
}

int
export_out_open(const struct acct_file *conf, struct export_state *st,
    struct sys *sys, int64_t now, struct export_out *ret_o, struct verr *err)
{
	*ret_o = (struct export_out) { .sys = sys,
		.conf = conf,
		.st = st,
		.now = now,
		.dfd = -1,
		.move_dfd = -1,
		.fd = -1 };
	if (out_dirs(ret_o, err) == -1 ||
	    (st->out[0] != '\0' && out_resume(ret_o, err) == -1)) {
		export_out_release(ret_o);
		return (-1);
	}
	return (0);
}

/* Is there such a file in either directory? */
static bool
out_exists(struct export_out *o, const char *name)
{
	struct stat st;

	return (o->sys->fstatat(o->sys, o->dfd, name, &st,
		    AT_SYMLINK_NOFOLLOW) == 0 ||
	    (o->move_dfd != -1 &&
		o->sys->fstatat(o->sys, o->move_dfd, name, &st,
		    AT_SYMLINK_NOFOLLOW) == 0));
}

/* Record the name of a new file. */
static int
out_name(struct export_out *o, struct verr *err)
{
	time_t t = (time_t)o->now;
	struct tm tm;
	int date;

	(void)gmtime_r(&t, &tm);
	date = (tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday;
	if (date != o->st->date)
		o->st->serial = 0;
	o->st->date = date;
	do
		(void)snprintf(o->st->out, sizeof(o->st->out),
		    "%.*s-%04d-%02d-%02d-%04u%s", o->stem_len, o->stem,
		    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		    ++o->st->serial, o->ext);
	while (out_exists(o, o->st->out));
	o->st->length = 0;
	o->st->opened = o->now;
	return (export_state_save(o->st, o->now, err));
}

/* Create the recorded file (it may be there, empty, after a crash). */
static int
out_create(struct export_out *o, struct verr *err)
{
	mode_t mode = o->conf->world_readable ? 0644 : 0640;

	if (o->st->out[0] == '\0' && out_name(o, err) == -1) {
		o->st->out[0] = '\0';
		return (-1);
	}
	o->fd = o->sys->openat(o->sys, o->dfd, o->st->out,
	    O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode);
	if (o->fd == -1 || fchmod(o->fd, mode) == -1 ||
	    o->sys->fsync(o->sys, o->dfd) == -1)
		return (verr_sys(err, "create %s", o->st->out));
	return (0);
}

int
export_out_append(struct export_out *o, const char *p, size_t n,
    struct verr *err)
{
	struct buf header = BUF_INIT;
	int rc = 0;

	if (o->fd == -1 && out_create(o, err) == -1)
		return (-1);
	if (o->st->length == 0) {
		record_header(&header, COL_PUBLIC_N);
		rc = sys_pwrite_all(o->sys, o->fd, header.p, header.len, 0);
	}
	if (rc == 0)
		rc = sys_pwrite_all(o->sys, o->fd, p, n,
		    (off_t)(o->st->length + header.len));
	if (rc == 0)
		rc = o->sys->fsync(o->sys, o->fd);
	if (rc == 0)
		o->st->length += header.len + n;
	else
		(void)verr_sys(err, "write %s", o->st->out);
	buf_release(&header);
	return (rc);
}

/* Is the present file to be closed? */
static bool
out_due(const struct export_out *o)
{
	const struct acct_file *c = o->conf;

	if (o->st->out[0] == '\0' || o->st->length == 0)
		return (false);
	if (c->max_size > 0 && o->st->length >= (uint64_t)c->max_size)
		return (true);
	return (c->move_interval > 0 &&
	    o->now - o->st->opened >= (c->move_interval + 999) / 1000);
}

/* Does name look like one of this section's files? */
static bool
out_is_ours(const struct export_out *o, const char *name)
{
	static const char form[] = "-dddd-dd-dd-dddd";
	const char *p = name + o->stem_len;
	size_t i;

	if (strncmp(name, o->stem, (size_t)o->stem_len) != 0)
		return (false);
	for (i = 0; i < sizeof(form) - 1; i++, p++)
		if (form[i] == 'd' ? (*p < '0' || *p > '9') : *p != form[i])
			return (false);
	while (*p >= '0' && *p <= '9')
		p++;
	return (strcmp(p, o->ext) == 0 && strcmp(name, o->st->out) != 0);
}

/* Remove closed files in dfd that are older than delete-after. */
static int
out_sweep(struct export_out *o, int dfd, struct verr *err)
{
	struct dirent *e;
	struct stat st;
	DIR *d = NULL;
	int fd, rc = 0;

	fd = o->sys->openat(o->sys, dfd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd == -1 || (d = fdopendir(fd)) == NULL) {
		(void)verr_sys(err, "list old files of %s", o->conf->path);
		if (fd != -1)
			(void)o->sys->close(o->sys, fd);
		return (-1);
	}
	while ((e = readdir(d)) != NULL) {
		if (!out_is_ours(o, e->d_name) ||
		    o->sys->fstatat(o->sys, dfd, e->d_name, &st,
			AT_SYMLINK_NOFOLLOW) == -1 ||
		    !S_ISREG(st.st_mode) ||
		    o->now - st.st_mtime <= o->conf->delete_after / 1000)
			continue;
		if (o->sys->unlinkat(o->sys, dfd, e->d_name, 0) == -1 &&
		    errno != ENOENT)
			rc = verr_sys(err, "remove %s", e->d_name);
	}
	(void)closedir(d);
	return (rc);
}

/* Once an hour: remove old files. */
static int
out_clean(struct export_out *o, struct verr *err)
{
	int rc;

	if (o->conf->delete_after <= 0 ||
	    (o->st->swept <= o->now && o->now - o->st->swept < SWEEP_EVERY))
		return (0);
	rc = out_sweep(o, o->move_dfd != -1 ? o->move_dfd : o->dfd, err);
	o->st->swept = o->now;
	if (export_state_save(o->st, o->now, err) == -1)
		return (-1);
	return (rc);
}

int
export_out_rotate(struct export_out *o, struct verr *err)
{
	struct sys *sys = o->sys;

	if (!out_due(o))
		return (out_clean(o, err));
	if (o->move_dfd != -1) {
		if (sys->renameat(sys, o->dfd, o->st->out, o->move_dfd,
			o->st->out) == -1 &&
		    errno != ENOENT)
			return (verr_sys(err, "move %s to %s", o->st->out,
			    o->conf->move_to));
		if (sys->fsync(sys, o->move_dfd) == -1 ||
		    sys->fsync(sys, o->dfd) == -1)
			return (verr_sys(err, "sync %s", o->conf->move_to));
	}
	out_forget(o);
	if (export_state_save(o->st, o->now, err) == -1)
		return (-1);
	return (out_clean(o, err));
}

void
export_out_release(struct export_out *o)
{
	if (o->fd != -1)
		(void)o->sys->close(o->sys, o->fd);
	if (o->move_dfd != -1)
		(void)o->sys->close(o->sys, o->move_dfd);
	if (o->dfd != -1)
		(void)o->sys->close(o->sys, o->dfd);
	o->fd = o->move_dfd = o->dfd = -1;
}
