/*
 * Files into a tree, by libconfuse.
 *
 * The option tables of libconfuse are made from params.def; every value is a
 * string for it, our own parsers check them. All files go through one cfg_t,
 * so that `+=` adds to a list of an earlier file; an included file is read
 * after the one that names it, so that includes never nest. A section is
 * taken over into the tree as soon as it ends and freed there: libconfuse
 * copies its tables into every section, and 5,000 of them would be 270 MiB.
 *
 * libconfuse's callbacks have no argument of ours, and its scanner is global:
 * one reader at a time, in `reading`.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <confuse.h>

#include "base/mem.h"
#include "conf/check.h"
#include "conf/lex.h"
#include "conf/tree.h"

#define READ_MAX (64 << 20) /* bytes of one file */

/* The sections at the top level, by libconfuse name. */
static const struct {
	const char *name;
	unsigned kind;
	bool domains; /* may hold domain sections */
} kinds[] = {
	{ "virtual-mta", CONF_VMTA, true },
	{ "virtual-mta-pool", CONF_POOL, true },
	{ "domain", CONF_DOMAIN, false },
	{ "source", CONF_SOURCE, false },
	{ "acct-file", CONF_ACCT, false },
	{ "pattern-list", CONF_RULES, false },
	{ "smtp-pattern-list", CONF_REPLIES, false },
	{ "domain-macro", CONF_MACRO, false },
};
#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

struct reader {
	struct tree *t;
	struct verr *err;
	cfg_t *cfg;
	unsigned file; /* being read */
	char **dir;    /* absolute directory of each file */
	bool failed;   /* err is set */
	/* domain sections that ended, of the section that has not yet */
	struct tree_sec *sub;
	size_t nsub;
	/* paths still to be read, in order; the first ones are done */
	struct read_file {
		char *path; /* absolute */
		char *show; /* as errors show it */
		unsigned file;
		int line; /* of the include; 0: main file */
	} * todo;
	size_t ntodo;
	/* option tables, freed at the end */
	cfg_opt_t *opts[NKINDS + 2];
	size_t nopts;
};

static _Thread_local struct reader *reading;

/* Report an error at a place of the files, once. */
#define READ_ERR(r, file, line, ...) \
	((r)->failed ?               \
		-1 :                 \
		((r)->failed = true, \
		    tree_err((r)->t, (file), (line), (r)->err, __VA_ARGS__)))

/* libconfuse reports: names that do not fit their place, mostly. */
__attribute__((format(printf, 2, 0))) static void
read_confuse_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	struct reader *r = reading;
	char text[600];

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	if (strncmp(text, "no such option ", 15) == 0)
		(void)READ_ERR(r, r->file, cfg->line,
		    "unknown directive %s in %s", text + 15,
		    strcmp(cfg->name, "root") == 0 ? "the top level" :
						     cfg->name);
	else
		(void)READ_ERR(r, r->file, cfg->line, "%s", text);
}

/*
 * A value was read. A first value (or only one) of an option that was set
 * before means a second `=`. Where it was set is kept as the comment of
 * libconfuse's option.
 */
static int
read_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const char **stored = result;
	unsigned file, file0;
	int line, line0;
	char place[48];

	(void)cfg;
	(void)lex_untag(value, &file, &line);
	if (opt->nvalues == 1 && opt->comment != NULL) {
		(void)lex_untag(opt->comment, &file0, &line0);
		return (READ_ERR(reading, file, line,
		    "%s is given twice (first at %s:%d)", opt->name,
		    reading->t->file[file0], line0));
	}
	if (opt->comment == NULL) {
		(void)snprintf(place, sizeof(place), "%u:%d:", file, line);
		(void)cfg_opt_setcomment(opt, place);
	}
	*stored = value;
	return (0);
}

/* Parse the texts of one option and put it into the section. */
static int
read_setting(struct reader *r, cfg_opt_t *opt, struct tree_sec *sec)
{
	const struct conf_param *p = conf_param(sec->kind, opt->name);
	size_t i, bad, n = opt->nvalues;
	struct conf_text *text = xcalloc(n, sizeof(*text));
	struct buf why = BUF_INIT;
	struct conf_value v;
	unsigned file;
	int line, rc = 0;

	for (i = 0; i < n; i++) {
		text[i].s = lex_untag(opt->values[i]->string, &file, &line);
		text[i].prefix = r->t->prefix;
		text[i].dir = r->dir[file];
	}
	/* an empty list that was added to */
	i = n > 1 && text[0].s[0] == '\0' ? 1 : 0;
	if (conf_value_parse(p, text + i, n - i, &v, &bad, &why) == -1) {
		(void)lex_untag(opt->values[bad + i]->string, &file, &line);
		rc = READ_ERR(r, file, line, "%s", buf_str(&why));
	} else {
		(void)lex_untag(opt->values[0]->string, &file, &line);
		tree_set(sec, p, file, line, &v);
	}
	buf_release(&why);
	free(text);
	return (rc);
}

