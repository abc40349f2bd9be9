/* SPDX-License-Identifier: MIT */
/* The network driver, and a card that tells it what no card should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/driver-net.h>

#include "bench.h"

#define CSUM		(VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM)
#define SEGMENTS	(VIRTIO_NET_DRIVER_WANTED & ~VIRTIO_NET_F_MRG_RXBUF)
#define PART		(VIRTIO_NET_HDR_LONG + VIRTIO_NET_FRAME)	/* a receive buffer */

static uint8_t sent[70000];	/* what the card was given last, header and all */
static size_t sent_len;

static void card_notify(struct virtio_dev *dev, unsigned int queue)
{
	struct virtio_iov iov[8];
	struct vring_buffer buf;

	if (queue == VIRTIO_NET_QUEUE_RX)
		return;
	while (virtio_dev_pop(dev, queue, &buf, iov, 8) > 0) {
		sent_len = virtio_iov_read(buf.out, buf.out_count, 0, sent, sizeof(sent));
		virtio_dev_push(dev, queue, buf.id, 0);
	}
	virtio_dev_flush(dev, queue);
}

static const struct virtio_dev_ops card_ops = { .name = "card", .queue_notify = card_notify, .config_get = bench_config_get };

static struct bench *card(uint64_t offered)
{
	return bench_create(&card_ops, VIRTIO_ID_NET, offered, VIRTIO_NET_CFG_LEN, 2);
}

static struct virtio_net *probe(struct bench *b, uint64_t wanted)
{
	struct virtio_net *net = bench_alloc(b, sizeof(*net));

	net->wanted = wanted;
	assert_int_equal(virtio_net_probe(net, &b->direct.vdev), 0);
	return net;
}

static void finish(struct bench *b, struct virtio_net *net)
{
	virtio_net_remove(net);
	bench_destroy(b);
}

/* The card fills the next buffer: @header, if there is one, and @len bytes of @fill. */
static void part(struct bench *b, const struct virtio_net_offload *header, uint16_t num_buffers, size_t len, uint8_t fill)
{
	static uint8_t data[70000];
	struct virtio_iov iov[8];
	struct vring_buffer buf;
	size_t at = header ? VIRTIO_NET_HDR_LONG : 0;

	memset(data, fill, sizeof(data));
	if (header) {
		virtio_net_offload_write(false, data, header);
		virtio_put16(false, data + VIRTIO_NET_HDR_NUM_BUFFERS, num_buffers);
	}
	assert_int_equal(virtio_dev_pop(&b->dev, VIRTIO_NET_QUEUE_RX, &buf, iov, 8), 1);
	assert_true(at + len <= buf.in_len);
	virtio_iov_write(buf.in, buf.in_count, 0, data, at + len);
	virtio_dev_push(&b->dev, VIRTIO_NET_QUEUE_RX, buf.id, (uint32_t)(at + len));
	virtio_dev_flush(&b->dev, VIRTIO_NET_QUEUE_RX);
}

static const struct virtio_net_offload plain;

/* --- merged frames ----------------------------------------------------------------------------------------------------- */

static void merged(void **state)
{
	struct bench *b = card(VIRTIO_NET_F_MRG_RXBUF);
	struct virtio_net *net = probe(b, VIRTIO_NET_F_MRG_RXBUF);
	uint8_t frame[4096];

	for (int round = 0; round < 20; round++) {
		part(b, &plain, 3, VIRTIO_NET_FRAME, 1);
		assert_int_equal(virtio_net_receive(net, frame, sizeof(frame)), 0);
		part(b, NULL, 0, PART, 2);
		assert_int_equal(virtio_net_receive(net, frame, sizeof(frame)), 0);
		part(b, NULL, 0, 7, 3);
		memset(frame, 0, sizeof(frame));
		assert_int_equal(virtio_net_receive(net, frame, sizeof(frame)), VIRTIO_NET_FRAME + PART + 7);
		assert_int_equal(frame[VIRTIO_NET_FRAME - 1], 1);
		assert_int_equal(frame[VIRTIO_NET_FRAME], 2);
		assert_int_equal(frame[VIRTIO_NET_FRAME + PART - 1], 2);
		assert_int_equal(frame[VIRTIO_NET_FRAME + PART], 3);
		/* One that is cut to the caller's room. */
		part(b, &plain, 2, VIRTIO_NET_FRAME, 4);
		part(b, NULL, 0, 100, 5);
		assert_int_equal(virtio_net_receive(net, frame, 1550), 1550);
		assert_int_equal(frame[1549], 5);
	}
	assert_int_equal(net->dropped, 0);
	finish(b, net);
}

