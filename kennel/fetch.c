/* SPDX-License-Identifier: MIT */
/*
 * fetch.c - find and start the script that fetches a guest.
 *
 * There is one script for each kind of guest, named after it. In the build tree they are beside the program, otherwise where
 * they were installed. They get the program's own name in $KENNEL, in case they need a guest to make a guest.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/message.h"
#include "kennel/commands.h"
#include "kennel/fetch.h"

#ifndef KENNEL_FETCH_DIR
#define KENNEL_FETCH_DIR "/usr/local/libexec/kennel/fetch"
#endif

static bool is_script(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

static bool is_name(const char *name)
{
	const char *p = name;

	while (islower((unsigned char)*p))
		p++;
	return p > name && !*p;
}

/* The script's path in @path, of PATH_MAX bytes; the program's own in @program. */
static bool find_script(const char *name, char *path, char *program)
{
	ssize_t n = readlink("/proc/self/exe", program, PATH_MAX - 1);
	const char *slash;

	program[n > 0 ? n : 0] = 0;
	slash = strrchr(program, '/');
	if (!is_name(name))
		return false;
	if (slash && snprintf(path, PATH_MAX, "%.*s/fetch/%s", (int)(slash - program), program, name) < PATH_MAX && is_script(path))
		return true;
	return snprintf(path, PATH_MAX, "%s/%s", KENNEL_FETCH_DIR, name) < PATH_MAX && is_script(path);
}

bool fetch_knows(const char *name)
{
	char path[PATH_MAX], program[PATH_MAX];

	return find_script(name, path, program);
}

int fetch_name(const char *name)
{
	int status;
	pid_t child = fork();

	if (!child) {
		char *argv[] = {"fetch", (char *)name, NULL};

		_exit(fetch(2, argv));
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

int fetch(int argc, char **argv)
{
	char path[PATH_MAX], program[PATH_MAX];
	const char *name = argc > 1 ? argv[1] : "";

	if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
		printf("usage: kennel fetch NAME [OPTION...]\n\nNAME is debian; kennel fetch debian --help lists its options.\n");
		return STATUS_OK;
	}
	if (!*name) {
		message_error("fetch what? try kennel fetch debian");
		return STATUS_TROUBLE;
	}
	if (!find_script(name, path, program)) {
		message_error("fetch %s: nobody knows how; try kennel fetch debian", name);
		return STATUS_TROUBLE;
	}
	setenv("KENNEL", program, 1);
	argv[1] = path;
	execv(path, argv + 1);
	message_error("%s: cannot be started: %s", path, strerror(errno));
	return STATUS_TROUBLE;
}
