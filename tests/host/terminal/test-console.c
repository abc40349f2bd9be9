/* SPDX-License-Identifier: MIT */
/*
 * The console on a pseudo-terminal: a child process stands for Kennel, has the pty as its controlling terminal, and is typed at,
 * stopped and killed; we look at the terminal's modes from outside.
 */
#include "tests/host/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "host/terminal/console.h"
#include "host/terminal/escape.h"
#include "host/terminal/tty.h"
#include "host/terminal/writer.h"

static struct error err;

/* --- Ctrl-A ---------------------------------------------------------------------------------------------------------- */

static char commands[16];

static void command(void *opaque, char letter)
{
	strncat(commands, &letter, 1);
}

static void check_escape(const char *typed, const char *kept, const char *commanded)
{
	struct escape escape = { .command = command };
	char data[64];
	size_t len = 0;

	/* Byte by byte and all at once must be the same. */
	for (int split = 0; split < 2; split++) {
		size_t total = strlen(typed);

		commands[0] = 0;
		strcpy(data, typed);
		if (split) {
			len = 0;
			for (size_t i = 0; i < total; i++) {
				char byte = typed[i];

				if (escape_filter(&escape, &byte, 1))
					data[len++] = byte;
			}
		} else {
			len = escape_filter(&escape, data, total);
		}
		data[len] = 0;
		assert_string_equal(data, kept);
		assert_string_equal(commands, commanded);
	}
}

static void test_escape(void **state)
{
	check_escape("ls\r", "ls\r", "");
	check_escape("\001x", "", "x");
	check_escape("a\001?b", "ab", "?");
	check_escape("\001\001", "\001", "");
	check_escape("\001a\001h", "\001", "h");
	check_escape("\001\001x", "\001x", "");
	check_escape("\003\032", "\003\032", "");
}

/* --- the writer ------------------------------------------------------------------------------------------------------ */

static size_t read_all(int fd, char *data, size_t room, int wait_ms)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	ssize_t got;

	while (len < room && poll(&pollfd, 1, wait_ms) > 0 && (got = read(fd, data + len, room - len)) > 0)
		len += (size_t)got;
	return len;
}

static void test_writer(void **state)
{
	static char out[200000], back[300000];
	struct writer *writer;
	int pair[2];
	size_t len;

	assert_int_equal(pipe(pair), 0);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7 + i / 251);
	writer = writer_create(pair[1], sizeof(out), &err);
	assert_non_null(writer);
	assert_true(writer_put(writer, out, 150000));	/* more than the pipe holds: and yet we do not wait */
	assert_false(writer_flush(writer, 50));
	assert_true(writer_put(writer, out + 150000, 50000));
	assert_false(writer_put(writer, out, sizeof(out)));	/* no room: dropped */
	assert_false(writer_put(writer, out, 1));		/* and so is what follows, until that has been said */
	len = read_all(pair[0], back, sizeof(back), 200);
	assert_true(writer_flush(writer, 1000));
	assert_true(len > sizeof(out));
	assert_memory_equal(back, out, sizeof(out));
	assert_non_null(memmem(back + sizeof(out), len - sizeof(out), "200001 bytes of output were dropped", 35));
	assert_true(writer_put(writer, "again", 5));
	assert_true(writer_flush(writer, 1000));
	assert_int_equal(read_all(pair[0], back, 5, 1000), 5);
	assert_memory_equal(back, "again", 5);

	/* The end is not held up by a reader that does not read. */
	assert_true(writer_put(writer, out, 150000));
	writer_destroy(writer, 20);
	close(pair[0]);
	close(pair[1]);
}

/* Round and round the buffer. */
static void test_writer_wraps(void **state)
{
	char out[300], back[300];
	struct writer *writer;
	int pair[2];

	assert_int_equal(pipe(pair), 0);
	writer = writer_create(pair[1], 1000, &err);
	for (int round = 0; round < 50; round++) {
		for (size_t i = 0; i < sizeof(out); i++)
			out[i] = (char)(i * 3 + (size_t)round);
		assert_true(writer_put(writer, out, sizeof(out)));
		assert_true(writer_flush(writer, 5000));
		assert_int_equal(read_all(pair[0], back, sizeof(back), 1000), sizeof(back));
		assert_memory_equal(back, out, sizeof(out));
	}
	writer_destroy(writer, 1000);
	close(pair[0]);
	close(pair[1]);
}

static void test_writer_closed_pipe(void **state)
{
	struct writer *writer;
	int pair[2];

	signal(SIGPIPE, SIG_IGN);	/* as loop_create() does */
	assert_int_equal(pipe(pair), 0);
	writer = writer_create(pair[1], 1000, &err);
	close(pair[0]);
	writer_put(writer, "x", 1);
	assert_true(writer_flush(writer, 5000));
	wait_until(!writer_put(writer, "x", 1));
	writer_destroy(writer, 5000);
	close(pair[1]);
}

