/* SPDX-License-Identifier: MIT */
/*
 * backend-memory.c - what a front end says of its memory.
 *
 * It may come and go while rings are in use, and rings hold pointers into it. So for every change the rings are laid down, with
 * everything that the device had under way finished, and are taken up again at the same place.
 */
#include <transport/vhost-user/backend-internal.h>

const char *vhost_user_set_mem_table(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	const struct vhost_user_memory_table *table = &m->payload.memory;
	const char *wrong = NULL;

	if (m->header.size < offsetof(struct vhost_user_memory_table, region) || table->count > VHOST_USER_REGIONS ||
	    m->header.size < offsetof(struct vhost_user_memory_table, region) + table->count * sizeof(table->region[0]))
		return "a malformed memory table";
	if (m->fd_count != table->count)
		return "a memory table with more or fewer descriptors than regions";
	vhost_user_rings_lay_down(be);
	vhost_user_regions_clear(&be->regions);
	for (unsigned int i = 0; i < table->count && !wrong; i++)
		wrong = vhost_user_regions_add(&be->regions, &table->region[i], m->fds[i]);
	return wrong ? wrong : vhost_user_rings_take_up(be);
}

const char *vhost_user_get_max_mem_slots(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	m->payload.number = VHOST_USER_SLOTS;
	m->header.size = sizeof(uint64_t);
	return NULL;
}

const char *vhost_user_add_mem_reg(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	const char *wrong;

	if (!m->fd_count)
		return "a memory region without a descriptor";
	vhost_user_rings_lay_down(be);
	wrong = vhost_user_regions_add(&be->regions, &m->payload.slot.region, m->fds[0]);
	return wrong ? wrong : vhost_user_rings_take_up(be);
}

const char *vhost_user_rem_mem_reg(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	const char *wrong;

	vhost_user_rings_lay_down(be);
	wrong = vhost_user_regions_remove(&be->regions, &m->payload.slot.region);
	return wrong ? wrong : vhost_user_rings_take_up(be);
}
