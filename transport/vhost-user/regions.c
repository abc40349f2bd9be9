/* SPDX-License-Identifier: MIT */
/* regions.c - see regions.h. */
#include <transport/vhost-user/regions.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b ? b - a < a_size : a - b < b_size;
}

static const char *check(const struct vhost_user_regions *regions, const struct vhost_user_region *region, int fd)
{
	struct stat st;

	if (regions->count == VHOST_USER_SLOTS)
		return "more memory regions than there are slots";
	if (fd < 0)
		return "a memory region without a descriptor";
	if (!region->size || region->size > UINT64_MAX - region->gpa || region->size > UINT64_MAX - region->user ||
	    region->size > (uint64_t)INT64_MAX - (region->offset & INT64_MAX) || region->offset > (uint64_t)INT64_MAX)
		return "a memory region whose addresses wrap";
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return "a memory region that is no file";
	if ((uint64_t)st.st_size < region->offset + region->size)
		return "a memory region longer than its file";
	for (unsigned int i = 0; i < regions->count; i++) {
		const struct vhost_user_region *r = &regions->mapping[i].region;

		if (overlap(r->gpa, r->size, region->gpa, region->size) || overlap(r->user, r->size, region->user, region->size))
			return "memory regions that overlap";
	}
	return NULL;
}

static const struct vhost_user_mapping *find(const struct vhost_user_regions *regions, uint64_t gpa)
{
	for (unsigned int i = 0; i < regions->count; i++)
		if (gpa - regions->mapping[i].region.gpa < regions->mapping[i].region.size)
			return &regions->mapping[i];
	return NULL;
}

static void *translate(void *opaque, uint64_t gpa, uint64_t len)
{
	const struct vhost_user_mapping *m = find(opaque, gpa);
	uint64_t offset;

	if (!m)
		return NULL;
	offset = gpa - m->region.gpa;
	return len <= m->region.size - offset ? m->base + offset : NULL;
}

/* The largest piece is the one that is served inline; the others are looked for. */
static void settle(struct vhost_user_regions *regions)
{
	const struct vhost_user_mapping *largest = NULL;

	for (unsigned int i = 0; i < regions->count; i++)
		if (!largest || regions->mapping[i].region.size > largest->region.size)
			largest = &regions->mapping[i];
	regions->mem.base = largest ? largest->base : NULL;
	regions->mem.start = largest ? largest->region.gpa : 0;
	regions->mem.size = largest ? largest->region.size : 0;
}

void vhost_user_regions_init(struct vhost_user_regions *regions)
{
	memset(regions, 0, sizeof(*regions));
	regions->mem.translate = translate;
	regions->mem.opaque = regions;
}

const char *vhost_user_regions_add(struct vhost_user_regions *regions, const struct vhost_user_region *region, int fd)
{
	const char *wrong = check(regions, region, fd);
	struct vhost_user_mapping *m;
	size_t lead;
	void *map;

	if (wrong)
		return wrong;
	lead = (size_t)(region->offset % (uint64_t)sysconf(_SC_PAGESIZE));
	map = mmap(NULL, lead + region->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, (off_t)(region->offset - lead));
	/* Files of huge pages are mapped from a multiple of these, which is their beginning if anything. */
	if (map == MAP_FAILED && region->offset) {
		lead = (size_t)region->offset;
		map = mmap(NULL, lead + region->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	}
	if (map == MAP_FAILED)
		return "a memory region that cannot be mapped";
	m = &regions->mapping[regions->count++];
	*m = (struct vhost_user_mapping){ .region = *region, .base = (uint8_t *)map + lead, .map = map, .map_len = lead + region->size };
	vhost_user_guard_add(map, m->map_len);
	settle(regions);
	return NULL;
}

static void unmap(struct vhost_user_mapping *m)
{
	vhost_user_guard_remove(m->map);
	munmap(m->map, m->map_len);
}

const char *vhost_user_regions_remove(struct vhost_user_regions *regions, const struct vhost_user_region *region)
{
	for (unsigned int i = 0; i < regions->count; i++) {
		struct vhost_user_mapping *m = &regions->mapping[i];

		if (m->region.gpa != region->gpa || m->region.size != region->size || m->region.user != region->user)
			continue;
		unmap(m);
		*m = regions->mapping[--regions->count];
		settle(regions);
		return NULL;
	}
	return "the removal of a memory region that there is not";
}

void vhost_user_regions_clear(struct vhost_user_regions *regions)
{
	while (regions->count)
		unmap(&regions->mapping[--regions->count]);
	settle(regions);
}

uint64_t vhost_user_regions_gpa(const struct vhost_user_regions *regions, uint64_t user)
{
	for (unsigned int i = 0; i < regions->count; i++) {
		const struct vhost_user_region *r = &regions->mapping[i].region;

		if (user - r->user < r->size)
			return r->gpa + (user - r->user);
	}
	return VIRTIO_BAD_ADDRESS;
}