/* Frames whose buffers are not as the header says: each is dropped, and what comes after it is not. */
static void merged_lies(void **state)
{
	struct bench *b = card(VIRTIO_NET_F_MRG_RXBUF);
	struct virtio_net *net = probe(b, VIRTIO_NET_F_MRG_RXBUF);
	uint8_t frame[4096];

	for (int round = 0; round < 20; round++) {
		net->dropped = 0;
		part(b, &plain, 0, 60, 1);
		part(b, &plain, VIRTIO_NET_RX_BUFFERS + 1, 60, 2);
		part(b, &plain, 65535, 60, 2);
		part(b, NULL, 0, 0, 0);
		part(b, NULL, 0, VIRTIO_NET_HDR_LONG - 1, 0);
		part(b, &plain, 1, 0, 3);
		part(b, &plain, 2, VIRTIO_NET_FRAME - 1, 4);
		part(b, NULL, 0, 100, 5);
		part(b, &plain, 1, 60, 6);
		assert_int_equal(virtio_net_receive(net, frame, sizeof(frame)), 60);
		assert_int_equal(frame[0], 6);
		assert_int_equal(net->dropped, 7);
		assert_int_equal(virtio_net_receive(net, frame, sizeof(frame)), 0);
	}
	finish(b, net);
}

/* As many buffers as there are, and a ring that holds fewer than the driver has. */
static void all_buffers(void **state)
{
	static uint8_t frame[70000];

	for (unsigned int size = 4; size <= 64; size *= 4) {
		struct bench *b = card(VIRTIO_NET_F_MRG_RXBUF);
		unsigned int count = size < VIRTIO_NET_RX_BUFFERS ? size : VIRTIO_NET_RX_BUFFERS;
		struct virtio_net *net;

		b->queues[0].num_max = size;
		net = probe(b, VIRTIO_NET_F_MRG_RXBUF);
		assert_int_equal(net->rx_count, count);
		for (int round = 0; round < 20; round++) {
			for (unsigned int i = 0; i < count; i++)
				part(b, i ? NULL : &plain, (uint16_t)count, i ? PART : VIRTIO_NET_FRAME, (uint8_t)i);
			assert_int_equal(virtio_net_receive(net, frame, sizeof(frame)), count * PART - VIRTIO_NET_HDR_LONG);
			part(b, &plain, 1, 1, 7);
			assert_int_equal(virtio_net_receive(net, frame, sizeof(frame)), 1);
		}
		finish(b, net);
	}
}

/* --- checksums and segments -------------------------------------------------------------------------------------------- */

static void checksums(void **state)
{
	struct bench *b = card(CSUM);
	struct virtio_net *net = probe(b, CSUM);
	struct virtio_net_offload checksum = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16 }, got;
	uint8_t frame[100] = { 0 };

	assert_int_equal(virtio_net_send_offload(net, frame, sizeof(frame), &checksum), 0);
	assert_int_equal(sent_len, VIRTIO_NET_HDR_LONG + 100);
	assert_int_equal(sent[0], VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(virtio_get16(false, sent + 6), 34);
	assert_int_equal(virtio_get16(false, sent + 8), 16);
	assert_int_equal(virtio_net_send(net, frame, sizeof(frame)), 0);
	assert_true(virtio_is_zero(sent, VIRTIO_NET_HDR_LONG));
	part(b, &checksum, 1, 60, 1);
	assert_int_equal(virtio_net_receive_offload(net, frame, sizeof(frame), &got), 60);
	assert_memory_equal(&got, &checksum, sizeof(got));
	checksum.flags = VIRTIO_NET_HDR_F_DATA_VALID | 0x80;	/* one that we do not know */
	part(b, &checksum, 1, 60, 1);
	assert_int_equal(virtio_net_receive_offload(net, frame, sizeof(frame), &got), 60);
	assert_int_equal(got.flags, VIRTIO_NET_HDR_F_DATA_VALID);
	assert_int_equal(net->dropped, 0);
	finish(b, net);
}

/* Frames that were sent are collected when their buffers are needed: not sooner, and not too late either. */
static void collects_for_room(void **state)
{
	struct bench *b = card(0);
	struct virtio_net *net = probe(b, 0);
	uint8_t frame[60] = { 0 };

	for (unsigned int i = 0; i < VIRTIO_NET_TX_BUFFERS; i++) {
		assert_int_equal(virtio_net_send(net, frame, sizeof(frame)), 0);
		assert_false(virtio_is_done(&net->tx_buffer[i].used));
	}
	assert_int_equal(virtio_net_send(net, frame, sizeof(frame)), 0);
	assert_true(virtio_is_done(&net->tx_buffer[1].used));
	finish(b, net);
}

