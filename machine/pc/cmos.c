/* SPDX-License-Identifier: MIT */
/*
 * The guest's time is the host's plus an offset, in nanoseconds since 1970; seconds of that are what the registers show. While the
 * guest holds the clock (SET in register B, or the divider in reset) the registers are bytes as it writes them, and the offset is
 * computed anew when it lets go. Letting the divider go starts a second half-way through (datasheet, "divider control"): the next
 * update comes 500 ms later, and Linux sets its clocks by that.
 *
 * Flags of register C are found by asking whether an event lies between `seen` and now: a tick of the periodic rate, the start of
 * a second, an alarm.
 */
#include "machine/pc/cmos.h"

#define NSEC	INT64_C(1000000000)
#define DAY	INT64_C(86400)

enum {
	SECONDS, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM, WEEKDAY, DAY_OF_MONTH, MONTH, YEAR, REG_A, REG_B, REG_C, REG_D,
	SHUTDOWN = 0x0f, EQUIPMENT = 0x14, BASE_KB = 0x15, EXTENDED_KB = 0x17, EXTENDED_KB_2 = 0x30, CENTURY = 0x32,
	ABOVE_16M = 0x34, ABOVE_4G = 0x5b,
};

enum {
	A_UPDATING = 0x80, A_DIVIDER = 0x70, A_DIVIDER_RUNS = 0x20, A_RATE = 0x0f, A_RESET = 0x26,	/* 32768 Hz crystal, 1024 Hz */
	B_SET = 0x80, B_PERIODIC = 0x40, B_ALARM = 0x20, B_UPDATE = 0x10, B_BINARY = 0x04, B_24_HOURS = 0x02,
	C_IRQ = 0x80, C_PERIODIC = 0x40, C_ALARM = 0x20, C_UPDATE = 0x10, C_ENABLES = 0x70,	/* where B has the enables */
	D_VALID = 0x80,
	PM = 0x80, ANY = 0xc0,			/* hours in 12-hour mode; an alarm register that does not care */
	CRYSTAL_HZ = 32768,
	FIRST_YEAR = 1970, LAST_YEAR = 2200,
	UPDATE_NS = 244000,			/* UPDATING shows this long before an update */
};

/* --- the calendar ---------------------------------------------------------------------------------------------------- */

/* Gregorian; seconds in the day apart. */
struct date {
	int64_t year;
	unsigned int month, day, weekday;	/* 1 to 12, 1 to 31, 1 = Sunday */
};

/* Days since 1970 of a date: years are counted from March, so that the leap day is the last, in cycles of 400. */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month <= 2 ? year - 1 : year, cycle = (y >= 0 ? y : y - 399) / 400, of_cycle = y - cycle * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return cycle * 146097 + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + of_year - 719468;
}

static struct date date_from_days(int64_t days)
{
	int64_t since = days + 719468, cycle = since / 146097, of_cycle = since % 146097;
	int64_t year = (of_cycle - of_cycle / 1460 + of_cycle / 36524 - of_cycle / 146096) / 365;
	int64_t of_year = of_cycle - (365 * year + year / 4 - year / 100), shifted = (5 * of_year + 2) / 153;
	unsigned int month = (unsigned int)(shifted < 10 ? shifted + 3 : shifted - 9);

	return (struct date){ .year = cycle * 400 + year + (month <= 2), .month = month,
			      .day = (unsigned int)(of_year - (153 * shifted + 2) / 5 + 1), .weekday = (unsigned int)((days + 4) % 7) + 1 };
}

/* --- time and registers ---------------------------------------------------------------------------------------------- */

static bool stands_still(const struct cmos *cmos)
{
	return (cmos->ram[REG_B] & B_SET) || (cmos->ram[REG_A] & A_DIVIDER) != A_DIVIDER_RUNS;
}

/* The guest's time: never before 1970. */
static uint64_t guest_time(const struct cmos *cmos)
{
	int64_t time = (int64_t)cmos->realtime(cmos->opaque) + cmos->offset;

	return time > 0 ? (uint64_t)time : 0;
}

static uint8_t encode(const struct cmos *cmos, unsigned int value)
{
	return (uint8_t)(cmos->ram[REG_B] & B_BINARY ? value : value / 10 << 4 | value % 10);
}

static unsigned int decode(const struct cmos *cmos, uint8_t value)
{
	return cmos->ram[REG_B] & B_BINARY ? value : (value >> 4) * 10u + (value & 15u);
}

