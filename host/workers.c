/* SPDX-License-Identifier: MIT */
#include "host/workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "host/clock.h"
#include "host/thread.h"

struct queue {
	struct worker_job *first, **last;
};

struct workers {
	struct loop *loop;
	struct loop_task finish;
	pthread_mutex_t lock;		/* guards all below */
	pthread_cond_t changed;		/* for workers: more to do */
	pthread_cond_t quiet;		/* for workers_drain(): nothing waits or runs */
	struct queue waiting, finished;
	unsigned int limit, threads, idle, queued, running;
	uint64_t hold_ns, held_since;	/* held_since: when the first of those that have run and are not reported had; 0 = there is none */
	bool ending;
	pthread_t thread[];
};

static void put(struct queue *queue, struct worker_job *job)
{
	job->next = NULL;
	*queue->last = job;
	queue->last = &job->next;
}

static struct worker_job *take(struct queue *queue)
{
	struct worker_job *job = queue->first;

	if (job) {
		queue->first = job->next;
		if (!queue->first)
			queue->last = &queue->first;
	}
	return job;
}

/* A job has run. True if the loop must hear of it now, and not together with those that wait. */
static bool must_report(struct workers *workers)
{
	if (workers->hold_ns && workers->queued) {
		uint64_t now = clock_monotonic_ns();

		if (!workers->held_since)
			workers->held_since = now;
		if (now - workers->held_since < workers->hold_ns)
			return false;
	}
	workers->held_since = 0;
	return true;
}

static void *worker(void *opaque)
{
	struct workers *workers = opaque;
	struct worker_job *job;

	pthread_mutex_lock(&workers->lock);
	for (;;) {
		job = take(&workers->waiting);
		if (!job) {
			if (workers->ending)
				break;
			workers->idle++;
			pthread_cond_wait(&workers->changed, &workers->lock);
			workers->idle--;
			continue;
		}
		workers->queued--;
		workers->running++;
		pthread_mutex_unlock(&workers->lock);
		job->work(job);
		pthread_mutex_lock(&workers->lock);
		workers->running--;
		put(&workers->finished, job);
		if (!workers->queued && !workers->running)
			pthread_cond_broadcast(&workers->quiet);
		if (must_report(workers))
			loop_post(workers->loop, &workers->finish);
	}
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

static void finish_jobs(void *opaque)
{
	struct workers *workers = opaque;
	struct worker_job *job;

	for (;;) {
		pthread_mutex_lock(&workers->lock);
		job = take(&workers->finished);
		pthread_mutex_unlock(&workers->lock);
		if (!job)
			return;
		job->done(job);
	}
}

struct workers *workers_create(struct loop *loop, unsigned int limit, struct error *err)
{
	struct workers *workers = calloc(1, sizeof(*workers) + limit * sizeof(workers->thread[0]));

	if (!workers) {
		error_errno(err, ENOMEM, "worker threads");
		return NULL;
	}
	workers->loop = loop;
	workers->limit = limit;
	workers->finish.run = finish_jobs;
	workers->finish.opaque = workers;
	workers->waiting.last = &workers->waiting.first;
	workers->finished.last = &workers->finished.first;
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->changed, NULL);
	pthread_cond_init(&workers->quiet, NULL);
	return workers;
}

void workers_hold(struct workers *workers, uint64_t ns)
{
	pthread_mutex_lock(&workers->lock);
	workers->hold_ns = ns;
	pthread_mutex_unlock(&workers->lock);
}

int workers_submit(struct workers *workers, struct worker_job *job)
{
	int error = 0;

	pthread_mutex_lock(&workers->lock);
	if (workers->queued >= workers->idle && workers->threads < workers->limit &&
	    thread_start(&workers->thread[workers->threads], "kennel-worker", worker, workers) == 0)
		workers->threads++;
	if (workers->threads) {
		put(&workers->waiting, job);
		workers->queued++;
		pthread_cond_signal(&workers->changed);
	} else {
		error = -EAGAIN;
	}
	pthread_mutex_unlock(&workers->lock);
	return error;
}

bool workers_rest(struct workers *workers)
{
	bool rest;

	pthread_mutex_lock(&workers->lock);
	rest = !workers->queued && !workers->running;
	pthread_mutex_unlock(&workers->lock);
	return rest;
}

void workers_drain(struct workers *workers)
{
	bool finished;

	do {
		pthread_mutex_lock(&workers->lock);
		while (workers->queued || workers->running)
			pthread_cond_wait(&workers->quiet, &workers->lock);
		finished = !workers->finished.first;
		pthread_mutex_unlock(&workers->lock);
		finish_jobs(workers);
	} while (!finished);
}

void workers_destroy(struct workers *workers)
{
	if (!workers)
		return;
	pthread_mutex_lock(&workers->lock);
	workers->ending = true;
	pthread_cond_broadcast(&workers->changed);
	pthread_mutex_unlock(&workers->lock);
	for (unsigned int i = 0; i < workers->threads; i++)
		pthread_join(workers->thread[i], NULL);
	workers->threads = workers->limit = 0;	/* a done() that submits again is refused */
	finish_jobs(workers);
	loop_task_cancel(workers->loop, &workers->finish);
	pthread_cond_destroy(&workers->changed);
	pthread_cond_destroy(&workers->quiet);
	pthread_mutex_destroy(&workers->lock);
	free(workers);
}
