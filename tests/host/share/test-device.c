/* SPDX-License-Identifier: MIT */
/* The share device over the lguest bus: the tag, the queue, the thread behind it, and the end of a session. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtio/driver.h>
#include <virtio/p9.h>

#include "client.h"
#include "tests/device/bed.h"

struct fixture {
	struct client client;
	struct bed *bed;
	struct virtio_device *vdev;
	struct virtio_queue *queue;
};

static void run_share(struct bed *bed)
{
	struct fixture *f = bed->opaque;

	loop_run_once(f->client.loop, 100);
}

static void probe(struct fixture *f)
{
	assert_int_equal(virtio_device_setup(f->vdev, VIRTIO_P9_F_MOUNT_TAG | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC), 0);
	assert_int_equal(virtio_device_queue(f->vdev, 0, NULL, NULL, &f->queue), 0);
	virtio_device_ready(f->vdev);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	client_begin(&f->client, false);
	f->bed = bed_create();
	f->bed->opaque = f;
	f->bed->idle = run_share;
	bed_add(f->bed, p9_device_create(f->client.be));
	bed_boot(f->bed);
	f->vdev = &bed_next(f->bed, VIRTIO_ID_9P)->vdev;
	probe(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bed_destroy(f->bed);	/* closes the share */
	f->client.be = NULL;
	client_end(&f->client);
	free(f);
	return 0;
}

/* A request in guest memory, and room for its answer. */
struct exchange {
	uint8_t *out, *in;
	unsigned long used;
};

static void start(struct fixture *f, struct exchange *e, uint8_t type, const char *format, ...)
{
	struct client *c = &f->client;
	struct virtio_iov sg[2];
	va_list fields;

	va_start(fields, format);
	client_vput(c, type, format, fields);
	va_end(fields);
	e->out = bed_alloc(f->bed, c->request_len);
	e->in = bed_alloc(f->bed, 1024);
	memcpy(e->out, c->request, c->request_len);
	sg[0] = (struct virtio_iov){e->out, c->request_len};
	sg[1] = (struct virtio_iov){e->in, 1024};
	assert_true(virtio_add_inbuf(f->queue, sg, 1, 2, &e->used) >= 0);
}

static void finish(struct fixture *f, struct exchange *e, uint8_t type)
{
	virtio_sync(f->queue);
	assert_int_equal(virtio_wait_done(f->queue, &e->used), 0);
	assert_int_equal(e->in[4], type);
	assert_int_equal(virtio_get32(false, e->in), e->used);
}

static void begin_session(struct fixture *f)
{
	struct exchange e;

	start(f, &e, P9_TVERSION, "ds", 8192u, "9P2000.L");
	finish(f, &e, P9_TVERSION + 1);
	start(f, &e, P9_TATTACH, "ddssd", 0u, P9_NOFID, "root", "", 0u);
	finish(f, &e, P9_TATTACH + 1);
}

static void tag(void **state)
{
	struct fixture *f = *state;
	uint16_t len;
	char text[3];

	assert_true(virtio_device_has(f->vdev, VIRTIO_P9_F_MOUNT_TAG));
	assert_int_equal(virtio_config_get16(f->vdev, VIRTIO_P9_CFG_TAG_LEN, &len), 0);
	assert_int_equal(len, 3);
	assert_int_equal(f->vdev->bus->get(f->vdev, VIRTIO_P9_CFG_TAG, text, 3), 0);
	assert_memory_equal(text, "tag", 3);
}

static void a_session(void **state)
{
	struct fixture *f = *state;
	struct exchange e;

	begin_session(f);
	host_write(&f->client, "share/file", "from the host");
	start(f, &e, P9_TWALK, "ddws", 0u, 1u, 1u, "file");
	finish(f, &e, P9_TWALK + 1);
	start(f, &e, P9_TLOPEN, "dd", 1u, 0u);
	finish(f, &e, P9_TLOPEN + 1);
	start(f, &e, P9_TREAD, "dqd", 1u, UINT64_C(0), 100u);
	finish(f, &e, P9_TREAD + 1);
	assert_memory_equal(e.in + 11, "from the host", 13);
	assert_null(f->bed->complaint);
}

