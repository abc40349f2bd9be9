/* SPDX-License-Identifier: MIT */
/*
 * The vhost-user back end against arbitrary front ends: messages of every kind with fields that are nearly right, raw bytes, descriptors
 * of all sorts, rings full of anything, kicks. The device is a disk that finishes some requests late. See tests/virtio/fuzz.h.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <transport/vhost-user/backend.h>

#include "tests/device/bed.h"
#include "tests/virtio/fuzz.h"

#define RAM	(64u << 10)
#define GPA	UINT64_C(0x200000)
#define USER	UINT64_C(0x7f0000000000)

static struct fake_disk disk;
static uint8_t *ram;
static int ram_fd, event_fd;

static void once(void)
{
	if (ram)
		return;
	ram_fd = memfd_create("ram", MFD_CLOEXEC);
	if (ram_fd < 0 || ftruncate(ram_fd, RAM))
		abort();
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
	event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

/* An address that is most often in memory. */
static uint64_t address(struct fuzz_input *in, uint64_t base)
{
	uint8_t kind = fuzz_u8(in);

	return kind < 240 ? base + (uint64_t)kind * 256 : (uint64_t)fuzz_u32(in) << (kind % 33);
}

static struct vhost_user_region region(struct fuzz_input *in)
{
	uint8_t kind = fuzz_u8(in);

	if (kind < 128)
		return (struct vhost_user_region){ GPA, RAM, USER, 0 };
	return (struct vhost_user_region){ address(in, GPA), (uint64_t)fuzz_u8(in) * 512, address(in, USER), (uint64_t)fuzz_u8(in) * 256 };
}

static void fill(struct fuzz_input *in, struct vhost_user_message *m)
{
	union vhost_user_payload *p = &m->payload;

	switch (m->header.request) {
	case VHOST_USER_SET_MEM_TABLE:
		p->memory.count = fuzz_u8(in) % 3;
		for (unsigned int i = 0; i < 2; i++)
			p->memory.region[i] = region(in);
		m->header.size = 8 + 32 * p->memory.count;
		m->fd_count = p->memory.count;
		break;
	case VHOST_USER_ADD_MEM_REG:
	case VHOST_USER_REM_MEM_REG:
		p->slot.region = region(in);
		m->header.size = sizeof(p->slot);
		m->fd_count = m->header.request == VHOST_USER_ADD_MEM_REG;
		break;
	case VHOST_USER_SET_VRING_ADDR:
		p->address = (struct vhost_user_ring_address){ .desc = address(in, USER), .used = address(in, USER), .avail = address(in, USER) };
		p->address.flags = fuzz_u8(in) & 1;
		p->address.log = address(in, GPA);
		m->header.size = sizeof(p->address);
		break;
	case VHOST_USER_SET_LOG_BASE:
		p->log.size = fuzz_u8(in) & 1 ? 4096 : fuzz_u8(in);
		p->log.offset = fuzz_u8(in) & 1 ? 0 : (uint64_t)fuzz_u8(in) << 12;
		m->header.size = sizeof(p->log);
		m->fd_count = 1;
		break;
	case VHOST_USER_SET_LOG_FD:
		m->fd_count = 1;
		break;
	case VHOST_USER_SET_VRING_NUM:
		p->state.num = 1u << fuzz_u8(in) % 9;
		m->header.size = sizeof(p->state);
		break;
	case VHOST_USER_SET_VRING_BASE:
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_SET_VRING_ENABLE:
		p->state.num = fuzz_u8(in);
		m->header.size = sizeof(p->state);
		break;
	case VHOST_USER_SET_VRING_KICK:
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
		m->header.size = sizeof(p->number);
		m->fd_count = 1;
		break;
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_SET_CONFIG:
		p->config.offset = fuzz_u8(in);
		p->config.size = fuzz_u8(in);
		m->header.size = VHOST_USER_CONFIG_HEADER + p->config.size;
		break;
	case VHOST_USER_SET_FEATURES:
		p->number = fuzz_u8(in) & 1 ? VHOST_USER_F_PROTOCOL_FEATURES : 0;
		p->number |= (uint64_t)(fuzz_u8(in) & 7) << 32 | (uint64_t)fuzz_u8(in) << 24 | (fuzz_u8(in) & 0x40);
		m->header.size = sizeof(p->number);
		break;
	case VHOST_USER_SET_PROTOCOL_FEATURES:
		p->number = fuzz_u8(in) & (VHOST_USER_PROTOCOL_F_REPLY_ACK | VHOST_USER_PROTOCOL_F_LOG_SHMFD);
		m->header.size = sizeof(p->number);
		break;
	case VHOST_USER_GET_INFLIGHT_FD:
	case VHOST_USER_SET_INFLIGHT_FD:
		p->inflight.queues = fuzz_u8(in) % 3;
		p->inflight.queue_size = fuzz_u8(in);
		m->header.size = sizeof(p->inflight);
		m->fd_count = m->header.request == VHOST_USER_SET_INFLIGHT_FD;
		break;
	case VHOST_USER_SET_STATUS:
		p->number = fuzz_u8(in);
		m->header.size = sizeof(p->number);
		break;
	default:
		break;
	}
}

