/* SPDX-License-Identifier: MIT */
/* Large frames and unfinished checksums, between our network driver and our card, on every bus that can agree on them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/driver-net.h>
#include <virtio/fake.h>

#include "../device/bed.h"

static const struct kind {
	const char *name;
	uint64_t without;
} kinds[] = {
	{ "all features", 0 },
	{ "split ring", VIRTIO_F_RING_PACKED },
	{ "nothing merged", VIRTIO_NET_F_MRG_RXBUF },
	{ "split ring, nothing merged, header apart", VIRTIO_F_RING_PACKED | VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_ANY_LAYOUT },
};

#define KINDS	(sizeof(kinds) / sizeof(kinds[0]))

static struct fixture {
	struct virtio_fake *fake;
	struct fake_net card;
	struct virtio_device *vdev;
	struct virtio_net *net;
} f;

static int setup(void **state)
{
	memset(&f, 0, sizeof(f));
	assert_int_equal(virtio_fake_create(*state, &f.fake), 0);
	fake_net_init(&f.card, true);
	assert_int_equal(virtio_fake_add(f.fake, net_device_create(&f.card.be)), 0);
	assert_int_equal(virtio_fake_find(f.fake, 0, &f.vdev), 0);
	f.net = virtio_fake_alloc(f.fake, sizeof(*f.net), 16);
	assert_non_null(f.net);
	f.net->wanted = VIRTIO_NET_DRIVER_WANTED;
	assert_int_equal(virtio_net_probe(f.net, f.vdev), 0);
	return 0;
}

static int teardown(void **state)
{
	virtio_net_remove(f.net);
	assert_null(virtio_fake_broken(f.fake, NULL));
	virtio_fake_destroy(f.fake);
	return 0;
}

static const struct {
	size_t len;
	struct virtio_net_offload offload;
} frames[] = {
	{ 60, { 0 } },
	{ 1514, { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16 } },
	{ 1514, { .flags = 1, .gso_type = VIRTIO_NET_GSO_TCPV4, .hdr_len = 54, .gso_size = 536, .csum_start = 34, .csum_offset = 16 } },
	{ 8192, { .flags = 1, .gso_type = VIRTIO_NET_GSO_TCPV6, .hdr_len = 74, .gso_size = 1440, .csum_start = 54, .csum_offset = 16 } },
	{ 65550, { .flags = 1, .gso_type = VIRTIO_NET_GSO_TCPV4, .hdr_len = 54, .gso_size = 0x1234, .csum_start = 34, .csum_offset = 16 } },
};

#define FRAMES	(sizeof(frames) / sizeof(frames[0]))

static uint8_t frame[VIRTIO_NET_MAX_FRAME], got[VIRTIO_NET_MAX_FRAME];

static void make(unsigned int seed)
{
	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(seed * 31 + i * 7 + i / 256);
}

static void agree(void **state)
{
	const struct virtio_fake_options *options = *state;

	assert_int_equal(f.vdev->features & VIRTIO_NET_DRIVER_WANTED, VIRTIO_NET_DRIVER_WANTED & ~options->without);
	assert_true(f.card.tx_csum && f.card.rx_csum && f.card.tso4 && f.card.tso6 && !f.card.ecn);
}

static void sends(void **state)
{
	for (unsigned int i = 0; i < 40; i++) {
		size_t len = frames[i % FRAMES].len;

		make(i);
		assert_int_equal(virtio_net_send_offload(f.net, frame, len, &frames[i % FRAMES].offload), 0);
		assert_int_equal(f.card.frames, i + 1);
		assert_int_equal(f.card.sent_len, len);
		assert_memory_equal(f.card.sent, frame, len);
		assert_memory_equal(&f.card.offload, &frames[i % FRAMES].offload, sizeof(f.card.offload));
	}
}

static bool deliver(unsigned int i)
{
	size_t len = frames[i % FRAMES].len, cut = len / 3;
	struct virtio_iov iov[2] = { { frame, cut }, { frame + cut, len - cut } };

	make(i);
	return f.card.be.receiver.receive(f.card.be.receiver.opaque, iov, 2, &frames[i % FRAMES].offload);
}

static void check_received(unsigned int i)
{
	size_t len = frames[i % FRAMES].len;
	struct virtio_net_offload offload;

	make(i);
	assert_int_equal(virtio_net_receive_offload(f.net, got, sizeof(got), &offload), len);
	assert_memory_equal(got, frame, len);
	assert_memory_equal(&offload, &frames[i % FRAMES].offload, sizeof(offload));
}

static void receives(void **state)
{
	for (unsigned int i = 0; i < 100; i++) {
		assert_true(deliver(i));
		virtio_fake_deliver(f.fake);
		check_received(i);
	}
	assert_int_equal(f.net->dropped, 0);
}

/* As many as there is room for, and one that has to wait. */
static void receives_many(void **state)
{
	unsigned int in = 0, out = 0;

	for (int round = 0; round < 20; round++) {
		while (deliver(in))
			in++;
		assert_in_range(in - out, 5, VIRTIO_NET_RX_BUFFERS);
		virtio_fake_deliver(f.fake);
		f.card.ready = 0;
		while (out < in)
			check_received(out++);
		assert_int_equal(f.card.ready, 1);
		assert_int_equal(virtio_net_receive(f.net, got, sizeof(got)), 0);
	}
	assert_int_equal(f.net->dropped, 0);
}

static const struct {
	const char *name;
	CMUnitTestFunction run;
} tests[] = {
	{ "agree", agree },
	{ "sends", sends },
	{ "receives", receives },
	{ "receives many", receives_many },
};

#define TESTS	(sizeof(tests) / sizeof(tests[0]))

/* The bed for combination @i; false: there is none, or one without features, or whose buffers hold no frame of the largest size. */
static bool make_bed(unsigned int i, struct virtio_fake_options *options)
{
	struct virtio_fake *fake;

	*options = (struct virtio_fake_options){
		.bus = (enum virtio_fake_bus)(i / KINDS / 2),
		.big_endian = i / KINDS % 2,
		.without = kinds[i % KINDS].without,
		.memory = 8u << 20,
	};
	if (options->bus == VIRTIO_FAKE_LGUEST_DMA || options->bus == VIRTIO_FAKE_LGUEST_TLV || options->bus == VIRTIO_FAKE_STREAM)
		return false;
	if (virtio_fake_create(options, &fake))
		return false;
	virtio_fake_destroy(fake);
	return true;
}

int main(void)
{
	int failed = 0;

	for (unsigned int i = 0; i < VIRTIO_FAKE_BUSES * 2 * KINDS; i++) {
		struct virtio_fake_options options;
		struct CMUnitTest list[TESTS];
		char name[96];

		if (!make_bed(i, &options))
			continue;
		snprintf(name, sizeof(name), "%s, %s-endian, %s", virtio_fake_name(options.bus), options.big_endian ? "big" : "little",
			 kinds[i % KINDS].name);
		for (unsigned int t = 0; t < TESTS; t++)
			list[t] = (struct CMUnitTest){ tests[t].name, tests[t].run, setup, teardown, &options };
		failed += cmocka_run_group_tests_name(name, list, NULL, NULL);
	}
	return failed;
}
