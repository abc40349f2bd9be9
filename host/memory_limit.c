/* SPDX-License-Identifier: MIT */
/*
 * memory_limit.c - see memory_limit.h. A container often sees its own group as the top of the tree, under a name from outside it that
 * leads nowhere: the top is looked at in any case.
 */
#include "host/memory_limit.h"

#include <stdio.h>
#include <string.h>

/* Where the trees are, by custom. */
static const struct tree {
	const char *at;
	const char *file;
	bool unified;		/* version 2: one tree for all controllers, whose line in /proc/self/cgroup names none */
} trees[] = {
	{"/sys/fs/cgroup", "memory.max", true},
	{"/sys/fs/cgroup/unified", "memory.max", true},
	{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", false},
};

/* Version 1 has a number for "no limit", which depends on the size of pages. */
#define NO_LIMIT (1ull << 60)

static void look_at(const char *root, const struct tree *tree, const char *group, struct memory_limit *limit)
{
	unsigned long long bytes;
	char path[sizeof(limit->file)];
	FILE *f;

	if (snprintf(path, sizeof(path), "%s%s%s/%s", root, tree->at, group, tree->file) >= (int)sizeof(path))
		return;
	f = fopen(path, "re");
	if (!f)
		return;
	if (fscanf(f, "%llu", &bytes) == 1 && bytes < NO_LIMIT && bytes < limit->bytes) {
		limit->bytes = bytes;
		strcpy(limit->file, path);
	}
	fclose(f);
}

/* @group and all around it. */
static void look_upwards(const char *root, const struct tree *tree, char *group, struct memory_limit *limit)
{
	char *end;

	do {
		end = strrchr(group, '/');
		if (end && !end[1])
			*end = 0;
		look_at(root, tree, group, limit);
		end = strrchr(group, '/');
		if (end)
			*end = 0;
	} while (end);
}

/* The list of controllers, as "cpu,memory": is memory's among them? */
static bool has_memory(const char *controllers)
{
	for (const char *p = controllers; (p = strstr(p, "memory")); p++)
		if ((p == controllers || p[-1] == ',') && (!p[6] || p[6] == ','))
			return true;
	return false;
}

bool memory_limit_find(const char *root, struct memory_limit *limit)
{
	char path[sizeof(limit->file)], line[1024];
	FILE *f;

	*limit = (struct memory_limit){.bytes = NO_LIMIT};
	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!group)
			continue;
		*group++ = 0;
		controllers++;
		group[strcspn(group, "\n")] = 0;
		for (unsigned int i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
			char own[sizeof(line)];

			if (trees[i].unified ? *controllers : !has_memory(controllers))
				continue;
			strcpy(own, group);
			look_upwards(root, &trees[i], own, limit);
		}
	}
	if (f)
		fclose(f);
	return limit->bytes < NO_LIMIT;
}
