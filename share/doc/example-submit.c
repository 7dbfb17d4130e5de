/*
 * Two messages to each of the recipients that are named, through
 * libvmta-submit: a plain one for all of them, and one with a value of his
 * own for each. C and C++.
 *
 *	cc example-submit.c $(pkg-config --cflags --libs vmta-submit)
 *	./a.out bounces@example.com joe@example.org ann@example.net
 */
#include <stdio.h>
#include <string.h>

#include <vmta-submit.h>

static const char plain[] = "From: News <news@example.com>\n"
			    "To: readers@example.com\n"
			    "Subject: one for all\n"
			    "\n"
			    "Hello.\n";

static const char letter[] = "From: News <news@example.com>\n"
			     "To: <[*to]>\n"
			     "Subject: one for [name]\n"
			     "\n"
			     "Hello [name], you are number [n].\n";

/* One message, many recipients. */
static int
send_plain(vmta_submit *s, const char *from, char **rcpt)
{
	vmta_begin(s);
	vmta_set(s, "from", from);
	vmta_set(s, "job", "example");
	for (; *rcpt != NULL; rcpt++)
		vmta_rcpt(s, *rcpt);
	vmta_data(s, plain, strlen(plain));
	/* what went wrong on the way is told here */
	if (vmta_end(s) == -1)
		return (-1);
	printf("%s\n", vmta_id(s));
	return (vmta_commit(s));
}

/* A template, and recipients with variables. */
static int
send_merge(vmta_submit *s, const char *from, char **rcpt)
{
	unsigned long index, n = 0;
	const char *why;
	char number[24];
	size_t i;
	int rc;

	vmta_begin_merge(s);
	vmta_set(s, "from", from);
	vmta_data(s, letter, strlen(letter));
	vmta_column(s, "name");
	vmta_column(s, "n");
	for (; *rcpt != NULL; rcpt++) {
		snprintf(number, sizeof(number), "%lu", ++n);
		vmta_rcpt(s, *rcpt);
		vmta_var(s, "name", *rcpt);
		vmta_var(s, "n", number);
	}
	rc = vmta_end(s);
	for (i = 0; (why = vmta_refused(s, i, &index)) != NULL; i++)
		fprintf(stderr, "recipient %lu: %s\n", index, why);
	printf("%lu accepted\n", vmta_count(s));
	return (rc == VMTA_PART ? 0 : rc);
}

int
main(int argc, char **argv)
{
	vmta_submit *s;
	int code;

	if (argc < 3) {
		fprintf(stderr, "usage: %s SENDER RCPT ...\n", argv[0]);
		return (VMTA_USAGE);
	}
	/* vmta-inject beside the library, and the configuration beside that */
	s = vmta_open(NULL, NULL);
	if (vmta_code(s) == VMTA_OK && send_plain(s, argv[1], argv + 2) == 0)
		(void)send_merge(s, argv[1], argv + 2);
	code = vmta_code(s);
	if (code != VMTA_OK)
		fprintf(stderr, "%s\n", vmta_error(s));
	vmta_close(s);
	return (code);
}