static bool wants_event(uint32_t request)
{
	return request == VHOST_USER_SET_LOG_FD || (request >= VHOST_USER_SET_VRING_KICK && request <= VHOST_USER_SET_VRING_ERR);
}

/* A message that makes sense, but for a bit here and there. */
static void say(struct fuzz_input *in, int front)
{
	struct vhost_user_message m = { .header = { fuzz_u8(in) % 42, VHOST_USER_VERSION, 0 } };
	uint8_t twist = fuzz_u8(in);

	fill(in, &m);
	for (unsigned int i = 0; i < m.fd_count; i++)
		m.fds[i] = wants_event(m.header.request) ? event_fd : ram_fd;
	if (twist & 1)
		m.header.flags |= VHOST_USER_NEED_REPLY;
	if (twist > 250)
		m.header.flags = fuzz_u32(in);
	if (twist > 240)
		m.header.size = fuzz_u8(in);
	if (twist > 230)
		m.fd_count = twist % (VHOST_USER_REGIONS + 1);
	for (unsigned int i = 0; i < m.fd_count; i++)
		if (m.fds[i] <= 0)
			m.fds[i] = twist & 1 ? ram_fd : event_fd;
	vhost_user_send(front, &m, 0);
}

static void write_ram(struct fuzz_input *in)
{
	uint32_t at = fuzz_u16(in), len = fuzz_u8(in);

	for (uint32_t i = 0; i < len && at + i < RAM; i++)
		ram[at + i] = fuzz_u8(in);
}

static void drain_answers(int front)
{
	uint8_t bytes[4096];

	while (recv(front, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static int connect_to(struct vhost_user_backend *be)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) || vhost_user_backend_attach(be, pair[1]))
		abort();
	return pair[0];
}

static void step(struct fuzz_input *in, int front)
{
	uint8_t raw[16];

	switch (fuzz_u8(in) % 8) {
	case 0:
		eventfd_write(event_fd, 1);
		break;
	case 1:
	case 2:
		write_ram(in);
		break;
	case 3:
		fake_disk_run(&disk);
		break;
	case 4:
		for (unsigned int i = 0; i < sizeof(raw); i++)
			raw[i] = fuzz_u8(in);
		send(front, raw, raw[0] % sizeof(raw), MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	default:
		say(in, front);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct vhost_user_backend *be;
	struct virtio_dev *dev;
	int front;

	once();
	memset(ram, 0, RAM);
	fake_disk_init(&disk);
	disk.hold = fuzz_u8(&in) & 1;
	dev = block_device_create(&disk.be);
	be = vhost_user_backend_create(dev, NULL, NULL);
	if (!be)
		abort();
	front = connect_to(be);
	while (in.left) {
		step(&in, front);
		if (!vhost_user_backend_run(be)) {
			drain_answers(front);
			continue;
		}
		close(front);
		front = connect_to(be);
	}
	close(front);
	vhost_user_backend_destroy(be);
	virtio_dev_destroy(dev);
	return 0;
}
