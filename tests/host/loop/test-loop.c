/* SPDX-License-Identifier: MIT */
#include "tests/host/helper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/workers.h"

static char order[64];

static void note(const char *what)
{
	assert_true(io_locked());
	strcat(order, what);
}

/* --- order ----------------------------------------------------------------------------------------------------------- */

struct step {
	struct loop *loop;
	const char *name;
	struct loop_task task;
	struct loop_timer timer;
	struct step *then;
	int fd;
};

static void step_ready(void *opaque, uint32_t events)
{
	struct step *step = opaque;
	char byte;

	note(step->name);
	assert_int_equal(read(step->fd, &byte, 1), 1);
}

static void step_run(void *opaque)
{
	struct step *step = opaque;

	note(step->name);
	if (step->then)
		loop_post(step->loop, &step->then->task);
}

static void test_order(void **state)
{
	struct loop *loop = new_loop();
	struct step fd = { .name = "f" }, early = { .name = "e" }, late = { .name = "l" };
	struct step first = { .name = "1", .loop = loop }, second = { .name = "2" }, third = { .name = "3" };
	int pair[2];

	order[0] = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fd.fd = pair[0];
	loop_watch(loop, pair[0], EPOLLIN, step_ready, &fd);
	early.timer = (struct loop_timer){ .expired = step_run, .opaque = &early };
	late.timer = (struct loop_timer){ .expired = step_run, .opaque = &late };
	loop_timer_set(loop, &late.timer, 2000);
	loop_timer_set(loop, &early.timer, 1000);
	first.task = (struct loop_task){ .run = step_run, .opaque = &first };
	second.task = (struct loop_task){ .run = step_run, .opaque = &second };
	third.task = (struct loop_task){ .run = step_run, .opaque = &third };
	first.then = &third;
	loop_post(loop, &first.task);
	loop_post(loop, &second.task);
	loop_post(loop, &first.task);		/* once, however often */
	assert_int_equal(write(pair[1], "x", 1), 1);

	loop_run_once(loop, 1000);
	assert_string_equal(order, "fel12");
	loop_run_once(loop, 1000);		/* what a task posts is the next round's, and wakes it */
	assert_string_equal(order, "fel123");
	loop_run_once(loop, 0);
	assert_string_equal(order, "fel123");
	loop_destroy(loop);
	close(pair[0]);
	close(pair[1]);
}

static void test_cancel(void **state)
{
	struct loop *loop = new_loop();
	struct step task = { .name = "t" }, timer = { .name = "T" }, last = { .name = "z" };

	order[0] = 0;
	task.task = (struct loop_task){ .run = step_run, .opaque = &task };
	last.task = (struct loop_task){ .run = step_run, .opaque = &last };
	timer.timer = (struct loop_timer){ .expired = step_run, .opaque = &timer };
	loop_post(loop, &last.task);
	loop_post(loop, &task.task);
	loop_timer_set(loop, &timer.timer, 1);
	loop_task_cancel(loop, &task.task);
	loop_timer_cancel(loop, &timer.timer);
	loop_run_once(loop, 0);
	assert_string_equal(order, "z");
	loop_post(loop, &task.task);		/* the list is whole again */
	loop_timer_set(loop, &timer.timer, clock_monotonic_ns() + 5 * NSEC_PER_MSEC);
	run_until(loop, strlen(order) == 3);
	assert_string_equal(order, "ztT");
	loop_destroy(loop);
}

static void test_timer_moves(void **state)
{
	struct loop *loop = new_loop();
	struct step a = { .name = "a" }, b = { .name = "b" };
	uint64_t now = clock_monotonic_ns();

	order[0] = 0;
	a.timer = (struct loop_timer){ .expired = step_run, .opaque = &a };
	b.timer = (struct loop_timer){ .expired = step_run, .opaque = &b };
	loop_timer_set(loop, &a.timer, now + 3600 * NSEC_PER_SEC);
	loop_timer_set(loop, &b.timer, now + 20 * NSEC_PER_MSEC);
	loop_timer_set(loop, &a.timer, now + 5 * NSEC_PER_MSEC);
	run_until(loop, strlen(order) == 2);
	assert_string_equal(order, "ab");
	assert_true(clock_monotonic_ns() >= now + 20 * NSEC_PER_MSEC);
	loop_destroy(loop);
}

/* --- removal while ready --------------------------------------------------------------------------------------------- */

static struct loop_watch *rivals[2];
static int rivals_run;

