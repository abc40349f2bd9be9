/* SPDX-License-Identifier: MIT */
/* task.c - tasks: a list that any thread may add to, and that one round works off. */
#include "host/loop/parts.h"

void loop_post(struct loop *loop, struct loop_task *task)
{
	bool was_empty = false;

	pthread_mutex_lock(&loop->task_lock);
	if (!task->queued) {
		was_empty = !loop->tasks;
		task->queued = true;
		task->next = NULL;
		*loop->last_task = task;
		loop->last_task = &task->next;
	}
	pthread_mutex_unlock(&loop->task_lock);
	if (was_empty)
		loop_wake(loop);
}

void loop_task_cancel(struct loop *loop, struct loop_task *task)
{
	struct loop_task **link;

	pthread_mutex_lock(&loop->task_lock);
	for (link = &loop->tasks; *link && *link != task;)
		link = &(*link)->next;
	if (*link) {
		*link = task->next;
		if (loop->last_task == &task->next)
			loop->last_task = link;
		task->queued = false;
	}
	pthread_mutex_unlock(&loop->task_lock);
}

static struct loop_task *take_task(struct loop *loop)
{
	struct loop_task *task;

	pthread_mutex_lock(&loop->task_lock);
	task = loop->tasks;
	if (task) {
		loop->tasks = task->next;
		if (!loop->tasks)
			loop->last_task = &loop->tasks;
		task->queued = false;
	}
	pthread_mutex_unlock(&loop->task_lock);
	return task;
}

/* Marks the end of this round's tasks: what is posted behind it waits for the next one. */
static void end_of_round(void *opaque)
{
	*(bool *)opaque = true;
}

void tasks_run(struct loop *loop)
{
	bool reached = false, more;
	struct loop_task end = { .run = end_of_round, .opaque = &reached }, *task;

	pthread_mutex_lock(&loop->task_lock);
	if (!loop->tasks) {
		pthread_mutex_unlock(&loop->task_lock);
		return;
	}
	end.queued = true;
	*loop->last_task = &end;
	loop->last_task = &end.next;
	pthread_mutex_unlock(&loop->task_lock);

	while (!reached) {
		task = take_task(loop);
		task->run(task->opaque);
	}
	/* Posts during the round may have found the list not empty, and so have left the waking to us. */
	pthread_mutex_lock(&loop->task_lock);
	more = loop->tasks != NULL;
	pthread_mutex_unlock(&loop->task_lock);
	if (more)
		loop_wake(loop);
}
