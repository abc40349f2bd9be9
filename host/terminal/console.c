/* SPDX-License-Identifier: MIT */
/*
 * One structure serves all three consoles. Input comes from a descriptor the loop watches; what epoll refuses to watch (files,
 * /dev/null) is read by a worker thread, since a file may be slow too. Input the guest has no room for waits in a buffer: when that
 * is full a pipe or file is not read for a while, while a terminal is read on, so that Ctrl-A keys work on a guest that hangs.
 */
#include "host/terminal/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/message.h"
#include "host/terminal/escape.h"
#include "host/terminal/tail.h"
#include "host/terminal/tty.h"
#include "host/terminal/writer.h"
#include "host/workers.h"

#define OUTPUT_BOUND	(1u << 20)
#define INPUT_BOUND	4096u
#define STALL_MS	3000u		/* at the end, wait this long for output that does not move */
#define FOREGROUND_NS	(500 * NSEC_PER_MSEC)
#define LOOK_NS		(250 * NSEC_PER_MSEC)

struct console {
	struct console_backend be;
	struct loop *loop;
	int in, out;			/* -1: none */
	bool in_is_tty, out_is_tty, ended;
	struct loop_watch *watch;	/* NULL: nothing to watch, or a file */
	struct writer *writer;
	struct escape escape;
	void (*quit)(void *opaque);
	void *quit_opaque;
	struct loop_timer foreground;	/* while another job has the terminal: look again */

	struct workers *workers;	/* for files only */
	struct worker_job job;
	ssize_t job_result;
	bool job_running;
	char job_data[INPUT_BOUND];

	char pending[INPUT_BOUND];	/* for the guest, not taken yet */
	size_t pending_used;

	int master, slave;		/* of console_pty_open() */
	char *pty_name;
	struct loop_timer look;		/* at the size of its window */
	uint16_t columns, rows;		/* when we last looked */
	struct tail tail;
};

static struct console *to_console(struct console_backend *be)
{
	return (struct console *)be;
}

static void console_size(struct console_backend *be, uint16_t *columns, uint16_t *rows)
{
	struct console *console = to_console(be);

	*columns = *rows = 0;
	if (console->out_is_tty)
		tty_size(console->out, columns, rows);
	else if (console->in_is_tty)
		tty_size(console->in, columns, rows);
}

/*
 * Nobody tells us of a pseudo-terminal whose other end gets a new size: the kernel's signal is for those who have that end as their
 * terminal. So we look, whenever something is typed, and shortly after something was printed; while neither happens we rest.
 */
static void look_at_size(void *opaque)
{
	struct console *console = opaque;
	uint16_t columns, rows;

	console_size(&console->be, &columns, &rows);
	if (columns == console->columns && rows == console->rows)
		return;
	console->columns = columns;
	console->rows = rows;
	if (console->be.resized)
		console->be.resized(console->be.opaque, columns, rows);
}

/* --- input ----------------------------------------------------------------------------------------------------------- */

static void start_file_read(struct console *console);

/* Watch the input if there is room for more of it. */
static void rearm(struct console *console)
{
	bool room = console->pending_used < sizeof(console->pending) || console->in_is_tty;

	if (console->ended || console->foreground.armed)
		room = false;
	if (console->watch)
		loop_watch_set(console->watch, room ? EPOLLIN : 0);
	else if (console->workers && room && !console->job_running)
		start_file_read(console);
}

static void offer(struct console *console)
{
	size_t taken;

	if (!console->pending_used || !console->be.input)
		return;
	taken = console->be.input(console->be.opaque, console->pending, console->pending_used);
	console->pending_used -= taken;
	memmove(console->pending, console->pending + taken, console->pending_used);
}

/* @len bytes came. A terminal's may be more than there is room for: the rest is lost, like any type-ahead that is too long. */
static void arrived(struct console *console, char *data, size_t len)
{
	size_t room;

	if (console->master >= 0)
		look_at_size(console);
	if (console->in_is_tty)
		len = escape_filter(&console->escape, data, len);
	room = sizeof(console->pending) - console->pending_used;
	if (len > room)
		len = room;
	memcpy(console->pending + console->pending_used, data, len);
	console->pending_used += len;
	offer(console);
}

static void wait_for_foreground(struct console *console)
{
	loop_timer_set(console->loop, &console->foreground, clock_monotonic_ns() + FOREGROUND_NS);
	rearm(console);
}

