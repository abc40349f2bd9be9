/* SPDX-License-Identifier: MIT */
/*
 * protocol.h - vhost-user: virtio between two processes. The front end has the driver (a virtual machine, or a program of its own), the
 * back end has the device. They share the driver's memory, each kicks the other with eventfds, and everything else is said in messages
 * over a UNIX stream socket, with file descriptors as ancillary data.
 *
 * Numbers and layouts are those of QEMU's docs/interop/vhost-user.rst. All fields are in the byte order of the machine that both run on.
 */
#ifndef KENNEL_TRANSPORT_VHOST_USER_PROTOCOL_H
#define KENNEL_TRANSPORT_VHOST_USER_PROTOCOL_H

#include <virtio/virtio.h>

/* --- what the front end asks for -------------------------------------------------------------------------------------- */

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_LOG_BASE = 6,
	VHOST_USER_SET_LOG_FD = 7,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_GET_INFLIGHT_FD = 31,
	VHOST_USER_SET_INFLIGHT_FD = 32,
	VHOST_USER_RESET_DEVICE = 34,
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
	VHOST_USER_SET_STATUS = 39,
	VHOST_USER_GET_STATUS = 40,
};

/* What the back end asks for, over the socket that SET_BACKEND_REQ_FD gave it. */
enum vhost_user_backend_request {
	VHOST_USER_BACKEND_CONFIG_CHANGE = 2,
};

/* --- features --------------------------------------------------------------------------------------------------------- */

/* A bit among the virtio features that never reaches a driver: there are protocol features, and rings are enabled one by one. */
#define VHOST_USER_F_PROTOCOL_FEATURES	(UINT64_C(1) << 30)

/* Likewise: what the device writes to memory is to be marked in a log. */
#define VHOST_USER_F_LOG_ALL	(UINT64_C(1) << 26)

/* Those that a driver never sees. */
#define VHOST_USER_F_OURS	(VHOST_USER_F_PROTOCOL_FEATURES | VHOST_USER_F_LOG_ALL)

#define VHOST_USER_PROTOCOL_F_MQ		(UINT64_C(1) << 0)
#define VHOST_USER_PROTOCOL_F_LOG_SHMFD		(UINT64_C(1) << 1)
#define VHOST_USER_PROTOCOL_F_REPLY_ACK		(UINT64_C(1) << 3)
#define VHOST_USER_PROTOCOL_F_BACKEND_REQ	(UINT64_C(1) << 5)
#define VHOST_USER_PROTOCOL_F_CONFIG		(UINT64_C(1) << 9)
#define VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD	(UINT64_C(1) << 12)
#define VHOST_USER_PROTOCOL_F_RESET_DEVICE	(UINT64_C(1) << 13)
#define VHOST_USER_PROTOCOL_F_MEM_SLOTS		(UINT64_C(1) << 15)
#define VHOST_USER_PROTOCOL_F_STATUS		(UINT64_C(1) << 16)

/* --- a message -------------------------------------------------------------------------------------------------------- */

#define VHOST_USER_VERSION	0x1u	/* of flags */
#define VHOST_USER_VERSION_MASK	0x3u
#define VHOST_USER_REPLY	0x4u
#define VHOST_USER_NEED_REPLY	0x8u	/* with REPLY_ACK: answer 0 or not 0 where there is no answer otherwise */

#define VHOST_USER_REGIONS	8u	/* most regions of a SET_MEM_TABLE, and descriptors of a message */
#define VHOST_USER_CONFIG_MAX	256u	/* bytes of config space in a message */

struct vhost_user_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;			/* bytes of payload that follow */
};

/* A piece of the driver's memory: @size bytes that the driver's device finds at @gpa, the front end at @user, and who maps the
 * descriptor sent with it at @offset. */
struct vhost_user_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t user;
	uint64_t offset;
};

struct vhost_user_memory_table {
	uint32_t count;
	uint32_t padding;
	struct vhost_user_region region[VHOST_USER_REGIONS];
};

struct vhost_user_memory_slot {
	uint64_t padding;
	struct vhost_user_region region;
};

struct vhost_user_ring_state {
	uint32_t index;
	uint32_t num;
};

#define VHOST_USER_RING_LOG 0x1u		/* of flags: mark what is written to the used ring */

/* Where the parts of a ring are, in the front end's own addresses; and where, as a guest-physical one, the used ring's marks begin. */
struct vhost_user_ring_address {
	uint32_t index;
	uint32_t flags;
	uint64_t desc, used, avail;
	uint64_t log;
};

#define VHOST_USER_LOG_PAGE 4096u	/* bytes of memory for each bit of a log */

struct vhost_user_log_area {
	uint64_t size;
	uint64_t offset;
};

struct vhost_user_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t bytes[VHOST_USER_CONFIG_MAX];
};

#define VHOST_USER_CONFIG_HEADER offsetof(struct vhost_user_config, bytes)

struct vhost_user_inflight {
	uint64_t size;
	uint64_t offset;
	uint16_t queues;
	uint16_t queue_size;
};

#define VHOST_USER_INFLIGHT_BYTES 20u	/* of the last one, without the padding at its end */

/* In SET_VRING_KICK, _CALL and _ERR: the ring's number, and whether there is no descriptor. */
#define VHOST_USER_RING_MASK	0xffu
#define VHOST_USER_RING_NO_FD	0x100u

union vhost_user_payload {
	uint64_t number;
	struct vhost_user_ring_state state;
	struct vhost_user_ring_address address;
	struct vhost_user_log_area log;
	struct vhost_user_memory_table memory;
	struct vhost_user_memory_slot slot;
	struct vhost_user_config config;
	struct vhost_user_inflight inflight;
};

VIRTIO_STATIC_ASSERT(sizeof(struct vhost_user_header) == 12 && sizeof(struct vhost_user_region) == 32 &&
		       offsetof(struct vhost_user_memory_table, region) == 8 && sizeof(struct vhost_user_memory_slot) == 40 &&
		       sizeof(struct vhost_user_ring_address) == 40 && VHOST_USER_CONFIG_HEADER == 12,
	       "messages are an ABI");

#endif
