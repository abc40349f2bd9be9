/* SPDX-License-Identifier: MIT */
/* The network device: with its driver over the lguest bus, and with a richer driver made of bare queues for offloads and merging. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/driver-net.h>

#include "bed.h"

struct fixture {
	struct bed *bed;
	struct fake_net fake;
	struct virtio_net *net;
	struct virtio_device *vdev;
	/* Of the bare driver. */
	struct virtio_queue *rx, *tx;
};

static struct fixture *create(bool offload)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->bed = bed_create();
	fake_net_init(&f->fake, offload);
	bed_add(f->bed, net_device_create(&f->fake.be));
	bed_boot(f->bed);
	f->vdev = &bed_next(f->bed, VIRTIO_ID_NET)->vdev;
	return f;
}

static int setup(void **state)
{
	struct fixture *f = create(false);

	f->net = bed_alloc(f->bed, sizeof(*f->net));
	assert_int_equal(virtio_net_probe(f->net, f->vdev), 0);
	*state = f;
	return 0;
}

/* A driver that accepts @wanted and posts nothing by itself. */
static struct fixture *bare(bool offload, uint64_t wanted)
{
	struct fixture *f = create(offload);

	assert_int_equal(virtio_device_setup(f->vdev, wanted), 0);
	assert_int_equal(virtio_device_queue(f->vdev, VIRTIO_NET_QUEUE_RX, NULL, NULL, &f->rx), 0);
	assert_int_equal(virtio_device_queue(f->vdev, VIRTIO_NET_QUEUE_TX, NULL, NULL, &f->tx), 0);
	return f;
}

static int destroy(struct fixture *f)
{
	bed_destroy(f->bed);
	free(f);
	return 0;
}

static int teardown(void **state)
{
	return destroy(*state);
}

static bool deliver(struct fixture *f, const void *frame, size_t len, const struct virtio_net_offload *offload)
{
	struct virtio_iov iov[2] = { { (void *)(uintptr_t)frame, len / 3 }, { (uint8_t *)(uintptr_t)frame + len / 3, len - len / 3 } };

	return f->fake.be.receiver.receive(f->fake.be.receiver.opaque, iov, 2, offload);
}

static void make_frame(uint8_t *frame, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(seed * 17 + i * 3 + i / 256);
}

/* --- the plain driver -------------------------------------------------------------------------------------------------- */

static void address_and_link(void **state)
{
	struct fixture *f = *state;

	assert_memory_equal(f->net->mac, "\2KN\0\0\7", 6);
	assert_true(virtio_net_link(f->net));
	assert_int_equal(f->net->header, 10);
	assert_false(f->fake.tx_csum || f->fake.rx_csum || f->fake.tso4 || f->fake.tso6);
}

static void sends(void **state)
{
	static const struct virtio_net_offload none;
	struct fixture *f = *state;
	uint8_t frame[1514];

	for (unsigned int i = 0; i < 1000; i++) {
		size_t len = 14 + i % 1501;

		make_frame(frame, len, i);
		assert_int_equal(virtio_net_send(f->net, frame, len), 0);
		assert_int_equal(f->fake.frames, i + 1);
		assert_int_equal(f->fake.sent_len, len);
		assert_memory_equal(f->fake.sent, frame, len);
		assert_memory_equal(&f->fake.offload, &none, sizeof(none));
	}
	assert_int_equal(virtio_net_send(f->net, frame, 1515), -VIRTIO_EINVAL);
	/* A frame without a whole Ethernet header is dropped, and the buffer comes back. */
	assert_int_equal(virtio_net_send(f->net, frame, 13), 0);
	assert_int_equal(f->fake.frames, 1000);
}

static void receives(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[1514], got[2000];

	for (unsigned int i = 0; i < 1000; i++) {
		size_t len = 14 + i % 1501;

		make_frame(frame, len, i);
		assert_true(deliver(f, frame, len, NULL));
		bed_interrupts(f->bed);
		assert_int_equal(virtio_net_receive(f->net, got, sizeof(got)), len);
		assert_memory_equal(got, frame, len);
	}
	assert_int_equal(virtio_net_receive(f->net, got, sizeof(got)), 0);
	/* Too long for any buffer: dropped whole, and the next one is well. */
	assert_true(deliver(f, got, 1515, NULL));
	assert_int_equal(virtio_net_receive(f->net, got, sizeof(got)), 0);
	assert_true(deliver(f, frame, 60, NULL));
	assert_int_equal(virtio_net_receive(f->net, got, sizeof(got)), 60);
}