static uint8_t encode_hour(const struct cmos *cmos, unsigned int hour)
{
	if (cmos->ram[REG_B] & B_24_HOURS)
		return encode(cmos, hour);
	return encode(cmos, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? PM : 0);
}

static unsigned int decode_hour(const struct cmos *cmos, uint8_t value)
{
	if (cmos->ram[REG_B] & B_24_HOURS)
		return decode(cmos, value);
	return decode(cmos, value & ~PM) % 12 + (value & PM ? 12 : 0);
}

/* Write the time @ns into the registers. */
static void show(struct cmos *cmos, uint64_t ns)
{
	int64_t seconds = (int64_t)ns / NSEC;
	unsigned int time = (unsigned int)(seconds % DAY);
	struct date date = date_from_days(seconds / DAY);

	cmos->ram[SECONDS] = encode(cmos, time % 60);
	cmos->ram[MINUTES] = encode(cmos, time / 60 % 60);
	cmos->ram[HOURS] = encode_hour(cmos, time / 3600);
	cmos->ram[WEEKDAY] = encode(cmos, date.weekday);
	cmos->ram[DAY_OF_MONTH] = encode(cmos, date.day);
	cmos->ram[MONTH] = encode(cmos, date.month);
	cmos->ram[YEAR] = encode(cmos, (unsigned int)(date.year % 100));
	cmos->ram[CENTURY] = encode(cmos, (unsigned int)(date.year / 100 % 100));
}

/* The seconds since 1970 that the registers show. Nonsense gives some time or other, within what nanoseconds can express. */
static int64_t shown(const struct cmos *cmos)
{
	int64_t year = (int64_t)decode(cmos, cmos->ram[CENTURY]) * 100 + decode(cmos, cmos->ram[YEAR]);
	int64_t month = decode(cmos, cmos->ram[MONTH]) % 16;

	if (year < FIRST_YEAR || year > LAST_YEAR)
		year = year < FIRST_YEAR ? FIRST_YEAR : LAST_YEAR;
	return days_from_date(year, month, decode(cmos, cmos->ram[DAY_OF_MONTH])) * DAY + decode_hour(cmos, cmos->ram[HOURS]) * 3600 +
	       decode(cmos, cmos->ram[MINUTES]) * 60 + decode(cmos, cmos->ram[SECONDS]);
}

/* Go on from what the registers show, @into ns into that second. */
static void take_over(struct cmos *cmos, int64_t into)
{
	cmos->offset = shown(cmos) * NSEC + into - (int64_t)cmos->realtime(cmos->opaque);
	cmos->seen = guest_time(cmos);
}

/* --- events ---------------------------------------------------------------------------------------------------------- */

/* Of the periodic interrupt, in cycles of the crystal; 0 = off (datasheet, table 5). */
static uint64_t period(const struct cmos *cmos)
{
	unsigned int rate = cmos->ram[REG_A] & A_RATE;

	if (!rate)
		return 0;
	return UINT64_C(1) << (rate <= 2 ? rate + 6 : rate - 1);
}

/* Split, since ns times the frequency overflows. */
static uint64_t cycles_of(uint64_t ns)
{
	return ns / (uint64_t)NSEC * CRYSTAL_HZ + ns % (uint64_t)NSEC * CRYSTAL_HZ / (uint64_t)NSEC;
}

static uint64_t ns_of(uint64_t cycles)
{
	return cycles / CRYSTAL_HZ * (uint64_t)NSEC + (cycles % CRYSTAL_HZ * (uint64_t)NSEC + CRYSTAL_HZ - 1) / CRYSTAL_HZ;
}

static uint64_t next_periodic(const struct cmos *cmos, uint64_t after)
{
	uint64_t cycles = period(cmos);

	return cycles ? ns_of((cycles_of(after) / cycles + 1) * cycles) : CMOS_NEVER;
}

static uint64_t next_update(uint64_t after)
{
	return (after / (uint64_t)NSEC + 1) * (uint64_t)NSEC;
}

static bool alarm_matches(const struct cmos *cmos, unsigned int reg, uint8_t shows)
{
	return cmos->ram[reg] >= ANY || cmos->ram[reg] == shows;
}

/* The least hour, minute or second from @from on that alarm register @reg asks for; -1 = none. */
static int next_match(const struct cmos *cmos, unsigned int reg, unsigned int from)
{
	unsigned int limit = reg == HOURS_ALARM ? 24 : 60;

	for (unsigned int n = from; n < limit; n++)
		if (alarm_matches(cmos, reg, reg == HOURS_ALARM ? encode_hour(cmos, n) : encode(cmos, n)))
			return (int)n;
	return -1;
}

