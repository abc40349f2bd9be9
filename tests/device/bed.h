/* SPDX-License-Identifier: MIT */
/*
 * bed.h - a test bed: a "guest memory", an lguest bus over it with both ends in this process, and backends that tests can steer.
 * NOTIFY is a plain call; an interrupt is a bit that bed_interrupts() hands to the guest end.
 */
#ifndef TESTS_DEVICE_BED_H
#define TESTS_DEVICE_BED_H

#include <device/device.h>
#include <transport/lguest/page-guest.h>
#include <transport/lguest/page-host.h>

#define BED_RAM		(1024 * 1024u)
#define BED_SIZE	(BED_RAM + LGUEST_PAGE_SPACE)

struct bed {
	uint8_t *memory;
	size_t next;			/* of the bump allocator */
	struct virtio_mem mem;
	struct virtio_platform platform;
	struct lguest_page host;
	struct lguest_bus guest;
	uint32_t irqs;			/* raised and not yet handled */
	unsigned int raised;		/* how often */
	unsigned int notified;		/* how often */
	unsigned int strings;		/* NOTIFYs that were neither ring nor descriptor */
	const char *complaint;
	void (*idle)(struct bed *bed);	/* what wait() does besides delivering interrupts */
	void *opaque;
};

/* A bed without devices. Add them with bed_add(), then call bed_boot(). */
struct bed *bed_create(void);
void bed_add(struct bed *bed, struct virtio_dev *dev);
/* The guest looks at the page. */
void bed_boot(struct bed *bed);
/* The next device in the page; fails the test when there is none of this id. */
struct lguest_device *bed_next(struct bed *bed, uint32_t id);
/* Deliver every raised interrupt to the guest end. */
void bed_interrupts(struct bed *bed);
/* Zeroed guest memory; fails the test when there is none. */
void *bed_alloc(struct bed *bed, size_t size);
/* Destroys the devices too. */
void bed_destroy(struct bed *bed);

/* --- backends --------------------------------------------------------------------------------------------------------- */

struct fake_console {
	struct console_backend be;
	char printed[4096];
	size_t len;
	bool discard;			/* keep nothing of what is printed */
	bool narrow;			/* take no more than @room bytes */
	size_t room;
	unsigned int ready;		/* calls of input_ready() */
	uint16_t columns, rows;
	bool closed;
};

void fake_console_init(struct fake_console *f);

/* For fuzzers: a device with a console and a port that has a name. The ends keep nothing. */
enum { FAKE_PORTS = 2 };
struct virtio_dev *fake_ports_create(struct fake_console ends[FAKE_PORTS]);

/* Something happens at one of them, as @what and @len say. */
void fake_ports_event(struct fake_console ends[FAKE_PORTS], uint8_t what, size_t len);

#define FAKE_DISK_SIZE (256 * 1024u)
#define FAKE_DISK_MAX 256
#define FAKE_DISK_DISCARDED 0xdc	/* what discarded bytes read as */

struct fake_disk {
	struct block_backend be;
	uint8_t data[FAKE_DISK_SIZE];
	bool hold;			/* keep requests until fake_disk_run() */
	int fail;			/* answer with this error */
	struct block_io *held[FAKE_DISK_MAX];
	unsigned int held_count;
	unsigned int flushes, commits, drains, submits, unmaps;
	bool *closed;			/* set at close; may be NULL */
};

void fake_disk_init(struct fake_disk *f);
/* Perform and finish what was held, youngest first (out of order). Returns how many. */
unsigned int fake_disk_run(struct fake_disk *f);

struct fake_net {
	struct net_backend be;
	uint8_t sent[70000];
	size_t sent_len;
	unsigned int frames;
	struct virtio_net_offload offload;
	unsigned int busy;		/* answer -EAGAIN this many times */
	unsigned int ready;		/* calls of rx_ready() */
	bool tx_csum, rx_csum, tso4, tso6, ecn;
	void (*on_ready)(struct fake_net *f);
};

void fake_net_init(struct fake_net *f, bool offload);

struct fake_entropy {
	struct entropy_backend be;
	uint8_t next;
	size_t limit;			/* most bytes per call; 0 = no limit */
};

void fake_entropy_init(struct fake_entropy *f);

#endif