/* Put all settings of a libconfuse section into ours. */
static int
read_settings(struct reader *r, cfg_t *cfg, struct tree_sec *sec)
{
	cfg_opt_t *opt;

	for (opt = cfg->opts; opt->name != NULL; opt++)
		if (opt->type == CFGT_STR && opt->nvalues > 0 &&
		    read_setting(r, opt, sec) == -1)
			return (-1);
	return (0);
}

/* The kind of a section by its name. */
static unsigned
read_kind(const char *name)
{
	size_t i;

	for (i = 0; i < NKINDS; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return (kinds[i].kind);
	return (0);
}

/* A section has ended: take it over and free libconfuse's. */
static int
read_section(cfg_t *cfg, cfg_opt_t *opt)
{
	struct reader *r = reading;
	cfg_t *from = opt->values[opt->nvalues - 1]->section;
	struct tree_sec sec = { .kind = read_kind(opt->name) };
	struct buf path = BUF_INIT;
	struct conf_text title = { .prefix = r->t->prefix,
		.dir = r->dir[r->file] };
	const char *why;

	title.s = lex_untag(from->title, &sec.file, &sec.line);
	if (check_text(sec.kind == CONF_ACCT ? CHECK_FILE : CHECK_ANY, &title,
		&path, &why) == -1 ||
	    *title.s == '\0') {
		buf_release(&path);
		return (READ_ERR(r, sec.file, sec.line, "%s: bad title",
		    opt->name));
	}
	sec.title = buf_take(&path);
	if (read_settings(r, from, &sec) == -1) {
		tree_sec_release(&sec);
		return (-1);
	}
	if (strcmp(cfg->name, "root") != 0) {
		tree_add(&r->sub, &r->nsub, &sec);
	} else {
		sec.sub = r->sub;
		sec.nsub = r->nsub;
		r->sub = NULL;
		r->nsub = 0;
		tree_add(&r->t->sec, &r->t->nsec, &sec);
	}
	(void)cfg_opt_rmnsec(opt, opt->nvalues - 1);
	return (0);
}

/* Queue a file to be read. */
static void
read_later(struct reader *r, const char *path, const char *show, unsigned file,
    int line)
{
	struct read_file *f;

	r->todo = xreallocarray(r->todo, r->ntodo + 1, sizeof(*r->todo));
	f = &r->todo[r->ntodo++];
	f->path = xstrdup(path);
	f->show = xstrdup(show);
	f->file = file;
	f->line = line;
}

/* The part of path before its last slash, as a new string. */
static char *
read_dirname(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return (xstrdup("."));
	return (slash == path ? xstrdup("/") :
				xstrndup(path, (size_t)(slash - path)));
}

/* Names in byte order, whatever the locale says. */
static int
read_order(const struct dirent **a, const struct dirent **b)
{
	return (strcmp((*a)->d_name, (*b)->d_name));
}

/*
 * Queue the files that dir/pattern names, sorted; head: what errors show
 * before their names. The directory becomes a key.
 */
static int
read_wild(struct reader *r, const char *dir, const char *pattern,
    const char *head, unsigned file, int line)
{
	struct dirent **list = NULL;
	struct buf path = BUF_INIT, show = BUF_INIT;
	struct stat st;
	int i, n;

	tree_key(r->t, dir, stat(dir, &st) == 0 ? &st : NULL);
	n = scandir(dir, &list, NULL, read_order);
	if (n == -1 && errno != ENOENT)
		return (READ_ERR(r, file, line, "include '%s%s': %s", head,
		    pattern, strerror(errno)));
	for (i = 0; i < n; i++) {
		if (fnmatch(pattern, list[i]->d_name, FNM_PERIOD) == 0) {
			buf_clear(&path);
			buf_addf(&path, "%s/%s", dir, list[i]->d_name);
			buf_clear(&show);
			buf_addf(&show, "%s%s", head, list[i]->d_name);
			read_later(r, buf_str(&path), buf_str(&show), file,
			    line);
		}
		free(list[i]);
	}
	free(list);
	buf_release(&path);
	buf_release(&show);
	return (0);
}

/* One argument of include(), relative to the file that names it. */
static int
read_include_one(struct reader *r, const char *name, unsigned file, int line)
{
	struct buf path = BUF_INIT, show = BUF_INIT;
	const char *here = r->t->file[file], *last;
	char *dir;
	int rc = 0;

	if (*name != '/') {
		buf_addf(&path, "%s/", r->dir[file]);
		last = strrchr(here, '/');
		buf_add(&show, here,
		    last != NULL ? (size_t)(last + 1 - here) : 0);
	}
	buf_adds(&path, name);
	buf_adds(&show, name);
	last = strrchr(name, '/');
	last = last != NULL ? last + 1 : name;
	dir = read_dirname(buf_str(&path));
	if (strpbrk(name, "*?[") == NULL) {
		read_later(r, buf_str(&path), buf_str(&show), file, line);
	} else if (strpbrk(name, "*?[") < last) {
		rc = READ_ERR(r, file, line,
		    "include '%s': wildcards only behind the last /", name);
	} else {
		show.len -= strlen(last);
		show.p[show.len] = '\0';
		rc = read_wild(r, dir, last, buf_str(&show), file, line);
	}
	free(dir);
	buf_release(&path);
	buf_release(&show);
	return (rc);
}

/* include('FILE', ...) at the top level. */
static int
read_include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
	struct reader *r = reading;
	const char *name;
	unsigned file;
	int i, line, rc = 0;

	(void)opt;
	if (argc == 0)
		return (READ_ERR(r, r->file, cfg->line, "include of nothing"));
	for (i = 0; i < argc && rc == 0; i++) {
		name = lex_untag(argv[i], &file, &line);
		rc = read_include_one(r, name, file, line);
	}
	return (rc);
}

