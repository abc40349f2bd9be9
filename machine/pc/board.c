/* SPDX-License-Identifier: MIT */
#include "machine/pc/board.h"

#include "host/clock.h"

enum { TIMER_LINE = 0, SERIAL_LINE = 4, CLOCK_LINE = 8, SERIAL_PORT = 0x3f8 };

/* --- wires ----------------------------------------------------------------------------------------------------------- */

static void timer_line(void *opaque, bool high)
{
	struct board *board = opaque;

	pic_set_irq(&board->pic, TIMER_LINE, high);
}

static void clock_line(void *opaque, bool high)
{
	struct board *board = opaque;

	pic_set_irq(&board->pic, CLOCK_LINE, high);
}

static void acpi_line(void *opaque, bool high)
{
	struct board *board = opaque;

	pic_set_irq(&board->pic, ACPI_LINE, high);
}

static void serial_line(void *opaque, bool high)
{
	struct board *board = opaque;

	pic_set_irq(&board->pic, SERIAL_LINE, high);
}

static void line_raised(void *opaque)
{
	struct board *board = opaque;

	board->config.wake(board->config.opaque);
}

static void line_taken(void *opaque, unsigned int line)
{
	struct board *board = opaque;

	if (line == TIMER_LINE)
		pit_taken(&board->pit);
}

static void powered_off(void *opaque)
{
	struct board *board = opaque;

	board->config.ended(board->config.opaque, BOARD_POWER_OFF);
}

static void reset_pulled(void *opaque)
{
	struct board *board = opaque;

	board->config.ended(board->config.opaque, BOARD_RESET);
}

static uint64_t monotonic(void *opaque)
{
	struct board *board = opaque;

	return board->config.monotonic ? board->config.monotonic(board->config.opaque) : clock_monotonic_ns();
}

static uint64_t realtime(void *opaque)
{
	struct board *board = opaque;

	return board->config.realtime ? board->config.realtime(board->config.opaque) : clock_realtime_ns();
}

/* --- the board ------------------------------------------------------------------------------------------------------- */

static uint16_t level_lines(const struct board *board)
{
	return board->config.level_lines | 1u << ACPI_LINE;
}

static int add_ports(struct board *board)
{
	int error = pic_add_ports(&board->pic, &board->ports);

	if (!error)
		error = pit_add_ports(&board->pit, &board->ports);
	if (!error)
		error = cmos_add_ports(&board->cmos, &board->ports);
	if (!error)
		error = acpi_add_ports(&board->acpi, &board->ports);
	if (!error)
		error = reset_add_ports(&board->reset, &board->ports);
	if (!error && board->config.serial)
		error = uart_add_ports(&board->uart, &board->ports);
	return error;
}

int board_init(struct board *board, const struct board_config *config)
{
	board->config = *config;
	ports_init(&board->ports, config->enter_cold, config->leave_cold, config->opaque);
	pic_init(&board->pic);
	board->pic.raised = line_raised;
	board->pic.taken = line_taken;
	board->pic.opaque = board;
	pic_set_level_triggered(&board->pic, level_lines(board));
	pit_init(&board->pit, monotonic, timer_line, board);
	cmos_init(&board->cmos, config->memory, realtime, monotonic, clock_line, board);
	acpi_init(&board->acpi, monotonic, acpi_line, powered_off, board);
	reset_init(&board->reset, reset_pulled, board);
	uart_init(&board->uart, SERIAL_PORT, config->serial, serial_line, board);
	return add_ports(board);
}

void board_reset(struct board *board)
{
	pic_reset(&board->pic);
	pic_set_level_triggered(&board->pic, level_lines(board));
	pit_reset(&board->pit);
	cmos_reset(&board->cmos);
	acpi_reset(&board->acpi);
	reset_reset(&board->reset);
	uart_reset(&board->uart);
}

void board_disconnect(struct board *board)
{
	uart_disconnect(&board->uart);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t board_deadline(struct board *board)
{
	return earlier(pit_deadline(&board->pit), earlier(acpi_deadline(&board->acpi), cmos_deadline(&board->cmos)));
}

void board_poll(struct board *board)
{
	pit_poll(&board->pit);
	cmos_poll(&board->cmos);
	acpi_poll(&board->acpi);
}

bool board_press_power_button(struct board *board)
{
	if (!acpi_listens(&board->acpi))
		return false;
	acpi_press_power_button(&board->acpi);
	board->config.wake(board->config.opaque);
	return true;
}