/* 5.1.6.2.1: what a driver may not send, it is told so. */
static void refuses_to_send(void **state)
{
	static const struct {
		uint64_t features;
		struct virtio_net_offload offload;
		size_t len;
		int error;
	} cases[] = {
		{ 0, { .flags = 1 }, 100, -VIRTIO_EOPNOTSUPP },
		{ CSUM, { .flags = 1, .gso_type = 1, .gso_size = 9 }, 100, -VIRTIO_EOPNOTSUPP },
		{ CSUM | VIRTIO_NET_F_HOST_TSO6, { .flags = 1, .gso_type = 1, .gso_size = 9 }, 100, -VIRTIO_EOPNOTSUPP },
		{ CSUM | VIRTIO_NET_F_HOST_TSO4, { .flags = 1, .gso_type = 4, .gso_size = 9 }, 100, -VIRTIO_EOPNOTSUPP },
		{ SEGMENTS, { .flags = 1, .gso_type = VIRTIO_NET_GSO_UDP, .gso_size = 9 }, 100, -VIRTIO_EOPNOTSUPP },
		{ SEGMENTS, { .flags = 1, .gso_type = 1 | VIRTIO_NET_GSO_ECN, .gso_size = 9 }, 100, -VIRTIO_EOPNOTSUPP },
		{ SEGMENTS, { .flags = 1, .gso_type = 1 }, 100, -VIRTIO_EINVAL },		/* no size */
		{ SEGMENTS, { .gso_type = 1, .gso_size = 9 }, 100, -VIRTIO_EINVAL },		/* no checksum */
		{ SEGMENTS, { .flags = 1, .gso_type = 1, .gso_size = 9, .hdr_len = 101 }, 100, -VIRTIO_EINVAL },
		{ SEGMENTS, { .flags = VIRTIO_NET_HDR_F_DATA_VALID }, 100, -VIRTIO_EINVAL },
		{ CSUM, { .flags = 1, .csum_start = 90, .csum_offset = 9 }, 100, -VIRTIO_EINVAL },
		{ CSUM, { .flags = 1, .csum_start = 65535, .csum_offset = 65535 }, 100, -VIRTIO_EINVAL },
		{ SEGMENTS, { .flags = 1 }, VIRTIO_NET_FRAME + 1, -VIRTIO_EINVAL },
		{ SEGMENTS, { .flags = 1, .gso_type = 1, .gso_size = 9 }, VIRTIO_NET_MAX_FRAME + 1, -VIRTIO_EINVAL },
	};
	static uint8_t frame[VIRTIO_NET_MAX_FRAME + 1];

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = card(SEGMENTS);
		struct virtio_net *net = probe(b, cases[i].features);

		sent_len = 0;
		assert_int_equal(virtio_net_send_offload(net, frame, cases[i].len, &cases[i].offload), cases[i].error);
		assert_int_equal(sent_len, 0);
		assert_int_equal(virtio_net_send(net, frame, 60), 0);
		finish(b, net);
	}
}

/* 5.1.6.4.1: what a card may not say of a frame of 100 bytes. */
static void header_lies(void **state)
{
	static const struct {
		uint64_t features;
		struct virtio_net_offload offload;
	} cases[] = {
		{ 0, { .flags = 1 } },
		{ 0, { .gso_type = 1, .gso_size = 9 } },
		{ CSUM, { .flags = 1, .gso_type = 1, .gso_size = 9 } },
		{ CSUM | VIRTIO_NET_F_GUEST_TSO6, { .flags = 1, .gso_type = 1, .gso_size = 9 } },
		{ CSUM | VIRTIO_NET_F_GUEST_TSO4, { .flags = 1, .gso_type = 4, .gso_size = 9 } },
		{ SEGMENTS, { .flags = 1, .gso_type = VIRTIO_NET_GSO_UDP, .gso_size = 9 } },
		{ SEGMENTS, { .flags = 1, .gso_type = 1 | VIRTIO_NET_GSO_ECN, .gso_size = 9 } },
		{ SEGMENTS, { .gso_type = VIRTIO_NET_GSO_ECN } },
		{ SEGMENTS, { .flags = 1, .gso_type = 1 } },
		{ SEGMENTS, { .gso_type = 1, .gso_size = 9 } },
		{ SEGMENTS, { .flags = 1, .gso_type = 1, .gso_size = 9, .hdr_len = 101 } },
		{ CSUM, { .flags = 1, .csum_start = 90, .csum_offset = 9 } },
		{ CSUM, { .flags = 1, .csum_start = 65535, .csum_offset = 65535 } },
	};
	struct virtio_net_offload got;
	uint8_t frame[100];

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = card(SEGMENTS);
		struct virtio_net *net = probe(b, cases[i].features);

		part(b, &cases[i].offload, 1, 100, 1);
		assert_int_equal(virtio_net_receive_offload(net, frame, sizeof(frame), &got), 0);
		assert_int_equal(net->dropped, 1);
		part(b, &plain, 1, 100, 2);
		assert_int_equal(virtio_net_receive_offload(net, frame, sizeof(frame), &got), 100);
		assert_memory_equal(&got, &plain, sizeof(got));
		finish(b, net);
	}
}