/* What changes nothing, and is known already, is answered before the kick returns. */
static void at_once(void **state)
{
	enum { COUNT = 60 };
	static struct exchange e[COUNT];
	struct fixture *f = *state;

	begin_session(f);
	for (unsigned int i = 0; i < COUNT; i += 3) {
		start(f, &e[i], P9_TWALK, "ddw", 0u, 1u, 0u);
		start(f, &e[i + 1], P9_TGETATTR, "dq", 1u, UINT64_C(0x7ff));
		start(f, &e[i + 2], P9_TCLUNK, "d", 1u);
	}
	virtio_sync(f->queue);
	assert_int_equal(virtio_harvest(f->queue), COUNT);
	for (unsigned int i = 0; i < COUNT; i += 3) {
		finish(f, &e[i], P9_TWALK + 1);
		finish(f, &e[i + 1], P9_TGETATTR + 1);
		finish(f, &e[i + 2], P9_TCLUNK + 1);
	}
}

static atomic_bool held;

static void hold(struct share_job *job)
{
	while (atomic_load(&held))
		usleep(1000);
}

static void nothing(struct share_job *job)
{
}

/* While something is under way nothing is done on the thread that kicks; what was asked in order is done in order. */
static void in_order(void **state)
{
	enum { COUNT = 60 };
	static struct exchange e[COUNT];
	struct share_job job = {.work = hold, .done = nothing};
	struct fixture *f = *state;

	begin_session(f);
	atomic_store(&held, true);
	f->client.be->ops->run(f->client.be, &job);
	for (unsigned int i = 0; i < COUNT; i++)
		if (i % 2 == 0)
			start(f, &e[i], P9_TWALK, "ddw", 0u, 1u, 0u);
		else
			start(f, &e[i], P9_TCLUNK, "d", 1u);
	virtio_sync(f->queue);
	assert_int_equal(virtio_harvest(f->queue), 0);
	atomic_store(&held, false);
	for (unsigned int i = 0; i < COUNT; i++)
		finish(f, &e[i], i % 2 ? P9_TCLUNK + 1 : P9_TWALK + 1);
}

/* After a reset nothing is answered any more, no file is held, and a new session can begin. */
static void reset_under_way(void **state)
{
	struct fixture *f = *state;
	struct exchange e[2];

	begin_session(f);
	start(f, &e[0], P9_TWALK, "ddw", 0u, 1u, 0u);
	start(f, &e[1], P9_TMKDIR, "dsdd", 0u, "dir", 0755u, 0u);
	virtio_sync(f->queue);
	io_lock();
	virtio_device_remove(f->vdev);
	io_unlock();
	assert_true(e[0].used == VIRTIO_CANCELLED);
	assert_true(e[1].used == VIRTIO_CANCELLED);
	loop_run_once(f->client.loop, 0);
	probe(f);
	start(f, &e[0], P9_TGETATTR, "dq", 0u, UINT64_C(0));
	finish(f, &e[0], P9_RLERROR);
	begin_session(f);
	start(f, &e[0], P9_TGETATTR, "dq", 1u, UINT64_C(0));
	finish(f, &e[0], P9_RLERROR);
}

static void breaks(struct fixture *f, size_t out, size_t in)
{
	static unsigned long used;
	uint8_t *m = bed_alloc(f->bed, 64);
	struct virtio_iov sg[2] = {{m, out}, {m + 32, in}};

	assert_true(virtio_add_inbuf(f->queue, sg, 1, 2, &used) >= 0);
	virtio_sync(f->queue);
	assert_non_null(f->bed->complaint);
	assert_false(virtio_is_done(&used));
	assert_true(f->bed->host.slot[0].dev->status & VIRTIO_STATUS_NEEDS_RESET);
}

static void no_header(void **state)
{
	breaks(*state, P9_HEADER - 1, P9_ERROR_LEN);
}

static void no_room(void **state)
{
	breaks(*state, P9_HEADER, P9_ERROR_LEN - 1);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(tag), test(a_session), test(at_once), test(in_order), test(reset_under_way), test(no_header), test(no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
