/* SPDX-License-Identifier: MIT */
/*
 * oracle.c - instruction truth: run every instruction form natively and under the processor under test, and compare.
 *
 * A worker process walks through forms, instances of each form and states for each instance, in batches: while the 32-bit child
 * runs a batch, the worker runs the same cases translated. The supervisor only watches: when translated code takes the worker
 * down or hangs it, the supervisor prints the case it was at, counts a difference and starts another worker after that case.
 *
 * Every case has a name, FORM:INSTANCE:STATE, from which (with the seed) it can be made again alone.
 */
#include <getopt.h>
#include <inttypes.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/cpu/x86/oracle/compare.h"
#include "tests/cpu/x86/oracle/forms.h"
#include "tests/cpu/x86/oracle/native.h"
#include "tests/cpu/x86/oracle/qemu.h"
#include "tests/cpu/x86/oracle/sequences.h"
#include "tests/cpu/x86/oracle/states.h"
#ifdef HAVE_CPU
#include "cpu/x86/state.h"
#include "tests/cpu/x86/oracle/translated.h"
#endif

/* QEMU takes several times as long for a state as a processor: it gets fewer. */
enum { QEMU_COSTS = 4 };

enum { MAX_NAMES = 64, HANG_SECONDS = 20, MAX_CRASHES_PER_FORM = 3 };

struct position {
	uint32_t form, instance, state;
};

static struct options {
	const char *native_path;
	enum native_way way;
	uint64_t seed;
	uint32_t effort;	/* percent of the usual number of states */
	uint32_t print;		/* differences printed for one form */
	uint32_t stop;		/* give up after so many differences */
	bool native_only, verbose, list, one, all;
	const char *filter, *except;
	struct position only;
	uint32_t sequences;	/* how many random programs */
	struct state_options states;
} options = {
	.seed = 1, .effort = 100, .sequences = 20000, .print = 2, .stop = 1000000, .states = { .segments = true, .steps = true },
};

/* Shared between the supervisor and its workers. */
static struct progress {
	struct position now, next;	/* being run translated; where to go on after a crash */
	uint64_t cases, same, undefined, different, untestable, not_offered, segment_check, beats;
	uint64_t known, reasons[64], given_up;	/* what QEMU does differently, by exception; how often it ended */
	uint64_t forms, instances, crashes;
	uint64_t traps[64];		/* how the native side ended; the last one is for everything unexpected */
	uint32_t *form_differences;	/* counters for each form */
	uint32_t *form_undefined, *form_cases, *form_completed;
	bool done;
	char refused[MAX_NAMES][32];	/* mnemonics not offered */
} *progress;

static struct forms forms;
static regex_t filter, except;

static bool selected(uint32_t f)
{
	if (options.one)
		return f == options.only.form;
	if (options.except && !regexec(&except, forms.form[f].name, 0, NULL, 0))
		return false;
	return !options.filter || !regexec(&filter, forms.form[f].name, 0, NULL, 0);
}

/* Redundant prefixes and undefined opcodes get a sample only. */
static void plan(const struct form *form, uint32_t *instances, uint32_t *states)
{
	if (form->sequence) {
		*instances = options.sequences * options.effort / 100;
		*states = 4;
		return;
	}
	*instances = form->mem || !form->modrm ? 24 : 12;
	*states = form->mem ? 14 : 20;
	if (!form->modrm && form->valid && form->mnemonic != ZYDIS_MNEMONIC_INVALID)
		*instances = 16, *states = 20;
	if (form->redundant)
		*instances = 2, *states = 8;
	if (!form->valid)
		*instances = 2, *states = 2;
	*instances = *instances * options.effort / 100;
	if (!*instances)
		*instances = 1;
}

/*
 * The two sides.
 */

static struct native native, second;
#ifdef HAVE_CPU
static struct translated translated;
#endif

struct entry {
	struct position position;
	struct instance instance;	/* or, for sequences: */
	struct program program;
};

static struct entry batch[MAX_CASES];
static uint32_t batch_len;

static struct control *ours(void)
{
#ifdef HAVE_CPU
	if (!options.native_only)
		return translated.control;
#endif
	return second.control;
}

static uint8_t background[AREA_BYTES];

