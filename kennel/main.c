/* SPDX-License-Identifier: MIT */
/*
 * main.c - kennel: a subcommand, then its own affairs.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/message.h"
#include "kennel/bundle.h"
#include "kennel/commands.h"
#include "kennel/options.h"

#ifndef KENNEL_VERSION
#define KENNEL_VERSION "unknown"
#endif

static int print_version(void)
{
	printf("kennel %s\n", KENNEL_VERSION);
	return STATUS_OK;
}

static void print_usage(FILE *to)
{
	fprintf(to, "usage: kennel run [OPTION...] KERNEL|GUEST [-- KERNEL-PARAMETER...]\n"
		    "       kennel fetch GUEST [OPTION...]\n"
		    "       kennel vhost-user blk|net|rng --socket-path PATH [OPTION...]\n"
		    "       kennel doctor [--json]\n"
		    "       kennel help | --help | --version\n");
}

static int print_help(void)
{
	print_usage(stdout);
	printf("\nRun an i386 Linux kernel with lguest guest support as an ordinary process, without hardware virtualization.\n"
	       "KERNEL is a vmlinux or a bzImage. GUEST is debian, which is fetched, or a directory with a guest in it.\n"
	       "On a terminal, Ctrl-A x ends the guest and Ctrl-A ? lists the other keys.\n\n"
	       "Options of run:\n");
	options_print();
	printf("\nExit status: 0 the guest powered off, 1 wrong usage or trouble on the host, 2 the guest crashed, 124 timeout.\n");
	return STATUS_OK;
}

/* Argument errors are said as one sentence; a fetch that failed has spoken for itself. */
static int complain(const struct error *error)
{
	if (*error->text)
		message_error("%s", error->text);
	return STATUS_TROUBLE;
}

static int run_command(int argc, char **argv)
{
	struct options options;
	struct error error;
	int status;

	if (options_parse(&options, argc, argv, &error)) {
		status = complain(&error);
	} else if (options.help) {
		status = print_help();
	} else if (options.version) {
		status = print_version();
	} else if (bundle_resolve(&options, &error)) {
		status = complain(&error);
	} else {
		status = run(&options);
	}
	options_free(&options);
	return status;
}

/*
 * A standard descriptor that is closed becomes /dev/null: otherwise the next file to be opened, a disk perhaps, would take its place and be
 * written to as the console.
 */
static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= STDIN_FILENO && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	fill_standard_descriptors();
	if (!strcmp(command, "run"))
		return run_command(argc - 1, argv + 1);
	if (!strcmp(command, "fetch"))
		return fetch(argc - 1, argv + 1);
	if (!strcmp(command, "vhost-user"))
		return vhost_user(argc - 1, argv + 1);
	if (!strcmp(command, "doctor"))
		return doctor(argc - 1, argv + 1);
	if (!strcmp(command, "help") || !strcmp(command, "--help") || !strcmp(command, "-h"))
		return print_help();
	if (!strcmp(command, "version") || !strcmp(command, "--version"))
		return print_version();
	if (*command)
		message_error("there is no command \"%s\"", command);
	print_usage(stderr);
	return STATUS_TROUBLE;
}