/* Without buffers the backend keeps the frame, and is told when there are some. */
static void receive_backpressure(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[100], got[100];
	unsigned int before;

	for (unsigned int i = 0; i < VIRTIO_NET_RX_BUFFERS; i++) {
		make_frame(frame, 100, i);
		assert_true(deliver(f, frame, 100, NULL));
	}
	make_frame(frame, 100, 99);
	assert_false(deliver(f, frame, 100, NULL));
	before = f->fake.ready;
	assert_int_equal(virtio_net_receive(f->net, got, 100), 100);
	assert_int_equal(f->fake.ready, before + 1);
	assert_true(deliver(f, frame, 100, NULL));
	for (unsigned int i = 1; i < VIRTIO_NET_RX_BUFFERS; i++)
		assert_int_equal(virtio_net_receive(f->net, got, 100), 100);
	assert_int_equal(virtio_net_receive(f->net, got, 100), 100);
	assert_memory_equal(got, frame, 100);
}

/* A backend that cannot send keeps nothing: the frames stay in the ring until it can. */
static void send_backpressure(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[60];
	unsigned int sent = 0;

	f->fake.busy = 1;
	for (;;) {
		int ret;

		make_frame(frame, sizeof(frame), sent);
		ret = virtio_net_send(f->net, frame, sizeof(frame));
		if (ret == -VIRTIO_EAGAIN)
			break;
		assert_int_equal(ret, 0);
		sent++;
	}
	assert_int_equal(sent, VIRTIO_NET_TX_BUFFERS);
	assert_int_equal(f->fake.frames, 0);
	f->fake.be.receiver.tx_ready(f->fake.be.receiver.opaque);
	assert_int_equal(f->fake.frames, sent);
	make_frame(frame, sizeof(frame), sent - 1);
	assert_memory_equal(f->fake.sent, frame, sizeof(frame));
	assert_int_equal(virtio_net_send(f->net, frame, sizeof(frame)), 0);
	assert_int_equal(f->fake.frames, sent + 1);
	f->fake.be.receiver.tx_ready(f->fake.be.receiver.opaque);
	assert_int_equal(f->fake.frames, sent + 1);
}

static void no_driver(void **state)
{
	struct fixture *f = create(false);
	uint8_t frame[60] = { 0 };

	assert_true(deliver(f, frame, 60, NULL));
	f->fake.be.receiver.tx_ready(f->fake.be.receiver.opaque);
	destroy(f);
}

static void reset_while_starved_and_blocked(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[60] = { 0 };
	unsigned int before;

	f->fake.busy = 1;
	assert_int_equal(virtio_net_send(f->net, frame, 60), 0);
	while (deliver(f, frame, 60, NULL))
		;
	virtio_net_remove(f->net);
	f->fake.be.receiver.tx_ready(f->fake.be.receiver.opaque);
	assert_int_equal(f->fake.frames, 0);
	before = f->fake.ready;
	memset(f->net, 0, sizeof(*f->net));
	assert_int_equal(virtio_net_probe(f->net, f->vdev), 0);
	assert_int_equal(f->fake.ready, before + 1);
	assert_int_equal(virtio_net_send(f->net, frame, 60), 0);
	assert_int_equal(f->fake.frames, 1);
}

/* --- offloads ----------------------------------------------------------------------------------------------------------- */

#define TX_ALL (VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_ECN)
#define RX_ALL (VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_ECN)

static void offered_only_with_backend(void **state)
{
	struct fixture *f = create(false), *g = create(true);

	assert_int_equal(f->vdev->bus->get_features(f->vdev) & (TX_ALL | RX_ALL | VIRTIO_NET_F_MRG_RXBUF), 0);
	assert_true((g->vdev->bus->get_features(g->vdev) & (TX_ALL | RX_ALL)) == (TX_ALL | RX_ALL));
	destroy(f);
	destroy(g);
}

static void negotiated_offloads_are_told(void **state)
{
	struct fixture *f = bare(true, TX_ALL | RX_ALL);

	assert_true(f->fake.tx_csum && f->fake.rx_csum && f->fake.tso4 && f->fake.tso6 && f->fake.ecn);
	destroy(f);
	f = bare(true, VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4);
	assert_true(!f->fake.tx_csum && f->fake.rx_csum && f->fake.tso4 && !f->fake.tso6 && !f->fake.ecn);
	destroy(f);
}