/* A libconfuse table of the parameters of a scope, with room for `extra`. */
static cfg_opt_t *
read_table(struct reader *r, unsigned scope, size_t extra, size_t *ret_n)
{
	const struct conf_param *p;
	cfg_opt_t *opts;
	size_t i, n, at = 0;

	p = conf_params(&n);
	opts = xcalloc(n + extra + 1, sizeof(*opts));
	for (i = 0; i < n; i++) {
		if (p[i].scope != scope)
			continue;
		opts[at].name = p[i].name;
		opts[at].type = CFGT_STR;
		opts[at].flags = CFGF_NODEFAULT;
		if (p[i].type == CONF_LIST || p[i].type == CONF_LADDER)
			opts[at].flags |= CFGF_LIST;
		opts[at++].parsecb = read_value;
	}
	r->opts[r->nopts++] = opts;
	*ret_n = at;
	return (opts);
}

/* A titled section of a libconfuse table. */
static cfg_opt_t
read_section_opt(const char *name, cfg_opt_t *sub)
{
	cfg_opt_t opt = { .name = name,
		.type = CFGT_SEC,
		.subopts = sub,
		.flags = CFGF_MULTI | CFGF_TITLE,
		.validcb = read_section };

	return (opt);
}

/* The whole table: parameters, sections, include. */
static cfg_opt_t *
read_tables(struct reader *r)
{
	cfg_opt_t *top, *sub, *domain;
	size_t i, n, at;

	domain = read_table(r, CONF_DOMAIN, 0, &n);
	top = read_table(r, CONF_GLOBAL, NKINDS + 1, &at);
	for (i = 0; i < NKINDS; i++) {
		sub = domain;
		if (kinds[i].kind != CONF_DOMAIN) {
			sub = read_table(r, kinds[i].kind, 1, &n);
			if (kinds[i].domains)
				sub[n] = read_section_opt("domain", domain);
		}
		top[at++] = read_section_opt(kinds[i].name, sub);
	}
	top[at].name = "include";
	top[at].type = CFGT_FUNC;
	top[at].func = read_include;
	return (top);
}

/* The bytes of a file, and its key; errno is left for the caller. */
static int
read_bytes(struct tree *t, const char *path, struct buf *ret_data)
{
	struct stat st;
	ssize_t got = -1;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 || fstat(fd, &st) == -1) {
		tree_key(t, path, NULL);
	} else {
		tree_key(t, path, &st);
		if (!S_ISREG(st.st_mode) || st.st_size > READ_MAX) {
			errno = S_ISDIR(st.st_mode) ? EISDIR : EFBIG;
		} else {
			got = sys_pread_all(sys_real(), fd,
			    buf_room(ret_data, (size_t)st.st_size + 1),
			    (size_t)st.st_size, 0);
			ret_data->len = got > 0 ? (size_t)got : 0;
			ret_data->p[ret_data->len] = '\0';
		}
	}
	if (fd != -1)
		(void)close(fd);
	return (got == -1 ? -1 : 0);
}

