/* SPDX-License-Identifier: MIT */
/* options.h - what `kennel run` was asked for. */
#ifndef KENNEL_KENNEL_OPTIONS_H
#define KENNEL_KENNEL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/device.h"
#include "host/error.h"

enum { DISKS_MAX = 26, NETS_MAX = 8, SHARES_MAX = 8, PORTS_MAX = CONSOLE_PORTS_MAX - 1 };

enum console_kind { CONSOLE_STDIO, CONSOLE_PTY, CONSOLE_NONE };

struct disk_option {
	char *path;		/* owned */
	bool read_only;
};

struct share_option {
	char *tag, *path;	/* owned; both in the memory of tag */
	bool read_only;
};

struct port_option {
	char *name, *path;	/* owned; both in the memory of name */
};

struct options {
	const char *kernel;
	const char *initrd;			/* NULL: none */
	const char *root;			/* "FILE[,ro]" or "DIR[,ro]"; NULL: none */
	char *bundle_kernel, *bundle_initrd;	/* owned; what the two above point to if a bundle is used */
	const char *machine;			/* "auto", "lguest" */
	uint64_t memory;			/* bytes */
	struct disk_option disks[DISKS_MAX];
	unsigned int disk_count;
	const char *nets[NETS_MAX];		/* "user", "user,hostfwd=...", "tap=NAME" */
	unsigned int net_count;
	struct share_option shares[SHARES_MAX];
	unsigned int share_count;
	struct port_option ports[PORTS_MAX];
	unsigned int port_count;
	bool net_given;				/* --net none counts */
	enum console_kind console;
	bool no_reboot;
	bool no_sandbox;
	bool verbose;
	bool help, version;
	const char *dump_code;			/* NULL: do not */
	uint64_t timeout_ns;			/* 0: none */
	uint32_t trace;
	char *command_line;			/* owned; the kernel's parameters, joined with single spaces */
};

/**
 * options_parse - read the arguments of `kennel run`; @argv[0] is the subcommand
 * Returns 0, or a negative errno and a sentence. options_free() either way.
 */
int options_parse(struct options *options, int argc, char **argv, struct error *error);
void options_free(struct options *options);

/** options_first_disk - put the disk @value ("FILE[,ro]") before all others; 0, or a negative errno and a sentence */
int options_first_disk(struct options *options, const char *value, struct error *error);

/** options_add_share - share a directory, "NAME=DIR[,ro]"; 0, or a negative errno and a sentence */
int options_add_share(struct options *options, const char *value, struct error *error);

/** options_print - the list for --help, on stdout */
void options_print(void);

/** parse_size - "64M", "1G", "65536K", or a plain number of MiB. 0 or -EINVAL; *@bytes is a multiple of 4096. */
int parse_size(const char *text, uint64_t *bytes);

#endif
