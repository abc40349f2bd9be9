/* SPDX-License-Identifier: MIT */
/* Clauses of virtio 1.2, 2.1, 2.2, 2.5 and 3.1, that a driver keeps: what our drivers do to a bus, step by step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/arena.h>
#include <tests/clause.h>
#include <virtio/driver-block.h>
#include <virtio/driver-console.h>
#include <virtio/driver-net.h>
#include <virtio/driver-rng.h>
#include <virtio/vring-driver.h>

#define ACKNOWLEDGE	VIRTIO_STATUS_ACKNOWLEDGE
#define DRIVER		VIRTIO_STATUS_DRIVER
#define FEATURES_OK	VIRTIO_STATUS_FEATURES_OK
#define DRIVER_OK	VIRTIO_STATUS_DRIVER_OK
#define FAILED		VIRTIO_STATUS_FAILED

#define MEMORY	(256 * 1024u)

/* A bus that writes down what happens, in a letter each: R reset, F features, Q queue, C config read, W config write, N notify; status
 * bits as A, D, O (FEATURES_OK), K (DRIVER_OK), X (FAILED). */
struct bus {
	struct virtio_device vdev;
	struct virtio_platform platform;
	struct virtio_mem mem;
	uint8_t memory[MEMORY] __attribute__((aligned(4096)));
	size_t next;
	char log[64];
	uint64_t offered;
	uint8_t status;
	bool refuses;			/* the features */
	size_t config_len, config_end;	/* bytes there are; bytes asked for */
	uint8_t config[512];
};

static struct bus *of(struct virtio_device *vdev)
{
	return (struct bus *)vdev;
}

static void note(struct bus *b, char c)
{
	size_t len = strlen(b->log);

	/* Several reads of the configuration are one. */
	if (c == 'C' && len && b->log[len - 1] == 'C')
		return;
	assert_true(len + 1 < sizeof(b->log));
	b->log[len] = c;
}

static uint64_t get_features(struct virtio_device *vdev)
{
	return of(vdev)->offered;
}

static int finalize(struct virtio_device *vdev)
{
	note(of(vdev), 'F');
	assert_int_equal(vdev->features & ~of(vdev)->offered, 0);
	return 0;
}

static int get(struct virtio_device *vdev, size_t offset, void *buf, size_t len)
{
	struct bus *b = of(vdev);

	note(b, 'C');
	if (offset + len > b->config_end)
		b->config_end = offset + len;
	if (offset + len > b->config_len)
		return -VIRTIO_ERANGE;
	memcpy(buf, b->config + offset, len);
	return 0;
}

static int set(struct virtio_device *vdev, size_t offset, const void *buf, size_t len)
{
	note(of(vdev), 'W');
	return 0;
}

static uint8_t get_status(struct virtio_device *vdev)
{
	return of(vdev)->status;
}

static void set_status(struct virtio_device *vdev, uint8_t status)
{
	static const char names[8] = { 'A', 'D', 'K', 'O', '?', '?', '?', 'X' };
	struct bus *b = of(vdev);

	assert_int_equal(b->status & ~status, 0);
	for (int i = 0; i < 8; i++)
		if ((status & ~b->status) & 1 << i)
			note(b, names[i]);
	b->status = status;
	if (b->refuses)
		b->status &= (uint8_t)~FEATURES_OK;
}

static void reset(struct virtio_device *vdev)
{
	note(of(vdev), 'R');
	of(vdev)->status = 0;
}

static void *alloc(void *opaque, size_t size, size_t align)
{
	struct bus *b = opaque;

	return arena_take(b->memory, MEMORY, &b->next, size, align);
}

static int find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq)
{
	struct bus *b = of(vdev);

	note(b, 'Q');
	return vring_driver_create(vdev, index, 64, alloc(b, vring_desc_bytes(64), 16), alloc(b, vring_avail_bytes(64), 4),
				   alloc(b, vring_used_bytes(64), 4), vq);
}

static void delete_queue(struct virtio_queue *vq)
{
	vring_driver_destroy(vq);
}

static void notify(struct virtio_queue *vq)
{
	note(of(vq->vdev), 'N');
}

static const struct virtio_bus bus_ops = {
	.get_features = get_features,
	.finalize_features = finalize,
	.get = get,
	.set = set,
	.get_status = get_status,
	.set_status = set_status,
	.reset = reset,
	.find_queue = find_queue,
	.delete_queue = delete_queue,
	.notify = notify,
};