/* Was this file (by device and inode) read before? */
static bool
read_again(const struct tree *t)
{
	const struct tree_key *new = &t->key[t->nkey - 1];
	size_t i;

	for (i = 0; i + 1 < t->nkey; i++)
		if (t->key[i].dev == new->dev && t->key[i].ino == new->ino)
			return (true);
	return (false);
}

/* Hand the cleaned text of a file to libconfuse. */
static int
read_text(struct reader *r, const struct buf *data)
{
	struct buf clean = BUF_INIT, why = BUF_INIT;
	int line, rc = 0;

	if (lex_clean(buf_str(data), data->len, r->file, &clean, &line, &why) ==
	    -1)
		rc = READ_ERR(r, r->file, line, "%s", buf_str(&why));
	else if (cfg_parse_buf(r->cfg, buf_str(&clean)) != CFG_SUCCESS)
		rc = READ_ERR(r, r->file, r->cfg->line, "syntax error");
	buf_release(&clean);
	buf_release(&why);
	return (rc);
}

/* Read one file of the queue. */
static int
read_file(struct reader *r, const struct read_file *f)
{
	struct tree *t = r->t;
	struct buf data = BUF_INIT;
	int code, rc;

	t->file = xreallocarray(t->file, t->nfile + 1, sizeof(*t->file));
	t->file[t->nfile++] = xstrdup(f->show);
	r->file = (unsigned)t->nfile - 1;
	r->dir = xreallocarray(r->dir, t->nfile, sizeof(*r->dir));
	r->dir[r->file] = read_dirname(f->path);
	if (read_bytes(t, f->path, &data) == -1) {
		code = verr_code(errno);
		if (f->line == 0)
			rc = verr_set(r->err, VEX_CONFIG, "%s: %s", f->show,
			    strerror(errno));
		else
			rc = READ_ERR(r, f->file, f->line, "include '%s': %s",
			    f->show, strerror(errno));
		if (code == VEX_TEMP && r->err != NULL)
			r->err->code = code;
	} else if (read_again(t)) {
		rc = READ_ERR(r, f->file, f->line,
		    "include '%s': this file is already included", f->show);
	} else {
		rc = read_text(r, &data);
	}
	buf_release(&data);
	return (rc);
}

int
read_paths(const char *path, struct tree *t, struct verr *err)
{
	struct buf abs = BUF_INIT;
	char *cwd, *etc;

	if (*path != '/') {
		cwd = getcwd(NULL, 0);
		if (cwd == NULL)
			return (verr_sys(err, "current directory"));
		buf_addf(&abs, "%s/", strcmp(cwd, "/") == 0 ? "" : cwd);
		free(cwd);
		while (strncmp(path, "./", 2) == 0)
			path += 2;
	}
	buf_adds(&abs, path);
	t->main_path = buf_take(&abs);
	etc = read_dirname(t->main_path);
	t->prefix = read_dirname(etc);
	free(etc);
	return (0);
}

static void
read_release(struct reader *r)
{
	size_t i;

	if (r->cfg != NULL)
		(void)cfg_free(r->cfg);
	for (i = 0; i < r->ntodo; i++) {
		free(r->todo[i].path);
		free(r->todo[i].show);
	}
	for (i = 0; i < r->nsub; i++)
		tree_sec_release(&r->sub[i]);
	for (i = 0; i < r->nopts; i++)
		free(r->opts[i]);
	for (i = 0; i < r->t->nfile; i++)
		free(r->dir[i]);
	free(r->todo);
	free(r->sub);
	free(r->dir);
}

int
read_files(const char *path, struct tree *t, struct verr *err)
{
	struct reader r = { .t = t, .err = err };
	size_t i;
	int rc = 0;

	if (read_paths(path, t, err) == -1)
		return (-1);
	reading = &r;
	read_later(&r, t->main_path, path, 0, 0);
	r.cfg = cfg_init(read_tables(&r), CFGF_NONE);
	if (r.cfg == NULL) {
		rc = verr_set(err, VEX_TEMP, "out of memory");
		goto out;
	}
	(void)cfg_set_error_function(r.cfg, read_confuse_error);
	for (i = 0; i < r.ntodo && rc == 0; i++) {
		struct read_file f = r.todo[i];

		rc = read_file(&r, &f);
	}
	if (rc == 0)
		rc = read_settings(&r, r.cfg, &t->global);
out:
	read_release(&r);
	reading = NULL;
	return (rc);
}
