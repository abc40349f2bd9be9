/* SPDX-License-Identifier: MIT */
/*
 * ringbench.c - how many buffers a second go through a ring, with the driver's end on one processor and the device's on another.
 *
 * Both ends poll and neither asks for signals, as Linux's tools/virtio/ringtest does by default, whose programs bench/ring runs
 * next to this one: the driver adds a buffer whenever there is room, the device takes whatever is there and gives it back. A
 * buffer is one piece for the device to read. ringtest describes the same seven bytes again and again; here the piece is another
 * one each time, and with a payload it is written by the driver and copied by the device.
 *
 * The driver collects finished buffers when there is no room for another one, as virtio/driver/net.c does with frames, or with
 * --collect each after each one added, as ringtest does. The latter costs most of the time: the device's index is on a cache
 * line that then changes hands for nearly every buffer.
 *
 * A batch of 1, which is what ringtest does, shows each buffer to the other end at once; larger ones are shown together.
 *
 * How long a line takes to change hands depends on where the processors are. --round-trip measures that: a word there and back.
 */
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <virtio/vring-device.h>
#include <virtio/vring-driver.h>

#define START	UINT64_C(0x100000)
#define STRIDE	2048u		/* between pieces: room for a frame */
#define TRIPS	20000u

struct bench {
	/* What was asked for. */
	const char *layout;
	uint32_t size, batch, payload;
	uint64_t buffers;
	int cpu[2];
	bool collect_each, round_trip;

	uint8_t *memory;
	size_t memory_size, next;
	struct virtio_mem mem;
	struct virtio_platform platform;
	struct virtio_device vdev;
	struct virtio_queue *vq;
	uint8_t *pieces;
	uint32_t num_pieces;
	unsigned long *used;		/* [num_pieces] */
	struct vring_device dev __attribute__((aligned(128)));
	pthread_barrier_t ready;
	_Atomic uint32_t ball __attribute__((aligned(128)));
};

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "ringbench: %s\n", what);
	exit(2);
}

static void *take_memory(void *opaque, size_t size, size_t align)
{
	struct bench *b = opaque;
	size_t at = (b->next + align - 1) & ~(align - 1);

	if (at + size > b->memory_size)
		return NULL;
	b->next = at + size;
	return b->memory + at;
}

static void no_notify(struct virtio_queue *vq)
{
	die("a kick, though both ends poll");
}

static void no_reset(struct virtio_device *vdev)
{
	die("the driver's end gave up");
}

static const struct virtio_bus bus = { .notify = no_notify, .reset = no_reset };

static uint64_t features(const struct bench *b)
{
	if (!strcmp(b->layout, "split"))
		return VIRTIO_F_VERSION_1;
	if (!strcmp(b->layout, "in-order"))
		return VIRTIO_F_VERSION_1 | VIRTIO_F_IN_ORDER;
	if (!strcmp(b->layout, "packed"))
		return VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED;
	if (!strcmp(b->layout, "packed-in-order"))
		return VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER;
	die("--ring is split, in-order, packed or packed-in-order");
}

static void setup(struct bench *b)
{
	uint8_t *ring;
	uint64_t gpa;
	size_t avail = vring_desc_bytes(b->size), used = vring_used_offset(b->size, VRING_LEGACY_ALIGN);

	b->num_pieces = 2 * b->size;
	b->memory_size = (size_t)b->num_pieces * STRIDE + vring_bytes(b->size, VRING_LEGACY_ALIGN) + b->size * 64 + 65536;
	b->memory = aligned_alloc(4096, (b->memory_size + 4095) & ~(size_t)4095);
	b->used = calloc(b->num_pieces, sizeof(*b->used));
	if (!b->memory || !b->used)
		die("no memory");
	memset(b->memory, 0, b->memory_size);
	b->mem = (struct virtio_mem){ .base = b->memory, .start = START, .size = b->memory_size };
	b->platform = (struct virtio_platform){ .mem = &b->mem, .alloc = take_memory, .opaque = b };
	b->vdev = (struct virtio_device){ .bus = &bus, .platform = &b->platform, .features = features(b) };
	ring = take_memory(b, vring_bytes(b->size, VRING_LEGACY_ALIGN), 4096);
	b->pieces = take_memory(b, (size_t)b->num_pieces * STRIDE, 4096);
	gpa = START + (uint64_t)(ring - b->memory);
	if (vring_driver_create(&b->vdev, 0, b->size, ring, ring + avail, ring + used, &b->vq) ||
	    vring_device_init(&b->dev, &b->mem, b->size, gpa, gpa + avail, gpa + used, features(b), false))
		die("--size is not one that the ring can have");
	b->vq->polled = b->dev.polled = true;
	b->vq->ops->interrupts(b->vq, false);
	vring_device_notify(&b->dev, false);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		die("cannot pin a thread to that processor");
}

/* --- the two ends ------------------------------------------------------------------------------------------------------ */

