/* SPDX-License-Identifier: MIT */
/*
 * shell.c - commands, from the console or from run=COMMAND,COMMAND on the kernel's command line (also run="COMMAND;COMMAND").
 */
#include "pup.h"

#define LINE_LENGTH  256
#define WORD_COUNT   8

static int help_command(int argc, char **argv);

static int mem_command(int argc, char **argv)
{
	print("memory: %u KiB, %u KiB free\n", machine.memory_end >> 10, memory_free_pages() * (PAGE_SIZE >> 10));
	if (machine.initrd_size)
		print("initrd: %u bytes at %08x\n", machine.initrd_size, machine.initrd);
	print("reserved by the host: %u KiB at the top of the address space\n", lguest_data.reserve_mem >> 10);
	return 0;
}

static int time_command(int argc, char **argv)
{
	uint64_t now = clock_now();

	print("time: %u s since 1970, up %llu us, tsc %u kHz, %u ticks\n", clock_wall(), divide(now, 1000), lguest_data.tsc_khz,
	      irq_counts[0]);
	return 0;
}

static int irq_command(int argc, char **argv)
{
	for (unsigned int i = 0; i < IRQ_COUNT; i++) {
		if (irq_counts[i])
			print("irq %u: %u\n", i, irq_counts[i]);
	}
	return 0;
}

int shell_user(uint32_t argument)
{
	struct task *task = task_spawn(argument);
	uint32_t id, wanted, code = 0;

	if (!task)
		return -1;
	wanted = task->id;
	do {
		id = task_wait(task_current(), &code);
	} while (id && id != wanted);
	return code;
}

enum { USER_TEST, USER_BENCH }; /* arguments of the user program: see user/main.c */

static int user_command(int argc, char **argv)
{
	int code = shell_user(USER_TEST);

	if (code)
		print("pup: the user program ended with %d\n", code);
	report(!code, "user");
	return code;
}

static int bench_command(int argc, char **argv)
{
	int code = shell_user(USER_BENCH);

	report(!code, "bench");
	return code;
}

static int sleep_command(int argc, char **argv)
{
	task_sleep((argc > 1 ? parse_number(argv[1]) : 1) * 1000000000ull);
	return 0;
}

/* Never leaves the processor: something to try --timeout with. */
__attribute__((noreturn)) static int spin_command(int argc, char **argv)
{
	for (;;)
		barrier();
}

static int echo_command(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		print("%s%s", argv[i], i + 1 < argc ? " " : "");
	print("\n");
	return 0;
}

static int reboot_command(int argc, char **argv)
{
	shutdown("Restart", SHUTDOWN_RESTART);
}

static int poweroff_command(int argc, char **argv)
{
	if (failures)
		panic("%u checks failed", failures);
	shutdown("Power down", SHUTDOWN_POWEROFF);
}

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "help", help_command, "this" },
	{ "mem", mem_command, "what memory there is" },
	{ "time", time_command, "what time it is" },
	{ "irq", irq_command, "interrupts so far" },
	{ "test", test_command, "try everything that the host promises the kernel" },
	{ "user", user_command, "run the user program: system calls, faults, address spaces" },
	{ "disk", disk_command, "look at, write to or check the first disk" },
	{ "ping", ping_command, "ping [ADDRESS [COUNT]], 10.0.2.2 by default" },
	{ "rng", rng_command, "random bytes from the host" },
	{ "bench", bench_command, "measure" },
	{ "echo", echo_command, "say something" },
	{ "sleep", sleep_command, "sleep [SECONDS]" },
	{ "spin", spin_command, "compute, forever" },
	{ "crash", crash_command, "crash [KIND]: break the contract with the host" },
	{ "reboot", reboot_command, "start again" },
	{ "poweroff", poweroff_command, "the end; with last words if a check failed" },
};

static int help_command(int argc, char **argv)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++)
		print("%10s%s  %s\n", "", commands[i].name, commands[i].help);
	return 0;
}

static void run_line(char *line)
{
	char *words[WORD_COUNT];
	int count = 0;

	while (*line) {
		while (*line == ' ')
			*line++ = 0;
		if (!*line || count == WORD_COUNT)
			break;
		words[count++] = line;
		while (*line && *line != ' ')
			line++;
	}
	if (!count)
		return;
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(words[0], commands[i].name)) {
			commands[i].run(count, words);
			return;
		}
	}
	print("pup: %s: no such command; try help\n", words[0]);
}

/* Commands in one string: separated by ';' or ',', words by ' ' or '+', so that no shell needs to quote them. */
static void run_all(char *text)
{
	while (*text) {
		char *line = text;

		for (; *text && *text != ';' && *text != ','; text++) {
			if (*text == '+')
				*text = ' ';
		}
		if (*text)
			*text++ = 0;
		print("pup> %s\n", line);
		run_line(line);
	}
}

/* Returns false when there is nothing to read from. */
static bool read_line(char *line, size_t size)
{
	size_t length = 0;

	for (;;) {
		int c = console_read();

		if (c < 0)
			return false;
		if (c == '\r' || c == '\n')
			break;
		if ((c == 0x7f || c == '\b') && length) {
			length--;
			print("\b \b");
		} else if (c == 'U' - 0x40) {
			while (length) {
				length--;
				print("\b \b");
			}
		} else if (c >= ' ' && c < 0x7f && length + 1 < size) {
			line[length++] = c;
			print("%c", c);
		}
	}
	print("\n");
	line[length] = 0;
	return true;
}

void shell(void)
{
	char line[LINE_LENGTH];
	static char all[1024];

	if (machine_option("run", all, sizeof(all)))
		run_all(all);
	else
		print("pup: type help\n");
	do {
		print("pup> ");
		if (!read_line(line, sizeof(line)))
			panic("no console to read commands from, and none left on the command line");
		run_line(line);
	} while (true);
}