/* Without the feature for it, "valid" means nothing, and harms nobody. */
static void unasked(void **state)
{
	struct bench *b = card(VIRTIO_NET_DRIVER_WANTED);
	struct virtio_net *net = probe(b, 0);
	struct virtio_net_offload valid = { .flags = VIRTIO_NET_HDR_F_DATA_VALID }, got;
	uint8_t frame[100];

	assert_int_equal(b->direct.vdev.features & VIRTIO_NET_DRIVER_WANTED, 0);
	part(b, &valid, 1, 60, 1);
	assert_int_equal(virtio_net_receive_offload(net, frame, sizeof(frame), &got), 60);
	assert_int_equal(got.flags, 0);
	finish(b, net);
}

/* --- taking over ------------------------------------------------------------------------------------------------------- */

/* Segmentation brings checksums along; a card that offers it without them is none. */
static void what_goes_together(void **state)
{
	struct bench *b = card(SEGMENTS);
	struct virtio_net *net = probe(b, VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_GUEST_TSO6);
	size_t before;

	assert_int_equal(b->dev.features & SEGMENTS, VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | CSUM);
	finish(b, net);

	b = card(VIRTIO_NET_F_HOST_TSO4);
	net = bench_alloc(b, sizeof(*net));
	net->wanted = VIRTIO_NET_F_HOST_TSO4;
	before = b->next;
	assert_int_equal(virtio_net_probe(net, &b->direct.vdev), -VIRTIO_EOPNOTSUPP);
	assert_int_equal(b->next, before);
	assert_true(b->dev.status & VIRTIO_STATUS_FAILED);
	bench_destroy(b);
}

/* Memory is taken for what was agreed, and given back. */
static void memory(void **state)
{
	static const struct {
		uint64_t features;
		size_t least, most;
	} cases[] = {
		{ CSUM | VIRTIO_NET_F_MRG_RXBUF, 0, 0 },
		{ VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_MRG_RXBUF, 128u << 10, 129u << 10 },
		{ VIRTIO_NET_F_GUEST_TSO4, 1u << 20, 1025u << 10 },
		{ VIRTIO_NET_F_HOST_TSO6, 1u << 20, 1025u << 10 },
		{ VIRTIO_NET_DRIVER_WANTED & ~VIRTIO_NET_F_MRG_RXBUF, 2u << 20, 2050u << 10 },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = card(VIRTIO_NET_DRIVER_WANTED), *without = card(VIRTIO_NET_DRIVER_WANTED);
		struct virtio_net *net = probe(b, cases[i].features), *small = probe(without, 0);

		virtio_net_remove(net);
		virtio_net_remove(small);
		assert_in_range(b->freed - without->freed, cases[i].least, cases[i].most);
		assert_in_range(b->next - without->next, cases[i].least, cases[i].most + 64);
		bench_destroy(b);
		bench_destroy(without);
	}
}

static void no_memory(void **state)
{
	struct bench *b = card(VIRTIO_NET_DRIVER_WANTED);
	struct virtio_net *net = bench_alloc(b, sizeof(*net));

	net->wanted = SEGMENTS;
	bench_alloc(b, BENCH_MEMORY - b->next - (1500u << 10));
	assert_int_equal(virtio_net_probe(net, &b->direct.vdev), -VIRTIO_ENOMEM);
	assert_true(b->dev.status & VIRTIO_STATUS_FAILED);
	assert_in_range(b->freed, 1u << 20, 1025u << 10);
	bench_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merged),
		cmocka_unit_test(merged_lies),
		cmocka_unit_test(all_buffers),
		cmocka_unit_test(checksums),
		cmocka_unit_test(collects_for_room),
		cmocka_unit_test(refuses_to_send),
		cmocka_unit_test(header_lies),
		cmocka_unit_test(unasked),
		cmocka_unit_test(what_goes_together),
		cmocka_unit_test(memory),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
