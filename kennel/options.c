/* SPDX-License-Identifier: MIT */
/*
 * options.c - one table says which options there are; getopt's arrays and the help text are made from it.
 */
#include "kennel/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/machine.h"
#include "machine/trace.h"

struct option_row {
	char letter;			/* 0: none */
	const char *name;
	const char *argument;		/* NULL: none */
	const char *help;
	int (*apply)(struct options *o, const char *value, struct error *error);
};

int parse_size(const char *text, uint64_t *bytes)
{
	static const char suffixes[] = "KMG";
	unsigned int shift = 20;
	unsigned long long n;
	const char *suffix;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (*end) {
		suffix = strchr(suffixes, toupper((unsigned char)*end));
		if (!suffix)
			return -EINVAL;
		shift = 10 + 10 * (unsigned int)(suffix - suffixes);
		end++;
		if (toupper((unsigned char)*end) == 'B' || !strcasecmp(end, "iB"))
			end = "";
	}
	if (*end || errno || n > (1ull << 40) >> shift)
		return -EINVAL;
	*bytes = n << shift;
	return *bytes % 4096 ? -EINVAL : 0;
}

static int set_memory(struct options *o, const char *value, struct error *error)
{
	if (parse_size(value, &o->memory))
		return error_set(error, EINVAL, "--memory %s: is not a size; write 256M or 1G", value);
	return 0;
}

static int set_initrd(struct options *o, const char *value, struct error *error)
{
	o->initrd = value;
	return 0;
}

static int add_disk(struct options *o, const char *value, struct error *error)
{
	const char *comma = strrchr(value, ',');
	struct disk_option *disk = &o->disks[o->disk_count];

	if (o->disk_count == DISKS_MAX)
		return error_set(error, E2BIG, "--disk %s: too many disks, at most %d are possible", value, DISKS_MAX);
	/* A comma may be part of a name; only ",ro" at the end means something. */
	disk->read_only = comma && !strcmp(comma, ",ro");
	disk->path = disk->read_only ? strndup(value, (size_t)(comma - value)) : strdup(value);
	if (!disk->path)
		return error_set(error, ENOMEM, "no memory");
	o->disk_count++;
	return 0;
}

int options_first_disk(struct options *o, const char *value, struct error *error)
{
	int err = add_disk(o, value, error);
	struct disk_option disk;

	if (err)
		return err;
	disk = o->disks[o->disk_count - 1];
	memmove(o->disks + 1, o->disks, (o->disk_count - 1) * sizeof(disk));
	o->disks[0] = disk;
	return 0;
}

static int set_root(struct options *o, const char *value, struct error *error)
{
	o->root = value;
	return 0;
}

static int add_net(struct options *o, const char *value, struct error *error)
{
	o->net_given = true;
	if (!strcmp(value, "none"))
		return 0;
	if (strcmp(value, "user") && strncmp(value, "user,", 5) && (strncmp(value, "tap=", 4) || !value[4]))
		return error_set(error, EINVAL, "--net %s: choose user, user,hostfwd=tcp:HOSTPORT:GUESTPORT, tap=NAME or none", value);
	if (o->net_count == NETS_MAX)
		return error_set(error, E2BIG, "--net %s: too many network cards, at most %d are possible", value, NETS_MAX);
	o->nets[o->net_count++] = value;
	return 0;
}

int options_add_share(struct options *o, const char *value, struct error *error)
{
	struct share_option *share = &o->shares[o->share_count];
	char *equals, *comma;

	if (o->share_count == SHARES_MAX)
		return error_set(error, E2BIG, "--share %s: too many shares, at most %d are possible", value, SHARES_MAX);
	equals = strchr(value, '=');
	if (!equals || equals == value || !equals[1])
		return error_set(error, EINVAL, "--share %s: write NAME=DIR, or NAME=DIR,ro", value);
	for (unsigned int i = 0; i < o->share_count; i++)
		if (!strncmp(o->shares[i].tag, value, (size_t)(equals - value)) && !o->shares[i].tag[equals - value])
			return error_set(error, EINVAL, "--share %s: there is a share of this name already", value);
	share->tag = strdup(value);
	if (!share->tag)
		return error_set(error, ENOMEM, "no memory");
	share->path = share->tag + (equals - value);
	*share->path++ = 0;
	comma = strrchr(share->path, ',');
	share->read_only = comma && !strcmp(comma, ",ro");
	if (share->read_only)
		*comma = 0;
	o->share_count++;
	return 0;
}