static int start_sides(void)
{
	background_make(background, options.seed);
	if (native_start(&native, options.native_path, options.way, background))
		return -1;
	options.states.low = !native.control->low_absent;
	if (native.control->ldt_absent)
		options.states.segments = false;
#ifdef HAVE_CPU
	if (!options.native_only) {
		if (translated_start(&translated, native.control, 0))
			return -1;
		translated.cpu->quick_loop = options.seed % 2;	/* the host's own choice or not */
		return 0;
	}
#endif
	return native_start(&second, options.native_path, options.way, background);
}

#ifdef HAVE_CPU
static void on_alarm(int signal)
{
	translated_expire(&translated);
}

/* A random program may loop for ever; so it does natively, where the child has a timer of its own. */
static void start_timer(void)
{
	const struct itimerval seconds = { { 2, 0 }, { 2, 0 } };
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_ONSTACK | SA_RESTART };

	/* The kick must come when the handler has returned to translated code: it works on the interrupted block. */
	sigfillset(&action.sa_mask);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &seconds, NULL);
}
#endif

static void run_ours(void)
{
#ifdef HAVE_CPU
	if (!options.native_only) {
		start_timer();
		translated.control->diffs = 0;
		for (uint32_t i = 0; i < batch_len; i++) {
			progress->now = batch[i].position;
			progress->beats++;
			translated_run(&translated, &native.control->test[i], i);
		}
		return;
	}
#endif
	memcpy(second.control->test, native.control->test, sizeof(native.control->test[0]) * batch_len);
	native_begin(&second, batch_len);
	if (native_finish(&second)) {
		fprintf(stderr, "oracle: the second native child died at case %u\n", second.control->current);
		exit(3);
	}
}

/*
 * Verdicts.
 */

static void note_refused(const struct instance *instance)
{
	const char *name = instance->decoded ? ZydisMnemonicGetString(instance->insn.mnemonic) : "(unknown)";

	for (int i = 0; i < MAX_NAMES; i++) {
		if (!progress->refused[i][0])
			snprintf(progress->refused[i], sizeof(progress->refused[i]), "%s", name);
		if (!strcmp(progress->refused[i], name))
			return;
	}
}

static void print_line(const uint8_t *bytes, uint32_t len, uint32_t eip)
{
	printf("    ");
	for (uint32_t i = 0; i < len; i++)
		printf("%02x ", bytes[i]);
	printf("  %s\n", disassemble(bytes, len, eip));
}

static void print_heading(const struct entry *e, const char *what)
{
	const struct position *at = &e->position;

	printf("%s: case %u:%u:%u (%s), seed %" PRIu64 "\n", what, at->form, at->instance, at->state, forms.form[at->form].name,
	       options.seed);
	if (!forms.form[at->form].sequence) {
		print_line(e->instance.bytes, e->instance.len, e->instance.eip);
		return;
	}
	for (uint32_t i = 0, len; i < e->program.len; i += len) {
		len = instruction_length(e->program.bytes + i, e->program.len - i);
		printf("    %08x", e->program.eip + i);
		print_line(e->program.bytes + i, len, e->program.eip + i);
	}
}

static void judge(uint32_t i)
{
	const struct entry *e = &batch[i];
	const struct test_case *test = &native.control->test[i];
	const struct result *a = &native.control->result[i], *b = &ours()->result[i];
	bool sequence = forms.form[e->position.form].sequence;
	uint64_t reasons = 0;
	enum verdict verdict = compare_results(sequence ? NULL : &e->instance, test, native.control, a, ours(), b, &reasons);

	progress->cases++;
	progress->traps[a->trap < 63 ? a->trap : 63]++;
	progress->form_cases[e->position.form]++;
	progress->form_undefined[e->position.form] += verdict == UNDEFINED_DIFFERS;
	progress->form_completed[e->position.form] += a->trap == 3;
	progress->same += verdict == SAME;
	progress->undefined += verdict == UNDEFINED_DIFFERS;
	progress->segment_check += verdict == SEGMENT_CHECK;
	progress->untestable += verdict == UNTESTABLE;
	progress->not_offered += verdict == NOT_OFFERED;
	progress->known += verdict == KNOWN_OF_QEMU;
	for (uint32_t n = 0; verdict == KNOWN_OF_QEMU && n < 64; n++)
		progress->reasons[n] += reasons >> n & 1;
	if (verdict == SEGMENT_CHECK && options.states.strict)
		verdict = DIFFERENT;
	if (verdict == NOT_OFFERED)
		note_refused(&e->instance);
	if (verdict == DIFFERENT) {
		progress->different++;
		if (progress->form_differences[e->position.form]++ >= options.print)
			return;
	}
	if (verdict == DIFFERENT || options.one || (verdict == UNDEFINED_DIFFERS && options.verbose)) {
		static const char *const names[] = { "same", "undefined result differs", "DIFFERENT", "segment check",
							     "not offered", "untestable", "known of QEMU" };

		print_heading(e, names[verdict]);
		print_case(stdout, test);
		print_differences(stdout, test, native.control, a, ours(), b);
		fflush(stdout);
	}
}