/* 5.1.3.1: segmentation without checksums is refused. */
static void dependent_features(void **state)
{
	struct fixture *f = create(true);

	virtio_device_setup(f->vdev, VIRTIO_NET_F_HOST_TSO4);
	assert_non_null(f->bed->complaint);
	assert_false(f->bed->host.slot[0].dev->live);
	destroy(f);
}

/* Transmit a header and @len bytes; returns whether the backend got them. */
static bool transmit(struct fixture *f, const struct virtio_net_offload *o, size_t len)
{
	size_t header = virtio_net_hdr_len(f->vdev->features, false);
	uint8_t *m = bed_alloc(f->bed, header + len);
	struct virtio_iov sg[2] = { { m, header }, { m + header, len } };
	unsigned int before = f->fake.frames;
	unsigned long used;

	m[0] = o->flags;
	m[1] = o->gso_type;
	virtio_put16(false, m + 2, o->hdr_len);
	virtio_put16(false, m + 4, o->gso_size);
	virtio_put16(false, m + 6, o->csum_start);
	virtio_put16(false, m + 8, o->csum_offset);
	assert_true(virtio_add_outbuf(f->tx, sg, 2, &used) >= 0);
	virtio_sync(f->tx);
	assert_int_equal(virtio_wait_done(f->tx, &used), 0);
	return f->fake.frames != before;
}

static void transmit_offloads(void **state)
{
	struct virtio_net_offload tso4 = { 1, VIRTIO_NET_GSO_TCPV4, 54, 1448, 34, 16 }, o;
	struct fixture *f = bare(true, VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4);

	assert_true(transmit(f, &tso4, 20000));
	assert_memory_equal(&f->fake.offload, &tso4, sizeof(tso4));
	assert_int_equal(f->fake.sent_len, 20000);
	/* What was not negotiated or makes no sense goes nowhere. */
	o = tso4, o.gso_type = VIRTIO_NET_GSO_TCPV6;
	assert_false(transmit(f, &o, 2000));
	o = tso4, o.gso_type |= VIRTIO_NET_GSO_ECN;
	assert_false(transmit(f, &o, 2000));
	o = tso4, o.gso_type = VIRTIO_NET_GSO_UDP;
	assert_false(transmit(f, &o, 2000));
	o = tso4, o.gso_type = VIRTIO_NET_GSO_ECN;
	assert_false(transmit(f, &o, 2000));
	o = tso4, o.gso_size = 0;
	assert_false(transmit(f, &o, 2000));
	o = tso4, o.flags = 0;
	assert_false(transmit(f, &o, 2000));
	o = (struct virtio_net_offload){ 1, 0, 0, 0, 1984, 14 };
	assert_true(transmit(f, &o, 2000));
	o.csum_start++;
	assert_false(transmit(f, &o, 2000));
	o = (struct virtio_net_offload){ 1, 0, 0, 0, 0xffff, 0xffff };
	assert_false(transmit(f, &o, 2000));
	/* The largest frame, and one byte more. */
	assert_true(transmit(f, &tso4, VIRTIO_NET_MAX_FRAME));
	assert_false(transmit(f, &tso4, VIRTIO_NET_MAX_FRAME + 1));
	destroy(f);

	f = bare(true, 0);
	o = (struct virtio_net_offload){ 1, 0, 0, 0, 34, 16 };
	assert_false(transmit(f, &o, 100));
	o.flags = 0;
	assert_true(transmit(f, &o, 100));
	destroy(f);
}

static uint8_t *post(struct fixture *f, size_t len, unsigned long *used)
{
	uint8_t *m = bed_alloc(f->bed, len);
	struct virtio_iov sg = { m, len };

	assert_true(virtio_add_inbuf(f->rx, &sg, 0, 1, used) >= 0);
	virtio_sync(f->rx);
	return m;
}