static int add_port(struct options *o, const char *value, struct error *error)
{
	struct port_option *port = &o->ports[o->port_count];
	const char *equals = strchr(value, '=');

	if (o->port_count == PORTS_MAX)
		return error_set(error, E2BIG, "--port %s: too many ports, at most %d are possible", value, PORTS_MAX);
	if (!equals || equals == value || !equals[1] || memchr(value, '/', (size_t)(equals - value)))
		return error_set(error, EINVAL, "--port %s: write NAME=SOCKET", value);
	port->name = strdup(value);
	if (!port->name)
		return error_set(error, ENOMEM, "no memory");
	port->path = port->name + (equals - value);
	*port->path++ = 0;
	o->port_count++;
	for (unsigned int i = 0; i + 1 < o->port_count; i++)
		if (!strcmp(o->ports[i].name, port->name))
			return error_set(error, EINVAL, "--port %s: there is a port of this name already", value);
	return 0;
}

static int set_console(struct options *o, const char *value, struct error *error)
{
	static const char *const kinds[] = {[CONSOLE_STDIO] = "stdio", [CONSOLE_PTY] = "pty", [CONSOLE_NONE] = "none"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(value, kinds[i])) {
			o->console = (enum console_kind)i;
			return 0;
		}
	return error_set(error, EINVAL, "--console %s: choose stdio, pty or none", value);
}

static int set_dump_code(struct options *o, const char *value, struct error *error)
{
	o->dump_code = value;
	return 0;
}

static int set_machine(struct options *o, const char *value, struct error *error)
{
	if (!machine_known(value))
		return error_set(error, EINVAL, "--machine %s: choose auto, lguest or pc", value);
	o->machine = value;
	return 0;
}

static int set_no_reboot(struct options *o, const char *value, struct error *error)
{
	o->no_reboot = true;
	return 0;
}

static int set_no_sandbox(struct options *o, const char *value, struct error *error)
{
	o->no_sandbox = true;
	return 0;
}

static int set_timeout(struct options *o, const char *value, struct error *error)
{
	char *end;
	double seconds = strtod(value, &end);

	if (end == value || *end || !(seconds > 0) || seconds > 1e9)
		return error_set(error, EINVAL, "--timeout %s: is not a number of seconds", value);
	o->timeout_ns = (uint64_t)(seconds * 1e9);
	return 0;
}

static int set_trace(struct options *o, const char *value, struct error *error)
{
	return trace_parse(value, &o->trace, error);
}

static int set_verbose(struct options *o, const char *value, struct error *error)
{
	o->verbose = true;
	return 0;
}

static int set_version(struct options *o, const char *value, struct error *error)
{
	o->version = true;
	return 0;
}

static int set_help(struct options *o, const char *value, struct error *error)
{
	o->help = true;
	return 0;
}

static const struct option_row rows[] = {
	{'m', "memory", "SIZE", "guest memory: 64M, 1G (default 256M)", set_memory},
	{'i', "initrd", "FILE", "initial RAM disk", set_initrd},
	{'d', "disk", "FILE[,ro]", "a disk: image file or block device; again for more (vda, vdb, ...)", add_disk},
	{'r', "root", "FILE|DIR[,ro]", "the root file system: an image, which becomes the first disk, or a directory", set_root},
	{'n', "net", "NET", "user (default), user,hostfwd=tcp:HOSTPORT:GUESTPORT, tap=NAME, or none", add_net},
	{0, "share", "NAME=DIR[,ro]", "a directory the guest can mount: -t 9p -o trans=virtio,version=9p2000.L", options_add_share},
	{'c', "console", "KIND", "stdio (default), pty, or none", set_console},
	{0, "dump-code", "FILE", "write all translated code to FILE, for isolation-dump to check", set_dump_code},
	{0, "machine", "NAME", "auto (default), lguest or pc", set_machine},
	{0, "port", "NAME=SOCKET", "a channel to a program in the guest: /dev/virtio-ports/NAME there, a Unix socket here", add_port},
	{0, "no-reboot", NULL, "end instead of starting again when the guest reboots", set_no_reboot},
	{0, "no-sandbox", NULL, "keep all system calls while the guest runs", set_no_sandbox},
	{0, "timeout", "SECONDS", "end the guest after this time, with status 124", set_timeout},
	{0, "trace", "LIST", "show on stderr: hypercall, irq, fault, undefined, privileged, notify, io, stats, all", set_trace},
	{'v', "verbose", NULL, "say more", set_verbose},
	{0, "version", NULL, "print the version and end", set_version},
	{'h', "help", NULL, "print this and end", set_help},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]), LONG_ONLY = 256 };