/* Judge what the native child did before it died; what is left of the batch goes to its successor. */
static void go_on_after_death(void)
{
	static struct test_case rest[MAX_CASES];
	uint32_t at = native.control->current % MAX_CASES, left = batch_len - at - 1;

	if (!native.control->qemu || forms.form[batch[at].position.form].sequence ||
	    (!qemu_gives_up(&batch[at].instance) && !went_astray(&native.control->test[at], &ours()->result[at]))) {
		print_heading(&batch[at], "the native child died");
		print_case(stdout, &native.control->test[at]);
		exit(3);
	}
	for (uint32_t i = 0; i < at; i++)
		judge(i);
	progress->given_up++;
	memcpy(rest, &native.control->test[at + 1], left * sizeof(rest[0]));
	memmove(batch, &batch[at + 1], left * sizeof(batch[0]));
	memmove(ours()->result, &ours()->result[at + 1], left * sizeof(ours()->result[0]));
	batch_len = left;
	native_stop(&native);
	if (native_start(&native, options.native_path, options.way, background))
		exit(3);
	memcpy(native.control->test, rest, left * sizeof(rest[0]));
}

static void run_batch(void)
{
	if (!batch_len)
		return;
	native_begin(&native, batch_len);
	run_ours();
	while (native_finish(&native)) {
		go_on_after_death();
		if (!batch_len)
			return;
		native_begin(&native, batch_len);
	}
	for (uint32_t i = 0; i < batch_len; i++)
		judge(i);
	batch_len = 0;
}

/* The program of a case, then its state. */
static void make_program(struct entry *e)
{
	const struct form *form = &forms.form[e->position.form];
	struct rng rng = rng_fork(options.seed, e->position.form, e->position.instance, 0);

	if (form->sequence)
		sequence_make(&e->program, &forms, options.states.qemu ? SEQUENCE_FOR_QEMU : 0, &rng);
	else
		instance_make(&e->instance, form, &rng);
}

static void make_state(struct test_case *test, const struct entry *e)
{
	struct rng rng = rng_fork(options.seed, e->position.form, e->position.instance, 1 + e->position.state);

	if (forms.form[e->position.form].sequence)
		sequence_state(test, &e->program, &options.states, &rng);
	else
		state_make(test, &e->instance, &options.states, &rng);
}

static void add_case(const struct entry *e)
{
	batch[batch_len] = *e;
	make_state(&native.control->test[batch_len], e);
	if (++batch_len == MAX_CASES)
		run_batch();
}

static void run_instance(uint32_t f, uint32_t i, uint32_t first_state, uint32_t states)
{
	struct entry e = { .position = { f, i, 0 } };

	make_program(&e);
	if (options.native_only && options.way == NATIVE_QEMU && !forms.form[f].sequence && qemu_gives_up(&e.instance))
		return;
	for (uint32_t s = first_state; s < states; s++) {
		e.position.state = s;
		if (!options.one || s == options.only.state)
			add_case(&e);
	}
	progress->instances++;
}

static void work(void)
{
	struct position from = progress->next;

	if (start_sides())
		exit(3);
	for (uint32_t f = from.form; f < forms.count; f++, from = (struct position){ f, 0, 0 }) {
		uint32_t instances, states;

		if (!selected(f))
			continue;
		plan(&forms.form[f], &instances, &states);
		if (options.one) {
			run_instance(f, options.only.instance, 0, options.only.state + 1);
			continue;
		}
		for (uint32_t i = from.instance; i < instances; i++, from.state = 0)
			run_instance(f, i, from.state, states);
		progress->forms++;
		if (progress->different >= options.stop)
			break;
	}
	run_batch();
	progress->done = true;
	native_stop(&native);
#ifdef HAVE_CPU
	if (!options.native_only)
		translated_stop(&translated);
#endif
	exit(0);
}

/*
 * Supervision.
 */