/* Second of the day; -1 if any of the three is. */
static int64_t of_day(int hour, int minute, int second)
{
	return hour < 0 || minute < 0 || second < 0 ? -1 : hour * 3600 + minute * 60 + second;
}

/* The first second of the day, from @from on, at which the alarm goes off; -1 = none before midnight. */
static int64_t alarm_in_day(const struct cmos *cmos, unsigned int from)
{
	unsigned int this_hour = from / 3600, this_minute = from / 60 % 60;
	int minute = next_match(cmos, MINUTES_ALARM, 0), second = next_match(cmos, SECONDS_ALARM, 0), later;

	if (next_match(cmos, HOURS_ALARM, this_hour) == (int)this_hour) {
		later = next_match(cmos, SECONDS_ALARM, from % 60);
		if (later >= 0 && next_match(cmos, MINUTES_ALARM, this_minute) == (int)this_minute)
			return of_day((int)this_hour, (int)this_minute, later);
		later = next_match(cmos, MINUTES_ALARM, this_minute + 1);
		if (later >= 0)
			return of_day((int)this_hour, later, second);
	}
	return of_day(next_match(cmos, HOURS_ALARM, this_hour + 1), minute, second);
}

static uint64_t next_alarm(const struct cmos *cmos, uint64_t after)
{
	int64_t second = (int64_t)after / NSEC + 1, midnight = second - second % DAY;
	int64_t at = alarm_in_day(cmos, (unsigned int)(second % DAY));

	if (at < 0) {
		midnight += DAY;
		at = alarm_in_day(cmos, 0);
	}
	return at < 0 ? CMOS_NEVER : (uint64_t)(midnight + at) * (uint64_t)NSEC;
}

/* Set the flags of what has happened since this was last called, and the line. */
static void catch_up(struct cmos *cmos)
{
	uint64_t now = guest_time(cmos);

	if (!stands_still(cmos)) {
		if (next_periodic(cmos, cmos->seen) <= now)
			cmos->flags |= C_PERIODIC;
		if (next_update(cmos->seen) <= now)
			cmos->flags |= C_UPDATE;
		if (!(cmos->flags & C_ALARM) && next_alarm(cmos, cmos->seen) <= now)
			cmos->flags |= C_ALARM;
	}
	cmos->seen = now;
	if (cmos->flags & cmos->ram[REG_B] & C_ENABLES)
		cmos->flags |= C_IRQ;
	else
		cmos->flags &= ~C_IRQ;
	cmos->set_irq(cmos->opaque, cmos->flags & C_IRQ);
}

void cmos_poll(struct cmos *cmos)
{
	if (cmos->ram[REG_B] & C_ENABLES)
		catch_up(cmos);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t cmos_deadline(struct cmos *cmos)
{
	uint8_t enabled = cmos->ram[REG_B] & C_ENABLES;
	uint64_t next = CMOS_NEVER, now;

	/* A line that is high already stays so until register C is read. */
	if (!enabled || stands_still(cmos) || cmos->flags & C_IRQ)
		return CMOS_NEVER;
	if (enabled & B_PERIODIC)
		next = next_periodic(cmos, cmos->seen);
	if (enabled & B_UPDATE)
		next = earlier(next, next_update(cmos->seen));
	if (enabled & B_ALARM)
		next = earlier(next, next_alarm(cmos, cmos->seen));
	if (next == CMOS_NEVER)
		return CMOS_NEVER;
	now = guest_time(cmos);
	return cmos->monotonic(cmos->opaque) + (next > now ? next - now : 0);
}

/* --- ports ----------------------------------------------------------------------------------------------------------- */

static bool is_time(unsigned int reg)
{
	return (reg <= YEAR && reg != SECONDS_ALARM && reg != MINUTES_ALARM && reg != HOURS_ALARM) || reg == CENTURY;
}

static uint8_t read_register(struct cmos *cmos, unsigned int reg)
{
	uint8_t value;

	if (is_time(reg) && !stands_still(cmos))
		show(cmos, guest_time(cmos));
	switch (reg) {
	case REG_A:
		value = cmos->ram[REG_A] & ~A_UPDATING;
		if (!stands_still(cmos) && guest_time(cmos) % (uint64_t)NSEC >= (uint64_t)NSEC - UPDATE_NS)
			value |= A_UPDATING;
		return value;
	case REG_C:
		catch_up(cmos);
		value = cmos->flags;
		cmos->flags = 0;
		cmos->set_irq(cmos->opaque, false);
		return value;
	case REG_D:
		return D_VALID;
	default:
		return cmos->ram[reg];
	}
}

/* A or B changes: the clock may stop, showing its time, or go on. */
static void write_control(struct cmos *cmos, unsigned int reg, uint8_t value)
{
	bool stood = stands_still(cmos), divider_stood = (cmos->ram[REG_A] & A_DIVIDER) != A_DIVIDER_RUNS;

	catch_up(cmos);
	if (reg == REG_A)
		value &= ~A_UPDATING;
	else if (value & B_SET)
		value &= ~B_UPDATE;		/* setting SET clears UIE (datasheet, register B) */
	if (!stood)
		show(cmos, guest_time(cmos));
	cmos->ram[reg] = value;
	/* SET alone does not stop the divider: seconds go on to begin when they did. */
	if (stood && !stands_still(cmos))
		take_over(cmos, divider_stood ? NSEC / 2 : (int64_t)(guest_time(cmos) % (uint64_t)NSEC));
	catch_up(cmos);
}

static void write_register(struct cmos *cmos, unsigned int reg, uint8_t value)
{
	if (reg == REG_A || reg == REG_B) {
		write_control(cmos, reg, value);
	} else if (is_time(reg)) {
		if (!stands_still(cmos)) {
			uint64_t now = guest_time(cmos);

			catch_up(cmos);
			show(cmos, now);
			cmos->ram[reg] = value;
			take_over(cmos, (int64_t)(now % (uint64_t)NSEC));
		} else {
			cmos->ram[reg] = value;
		}
	} else if (reg != REG_C && reg != REG_D) {
		catch_up(cmos);
		cmos->ram[reg] = value;
	}
}

/* Bit 7 of port 0x70 is the NMI's gate, which nothing is behind. */
static void cmos_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	struct cmos *cmos = opaque;

	if (!offset)
		cmos->index = value & (CMOS_SIZE - 1);
	else
		write_register(cmos, cmos->index, (uint8_t)value);
}

