/* SPDX-License-Identifier: MIT */
/*
 * by-hand.h - a vhost-user back end with a disk, and a front end made by hand: each message is one that a test writes, good or bad. The
 * ring is split, and lies in the front end's memory where the names below say.
 */
#ifndef TESTS_TRANSPORT_VHOST_USER_BY_HAND_H
#define TESTS_TRANSPORT_VHOST_USER_BY_HAND_H

#include <transport/vhost-user/backend.h>
#include <virtio/block.h>

#include "tests/device/bed.h"

#define RAM	(64u << 10)
#define GPA	UINT64_C(0x200000)
#define USER	UINT64_C(0x7f0000000000)
#define NUM	8u
#define AVAIL	0x1000u			/* offsets in RAM; the descriptors are at 0 */
#define USED	0x2000u
#define DATA	0x3000u

extern struct fake_disk disk;
extern struct virtio_dev *dev;
extern struct vhost_user_backend *be;
extern int front;			/* our end of the socket */
extern int ram_fd, kick, call;
extern uint8_t *ram;
extern const char *complaint;
extern unsigned int complaints;

/* A back end, and a front end attached. Afterwards every descriptor that was sent has been closed, whatever happened. */
int setup(void **state);
int teardown(void **state);

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

/* Make @dev, with a disk full of noise that is always the same. */
void new_disk(void);

/* Another front end. */
void attach(void);

/* --- saying things: what vhost_user_backend_run() makes of it ---------------------------------------------------------- */

/* @fd: the descriptor that goes with it; -1 = none. */
struct vhost_user_message message(uint32_t request, const void *payload, size_t size, int fd);
int say(struct vhost_user_message m);
int say_number(uint32_t request, uint64_t number);
int say_state(uint32_t request, uint32_t index, uint32_t num);
int say_fd(uint32_t request, uint64_t number, int fd);

/* All of RAM. */
extern const struct vhost_user_region whole;

/* A memory table; all regions with the same descriptor. */
int say_memory(const struct vhost_user_region *regions, unsigned int count, int fd);

/* The answer to what was said; the number that is the answer to a plain question. */
struct vhost_user_message hear(void);
uint64_t ask(uint32_t request);

/* A message ended the connection; there can be another one after it. */
void assert_ended(int ret, const char *why);

/* --- the ring ---------------------------------------------------------------------------------------------------------- */

/* Up to where only the kick is missing; and with it. */
void set_up_ring(uint64_t features);
void start_ring(void);
void kick_ring(void);

/* Make the @n-th request of the ring available: read sector @n. Its data and status lie behind its header. */
void offer_read(uint16_t n);
void assert_read(uint16_t n);
uint16_t used_idx(void);

#endif
