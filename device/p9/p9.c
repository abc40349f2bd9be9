/* SPDX-License-Identifier: MIT */
/*
 * p9.c - a shared directory (virtio device 9). One queue; each buffer is a 9P message and room for its answer.
 *
 * Files may take their time, so nothing that may wait is done on the processor's thread: a message becomes a job of the backend's,
 * which serves them one after the other on a thread of its own (server.c), and the answer is given back on the loop's. That order is
 * also what makes fids simple: nobody else uses them. But most messages ask for what the host's kernel has in memory, and three changes
 * of threads take longer than that: so when no job is under way, those that change nothing are tried at once, and become jobs if they
 * would wait.
 *
 * As for a disk, a reset makes the jobs under way foreign, then waits for them: a foreign job that has not begun does nothing, and the
 * end of one touches neither ring nor guest memory.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <device/device.h>
#include <device/p9/server.h>
#include <virtio/p9.h>

#define QUEUE_SIZE P9_PIECES_MAX

struct p9_device;

struct p9_request {
	struct share_job job;		/* first: what the backend gives back */
	struct p9_device *p9;
	struct p9_request *next;	/* in the list of free ones */
	unsigned int generation;	/* of the device when the request was made */
	uint32_t written;		/* bytes of the answer */
	struct vring_buffer buf;
	struct virtio_iov iov[QUEUE_SIZE];
};

struct p9_device {
	struct virtio_dev dev;
	struct vring_device queue;
	struct share_backend *backend;
	struct p9_request *free;
	_Atomic unsigned int generation;	/* changed under the I/O lock; read by jobs, too */
	struct p9_server server;		/* the jobs'; between drain() and the next run(), the device's */
	struct p9_request requests[QUEUE_SIZE];
};

static struct p9_device *of(struct virtio_dev *dev)
{
	return (struct p9_device *)(void *)dev;
}

static bool foreign(const struct p9_request *req)
{
	return req->generation != atomic_load(&req->p9->generation);
}

static void release(struct p9_request *req)
{
	req->next = req->p9->free;
	req->p9->free = req;
}

static bool serve_one(struct p9_device *p9);

/* On the backend's thread. */
static void work(struct share_job *job)
{
	struct p9_request *req = (struct p9_request *)(void *)job;
	struct vring_buffer *buf = &req->buf;

	if (!foreign(req))
		req->written = p9_server_serve(&req->p9->server, buf->out, buf->out_count, buf->in, buf->in_count);
}

static void done(struct share_job *job)
{
	struct p9_request *req = (struct p9_request *)(void *)job;
	struct p9_device *p9 = req->p9;
	bool was_empty = !p9->free, answered = !foreign(req);

	if (answered)
		virtio_dev_push(&p9->dev, 0, req->buf.id, req->written);
	release(req);
	if (!answered)
		return;
	virtio_dev_flush(&p9->dev, 0);
	/* The queue may hold buffers that found no free request. */
	while (was_empty && serve_one(p9))
		;
}

/* Answer @req, which stays free, if that takes no waiting. */
static bool serve_at_once(struct p9_request *req)
{
	struct p9_device *p9 = req->p9;
	struct vring_buffer *buf = &req->buf;
	uint32_t written;

	if (!p9->backend->ops->now(p9->backend, true))
		return false;
	written = p9_server_serve_now(&p9->server, buf->out, buf->out_count, buf->in, buf->in_count);
	p9->backend->ops->now(p9->backend, false);
	if (!written)
		return false;
	virtio_dev_push(&p9->dev, 0, buf->id, written);
	virtio_dev_flush(&p9->dev, 0);
	return true;
}

static bool serve_one(struct p9_device *p9)
{
	struct p9_request *req = p9->free;

	if (!req || virtio_dev_pop(&p9->dev, 0, &req->buf, req->iov, QUEUE_SIZE) <= 0)
		return false;
	if (req->buf.out_len < P9_HEADER || req->buf.in_len < P9_ERROR_LEN) {
		virtio_dev_break(&p9->dev, "a 9P message without a whole header or without room for an answer");
		return false;
	}
	if (serve_at_once(req))
		return true;
	p9->free = req->next;
	req->generation = atomic_load(&p9->generation);
	req->job = (struct share_job){.work = work, .done = done};
	p9->backend->ops->run(p9->backend, &req->job);
	return true;
}

static void p9_queue_notify(struct virtio_dev *dev, unsigned int queue)
{
	while (serve_one(of(dev)))
		;
}

static void p9_reset(struct virtio_dev *dev)
{
	struct p9_device *p9 = of(dev);

	atomic_fetch_add(&p9->generation, 1);
	p9->backend->ops->drain(p9->backend);
	p9_server_reset(&p9->server);
}

static void p9_config_get(struct virtio_dev *dev, void *config)
{
	const char *tag = of(dev)->backend->tag;
	uint8_t *c = config;

	virtio_put16(dev->big_endian, c + VIRTIO_P9_CFG_TAG_LEN, (uint16_t)strlen(tag));
	memcpy(c + VIRTIO_P9_CFG_TAG, tag, strlen(tag));
}

static void p9_destroy(struct virtio_dev *dev)
{
	struct p9_device *p9 = of(dev);

	p9->backend->ops->close(p9->backend);
	free(p9);
}

static const struct virtio_dev_ops p9_ops = {
	.name = "9p",
	.queue_notify = p9_queue_notify,
	.reset = p9_reset,
	.config_get = p9_config_get,
	.destroy = p9_destroy,
};

struct virtio_dev *p9_device_create(struct share_backend *backend)
{
	struct p9_device *p9 = calloc(1, sizeof(*p9));

	if (!p9)
		return NULL;
	p9->queue.num_max = QUEUE_SIZE;
	p9->dev = (struct virtio_dev){
		.ops = &p9_ops,
		.id = VIRTIO_ID_9P,
		.offered = VIRTIO_DEV_RING_FEATURES | VIRTIO_P9_F_MOUNT_TAG,
		.config_len = VIRTIO_P9_CFG_TAG + strlen(backend->tag),
		.queues = &p9->queue,
		.num_queues = 1,
	};
	p9->backend = backend;
	p9->server.backend = backend;
	for (unsigned int i = 0; i < QUEUE_SIZE; i++) {
		p9->requests[i].p9 = p9;
		release(&p9->requests[i]);
	}
	return &p9->dev;
}