static void receive_offloads(void **state)
{
	struct virtio_net_offload tso4 = { 1, VIRTIO_NET_GSO_TCPV4, 54, 1448, 34, 16 }, valid = { .flags = 2 };
	struct fixture *f = bare(true, VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4);
	uint8_t frame[3000], *m;
	unsigned long used;

	make_frame(frame, sizeof(frame), 1);
	m = post(f, 4000, &used);
	/* Not negotiated: not for this guest. */
	tso4.gso_type = VIRTIO_NET_GSO_TCPV6;
	assert_true(deliver(f, frame, 3000, &tso4));
	virtio_harvest(f->rx);
	assert_false(virtio_is_done(&used));
	tso4.gso_type = VIRTIO_NET_GSO_TCPV4;
	assert_true(deliver(f, frame, 3000, &tso4));
	virtio_harvest(f->rx);
	assert_int_equal(used, 3010);
	assert_memory_equal(m, "\1\1\66\0\250\5\42\0\20\0", 10);
	assert_memory_equal(m + 10, frame, 3000);
	m = post(f, 4000, &used);
	assert_true(deliver(f, frame, 100, &valid));
	virtio_harvest(f->rx);
	assert_int_equal(m[0], 2);
	destroy(f);
}

/* One frame over several buffers; the first says how many. */
static void merged(void **state)
{
	struct fixture *f = bare(true, VIRTIO_NET_F_MRG_RXBUF);
	uint8_t frame[5000], all[8000], *m[4];
	unsigned long used[4];
	size_t at = 0;

	make_frame(frame, sizeof(frame), 5);
	for (int i = 0; i < 3; i++)
		m[i] = post(f, 1500, &used[i]);
	/* 5012 bytes do not fit into 4500: nothing is taken, the driver hears nothing, and its next buffer is asked for. */
	assert_false(deliver(f, frame, 5000, NULL));
	assert_int_equal(virtio_harvest(f->rx), 0);
	f->fake.ready = 0;
	m[3] = post(f, 1500, &used[3]);
	assert_int_equal(f->fake.ready, 1);
	assert_true(deliver(f, frame, 5000, NULL));
	assert_int_equal(virtio_harvest(f->rx), 4);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(used[i], i < 3 ? 1500 : 512);
		memcpy(all + at, m[i], used[i]);
		at += used[i];
	}
	assert_int_equal(at, 5012);
	assert_int_equal(virtio_get16(false, all + 10), 4);
	assert_memory_equal(all + 12, frame, 5000);
	/* A small frame takes one. */
	m[0] = post(f, 1500, &used[0]);
	assert_true(deliver(f, frame, 60, NULL));
	assert_int_equal(virtio_harvest(f->rx), 1);
	assert_int_equal(used[0], 72);
	assert_int_equal(virtio_get16(false, m[0] + 10), 1);
	/* A first buffer without room for the header: the frame is lost, the buffer is not. */
	m[0] = post(f, 11, &used[0]);
	assert_true(deliver(f, frame, 60, NULL));
	assert_int_equal(virtio_harvest(f->rx), 0);
	assert_null(f->bed->complaint);
	destroy(f);
}

/* Buffers in odd pieces: header and frame are cut anywhere. */
static void odd_pieces(void **state)
{
	struct fixture *f = bare(false, 0);
	uint8_t frame[200], *m = bed_alloc(f->bed, 400);
	struct virtio_iov sg[5] = { { m, 3 }, { m + 3, 5 }, { m + 8, 4 }, { m + 12, 1 }, { m + 13, 387 } };
	unsigned long used;

	make_frame(frame, sizeof(frame), 3);
	assert_true(virtio_add_inbuf(f->rx, sg, 0, 5, &used) >= 0);
	virtio_sync(f->rx);
	assert_true(deliver(f, frame, 200, NULL));
	virtio_harvest(f->rx);
	assert_int_equal(used, 210);
	assert_memory_equal(m + 10, frame, 200);
	for (int i = 0; i < 10; i++)
		assert_int_equal(m[i], 0);
	destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(address_and_link, setup, teardown),
		cmocka_unit_test_setup_teardown(sends, setup, teardown),
		cmocka_unit_test_setup_teardown(receives, setup, teardown),
		cmocka_unit_test_setup_teardown(receive_backpressure, setup, teardown),
		cmocka_unit_test_setup_teardown(send_backpressure, setup, teardown),
		cmocka_unit_test(no_driver),
		cmocka_unit_test_setup_teardown(reset_while_starved_and_blocked, setup, teardown),
		cmocka_unit_test(offered_only_with_backend),
		cmocka_unit_test(negotiated_offloads_are_told),
		cmocka_unit_test(dependent_features),
		cmocka_unit_test(transmit_offloads),
		cmocka_unit_test(receive_offloads),
		cmocka_unit_test(merged),
		cmocka_unit_test(odd_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