static uint32_t cmos_in(void *opaque, uint32_t offset, unsigned int size)
{
	struct cmos *cmos = opaque;

	return offset ? read_register(cmos, cmos->index) : 0xff;
}

static const struct port_ops cmos_ops = { .in = cmos_in, .out = cmos_out, .min_size = 1, .max_size = 1 };

static void put(struct cmos *cmos, unsigned int reg, unsigned int bytes, uint64_t value)
{
	uint64_t most = (UINT64_C(1) << (8 * bytes)) - 1;

	if (value > most)
		value = most;
	for (unsigned int i = 0; i < bytes; i++)
		cmos->ram[reg + i] = (uint8_t)(value >> (8 * i));
}

static void put_memory(struct cmos *cmos, uint64_t memory)
{
	const uint64_t mib = 1 << 20, gib4 = UINT64_C(1) << 32;
	uint64_t low = memory < gib4 ? memory : gib4;

	put(cmos, BASE_KB, 2, 640);
	put(cmos, EXTENDED_KB, 2, low > mib ? (low - mib) / 1024 : 0);
	put(cmos, EXTENDED_KB_2, 2, low > mib ? (low - mib) / 1024 : 0);
	put(cmos, ABOVE_16M, 2, low > 16 * mib ? (low - 16 * mib) / 65536 : 0);
	put(cmos, ABOVE_4G, 3, memory > gib4 ? (memory - gib4) / 65536 : 0);
}

void cmos_init(struct cmos *cmos, uint64_t memory, uint64_t (*realtime)(void *opaque), uint64_t (*monotonic)(void *opaque),
	       void (*set_irq)(void *opaque, bool high), void *opaque)
{
	*cmos = (struct cmos){
		.realtime = realtime,
		.monotonic = monotonic,
		.set_irq = set_irq,
		.opaque = opaque,
		.ram = { [REG_A] = A_RESET, [REG_B] = B_24_HOURS },
		.ports = { .first = 0x70, .count = 2, .ops = &cmos_ops, .opaque = cmos },
	};
	put_memory(cmos, memory);
	cmos->seen = guest_time(cmos);
}

void cmos_reset(struct cmos *cmos)
{
	if (stands_still(cmos))
		take_over(cmos, 0);
	cmos->ram[REG_A] = A_RESET;
	cmos->ram[REG_B] &= B_BINARY | B_24_HOURS;
	cmos->flags = 0;
	cmos->seen = guest_time(cmos);
	cmos->set_irq(cmos->opaque, false);
}

int cmos_add_ports(struct cmos *cmos, struct ports *ports)
{
	return ports_add(ports, &cmos->ports);
}
