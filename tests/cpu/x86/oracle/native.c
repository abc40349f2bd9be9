/* SPDX-License-Identifier: MIT */
/* native.c - start the 32-bit child, hand it batches of cases, notice when it dies. */
#include "tests/cpu/x86/oracle/native.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static __attribute__((noreturn)) void exec_child(const char *path, int fd, int command, int reply)
{
	int from[3] = { fcntl(fd, F_DUPFD, 20), fcntl(command, F_DUPFD, 20), fcntl(reply, F_DUPFD, 20) };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(from[0], CONTROL_FD) < 0 || dup2(from[1], COMMAND_FD) < 0 || dup2(from[2], REPLY_FD) < 0)
		_exit(127);
	for (int i = 0; i < 3; i++)
		close(from[i]);
	close_range(REPLY_FD + 1, ~0u, 0);
	execl(path, path, NULL);
	_exit(126);
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

int native_start(struct native *native, const char *path, const uint8_t *background)
{
	int command[2], reply[2];

	memset(native, 0, sizeof(*native));
	native->path = path;
	native->fd = memfd_create("oracle", MFD_CLOEXEC);
	if (native->fd < 0 || ftruncate(native->fd, sizeof(struct control)) || pipe2(command, O_CLOEXEC) ||
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
	native->pid = fork();
	if (native->pid < 0) {
		perror("oracle: fork");
		return -1;
	}
	if (native->pid == 0)
		exec_child(path, native->fd, command[0], reply[1]);
	close(command[0]);
	close(reply[1]);
	native->command = command[1];
	native->reply = reply[0];
	if (wait_reply(native)) {
		int status = 0;

		waitpid(native->pid, &status, 0);
		fprintf(stderr, "oracle: %s did not start (wait status %#x): can this host run 32-bit programs?\n", path, status);
		return -1;
	}
	return 0;
}

void native_stop(struct native *native)
{
	if (native->pid <= 0)
		return;
	close(native->command);
	close(native->reply);
	kill(native->pid, SIGKILL);
	waitpid(native->pid, NULL, 0);
	munmap(native->control, sizeof(struct control));
	close(native->fd);
}

void native_begin(struct native *native, uint32_t cases)
{
	char byte = 0;

	native->control->cases = cases;
	if (write(native->command, &byte, 1) != 1)
		return; /* dead: native_finish() will say so */
}

int native_finish(struct native *native)
{
	return wait_reply(native);
}