static void remove_both(void *opaque, uint32_t events)
{
	rivals_run++;
	for (int i = 0; i < 2; i++)
		loop_unwatch(rivals[i]);
}

static void silence_other(void *opaque, uint32_t events)
{
	rivals_run++;
	loop_watch_set(rivals[opaque == &rivals[0]], 0);
}

static void run_rivals(void (*ready)(void *opaque, uint32_t events))
{
	struct loop *loop = new_loop();
	int pair[2][2];

	rivals_run = 0;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair[i]), 0);
		rivals[i] = loop_watch(loop, pair[i][0], EPOLLIN, ready, &rivals[i]);
		assert_int_equal(write(pair[i][1], "x", 1), 1);
	}
	loop_run_once(loop, 1000);
	assert_int_equal(rivals_run, 1);
	loop_destroy(loop);
	for (int i = 0; i < 2; i++) {
		close(pair[i][0]);
		close(pair[i][1]);
	}
}

static void test_remove_within_callback(void **state)
{
	run_rivals(remove_both);
	run_rivals(silence_other);
}

static void test_hangup_of_silenced(void **state)
{
	struct loop *loop = new_loop();
	struct loop_watch *watch;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	rivals_run = 0;
	watch = loop_watch(loop, pair[0], EPOLLIN, silence_other, NULL);
	loop_watch_set(watch, 0);
	close(pair[1]);
	loop_run_once(loop, 10);
	assert_int_equal(rivals_run, 0);
	loop_destroy(loop);
	close(pair[0]);
}

static void test_regular_file(void **state)
{
	struct loop *loop = new_loop();
	FILE *file = tmpfile();

	assert_null(loop_watch(loop, fileno(file), EPOLLIN, silence_other, NULL));
	assert_int_equal(errno, EPERM);
	fclose(file);
	loop_destroy(loop);
}

/* --- threads --------------------------------------------------------------------------------------------------------- */

static atomic_int counted;
static atomic_bool on_loop;
static struct loop *threaded;

static void count_run(void *opaque)
{
	on_loop = loop_is_self(threaded);
	counted++;
}