/* --- pipes and files as stdin and stdout ----------------------------------------------------------------------------- */

static char input[65536];
static size_t input_len, input_room;

static size_t take_input(void *opaque, const void *data, size_t len)
{
	assert_true(io_locked());
	if (len > input_room)
		len = input_room;
	memcpy(input + input_len, data, len);
	input_len += len;
	input_room -= len;
	return len;
}

static void more_room(struct console_backend *be, size_t room)
{
	io_lock();
	input_room = room;
	be->ops->input_ready(be);
	io_unlock();
}

static struct console_backend *open_on(struct loop *loop, int in, int out)
{
	struct console_backend *be = console_fd_open(loop, in, out, NULL, NULL, &err);

	if (!be)
		fail_msg("%s", err.text);
	be->input = take_input;
	input_len = input_room = 0;
	return be;
}

static void check_input(int in, bool more_than_it_holds)
{
	struct loop *loop = new_loop();
	struct console_backend *be = open_on(loop, in, STDERR_FILENO);
	size_t total = 0;

	for (int i = 0; i < 5; i++)
		loop_run_once(loop, 10);
	assert_int_equal(input_len, 0);
	for (int i = 0; i < 2000 && total < 10000; i++) {
		more_room(be, 171);
		loop_run_once(loop, 5);
		total = input_len;
	}
	assert_int_equal(total, 10000);
	for (int i = 0; i < 10000; i++)
		assert_int_equal((unsigned char)input[i], (unsigned char)(i * 13));	/* also the bytes that look like Ctrl-A */
	more_room(be, 100);
	for (int i = 0; i < 5; i++)
		loop_run_once(loop, 5);		/* the end of the input: nothing happens */
	assert_int_equal(input_len, 10000);
	be->ops->close(be);
	loop_destroy(loop);
}

static void test_pipe_and_file_input(void **state)
{
	char data[10000];
	FILE *file = tmpfile();
	int pair[2];

	for (int i = 0; i < 10000; i++)
		data[i] = (char)(i * 13);
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(write(pair[1], data, sizeof(data)), sizeof(data));
	close(pair[1]);
	check_input(pair[0], true);
	close(pair[0]);
	assert_int_equal(write(fileno(file), data, sizeof(data)), sizeof(data));
	lseek(fileno(file), 0, SEEK_SET);
	check_input(fileno(file), true);
	fclose(file);
}

static void test_null_and_closed_input(void **state)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct loop *loop = new_loop();
	struct console_backend *be = open_on(loop, null, null);
	struct rusage before, after;
	uint16_t columns = 1, rows = 1;

	more_room(be, 100);
	loop_run_once(loop, 100);
	getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < 10; i++)
		loop_run_once(loop, 10);	/* no spinning on the end of the input */
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_nvcsw - before.ru_nvcsw < 200);
	be->ops->size(be, &columns, &rows);
	assert_int_equal(columns + rows, 0);
	be->ops->close(be);
	close(null);
	be = open_on(loop, -1, -1);
	be->ops->write(be, &(struct virtio_iov){ "x", 1 }, 1);
	more_room(be, 100);
	be->ops->close(be);
	loop_destroy(loop);
}

static void test_file_output_and_tail(void **state)
{
	struct loop *loop = new_loop();
	FILE *file = tmpfile();
	struct console_backend *be = open_on(loop, -1, fileno(file));
	struct virtio_iov iov[2] = { { "last ", 5 }, { "words\n", 6 } };
	char back[16];

	assert_int_equal(be->ops->write(be, iov, 2), 11);
	assert_int_equal(console_tail(be, back, 6), 6);
	assert_memory_equal(back, "words\n", 6);
	be->ops->close(be);
	assert_int_equal(pread(fileno(file), back, sizeof(back), 0), 11);
	assert_memory_equal(back, "last words\n", 11);
	fclose(file);
	loop_destroy(loop);

	be = console_none_open(&err);
	for (int i = 0; i < 10000; i++)
		be->ops->write(be, iov, 2);
	assert_int_equal(console_tail(be, back, 11), 11);
	assert_memory_equal(back, "last words\n", 11);
	be->ops->close(be);
}

/* --- our own pty ----------------------------------------------------------------------------------------------------- */