void options_print(void)
{
	for (size_t i = 0; i < ROWS; i++) {
		const struct option_row *row = &rows[i];
		char left[48];

		snprintf(left, sizeof(left), "%s--%s%s%s", row->letter ? (char[]){'-', row->letter, ',', ' ', 0} : "    ", row->name,
			 row->argument ? " " : "", row->argument ? row->argument : "");
		printf("  %-24s  %s\n", left, row->help);
	}
}

static void make_getopt(struct option *longs, char *shorts)
{
	/* ':' first: a missing argument is told apart from an unknown option. */
	*shorts++ = ':';
	for (int i = 0; i < ROWS; i++) {
		longs[i] = (struct option){rows[i].name, rows[i].argument ? required_argument : no_argument, NULL, LONG_ONLY + i};
		if (!rows[i].letter)
			continue;
		*shorts++ = rows[i].letter;
		if (rows[i].argument)
			*shorts++ = ':';
	}
	longs[ROWS] = (struct option){0};
	*shorts = 0;
}

static int unknown(char **argv, struct error *error)
{
	if (optopt > 0 && optopt < LONG_ONLY)
		return error_set(error, EINVAL, "unknown option -%c; try kennel run --help", optopt);
	return error_set(error, EINVAL, "unknown option %s; try kennel run --help", argv[optind - 1]);
}

static int parse_options(struct options *o, int argc, char **argv, struct error *error)
{
	struct option longs[ROWS + 1];
	char shorts[2 * ROWS + 2];
	int c, err;

	make_getopt(longs, shorts);
	optind = 0;	/* GNU: start afresh */
	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		int i = c - LONG_ONLY;

		if (c == '?')
			return unknown(argv, error);
		if (c == ':')
			return error_set(error, EINVAL, "option %s needs a value; try kennel run --help", argv[optind - 1]);
		for (int j = 0; i < 0 && j < ROWS; j++)
			if (rows[j].letter == c)
				i = j;
		err = rows[i].apply(o, optarg, error);
		if (err)
			return err;
	}
	return 0;
}

static int join(struct options *o, char **words, struct error *error)
{
	size_t len = 1;
	char *p;

	for (char **w = words; *w; w++)
		len += strlen(*w) + 1;
	p = o->command_line = malloc(len);
	if (!p)
		return error_set(error, ENOMEM, "no memory");
	*p = 0;
	for (char **w = words; *w; w++)
		p += sprintf(p, "%s%s", w == words ? "" : " ", *w);
	return 0;
}

int options_parse(struct options *o, int argc, char **argv, struct error *error)
{
	int own = 1, err;

	*o = (struct options){.machine = "auto", .memory = 256 << 20};
	/* What follows the first "--" is the kernel's, whatever it looks like. */
	while (own < argc && strcmp(argv[own], "--"))
		own++;
	err = join(o, own < argc ? argv + own + 1 : argv + argc, error);
	if (!err)
		err = parse_options(o, own, argv, error);
	if (err || o->help || o->version)
		return err;
	if (optind == own)
		return error_set(error, EINVAL, "no kernel given; try kennel run --help");
	if (optind + 1 < own)
		return error_set(error, EINVAL, "\"%s\" is one argument too many; put kernel parameters behind --", argv[optind + 1]);
	o->kernel = argv[optind];
	if (!o->net_given)
		o->nets[o->net_count++] = "user";
	return 0;
}

void options_free(struct options *o)
{
	for (unsigned int i = 0; i < o->disk_count; i++)
		free(o->disks[i].path);
	for (unsigned int i = 0; i < o->share_count; i++)
		free(o->shares[i].tag);
	for (unsigned int i = 0; i < o->port_count; i++)
		free(o->ports[i].name);
	free(o->command_line);
	free(o->bundle_kernel);
	free(o->bundle_initrd);
}
