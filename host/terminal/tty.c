/* SPDX-License-Identifier: MIT */
/*
 * Signals reach us on two roads. Those that are blocked everywhere and handed to the loop (tty_signals()), and, before
 * the loop runs, after it has ended, or on a thread with an open mask, ordinary handlers. Both end in tty_restore(), which only
 * uses what POSIX allows in a handler (tcsetattr is on the list).
 */
#include "host/terminal/tty.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "host/message.h"

static struct {
	int fd;
	struct termios saved, raw;
	atomic_bool known, is_raw;
} tty;

static struct {
	void (*changed)(void *opaque);
	void *opaque;
} listener;

static const int fatal_signals[] = {
	SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP, SIGXCPU, SIGALRM, SIGUSR1, SIGUSR2,
};

static const int end_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- the terminal's modes -------------------------------------------------------------------------------------------- */

/* Not ours while another job has it; a terminal that is not our session's (a bare pty) counts as ours. */
static bool in_foreground(int fd)
{
	pid_t foreground = tcgetpgrp(fd);

	return foreground < 0 || foreground == getpgrp();
}

static bool set_raw(void)
{
	if (tcsetattr(tty.fd, TCSANOW, &tty.raw) < 0)
		return false;
	atomic_store(&tty.is_raw, true);
	message_set_raw(true);
	return true;
}

void tty_restore(void)
{
	int saved_errno = errno;

	/* In this order, so that a signal between the two lines restores twice rather than never. */
	if (atomic_load(&tty.is_raw)) {
		tcsetattr(tty.fd, TCSANOW, &tty.saved);
		atomic_store(&tty.is_raw, false);
		message_set_raw(false);
	}
	errno = saved_errno;
}

bool tty_resume(void)
{
	if (!atomic_load(&tty.known) || !in_foreground(tty.fd))
		return false;
	return set_raw();
}

bool tty_is_raw(void)
{
	return atomic_load(&tty.is_raw);
}

void tty_release(void)
{
	tty_restore();
	atomic_store(&tty.known, false);
}

void tty_size(int fd, uint16_t *columns, uint16_t *rows)
{
	struct winsize size;

	*columns = *rows = 0;
	if (ioctl(fd, TIOCGWINSZ, &size) == 0) {
		*columns = size.ws_col;
		*rows = size.ws_row;
	}
}

/* --- ways out -------------------------------------------------------------------------------------------------------- */

static void die_of(int signo)
{
	sigset_t one;

	tty_restore();
	signal(signo, SIG_DFL);
	sigemptyset(&one);
	sigaddset(&one, signo);
	raise(signo);
	pthread_sigmask(SIG_UNBLOCK, &one, NULL);
}

static void on_fatal(int signo, siginfo_t *info, void *context)
{
	bool own_fault = info->si_code > 0 && (signo == SIGSEGV || signo == SIGBUS || signo == SIGFPE || signo == SIGILL || signo == SIGTRAP);

	if (!own_fault) {
		die_of(signo);
		return;
	}
	/* Return to the faulting instruction: it faults again, and the core file shows the true place. */
	tty_restore();
	signal(signo, SIG_DFL);
}

static void install_handlers(void)
{
	static bool installed;
	struct sigaction action = { .sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK }, before;

	if (installed)
		return;
	installed = true;
	atexit(tty_restore);
	sigfillset(&action.sa_mask);
	for (unsigned int i = 0; i < COUNT(fatal_signals); i++)
		if (sigaction(fatal_signals[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
			sigaction(fatal_signals[i], &action, NULL);
}

/* --- becoming raw ---------------------------------------------------------------------------------------------------- */

/* A background job that touches its terminal is stopped until the person brings it to the front. */
static bool wait_for_foreground(int fd)
{
	struct sigaction standard = { .sa_handler = SIG_DFL }, before;
	int tries = 2;		/* an orphaned job cannot be stopped: then there is nobody to wait for */

	while (!in_foreground(fd) && tries--) {
		sigaction(SIGTTIN, &standard, &before);
		kill(0, SIGTTIN);
		sigaction(SIGTTIN, &before, NULL);
	}
	return in_foreground(fd);
}

int tty_raw(int fd, struct error *err)
{
	if (!wait_for_foreground(fd))
		return error_set(err, EIO, "terminal: we are a background job; use </dev/null to run without it");
	if (tcgetattr(fd, &tty.saved) < 0)
		return error_errno(err, errno, "terminal");
	tty.fd = fd;
	tty.raw = tty.saved;
	cfmakeraw(&tty.raw);
	tty.raw.c_cc[VMIN] = 1;
	tty.raw.c_cc[VTIME] = 0;
	atomic_store(&tty.known, true);
	install_handlers();
	/* Raw by our own mark first: a signal that comes in the middle must find something to restore. */
	atomic_store(&tty.is_raw, true);
	if (!set_raw()) {
		atomic_store(&tty.is_raw, false);
		return error_errno(err, errno, "terminal");
	}
	return 0;
}

/* --- signals by way of the loop -------------------------------------------------------------------------------------- */

static void loop_stop_process(void *opaque, int signo)
{
	tty_restore();
	kill(getpid(), SIGSTOP);	/* all threads; SIGCONT will be waiting for the loop */
}

static void loop_continue(void *opaque, int signo)
{
	tty_resume();
	listener.changed(listener.opaque);
}

static void loop_resized(void *opaque, int signo)
{
	listener.changed(listener.opaque);
}

static void loop_die(void *opaque, int signo)
{
	die_of(signo);
}

static bool is_ignored(int signo)
{
	struct sigaction now;

	return sigaction(signo, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

void tty_signals(struct loop *loop, void (*changed)(void *opaque), void *opaque)
{
	listener.changed = changed;
	listener.opaque = opaque;
	loop_signal(loop, SIGWINCH, loop_resized, NULL);
	loop_signal(loop, SIGCONT, loop_continue, NULL);
	if (!is_ignored(SIGTSTP))
		loop_signal(loop, SIGTSTP, loop_stop_process, NULL);
	for (unsigned int i = 0; i < COUNT(end_signals); i++)
		if (!loop_has_signal(loop, end_signals[i]) && !is_ignored(end_signals[i]))
			loop_signal(loop, end_signals[i], loop_die, NULL);
}

void tty_signals_end(struct loop *loop)
{
	static const int ours[] = { SIGWINCH, SIGCONT, SIGTSTP };

	for (unsigned int i = 0; i < COUNT(ours); i++)
		loop_signal(loop, ours[i], NULL, NULL);
}