static void report_crash(const char *what, int number)
{
	struct entry e = { .position = progress->now };
	struct position at = progress->now;
	static struct test_case test;
	char heading[64];

	snprintf(heading, sizeof(heading), "%s %d", what, number);
	progress->crashes++;
	progress->different++;
	progress->next = (struct position){ at.form, at.instance, at.state + 1 };
	if (progress->form_differences[at.form]++ >= MAX_CRASHES_PER_FORM)
		progress->next = (struct position){ at.form + 1, 0, 0 };
	make_program(&e);
	make_state(&test, &e);
	print_heading(&e, heading);
	print_case(stdout, &test);
	fflush(stdout);
}

/* Wait for the worker; kill it when it makes no progress. */
static int watch(pid_t pid, bool *hung)
{
	uint64_t beats = progress->beats + progress->cases;
	int status, idle = 0;

	*hung = false;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct timespec tenth = { 0, 100000000 };

		nanosleep(&tenth, NULL);
		idle = beats == progress->beats + progress->cases ? idle + 1 : 0;
		beats = progress->beats + progress->cases;
		if (idle > HANG_SECONDS * 10) {
			*hung = true;
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			break;
		}
	}
	return status;
}

static int supervise(void)
{
	while (!progress->done) {
		pid_t pid;
		bool hung;
		int status;

		fflush(stdout);
		pid = fork();
		if (pid < 0) {
			perror("oracle: fork");
			return 3;
		}
		if (pid == 0)
			work();
		status = watch(pid, &hung);
		if (hung)
			report_crash("HUNG", HANG_SECONDS);
		else if (WIFSIGNALED(status))
			report_crash("CRASHED with signal", WTERMSIG(status));
		else if (WEXITSTATUS(status))
			return WEXITSTATUS(status);
		if (options.one || progress->different >= options.stop)
			break;
	}
	return 0;
}

static void summarize(double seconds)
{
	printf("%" PRIu64 " forms, %" PRIu64 " instructions, %" PRIu64 " states in %.1f s (seed %" PRIu64 ")\n", progress->forms,
	       progress->instances, progress->cases, seconds, options.seed);
	printf("  same %" PRIu64 ", differ only in undefined results %" PRIu64 ", segment checks not made %" PRIu64
	       ", not offered %" PRIu64 ", untestable %" PRIu64 "\n",
	       progress->same, progress->undefined, progress->segment_check, progress->not_offered, progress->untestable);
	if (options.way == NATIVE_QEMU)
		printf("  QEMU is known to do differently %" PRIu64 ", to give up %" PRIu64 "\n", progress->known, progress->given_up);
	for (uint32_t n = 0; n < 64 && qemu_reason(n); n++)
		if (progress->reasons[n])
			printf("    %7" PRIu64 "  %s\n", progress->reasons[n], qemu_reason(n));
	printf("  native traps:");
	for (int i = 0; i < 64; i++)
		if (progress->traps[i])
			printf(" %d: %" PRIu64, i, progress->traps[i]);
	printf("\n");
	if (progress->refused[0][0]) {
		printf("  not offered:");
		for (int i = 0; i < MAX_NAMES && progress->refused[i][0]; i++)
			printf(" %s", progress->refused[i]);
		printf("\n");
	}
	for (uint32_t f = 0; options.verbose && f < forms.count; f++)
		if (progress->form_cases[f])
			printf("    form %u  %-40s %6u states, %6u completed, %u undefined differences\n", f, forms.form[f].name,
			       progress->form_cases[f], progress->form_completed[f], progress->form_undefined[f]);
	if (progress->different) {
		printf("  forms with differences:\n");
		for (uint32_t f = 0; f < forms.count; f++)
			if (progress->form_differences[f])
				printf("    %6u  form %u  %s\n", progress->form_differences[f], f, forms.form[f].name);
	}
	printf("  DIFFERENT: %" PRIu64 " (%" PRIu64 " crashes)\n", progress->different, progress->crashes);
}

static int list_forms(void)
{
	size_t shown = 0;

	for (uint32_t f = 0; f < forms.count; f++)
		if (selected(f)) {
			printf("%5u  %s%s\n", f, forms.form[f].name, forms.form[f].redundant ? " (redundant prefix)" : "");
			shown++;
		}
	printf("%zu forms\n", shown);
	return 0;
}