static void *post_many(void *opaque)
{
	struct loop_task *task = opaque;

	for (int i = 0; i < 1000; i++) {
		int before = counted;

		loop_post(threaded, task);
		while (counted == before)
			sched_yield();
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct loop_task task = { .run = count_run };
	struct error err;
	pthread_t poster;
	sigset_t mask;

	threaded = new_loop();
	counted = 0;
	assert_int_equal(loop_start(threaded, &err), 0);
	assert_int_equal(pthread_create(&poster, NULL, post_many, &task), 0);
	while (counted < 1000) {
		io_lock();
		assert_true(io_locked());
		io_unlock();
		sched_yield();
	}
	pthread_join(poster, NULL);
	assert_int_equal(counted, 1000);
	assert_true(on_loop);
	loop_stop(threaded);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	assert_false(sigismember(&mask, SIGTERM));	/* ours is as it was */
	loop_destroy(threaded);
}

static atomic_int caught;

static void catch(void *opaque, int signo)
{
	caught = signo;
}

static void test_signals(void **state)
{
	struct error err;

	threaded = new_loop();
	assert_int_equal(loop_signal(threaded, SIGTERM, catch, NULL), 0);
	assert_true(loop_has_signal(threaded, SIGTERM));
	assert_int_equal(loop_start(threaded, &err), 0);
	kill(getpid(), SIGTERM);
	wait_until(caught == SIGTERM);
	loop_stop(threaded);
	loop_destroy(threaded);
}

static atomic_int loop_tid;

static void note_tid(void *opaque)
{
	loop_tid = gettid();
}

static void ignore(int signo)
{
}

/* How often a thread has gone to sleep. */
static long sleeps(int tid)
{
	char path[64], line[128];
	long count = -1;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	status = fopen(path, "r");
	assert_non_null(status);
	while (fgets(line, sizeof(line), status))
		sscanf(line, "voluntary_ctxt_switches: %ld", &count);
	fclose(status);
	return count;
}

/* Faults of the guest's are signals to another thread: the loop must sleep through them. */
static void test_others_signals(void **state)
{
	struct loop_task task = { .run = note_tid };
	struct error err;
	long before;

	threaded = new_loop();
	assert_int_equal(loop_signal(threaded, SIGTERM, catch, NULL), 0);
	assert_int_equal(loop_start(threaded, &err), 0);
	loop_post(threaded, &task);
	wait_until(loop_tid);
	signal(SIGUSR2, ignore);
	before = sleeps(loop_tid);
	for (unsigned int i = 0; i < 200; i++) {
		pthread_kill(pthread_self(), SIGUSR2);
		usleep(50);
	}
	assert_in_range(sleeps(loop_tid), before, before + 20);
	signal(SIGUSR2, SIG_DFL);
	loop_stop(threaded);
	loop_destroy(threaded);
}

/* --- workers --------------------------------------------------------------------------------------------------------- */

struct addition {
	struct worker_job job;
	struct workers *workers;
	int rounds, refused;
	bool locked_in_work;
};

static atomic_int added;

static void add(struct worker_job *job)
{
	struct addition *addition = (struct addition *)job;
	struct timespec nap = { 0, 100000 };

	addition->locked_in_work |= io_locked();
	nanosleep(&nap, NULL);
}

static void add_done(struct worker_job *job)
{
	struct addition *addition = (struct addition *)job;

	added++;
	if (--addition->rounds > 0)
		addition->refused = workers_submit(addition->workers, job);
}

static void test_workers(void **state)
{
	struct addition additions[20] = { 0 };
	struct workers *workers;
	struct error err;

	threaded = new_loop();
	added = 0;
	workers = workers_create(threaded, 3, &err);
	assert_non_null(workers);
	assert_int_equal(loop_start(threaded, &err), 0);
	io_lock();
	for (int i = 0; i < 20; i++) {
		additions[i].job.work = add;
		additions[i].job.done = add_done;
		additions[i].workers = workers;
		additions[i].rounds = 5;
		assert_int_equal(workers_submit(workers, &additions[i].job), 0);
	}
	io_unlock();
	wait_until(added == 100);
	io_lock();
	additions[0].rounds = 3;
	workers_submit(workers, &additions[0].job);
	workers_drain(workers);
	assert_int_equal(added, 103);		/* also those that done() started */
	io_unlock();
	loop_stop(threaded);
	additions[0].rounds = 2;
	workers_submit(workers, &additions[0].job);
	workers_destroy(workers);
	assert_int_equal(additions[0].refused, -EAGAIN);	/* too late: there is nobody left to run it */
	assert_int_equal(added, 104);		/* without a loop, too */
	assert_false(additions[0].locked_in_work);
	loop_destroy(threaded);
}

enum { HELD = 6 };

struct held_job {
	struct worker_job job;
	bool waits;		/* its work ends when some job has been reported, or after ten seconds */
};

static atomic_int ran, reported, ran_at_first_report;

static void run_held(struct worker_job *job)
{
	struct timespec nap = { 0, 2 * NSEC_PER_MSEC };

	nanosleep(&nap, NULL);
	for (int i = 0; ((struct held_job *)job)->waits && !reported && i < 5000; i++)
		nanosleep(&nap, NULL);
	ran++;
}

static void report_held(struct worker_job *job)
{
	if (!reported)
		ran_at_first_report = ran;
	reported++;
}

/*
 * Jobs of 2 ms each and one thread for them, which holds reports back for @hold_ns. The first report must come when @expected have run;
 * the next job waits for it.
 */
static void check_hold(uint64_t hold_ns, int expected)
{
	struct held_job jobs[HELD] = { 0 };
	struct workers *workers;
	struct error err;

	threaded = new_loop();
	ran = reported = 0;
	workers = workers_create(threaded, 1, &err);
	assert_non_null(workers);
	workers_hold(workers, hold_ns);
	assert_int_equal(loop_start(threaded, &err), 0);
	io_lock();
	for (int i = 0; i < HELD; i++) {
		jobs[i].job = (struct worker_job){ .work = run_held, .done = report_held };
		jobs[i].waits = i == expected;
		assert_int_equal(workers_submit(workers, &jobs[i].job), 0);
	}
	io_unlock();
	wait_until(reported == HELD);
	loop_stop(threaded);
	workers_destroy(workers);
	loop_destroy(threaded);
	assert_int_equal(ran_at_first_report, expected);
}

static void test_workers_hold(void **state)
{
	check_hold(0, 1);			/* at once */
	check_hold(NSEC_PER_MSEC, 2);		/* when the time is over and the next one has run */
	check_hold(100 * NSEC_PER_SEC, HELD);	/* when nothing waits any more, whatever the time */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_timer_moves),
		cmocka_unit_test(test_remove_within_callback),
		cmocka_unit_test(test_hangup_of_silenced),
		cmocka_unit_test(test_regular_file),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_others_signals),
		cmocka_unit_test(test_workers),
		cmocka_unit_test(test_workers_hold),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
