/* SPDX-License-Identifier: MIT */
/* native.c - start the 32-bit child, hand it batches of cases, notice when it dies. */
#include "tests/cpu/x86/oracle/native.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static __attribute__((noreturn)) void run(const char *path, enum native_way way)
{
	if (way == NATIVE_QEMU)
		execlp("qemu-i386", "qemu-i386", "-cpu", "max,-3dnow,-3dnowext", path, NULL);
	else
		execl(path, path, NULL);
	_exit(126);
}

enum { QEMU_HANG_SECONDS = 6 };

static bool can_run(const char *path, enum native_way way)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		close_range(CONTROL_FD, ~0u, 0);
		run(path, way);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == NATIVE_LACKS_CONTROL;
}

enum native_way native_way(const char *path)
{
	const char *wish = getenv("ORACLE");

	if (!(wish && !strcmp(wish, "qemu")) && can_run(path, NATIVE_PROCESSOR))
		return NATIVE_PROCESSOR;
	return can_run(path, NATIVE_QEMU) ? NATIVE_QEMU : NATIVE_NOTHING;
}

const char *native_name(enum native_way way)
{
	static const char *const names[] = {
		[NATIVE_PROCESSOR] = "the host's processor",
		[NATIVE_QEMU] = "qemu-i386",
		[NATIVE_NOTHING] = "the host runs no 32-bit programs, and there is no qemu-i386 (package qemu-user)",
	};

	return names[way];
}

static __attribute__((noreturn)) void exec_child(const char *path, enum native_way way, int fd, int command, int reply)
{
	int from[3] = { fcntl(fd, F_DUPFD, 20), fcntl(command, F_DUPFD, 20), fcntl(reply, F_DUPFD, 20) };

	static const struct rlimit no_core;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &no_core);
	if (dup2(from[0], CONTROL_FD) < 0 || dup2(from[1], COMMAND_FD) < 0 || dup2(from[2], REPLY_FD) < 0)
		_exit(127);
	for (int i = 0; i < 3; i++)
		close(from[i]);
	close_range(REPLY_FD + 1, ~0u, 0);
	run(path, way);
}

/* One reply byte; the child's death closes the pipe. */
static int wait_reply(struct native *native)
{
	char byte;
	ssize_t n;

	do
		n = read(native->reply, &byte, 1);
	while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : -1;
}

int native_start(struct native *native, const char *path, enum native_way way, const uint8_t *background)
{
	int command[2], reply[2];

	memset(native, 0, sizeof(*native));
	native->fd = memfd_create("oracle", MFD_CLOEXEC);
	if (native->fd < 0 || ftruncate(native->fd, CONTROL_FILE_BYTES) || pipe2(command, O_CLOEXEC) ||
	    pipe2(reply, O_CLOEXEC)) {
		perror("oracle: shared memory or pipes");
		return -1;
	}
	native->control = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, native->fd, 0);
	if (native->control == MAP_FAILED) {
		perror("oracle: mmap");
		return -1;
	}
	memcpy(native->control->background, background, AREA_BYTES);
	native->control->qemu = way == NATIVE_QEMU;
	native->pid = fork();
	if (native->pid < 0) {
		perror("oracle: fork");
		return -1;
	}
	if (native->pid == 0)
		exec_child(path, way, native->fd, command[0], reply[1]);
	close(command[0]);
	close(reply[1]);
	native->command = command[1];
	native->reply = reply[0];
	if (wait_reply(native)) {
		int status = 0;

		waitpid(native->pid, &status, 0);
		fprintf(stderr, "oracle: %s did not start, run by %s (wait status %#x)\n", path, native_name(way), status);
		return -1;
	}
	return 0;
}

void native_stop(struct native *native)
{
	if (!native->control)
		return;
	close(native->command);
	close(native->reply);
	if (native->pid > 0) {
		kill(native->pid, SIGKILL);
		waitpid(native->pid, NULL, 0);
	}
	munmap(native->control, sizeof(struct control));
	close(native->fd);
	native->control = NULL;
}

void native_begin(struct native *native, uint32_t cases)
{
	char byte = 0;

	native->control->cases = cases;
	if (write(native->command, &byte, 1) != 1)
		return; /* dead: native_finish() will say so */
}

/* QEMU can hang at a case, deaf to the child's timer. */
static void watch(struct native *native)
{
	struct pollfd reply = { native->reply, POLLIN, 0 };
	uint32_t at = native->control->current;
	time_t since = time(NULL);

	while (poll(&reply, 1, 500) <= 0) { /* or a signal */
		if (at != native->control->current) {
			at = native->control->current;
			since = time(NULL);
		} else if (time(NULL) - since > QEMU_HANG_SECONDS) {
			kill(native->pid, SIGKILL);
		}
	}
}

int native_finish(struct native *native)
{
	int status;

	if (native->control->qemu)
		watch(native);
	if (!wait_reply(native))
		return 0;
	if (waitpid(native->pid, &status, 0) == native->pid)
		fprintf(stderr, "oracle: the native child ended, wait status %#x\n", status);
	native->pid = 0;
	return -1;
}