static void foreground_expired(void *opaque)
{
	struct console *console = opaque;

	if (tty_resume())
		rearm(console);
	else
		wait_for_foreground(console);
}

static void end_input(struct console *console)
{
	console->ended = true;
	if (console->watch)
		loop_unwatch(console->watch);
	console->watch = NULL;
}

static void input_ready(void *opaque, uint32_t events)
{
	struct console *console = opaque;
	char data[INPUT_BOUND];
	size_t room = console->in_is_tty ? sizeof(data) : sizeof(console->pending) - console->pending_used;
	ssize_t got = read(console->in, data, room);

	if (got > 0)
		arrived(console, data, (size_t)got);
	else if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	else if (got < 0 && errno == EIO && console->in_is_tty && tcgetpgrp(console->in) > 0 && tcgetpgrp(console->in) != getpgrp())
		wait_for_foreground(console);
	else
		end_input(console);
	rearm(console);
}

static void file_read_work(struct worker_job *job)
{
	struct console *console = (struct console *)((char *)job - offsetof(struct console, job));

	do
		console->job_result = read(console->in, console->job_data, sizeof(console->job_data));
	while (console->job_result < 0 && errno == EINTR);
}

static void file_read_done(struct worker_job *job)
{
	struct console *console = (struct console *)((char *)job - offsetof(struct console, job));

	console->job_running = false;
	if (console->job_result > 0)
		arrived(console, console->job_data, (size_t)console->job_result);
	else
		console->ended = true;
	rearm(console);
}

/* Only with the buffer empty: then all that a read can bring has room. */
static void start_file_read(struct console *console)
{
	if (console->pending_used)
		return;
	console->job.work = file_read_work;
	console->job.done = file_read_done;
	console->job_running = true;
	if (workers_submit(console->workers, &console->job) < 0) {
		console->job_running = false;
		console->ended = true;
	}
}

/* --- Ctrl-A ---------------------------------------------------------------------------------------------------------- */

static const char help[] =
	"\r\n"
	"Ctrl-A x       quit\r\n"
	"Ctrl-A Ctrl-A  send Ctrl-A to the guest (Ctrl-A a does too)\r\n"
	"Ctrl-A ?       this help\r\n";

static void command(void *opaque, char letter)
{
	struct console *console = opaque;

	if (letter == 'x' && console->quit)
		console->quit(console->quit_opaque);
	else if ((letter == '?' || letter == 'h') && console->writer)
		writer_put(console->writer, help, sizeof(help) - 1);
}

/* --- the operations -------------------------------------------------------------------------------------------------- */

static size_t console_write(struct console_backend *be, const struct virtio_iov *iov, unsigned int count)
{
	struct console *console = to_console(be);
	size_t total = 0;

	for (unsigned int i = 0; i < count; i++) {
		tail_add(&console->tail, iov[i].base, iov[i].len);
		if (console->writer && iov[i].len)
			writer_put(console->writer, iov[i].base, iov[i].len);
		total += iov[i].len;
	}
	if (console->master >= 0 && !console->look.armed)
		loop_timer_set(console->loop, &console->look, clock_monotonic_ns() + LOOK_NS);
	return total;
}

static void console_input_ready(struct console_backend *be)
{
	struct console *console = to_console(be);

	offer(console);
	if (console->loop)
		rearm(console);
}

static void console_close(struct console_backend *be)
{
	struct console *console = to_console(be);

	workers_destroy(console->workers);
	if (console->loop) {
		loop_timer_cancel(console->loop, &console->foreground);
		loop_timer_cancel(console->loop, &console->look);
		loop_unwatch(console->watch);
	}
	writer_destroy(console->writer, console->master >= 0 ? 0 : STALL_MS);
	if (console->in_is_tty && console->master < 0) {
		tty_signals_end(console->loop);
		tty_release();
	}
	if (console->slave >= 0)
		close(console->slave);
	if (console->master >= 0)
		close(console->master);
	free(console->pty_name);
	free(console);
}

static const struct console_backend_ops console_ops = {
	.write = console_write,
	.input_ready = console_input_ready,
	.size = console_size,
	.close = console_close,
};

size_t console_tail(struct console_backend *be, char *buf, size_t size)
{
	return tail_get(&to_console(be)->tail, buf, size);
}

void console_flush(struct console_backend *be)
{
	struct console *console = to_console(be);

	if (console->writer)
		writer_flush(console->writer, console->master >= 0 ? 0 : STALL_MS);
}

