/* SPDX-License-Identifier: MIT */
/*
 * bundle.c - a kernel that is a directory, and a root file system that is a file or a directory. Both become what the rest of the
 * command knows: a kernel, an initial RAM disk, a first disk or a share, and parameters. Parameters from different places are in the order in which a
 * kernel should believe them: the bundle's, then --root's, then the user's.
 */
#include "kennel/bundle.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/message.h"
#include "kennel/fetch.h"
#include "kennel/options.h"

static bool is_directory(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* @path = @directory/@file; false if it is not there */
static bool find_file(char *path, const char *directory, const char *file)
{
	return snprintf(path, PATH_MAX, "%s/%s", directory, file) < PATH_MAX && !access(path, F_OK);
}

static bool find_in_cache(char *path, const char *name)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char file[PATH_MAX];
	int n;

	if (cache && *cache)
		n = snprintf(path, PATH_MAX, "%s/kennel/%s", cache, name);
	else
		n = snprintf(path, PATH_MAX, "%s/.cache/kennel/%s", home ? home : "", name);
	return n < PATH_MAX && find_file(file, path, "vmlinuz");
}

/* The directory that @name means, in @path. 0, or -ENOENT if it means none, or the errno of a fetch that went wrong. */
static int find_directory(char *path, const char *name)
{
	int err;

	if (is_directory(name))
		return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX ? 0 : -ENOENT;
	if (strchr(name, '/') || !access(name, F_OK))
		return -ENOENT;
	if (find_in_cache(path, name))
		return 0;
	if (!fetch_knows(name))
		return -ENOENT;
	message_info("there is no %s here yet; fetching it", name);
	err = fetch_name(name);
	return !err && !find_in_cache(path, name) ? -ENOENT : err;
}

/* Put @words before the command line. */
static int add_parameters(struct options *o, const char *words, struct error *error)
{
	char *joined;

	if (asprintf(&joined, "%s%s%s", words, *words && *o->command_line ? " " : "", o->command_line) < 0)
		return error_set(error, ENOMEM, "no memory");
	free(o->command_line);
	o->command_line = joined;
	return 0;
}

static int read_parameters(struct options *o, const char *path, struct error *error)
{
	char words[2048];
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return error_errno(error, errno, "%s: cannot open the kernel's parameters", path);
	n = fread(words, 1, sizeof(words) - 1, f);
	fclose(f);
	words[n] = 0;
	words[strcspn(words, "\n")] = 0;
	return add_parameters(o, words, error);
}

static int keep(struct options *o, char **slot, const char *text, struct error *error)
{
	*slot = strdup(text);
	return *slot ? 0 : error_set(error, ENOMEM, "no memory");
}

static bool names_root(const char *parameters)
{
	for (const char *p = parameters; (p = strstr(p, "root=")); p++)
		if (p == parameters || p[-1] == ' ')
			return true;
	return false;
}

/* --root DIR: a share. Of all names for it, kernels that mount it themselves, old and new, agree on /dev/root. */
static int share_root(struct options *o, struct error *error)
{
	char *share;
	int err;

	if (asprintf(&share, "/dev/root=%s", o->root) < 0)
		return error_set(error, ENOMEM, "no memory");
	err = options_add_share(o, share, error);
	free(share);
	return err;
}

/*
 * The root file system of the user's choice, and the parameters for it unless they are of the user's choice too. A directory is cached as
 * a disk would be: it is this guest's, whose programs want to map files shared, which 9P without a cache does not do.
 */
static int use_root(struct options *o, struct error *error)
{
	static const char disk[] = "root=/dev/vda";
	static const char share[] = "root=/dev/root rootfstype=9p rootflags=trans=virtio,version=9p2000.L,msize=131072,cache=loose";
	const char *comma = strrchr(o->root, ',');
	bool read_only = comma && !strcmp(comma, ",ro");
	char path[PATH_MAX], parameters[128];
	bool directory;
	int err;

	snprintf(path, sizeof(path), "%.*s", read_only ? (int)(comma - o->root) : PATH_MAX - 1, o->root);
	directory = is_directory(path);
	err = directory ? share_root(o, error) : options_first_disk(o, o->root, error);
	if (err || names_root(o->command_line))
		return err;
	snprintf(parameters, sizeof(parameters), "%s %s", directory ? share : disk, read_only ? "ro" : "rw");
	return add_parameters(o, parameters, error);
}

static int use_bundle(struct options *o, const char *directory, struct error *error)
{
	char path[PATH_MAX];
	int err;

	if (!find_file(path, directory, "vmlinuz"))
		return error_set(error, EISDIR, "%s: is a directory without a vmlinuz in it", directory);
	err = keep(o, &o->bundle_kernel, path, error);
	o->kernel = o->bundle_kernel;
	if (!err && !o->initrd && find_file(path, directory, "initrd.img")) {
		err = keep(o, &o->bundle_initrd, path, error);
		o->initrd = o->bundle_initrd;
	}
	if (!err && !o->root && find_file(path, directory, "root.ext4"))
		err = options_first_disk(o, path, error);
	if (!err && find_file(path, directory, "cmdline"))
		err = read_parameters(o, path, error);
	return err;
}

int bundle_resolve(struct options *o, struct error *error)
{
	char directory[PATH_MAX];
	int err = find_directory(directory, o->kernel);
	bool found = !err;

	error->text[0] = 0;
	if (err == -ENOENT)
		err = 0;	/* a plain file, or something to complain about as one */
	if (!err && o->root)
		err = use_root(o, error);
	if (!err && found)
		err = use_bundle(o, directory, error);
	return err;
}