static void *device_thread(void *arg)
{
	struct bench *b = arg;
	uint8_t copy[STRIDE];
	struct vring_buffer buf;
	struct virtio_iov iov[1];
	uint32_t in_batch = 0;
	uint64_t done = 0;

	pin(b->cpu[1]);
	pthread_barrier_wait(&b->ready);
	while (done < b->buffers) {
		int got = vring_device_pop(&b->dev, &buf, iov, 1);

		if (got > 0) {
			if (b->payload)
				virtio_iov_read(buf.out, buf.out_count, 0, copy, sizeof(copy));
			vring_device_push(&b->dev, buf.id, 0);
			done++;
			in_batch++;
		} else if (got < 0) {
			die(b->dev.broken);
		}
		if (in_batch == b->batch || (in_batch && !got)) {
			vring_device_flush(&b->dev);
			in_batch = 0;
		}
	}
	vring_device_flush(&b->dev);
	return NULL;
}

static void drive(struct bench *b)
{
	uint32_t piece = 0, in_batch = 0;
	uint64_t added = 0, done = 0;

	while (done < b->buffers) {
		struct virtio_iov sg = { b->pieces + (size_t)piece * STRIDE, b->payload ? b->payload : 8 };
		bool full = added == b->buffers || !b->vq->ops->room(b->vq);

		if (!full) {
			if (b->payload)
				memset(sg.base, (int)added, b->payload);
			if (virtio_add_outbuf(b->vq, &sg, 1, &b->used[piece]) < 0)
				die("a buffer was refused");
			piece = piece + 1 == b->num_pieces ? 0 : piece + 1;
			added++;
			in_batch++;
		}
		if (in_batch == b->batch || (in_batch && full)) {
			virtio_sync(b->vq);
			in_batch = 0;
		}
		if (!in_batch && (full || b->collect_each))
			done += virtio_harvest(b->vq);
	}
}

/* --- a word there and back: odd numbers go there, even ones come back ------------------------------------------------------ */

static void *return_thread(void *arg)
{
	struct bench *b = arg;

	pin(b->cpu[1]);
	pthread_barrier_wait(&b->ready);
	for (uint32_t i = 0; i < TRIPS; i++) {
		while (atomic_load_explicit(&b->ball, memory_order_acquire) != 2 * i + 1)
			;
		atomic_store_explicit(&b->ball, 2 * i + 2, memory_order_release);
	}
	return NULL;
}

static void serve(struct bench *b)
{
	for (uint32_t i = 0; i < TRIPS; i++) {
		atomic_store_explicit(&b->ball, 2 * i + 1, memory_order_release);
		while (atomic_load_explicit(&b->ball, memory_order_acquire) != 2 * i + 2)
			;
	}
}

/* --- the program ----------------------------------------------------------------------------------------------------------- */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void usage(void)
{
	puts("usage: ringbench [--ring split|in-order|packed|packed-in-order] [--size 256] [--buffers 10000000] [--batch 1]\n"
	     "                 [--payload BYTES, 0 = not touched] [--collect room|each] [--cpus 0,1]\n"
	     "       ringbench --round-trip [--cpus 0,1]\n"
	     "prints the seconds that it took; or that a word takes there and back");
}

static void parse(struct bench *b, int argc, char **argv)
{
	static const struct option options[] = {
		{ "ring", required_argument, NULL, 'r' },    { "size", required_argument, NULL, 's' },
		{ "buffers", required_argument, NULL, 'n' }, { "batch", required_argument, NULL, 'b' },
		{ "payload", required_argument, NULL, 'p' }, { "cpus", required_argument, NULL, 'c' },
		{ "collect", required_argument, NULL, 'l' }, { "round-trip", no_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },	     { 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'r')
			b->layout = optarg;
		else if (o == 's')
			b->size = (uint32_t)strtoul(optarg, NULL, 0);
		else if (o == 'n')
			b->buffers = strtoull(optarg, NULL, 0);
		else if (o == 'b')
			b->batch = (uint32_t)strtoul(optarg, NULL, 0);
		else if (o == 'p')
			b->payload = (uint32_t)strtoul(optarg, NULL, 0);
		else if (o == 't')
			b->round_trip = true;
		else if (o == 'l' && (!strcmp(optarg, "room") || !strcmp(optarg, "each")))
			b->collect_each = optarg[0] == 'e';
		else if (o != 'c' || sscanf(optarg, "%d,%d", &b->cpu[0], &b->cpu[1]) != 2) {
			usage();
			exit(o == 'h' ? 0 : 2);
		}
	}
	if (!b->size || b->size > VRING_MAX_SIZE || !b->buffers || !b->batch || b->payload > STRIDE)
		die("a number is out of bounds");
}

/* Run @there on the second processor and @here on this one. Returns the seconds that the latter takes. */
static double run(struct bench *b, void *(*there)(void *), void (*here)(struct bench *))
{
	pthread_t thread;
	double start, end;

	pthread_barrier_init(&b->ready, NULL, 2);
	if (pthread_create(&thread, NULL, there, b))
		die("no thread");
	pin(b->cpu[0]);
	pthread_barrier_wait(&b->ready);
	start = seconds();
	here(b);
	end = seconds();
	pthread_join(thread, NULL);
	return end - start;
}

int main(int argc, char **argv)
{
	static struct bench b = { .layout = "split", .size = 256, .batch = 1, .buffers = 10000000, .cpu = { 0, 1 } };

	parse(&b, argc, argv);
	if (b.round_trip) {
		printf("%.4g\n", run(&b, return_thread, serve) / TRIPS);
		return 0;
	}
	setup(&b);
	printf("%.6f\n", run(&b, device_thread, drive));
	return 0;
}