static int usage(void)
{
	printf("usage: oracle --native PATH [options]\n"
	       "  --seed N | random     (default 1; random is printed)\n"
	       "  --effort PERCENT      of the usual number of states; --full is 1000\n"
	       "  --filter REGEX        only forms whose name matches, such as '^(66 )?0f a4 ' or 'push'\n"
	       "  --except REGEX        not those\n"
	       "  --sequences N         random programs (default 20000; as a form their name is 'sequence')\n"
	       "  --case F:I:S          one case, printed whatever comes out\n"
	       "  --flat                flat segments only (FS and GS keep their bases)\n"
	       "  --strict              also segments that make accesses fault: null, read-only, short limits\n"
	       "  --no-step             no states with TF\n"
	       "  --native-only         compare the native processor with itself: tests the harness\n"
	       "  --print N             differences printed for each form (default 2)\n"
	       "  --stop N              stop after N differences\n"
	       "  --list                print the forms\n"
	       "  --verbose             print differences in undefined flags too\n");
	return 1;
}

static int parse_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "native", 1, 0, 'n' }, { "seed", 1, 0, 's' }, { "effort", 1, 0, 'e' }, { "full", 0, 0, 'F' },
		{ "filter", 1, 0, 'f' }, { "except", 1, 0, 'E' }, { "sequences", 1, 0, 'q' }, { "case", 1, 0, 'c' },
		{ "flat", 0, 0, 'S' }, { "strict", 0, 0, 'R' }, { "no-step", 0, 0, 'T' }, { "native-only", 0, 0, 'N' },
		{ "print", 1, 0, 'p' }, { "stop", 1, 0, 'x' }, { "list", 0, 0, 'l' }, { "verbose", 0, 0, 'v' }, { 0, 0, 0, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'n': options.native_path = optarg; break;
		case 's':
			options.seed = strcmp(optarg, "random") ? strtoull(optarg, NULL, 0) : (uint64_t)time(NULL) * 1000003u;
			break;
		case 'e': options.effort = (uint32_t)atoi(optarg); break;
		case 'F':
			options.effort = 1000;
			options.all = true;
			break;
		case 'f': options.filter = optarg; break;
		case 'S': options.states.segments = false; break;
		case 'R': options.states.strict = true; break;
		case 'T': options.states.steps = false; break;
		case 'N': options.native_only = true; break;
		case 'q': options.sequences = (uint32_t)atoi(optarg); break;
		case 'p': options.print = (uint32_t)atoi(optarg); break;
		case 'x': options.stop = (uint32_t)atoi(optarg); break;
		case 'l': options.list = true; break;
		case 'v': options.verbose = true; break;
		case 'E': options.except = optarg; break;
		case 'c':
			if (sscanf(optarg, "%u:%u:%u", &options.only.form, &options.only.instance, &options.only.state) != 3)
				return usage();
			options.one = true;
			break;
		default:
			return usage();
		}
	}
	if ((options.filter && regcomp(&filter, options.filter, REG_EXTENDED | REG_NOSUB)) ||
	    (options.except && regcomp(&except, options.except, REG_EXTENDED | REG_NOSUB))) {
		fprintf(stderr, "oracle: bad regular expression\n");
		return 1;
	}
#ifndef HAVE_CPU
	options.native_only = true;
#endif
	return options.native_path || options.list ? 0 : usage();
}

static void *shared(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("oracle: mmap");
		exit(3);
	}
	return p;
}

int main(int argc, char **argv)
{
	struct timespec start, end;
	int status = parse_options(argc, argv);

	if (status)
		return status;
	forms_make(&forms);
	forms_add_sequences(&forms);
	if (options.list)
		return list_forms();
	signal(SIGPIPE, SIG_IGN);
	options.way = native_way(options.native_path);
	options.states.qemu = options.way == NATIVE_QEMU;
	printf("%s: %s\n", options.way == NATIVE_NOTHING ? "skipped" : "oracle", native_name(options.way));
	if (options.way == NATIVE_NOTHING)
		return 77;
	if (options.way == NATIVE_QEMU && !options.all)
		options.effort = (options.effort + QEMU_COSTS - 1) / QEMU_COSTS;
	progress = shared(sizeof(*progress));
	progress->form_differences = shared(forms.count * sizeof(uint32_t));
	progress->form_undefined = shared(forms.count * sizeof(uint32_t));
	progress->form_cases = shared(forms.count * sizeof(uint32_t));
	progress->form_completed = shared(forms.count * sizeof(uint32_t));
	clock_gettime(CLOCK_MONOTONIC, &start);
	status = supervise();
	clock_gettime(CLOCK_MONOTONIC, &end);
	summarize((double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
	free(forms.form);
	return status ? status : progress->different ? 1 : 0;
}