const char *console_pty_name(struct console_backend *be)
{
	return to_console(be)->pty_name;
}

/* --- opening --------------------------------------------------------------------------------------------------------- */

static struct console *console_new(struct loop *loop, struct error *err)
{
	struct console *console = calloc(1, sizeof(*console));

	if (!console) {
		error_errno(err, ENOMEM, "console");
		return NULL;
	}
	console->be.ops = &console_ops;
	console->loop = loop;
	console->in = console->out = console->master = console->slave = -1;
	console->foreground = (struct loop_timer){ .expired = foreground_expired, .opaque = console };
	console->look = (struct loop_timer){ .expired = look_at_size, .opaque = console };
	console->escape.command = command;
	console->escape.opaque = console;
	return console;
}

/* Not closed by who started us, nor open in the @wrong direction only. */
static bool is_open(int fd, int wrong)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) != wrong;
}

/* Watch a descriptor, or prepare to read what cannot be watched. Reading itself starts with the loop. */
static int open_input(struct console *console, struct error *err)
{
	if (!is_open(console->in, O_WRONLY)) {
		console->ended = true;
		return 0;
	}
	console->watch = loop_watch(console->loop, console->in, EPOLLIN, input_ready, console);
	if (console->watch)
		return 0;
	if (errno != EPERM)
		return error_errno(err, errno, "console input");
	console->workers = workers_create(console->loop, 1, err);
	if (!console->workers)
		return -ENOMEM;
	start_file_read(console);
	return 0;
}

static void terminal_changed(void *opaque)
{
	struct console *console = opaque;
	uint16_t columns, rows;

	if (console->in_is_tty && !tty_is_raw() && !tty_resume())
		wait_for_foreground(console);
	rearm(console);
	console_size(&console->be, &columns, &rows);
	if (console->be.resized)
		console->be.resized(console->be.opaque, columns, rows);
}

struct console_backend *console_fd_open(struct loop *loop, int in, int out, void (*quit)(void *opaque), void *opaque, struct error *err)
{
	struct console *console = console_new(loop, err);

	if (!console)
		return NULL;
	console->quit = quit;
	console->quit_opaque = opaque;
	console->in = in;
	console->out = out;
	console->out_is_tty = isatty(out);
	if (isatty(in)) {
		if (tty_raw(in, err) < 0)
			goto fail;
		console->in_is_tty = true;
		tty_signals(loop, terminal_changed, console);
	} else if (console->out_is_tty) {
		tty_signals(loop, terminal_changed, console);
	}
	if (is_open(out, O_RDONLY) && !(console->writer = writer_create(out, OUTPUT_BOUND, err)))
		goto fail;
	if (open_input(console, err) < 0)
		goto fail;
	return &console->be;
fail:
	console_close(&console->be);
	return NULL;
}

struct console_backend *console_stdio_open(struct loop *loop, void (*quit)(void *opaque), void *opaque, struct error *err)
{
	return console_fd_open(loop, STDIN_FILENO, STDOUT_FILENO, quit, opaque, err);
}

/* Our own handle on the slave keeps the master from reporting a hang-up while nobody else has it open. */
static int open_pty(struct console *console, struct error *err)
{
	struct termios termios;
	char name[64];

	console->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (console->master < 0 || grantpt(console->master) < 0 || unlockpt(console->master) < 0 ||
	    ptsname_r(console->master, name, sizeof(name)) != 0)
		return error_errno(err, errno, "pseudo-terminal");
	console->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (console->slave < 0 || tcgetattr(console->slave, &termios) < 0)
		return error_errno(err, errno, "%s", name);
	cfmakeraw(&termios);
	tcsetattr(console->slave, TCSANOW, &termios);
	console->pty_name = strdup(name);
	console->in = console->out = console->master;
	console->out_is_tty = true;
	return 0;
}

struct console_backend *console_pty_open(struct loop *loop, struct error *err)
{
	struct console *console = console_new(loop, err);

	if (!console)
		return NULL;
	if (open_pty(console, err) < 0)
		goto fail;
	console->writer = writer_create(console->master, OUTPUT_BOUND, err);
	if (!console->writer || open_input(console, err) < 0)
		goto fail;
	message_info("console on %s", console->pty_name);
	return &console->be;
fail:
	console_close(&console->be);
	return NULL;
}

struct console_backend *console_none_open(struct error *err)
{
	struct console *console = console_new(NULL, err);

	return console ? &console->be : NULL;
}