static void test_pty(void **state)
{
	struct loop *loop = new_loop();
	struct console_backend *be = console_pty_open(loop, &err);
	struct virtio_iov hello = { "hello\n", 6 };
	struct rusage before, after;
	char back[16];
	int fd;

	assert_non_null(be);
	be->input = take_input;
	input_len = 0;
	input_room = 100;
	be->ops->write(be, &hello, 1);		/* before anybody is there */
	getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < 10; i++)
		loop_run_once(loop, 5);
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_nvcsw - before.ru_nvcsw < 200);
	fd = open(console_pty_name(be), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(read_all(fd, back, 6, 2000), 6);
	assert_memory_equal(back, "hello\n", 6);	/* raw: no CR put in */
	assert_int_equal(write(fd, "\003\001x", 3), 3);
	run_until(loop, input_len == 3);
	assert_memory_equal(input, "\003\001x", 3);	/* no keys are taken out here */
	close(fd);
	loop_run_once(loop, 5);
	be->ops->close(be);
	loop_destroy(loop);
}

static struct winsize told;

static void note_size(void *opaque, uint16_t columns, uint16_t rows)
{
	told.ws_col = columns;
	told.ws_row = rows;
}

/* Whoever has the other end may change its size: the guest hears of it, before what is typed next, or when it has printed something. */
static void test_pty_size(void **state)
{
	struct loop *loop = new_loop();
	struct console_backend *be = console_pty_open(loop, &err);
	struct winsize size = { .ws_col = 132, .ws_row = 43 };
	struct virtio_iov hello = { "hello\n", 6 };
	uint16_t columns, rows;
	int fd;

	assert_non_null(be);
	be->input = take_input;
	be->resized = note_size;
	input_len = 0;
	input_room = 100;
	fd = open(console_pty_name(be), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
	be->ops->size(be, &columns, &rows);
	assert_true(columns == 132 && rows == 43);
	assert_int_equal(write(fd, "x", 1), 1);
	run_until(loop, input_len == 1);
	assert_true(told.ws_col == 132 && told.ws_row == 43);
	size.ws_col = 100;
	assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
	io_lock();
	be->ops->write(be, &hello, 1);
	io_unlock();
	run_until(loop, told.ws_col == 100);
	close(fd);
	be->ops->close(be);
	loop_destroy(loop);
}

/* --- a terminal ------------------------------------------------------------------------------------------------------ */

static int master;
static pid_t child;
static struct termios cooked;

static void quit(void *opaque)
{
	*(atomic_bool *)opaque = true;
}

static volatile int *volatile nowhere;

/* Crashes on purpose, which a sanitizer must not turn into something nicer. */
__attribute__((no_sanitize("undefined"))) static size_t echo(void *opaque, const void *data, size_t len)
{
	struct console_backend *be = opaque;
	struct virtio_iov iov = { (void *)data, len };

	if (len && ((const char *)data)[len - 1] == '!')
		abort();
	if (len && ((const char *)data)[len - 1] == '0')
		*nowhere = 0;
	be->ops->write(be, &iov, 1);
	return len;
}

static void say_size(void *opaque, uint16_t columns, uint16_t rows)
{
	struct console_backend *be = opaque;
	char text[32];
	struct virtio_iov iov = { text, (size_t)snprintf(text, sizeof(text), "<%u x %u>", columns, rows) };

	be->ops->write(be, &iov, 1);
}

/* What a kennel does, as far as a terminal can tell. */
static void be_kennel(void)
{
	struct rlimit no_core = { 0, 0 };
	struct loop *loop = loop_create(&err);
	struct console_backend *be;
	atomic_bool done = false;

	setrlimit(RLIMIT_CORE, &no_core);
	be = console_stdio_open(loop, quit, &done, &err);
	if (!be) {
		fprintf(stderr, "%s\n", err.text);
		_exit(9);
	}
	be->opaque = be;
	be->input = echo;
	be->resized = say_size;
	if (loop_start(loop, &err) || write(STDERR_FILENO, "ready", 5) != 5)
		_exit(9);
	while (!done)
		usleep(1000);
	loop_stop(loop);
	be->ops->close(be);
	loop_destroy(loop);
	_exit(0);
}

static void expect(const char *what)
{
	static char seen[8192];
	static size_t used;
	struct pollfd pollfd = { .fd = master, .events = POLLIN };
	ssize_t got = 0;

	while (!memmem(seen, used, what, strlen(what))) {
		if (used == sizeof(seen))
			used = 0;
		if (poll(&pollfd, 1, 10000) <= 0 || (got = read(master, seen + used, sizeof(seen) - used)) <= 0)
			fail_msg("waited for '%s', have '%.*s'", what, (int)used, seen);
		used += (size_t)got;
	}
	used = 0;
}

static int setup_terminal(void **state)
{
	const char *name;
	int fd;

	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
		return -1;
	name = ptsname(master);
	tcgetattr(master, &cooked);
	child = fork();
	if (!child) {
		/* ASan's own handlers would keep us from seeing ours. */
		static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
		static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

		for (unsigned int i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
			signal(crashes[i], SIG_DFL);
		/* What a nohup around the tests ignores would stay ignored. */
		for (unsigned int i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
			signal(ends[i], SIG_DFL);
		setsid();
		fd = open(name, O_RDWR);
		for (int i = 0; i < 3; i++)
			dup2(fd, i);
		be_kennel();
	}
	expect("ready");
	return 0;
}

static int teardown_terminal(void **state)
{
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	close(master);
	return 0;
}

static bool is_raw(void)
{
	struct termios now;

	tcgetattr(master, &now);
	return !(now.c_lflag & (ICANON | ECHO | ISIG)) && !(now.c_oflag & OPOST) && !(now.c_iflag & (ICRNL | IXON));
}

static bool is_cooked(void)
{
	struct termios now;

	tcgetattr(master, &now);
	return now.c_lflag == cooked.c_lflag && now.c_oflag == cooked.c_oflag && now.c_iflag == cooked.c_iflag;
}

static void type(const char *keys)
{
	assert_int_equal(write(master, keys, strlen(keys)), strlen(keys));
}

static int wait_child(void)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	child = 0;
	return status;
}

static void test_raw_and_quit(void **state)
{
	assert_true(is_raw());
	type("ab\003\032\r");		/* Ctrl-C, Ctrl-Z and Enter are the guest's */
	expect("ab\003\032\r");
	type("\001?");
	expect("Ctrl-A x       quit\r\n");
	type("<\001\001>");
	expect("<\001>");
	type("\001x");
	assert_int_equal(wait_child(), 0);
	assert_true(is_cooked());
}

static void check_death(int sig)
{
	int status;

	assert_true(is_raw());
	kill(child, sig);
	status = wait_child();
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), sig);
	assert_true(is_cooked());
}

