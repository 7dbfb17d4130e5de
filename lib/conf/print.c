/*
 * The parameter table for people: as a configuration file with all defaults
 * (which is one: it can be read back), and as the section of vmta.conf(5)
 * that a test compares with the page.
 */
#include <string.h>

#include "conf/param.h"

/* Where the parameters of a scope are written. */
static const struct {
	unsigned scope;
	const char *open;  /* of a section; NULL: top level */
	bool comment;	   /* the section names what must exist */
	const char *title; /* heading in the manual */
	const char *where; /* and what is said under it */
} print_scopes[] = {
	{ CONF_GLOBAL, NULL, false, "Top level", NULL },
	{ CONF_VMTA, "virtual-mta 'NAME' {", true, "virtual-mta sections",
	    "Domain sections may stand inside." },
	{ CONF_POOL, "virtual-mta-pool 'NAME' {", true,
	    "virtual-mta-pool sections", "Domain sections may stand inside." },
	{ CONF_DOMAIN, "domain '*' {", false, "domain sections",
	    "At the top level, in a virtual-mta or in a virtual-mta-pool." },
	{ CONF_SOURCE, "source 'local' {", false, "source sections", NULL },
	{ CONF_ACCT, "acct-file 'log/acct.csv' {", true, "acct-file sections",
	    NULL },
	{ CONF_RULES, "pattern-list 'NAME' {", true, "pattern-list sections",
	    NULL },
	{ CONF_REPLIES, "smtp-pattern-list 'NAME' {", true,
	    "smtp-pattern-list sections", NULL },
	{ CONF_MACRO, "domain-macro 'NAME' {", true, "domain-macro sections",
	    NULL },
};
#define NSCOPES (sizeof(print_scopes) / sizeof(print_scopes[0]))

/* Append `NAME = DEFAULT`. */
static void
print_default(const struct conf_param *p, struct buf *ret_text)
{
	struct conf_value v;

	conf_value_default(p, &v);
	buf_addf(ret_text, "%s = ", p->name);
	if (p->def[0] == '\0')
		buf_adds(ret_text, "''");
	else
		conf_value_show(p, v.a, v.b, v.blob, ret_text);
	conf_value_free(&v);
}

void
conf_print_defaults(struct buf *ret_text)
{
	const struct conf_param *p;
	const char *hash, *tab;
	size_t i, k, n;

	p = conf_params(&n);
	for (k = 0; k < NSCOPES; k++) {
		hash = print_scopes[k].comment ? "#" : "";
		tab = print_scopes[k].open != NULL ? "\t" : "";
		if (print_scopes[k].open != NULL)
			buf_addf(ret_text, "%s%s\n", hash,
			    print_scopes[k].open);
		for (i = 0; i < n; i++) {
			if (p[i].scope != print_scopes[k].scope)
				continue;
			buf_addf(ret_text, "%s%s", hash, tab);
			print_default(&p[i], ret_text);
			buf_addf(ret_text, "   # %s%s\n", p[i].help,
			    p[i].later ? " (not in force yet)" : "");
		}
		if (print_scopes[k].open != NULL)
			buf_addf(ret_text, "%s}\n", hash);
	}
}

/* Append text as the argument of an mdoc macro, in quotes. */
static void
print_quoted(const char *s, struct buf *ret_text)
{
	buf_addc(ret_text, '"');
	for (; *s != '\0'; s++) {
		if (*s == '"')
			buf_addc(ret_text, '"');
		if (*s == '\\')
			buf_adds(ret_text, "\\e");
		else if (*s == '\'')
			buf_adds(ret_text, "\\(aq");
		else
			buf_addc(ret_text, *s);
	}
	buf_addc(ret_text, '"');
}

/* Append a line of mdoc text; the first letter becomes a capital. */
static void
print_sentence(const char *s, struct buf *ret_text)
{
	if (*s >= 'a' && *s <= 'z')
		buf_addc(ret_text, *s++ - 'a' + 'A');
	buf_addf(ret_text, "%s.\n", s);
}

/* The item of one parameter. */
static void
print_item(const struct conf_param *p, struct buf *ret_text)
{
	struct buf text = BUF_INIT;
	struct conf_value v;

	buf_addf(ret_text, ".It Ic %s No = Ar ", p->name);
	print_quoted(p->form, ret_text);
	buf_addc(ret_text, '\n');
	print_sentence(p->help, ret_text);
	if (p->def[0] != '\0') {
		conf_value_default(p, &v);
		conf_value_show(p, v.a, v.b, v.blob, &text);
		conf_value_free(&v);
		buf_adds(ret_text, "Default:\n.Li ");
		print_quoted(buf_str(&text), ret_text);
		buf_adds(ret_text, " .\n");
		buf_release(&text);
	}
	if (p->later)
		buf_adds(ret_text, "Not in force in this version.\n");
}

void
conf_print_manual(struct buf *ret_text)
{
	const struct conf_param *p;
	size_t i, k, n;

	p = conf_params(&n);
	for (k = 0; k < NSCOPES; k++) {
		buf_addf(ret_text, ".Ss %s\n", print_scopes[k].title);
		if (print_scopes[k].where != NULL)
			buf_addf(ret_text, "%s\n", print_scopes[k].where);
		buf_adds(ret_text, ".Bl -tag -width Ds\n");
		for (i = 0; i < n; i++)
			if (p[i].scope == print_scopes[k].scope)
				print_item(&p[i], ret_text);
		buf_adds(ret_text, ".El\n");
	}
}