static int setup(void **state)
{
	struct bus *b = aligned_alloc(4096, (sizeof(*b) + 4095) & ~(size_t)4095);

	memset(b, 0, sizeof(*b));
	b->mem = (struct virtio_mem){ .base = b->memory, .start = 4096, .size = MEMORY };
	b->platform = (struct virtio_platform){ .mem = &b->mem, .alloc = alloc, .opaque = b };
	b->vdev = (struct virtio_device){ .bus = &bus_ops, .platform = &b->platform };
	b->offered = VIRTIO_F_VERSION_1;
	b->config_len = 60;
	b->status = FAILED;
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void block_steps(void **state)
{
	struct bus *b = *state;
	struct virtio_block *blk = alloc(b, sizeof(*blk), 16);

	assert_int_equal(virtio_block_probe(blk, &b->vdev), 0);
	assert_string_equal(b->log, "RADFOQCK");
}

static void console_steps(void **state)
{
	struct bus *b = *state;
	struct virtio_console *con = alloc(b, sizeof(*con), 16);

	assert_int_equal(virtio_console_probe(con, &b->vdev), 0);
	assert_string_equal(b->log, "RADFOQQKN");
}

static void net_steps(void **state)
{
	struct bus *b = *state;
	struct virtio_net *net = alloc(b, sizeof(*net), 16);

	b->offered |= VIRTIO_NET_F_MAC;
	assert_int_equal(virtio_net_probe(net, &b->vdev), 0);
	assert_string_equal(b->log, "RADFOQQCKN");
}

static void rng_steps(void **state)
{
	struct bus *b = *state;
	struct virtio_rng *rng = alloc(b, sizeof(*rng), 16);

	assert_int_equal(virtio_rng_probe(rng, &b->vdev), 0);
	assert_string_equal(b->log, "RADFOQK");
	/* Once more, from the beginning: only a reset takes bits away, those of a failed attempt too. */
	virtio_rng_remove(rng);
	memset(b->log, 0, sizeof(b->log));
	b->status = ACKNOWLEDGE | DRIVER | FAILED;
	assert_int_equal(virtio_rng_probe(rng, &b->vdev), 0);
	assert_string_equal(b->log, "RADFOQK");
}

static void only_offered(void **state)
{
	struct bus *b = *state;

	assert_int_equal(virtio_device_setup(&b->vdev, VIRTIO_BIT(3) | VIRTIO_BIT(4)), 0);
	assert_int_equal(b->vdev.features, VIRTIO_F_VERSION_1);
	b->offered |= VIRTIO_BIT(4) | VIRTIO_BIT(5);
	assert_int_equal(virtio_device_setup(&b->vdev, VIRTIO_BIT(3) | VIRTIO_BIT(4)), 0);
	assert_int_equal(b->vdev.features, VIRTIO_F_VERSION_1 | VIRTIO_BIT(4));
}

static void no_packed_ring_without_version_1(void **state)
{
	struct bus *b = *state;

	b->vdev.legacy_big_endian = true;
	b->offered = VIRTIO_F_RING_PACKED;
	assert_int_equal(virtio_device_setup(&b->vdev, 0), 0);
	assert_int_equal(b->vdev.features, 0);
	/* A legacy device: no FEATURES_OK, and the guest's byte order. */
	assert_string_equal(b->log, "RADF");
	assert_true(b->vdev.big_endian);
	b->offered |= VIRTIO_F_VERSION_1;
	assert_int_equal(virtio_device_setup(&b->vdev, 0), 0);
	assert_int_equal(b->vdev.features, VIRTIO_F_RING_PACKED | VIRTIO_F_VERSION_1);
	assert_false(b->vdev.big_endian);
}

static void refused_features(void **state)
{
	struct bus *b = *state;
	struct virtio_block *blk = alloc(b, sizeof(*blk), 16);

	b->refuses = true;
	assert_int_equal(virtio_block_probe(blk, &b->vdev), -VIRTIO_EOPNOTSUPP);
	assert_string_equal(b->log, "RADFOX");
}

/* Fields that are there if a feature is: the shortest configuration space will do. */
static void optional_fields(void **state)
{
	struct bus *b = *state;
	struct virtio_block *blk = alloc(b, sizeof(*blk), 16);

	b->config_len = 8;
	assert_int_equal(virtio_block_probe(blk, &b->vdev), 0);
	assert_int_equal(b->config_end, 8);
	virtio_block_remove(blk);
	b->offered |= VIRTIO_BLOCK_F_BLK_SIZE;
	b->config_len = 24;
	assert_int_equal(virtio_block_probe(blk, &b->vdev), 0);
	assert_int_equal(b->config_end, 24);
	virtio_block_remove(blk);
	/* It is offered, and it is not there: the device cannot be used. */
	b->config_len = 23;
	assert_int_equal(virtio_block_probe(blk, &b->vdev), -VIRTIO_ERANGE);
	assert_true(b->status & FAILED);
}

static void longer_config(void **state)
{
	struct bus *b = *state;
	struct virtio_block *blk = alloc(b, sizeof(*blk), 16);

	b->config_len = sizeof(b->config);
	virtio_put64(false, b->config, 77);
	assert_int_equal(virtio_block_probe(blk, &b->vdev), 0);
	assert_int_equal(blk->capacity, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAUSE_SETUP("3.1.1-1 3.1.1-5", block_steps, setup, teardown),
		CLAUSE_SETUP("3.1.1-1 3.1.1-5", console_steps, setup, teardown),
		CLAUSE_SETUP("3.1.1-1 3.1.1-5", net_steps, setup, teardown),
		CLAUSE_SETUP("2.1.1-1 2.1.1-2 2.1.1-3", rng_steps, setup, teardown),
		CLAUSE_SETUP("2.2.1-1 2.2.1-3", only_offered, setup, teardown),
		CLAUSE_SETUP("2.2.1-2 2.2.3-2", no_packed_ring_without_version_1, setup, teardown),
		CLAUSE_SETUP("3.1.1-3 3.1.1-4", refused_features, setup, teardown),
		CLAUSE_SETUP("2.5.1-2", optional_fields, setup, teardown),
		CLAUSE_SETUP("2.5.1-3", longer_config, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