static void test_sigterm(void **state)
{
	check_death(SIGTERM);
}

static void test_sigint(void **state)
{
	check_death(SIGINT);
}

static void test_sighup(void **state)
{
	check_death(SIGHUP);
}

static void test_sigquit(void **state)
{
	check_death(SIGQUIT);
}

static void test_killed_by_segv(void **state)
{
	check_death(SIGSEGV);
}

static void test_abort(void **state)
{
	type("!");
	assert_int_equal(WTERMSIG(wait_child()), SIGABRT);
	assert_true(is_cooked());
}

static void test_crash(void **state)
{
	type("0");
	assert_int_equal(WTERMSIG(wait_child()), SIGSEGV);
	assert_true(is_cooked());
}

static void test_stop_and_continue(void **state)
{
	int status;

	kill(child, SIGTSTP);
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	assert_true(is_cooked());
	kill(child, SIGCONT);
	expect("<0 x 0>");
	wait_until(is_raw());
	type("still here");
	expect("still here");
	type("\001x");
	assert_int_equal(wait_child(), 0);
	assert_true(is_cooked());
}

static void test_resize(void **state)
{
	struct winsize size = { .ws_col = 132, .ws_row = 43 };

	assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
	expect("<132 x 43>");
	type("\001x");
	assert_int_equal(wait_child(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_writer_wraps),
		cmocka_unit_test(test_writer_closed_pipe),
		cmocka_unit_test(test_pipe_and_file_input),
		cmocka_unit_test(test_null_and_closed_input),
		cmocka_unit_test(test_file_output_and_tail),
		cmocka_unit_test(test_pty),
		cmocka_unit_test(test_pty_size),
		cmocka_unit_test_setup_teardown(test_raw_and_quit, setup_terminal, teardown_terminal),
		cmocka_unit_test_setup_teardown(test_sigterm, setup_terminal, teardown_terminal),
		cmocka_unit_test_setup_teardown(test_sigint, setup_terminal, teardown_terminal),
		cmocka_unit_test_setup_teardown(test_sighup, setup_terminal, teardown_terminal),
		cmocka_unit_test_setup_teardown(test_sigquit, setup_terminal, teardown_terminal),
		cmocka_unit_test_setup_teardown(test_killed_by_segv, setup_terminal, teardown_terminal),
		cmocka_unit_test_setup_teardown(test_abort, setup_terminal, teardown_terminal),
		cmocka_unit_test_setup_teardown(test_crash, setup_terminal, teardown_terminal),
		cmocka_unit_test_setup_teardown(test_stop_and_continue, setup_terminal, teardown_terminal),
		cmocka_unit_test_setup_teardown(test_resize, setup_terminal, teardown_terminal),
	};

	return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
