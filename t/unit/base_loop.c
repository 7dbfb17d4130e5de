/* The event loop on real sockets. */
#include <sys/socket.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/loop.h"

struct reader {
	int fd;
	struct loop_io *io;
	size_t got;
	int end; /* errno of the last recv, -1: end of file; 0: not yet */
};

/* Reads one octet an event, as if it had no time for more. */
static void
on_io(void *arg, bool readable, bool writable)
{
	struct reader *r = arg;
	ssize_t n;
	char c;

	(void)writable;
	if (!readable)
		return;
	n = recv(r->fd, &c, 1, MSG_DONTWAIT);
	if (n > 0)
		r->got++;
	else if (n == 0)
		r->end = -1;
	else if (errno != EAGAIN)
		r->end = errno;
	if (r->end != 0) {
		loop_io_free(r->io);
		r->io = NULL;
	} else
		loop_io_want(r->io, true, false);
}

/* Two ends of a TCP connection over loopback. */
static void
tcp_pair(int fd[2])
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int lis = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(lis, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(lis, 1), 0);
	assert_int_equal(getsockname(lis, (struct sockaddr *)&sin, &len), 0);
	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd[0], (struct sockaddr *)&sin, len), 0);
	fd[1] = accept(lis, NULL, NULL);
	assert_true(fd[1] >= 0);
	(void)close(lis);
}

/* An error that comes while there is still something to read is told after
 * it: nobody waits for a peer that has reset the connection. */
static void
test_error_behind_data(void **state)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	struct loop *l = loop_new();
	struct reader r = { .got = 0 };
	int fd[2];

	(void)state;
	(void)alarm(60);
	tcp_pair(fd);
	r.fd = fd[0];
	r.io = loop_io_new(l, r.fd, on_io, &r);
	assert_non_null(r.io);
	loop_io_want(r.io, true, false);
	assert_int_equal(send(fd[1], "12345", 5, 0), 5);
	assert_int_equal(setsockopt(fd[1], SOL_SOCKET, SO_LINGER, &reset,
			     sizeof(reset)),
	    0);
	(void)close(fd[1]);
	while (r.io != NULL)
		loop_turn(l, true);
	assert_true(r.end == ECONNRESET || r.end == -1);
	assert_true(r.got <= 5);
	(void)close(r.fd);
	loop_turn(l, false);
	loop_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_behind_data),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
