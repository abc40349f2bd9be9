/* SPDX-License-Identifier: MIT */
/*
 * Both ends of a ring on two threads. The first test sleeps at every opportunity: the device wakes only by kicks, the driver only by
 * interrupts, so one lost signal stops everything, and the clock tells. The second has a driver that changes descriptors while the
 * device reads them: what the device has checked must be what it uses.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <tests/clause.h>

#include <virtio/endian.h>

#include "pair.h"

#define RUN_NS		UINT64_C(500000000)
#define RUN_BUFFERS	1000	/* at least, however busy the machine is */
#define LOST_NS		UINT64_C(5000000000)

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- a signal that is remembered once --------------------------------------------------------------------------------- */

/*
 * A word that the waiter spins on. No lock and no system call near it: they would order memory, and hide a barrier that is missing in
 * the ring. (Without the full fence in sync() or flush() this test usually stops in the run with 64 entries and event indices.)
 */
static void signal_send(unsigned int *s)
{
	__atomic_store_n(s, 1, __ATOMIC_RELEASE);
}

/* False: nothing came for a long time. */
static bool signal_wait(unsigned int *s)
{
	uint64_t until = 0;

	for (unsigned int spins = 1; !__atomic_load_n(s, __ATOMIC_ACQUIRE); spins++) {
		if (spins % 4096)
			continue;
		sched_yield();
		if (!until)
			until = now() + LOST_NS;
		else if (now() > until)
			return false;
	}
	__atomic_store_n(s, 0, __ATOMIC_RELAXED);
	return true;
}

/* --- lost wake-ups ------------------------------------------------------------------------------------------------------ */

struct race {
	struct pair *p;
	unsigned int kick __attribute__((aligned(64)));
	unsigned int interrupt __attribute__((aligned(64)));
	bool stop, device_lost;
	bool toggle;			/* turn suppression on and off explicitly */
};

static void on_kick(struct pair *p)
{
	signal_send(&((struct race *)p->opaque)->kick);
}

static void serve(struct race *r)
{
	struct virtio_iov iov[4];
	struct vring_buffer buf;
	int batch = 0;

	while (vring_device_pop(&r->p->dev, &buf, iov, 4) > 0) {
		vring_device_push(&r->p->dev, buf.id, 0);
		if (++batch % 3 == 0 && vring_device_flush(&r->p->dev))
			signal_send(&r->interrupt);
	}
	if (vring_device_flush(&r->p->dev))
		signal_send(&r->interrupt);
}

static void *device_thread(void *arg)
{
	struct race *r = arg;

	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		if (!signal_wait(&r->kick)) {
			r->device_lost = true;
			break;
		}
		if (r->toggle)
			vring_device_notify(&r->p->dev, false);
		do
			serve(r);
		while (r->toggle && vring_device_notify(&r->p->dev, true));
	}
	return NULL;
}

static void run_race(uint32_t num, uint64_t features, bool toggle)
{
	struct race r = { .p = pair_create(num, features, false, 0), .toggle = toggle };
	char *m = pair_alloc(r.p, 16, 1);
	struct virtio_iov sg = { m, 1 };
	unsigned long used[256];
	uint64_t end = now() + RUN_NS, buffers = 0;
	uint32_t next = 0, seed = 7, under_way = 0;
	pthread_t thread;

	r.p->opaque = &r;
	r.p->on_kick = on_kick;
	pthread_create(&thread, NULL, device_thread, &r);
	for (bool add = true; add || under_way; add = now() < end || buffers < RUN_BUFFERS) {
		seed = seed * 1664525 + 1013904223;
		for (uint32_t batch = 1 + (seed >> 16) % num; add && batch; batch--) {
			if (virtio_add_outbuf(r.p->vq, &sg, 1, &used[next++ % 256]) < 0)
				break;
			under_way++;
		}
		virtio_sync(r.p->vq);
		if (toggle)
			r.p->vq->ops->interrupts(r.p->vq, true);
		/* Sleep until something is finished. */
		for (;;) {
			uint32_t got = virtio_harvest(r.p->vq);

			under_way -= got;
			buffers += got;
			if (got || !under_way)
				break;
			if (!signal_wait(&r.interrupt))
				fail_msg("an interrupt was lost after %llu buffers", (unsigned long long)buffers);
		}
		if (toggle)
			r.p->vq->ops->interrupts(r.p->vq, false);
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	signal_send(&r.kick);
	pthread_join(thread, NULL);
	assert_false(r.device_lost);
	assert_null(r.p->dev.broken);
	pair_destroy(r.p);
}

static void no_signal_is_lost(void **state)
{
	static const uint64_t packed = VIRTIO_F_RING_PACKED | VIRTIO_F_VERSION_1;

	run_race(1, 0, false);
	run_race(1, VIRTIO_F_EVENT_IDX, false);
	run_race(4, 0, true);
	run_race(4, VIRTIO_F_EVENT_IDX, true);
	run_race(64, 0, false);
	run_race(64, VIRTIO_F_EVENT_IDX, false);
	run_race(64, VIRTIO_F_EVENT_IDX | VIRTIO_F_IN_ORDER, false);
	run_race(3, packed, true);
	run_race(3, packed | VIRTIO_F_EVENT_IDX, true);
	run_race(64, packed | VIRTIO_F_EVENT_IDX, false);
	run_race(64, packed | VIRTIO_F_EVENT_IDX | VIRTIO_F_IN_ORDER, false);
}

/* --- memory that changes under the reader ------------------------------------------------------------------------------ */

struct flip {
	struct pair *p;
	bool stop;
};

/* Write descriptor 0, word by word, now a good one, now one that must be refused. */
static void *flipping_thread(void *arg)
{
	struct flip *f = arg;
	volatile struct vring_desc *d = virtio_mem_at(&f->p->mem, f->p->desc, 0);

	while (!__atomic_load_n(&f->stop, __ATOMIC_ACQUIRE)) {
		d->addr = PAIR_START;
		d->len = 16;
		d->flags = 0;
		d->addr = PAIR_START + PAIR_MEMORY - 1;
		d->len = UINT32_MAX;
		d->flags = VRING_DESC_NEXT;
		d->next = 0xffff;
	}
	return NULL;
}

static void checked_is_used(void **state)
{
	struct flip f = { .p = pair_create(8, 0, VIRTIO_HOST_BIG_ENDIAN, 0) };
	struct vring_avail *avail = virtio_mem_at(&f.p->mem, f.p->avail, 0);
	uint64_t end = now() + RUN_NS, good = 0, bad = 0;
	struct virtio_iov iov[8];
	struct vring_buffer buf;
	pthread_t thread;

	pthread_create(&thread, NULL, flipping_thread, &f);
	while (now() < end) {
		avail->idx = 1;
		if (vring_device_pop(&f.p->dev, &buf, iov, 8) < 0) {
			bad++;
		} else {
			good++;
			for (unsigned int i = 0; i < buf.out_count; i++) {
				size_t offset = (size_t)((uint8_t *)iov[i].base - f.p->memory);

				assert_true(offset <= PAIR_MEMORY && iov[i].len <= PAIR_MEMORY - offset);
			}
		}
		vring_device_init(&f.p->dev, &f.p->mem, 8, f.p->desc, f.p->avail, f.p->used, 0, VIRTIO_HOST_BIG_ENDIAN);
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	assert_true(good && bad);
	pair_destroy(f.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAUSE("2.7.8.2-1 2.7.13.3.1-1 2.8.21.1.1-1", no_signal_is_lost),
		cmocka_unit_test(checked_is_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
