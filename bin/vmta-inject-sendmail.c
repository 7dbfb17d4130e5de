/*
 * vmta-inject called as sendmail: its command line, for the programs that
 * know no other mailer. What only says how to send (-o, -v, -q ...) is taken
 * and means nothing; what asks for something else than a submission is
 * refused.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "mail/xtext.h"
#include "vmta-inject.h"

static const struct cli_opt no_opts[] = { CLI_END };
const struct cli_tool inject_sendmail = { "sendmail",
	"[OPTION ...] [RCPT ...] < message", "submit mail", no_opts };

/* -N never, or a list of success, failure, delay: letters of NSFD. */
static int
sendmail_notify(const char *arg, char ret[8], struct verr *err)
{
	static const struct {
		const char *name;
		char letter;
	} words[] = { { "never", 'N' }, { "success", 'S' }, { "failure", 'F' },
		{ "delay", 'D' } };
	size_t i, n, at = 0;

	for (; *arg != '\0'; arg += n + (arg[n] == ',' ? 1 : 0)) {
		n = strcspn(arg, ",");
		for (i = 0; i < 4; i++)
			if (strlen(words[i].name) == n &&
			    strncasecmp(words[i].name, arg, n) == 0)
				break;
		if (i == 4 || memchr(ret, words[i].letter, at) != NULL)
			break;
		ret[at++] = words[i].letter;
	}
	ret[at] = '\0';
	if (*arg != '\0' || at == 0 || (at > 1 && strchr(ret, 'N') != NULL))
		return (verr_set(err, VEX_USAGE,
		    "-N: expected never, or some of success,failure,delay"));
	return (0);
}

/* -R full or hdrs. */
static int
sendmail_ret(struct inject *j, const char *arg, struct verr *err)
{
	if (strcasecmp(arg, "full") == 0)
		j->env.ret = 'F';
	else if (strcasecmp(arg, "hdrs") == 0)
		j->env.ret = 'H';
	else
		return (verr_set(err, VEX_USAGE, "-R: expected full or hdrs"));
	return (0);
}

/* -b MODE: m submit, s SMTP, i rebuild the aliases (there are none). */
static int
sendmail_mode(struct inject *j, const char *arg, struct verr *err)
{
	if (arg[0] == '\0' || arg[1] != '\0' || strchr("msi", arg[0]) == NULL)
		return (verr_set(err, VEX_USAGE,
		    "-b%.20s: not here; vmta-queue list shows the queue, "
		    "vmta-runq delivers",
		    arg));
	j->mode = arg[0];
	return (0);
}

/* One option; those that are not named here mean nothing. */
static int
sendmail_option(struct inject *j, int c, const char *arg, struct verr *err)
{
	switch (c) {
	case 'b':
		return (sendmail_mode(j, arg, err));
	case 'f':
	case 'r':
		j->sender = arg;
		return (0);
	case 'F':
		j->full_name = arg;
		return (0);
	case 'i':
		j->dot_ends = false;
		return (0);
	case 'o':
		if (strcmp(arg, "i") == 0 || strcmp(arg, "itrue") == 0)
			j->dot_ends = false;
		return (0);
	case 'N':
		return (sendmail_notify(arg, j->notify, err));
	case 'R':
		return (sendmail_ret(j, arg, err));
	case 't':
		j->from_header = true;
		return (0);
	case 'V':
		buf_clear(&j->envid);
		xtext_encode(arg, strlen(arg), &j->envid);
		j->env.envid = buf_str(&j->envid);
		return (0);
	case '?':
	case ':':
		return (verr_set(err, VEX_USAGE,
		    "unknown option -%c, or one "
		    "without its value",
		    optopt));
	default:
		return (0);
	}
}

int
inject_sendmail_args(struct inject *j, int argc, char **argv, struct verr *err)
{
	int c;

	j->mode = 'm';
	j->dot_ends = true;
	j->users = true;
	j->env.add_from = true;
	opterr = 0;
	while ((c = getopt(argc, argv,
		    ":A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:q::r:tvx")) != -1)
		if (sendmail_option(j, c, optarg, err) == -1)
			return (-1);
	/* SMTP has its own end of a message, and dots of lines are stuffed */
	if (j->mode == 's')
		j->dot_ends = false;
	j->env.full_name = j->full_name;
	j->rest = argv + optind;
	j->nrest = argc - optind;
	return (0);
}

bool
inject_is_sendmail(const char *argv0)
{
	const char *base = strrchr(argv0, '/');

	return (strcmp(base != NULL ? base + 1 : argv0, "sendmail") == 0);
}
