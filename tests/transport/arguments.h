/* SPDX-License-Identifier: MIT */
/*
 * arguments.h - what the tests of bad arguments share: null pointers, numbers out of range, sizes that are no power of two, addresses
 * that are misaligned or nowhere. Each bus has its own test-arguments-*.c, in which every function that the bus's headers declare is
 * called; the bus is made the right way in between, and works afterwards.
 */
#ifndef TESTS_TRANSPORT_ARGUMENTS_H
#define TESTS_TRANSPORT_ARGUMENTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/device.h>
#include <virtio/driver.h>

#define TOP	  0x10000u
#define SIZE	  (TOP + 0x40000u)
#define NOWHERE	  UINT64_C(0x7000000000)
#define BEYOND_4G ((UINT64_C(1) << 32) + 1)

struct toy {
	struct virtio_dev dev;
	struct vring_device queues[40];
};

void toy_init(struct toy *t);

/* What can be wrong with it that one bus has room for: an id above 255. */
void big_id(struct toy *t);

/* A bus refuses each device with something wrong, with a sentence; some have room for what @but makes (or NULL). */
void refuse_all_but(void (*but)(struct toy *t), int (*add)(struct virtio_dev *dev, const char **reason));

/* The machine of a test: memory, and a good device. */
extern struct arguments_machine {
	uint8_t *memory;
	struct virtio_mem mem;
	struct virtio_platform platform;
	struct toy toy;
} m;

int setup(void **state);
int teardown(void **state);

extern const struct virtio_platform no_memory;

/* Where a page of descriptions and the rings behind it cannot be, for the host's end. */
extern const struct space {
	uint64_t top, limit;
	int error;
} spaces[];
extern const unsigned int num_spaces;

/* Where there is no such page, for the guest's end. */
extern const struct page {
	const struct virtio_platform *platform;
	uint64_t address;
	int error;
} pages[];
extern const unsigned int num_pages;

/* Widths that no access has. */
extern const unsigned int no_widths[];
extern const unsigned int num_widths;

void raise_irq(void *opaque, unsigned int irq);

#define ARGUMENTS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
