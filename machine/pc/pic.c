/* SPDX-License-Identifier: MIT */
/*
 * The lines are shared, the chips are not. Lines are two words of bits that any thread may change; registers, priorities and the
 * output belong to the processor's thread, which computes the output when it next asks for it. So neither raising a line nor the
 * end of an interrupt takes a lock.
 *
 * What needs care is the call that wakes the processor. Who raises a line sets its bits first and looks at `heard` after that; who
 * unmasks a line writes `heard` first and looks at the bits after that. With sequentially consistent accesses one of the two sees
 * the other. The call says "look", not "there is an interrupt": a line of lower priority than what is in service is announced too.
 *
 * An edge-triggered input asks for service from its rising edge until it is taken, as long as it stays high; the edge is forgotten
 * when the input falls, which is what makes interrupts spurious.
 */
#include "machine/pc/pic.h"

enum {
	MASTER, SLAVE,
	CASCADE = 2,			/* the master's input that the slave drives */
	SPURIOUS = 7,
	/* Lines whose trigger mode can be chosen: not timer, keyboard, cascade, clock, coprocessor (PIIX, 4D0H and 4D1H). */
	ELCR_WRITABLE = 0xdef8,
};

/* Command words at the even port (datasheet, figures 7 and 8). */
enum {
	ICW1 = 0x10, ICW1_SINGLE = 0x02, ICW1_ICW4 = 0x01,
	ICW4_AUTO_EOI = 0x02, ICW4_SPECIAL_NESTED = 0x10,
	OCW3 = 0x08, OCW3_SET_SPECIAL_MASK = 0x40, OCW3_SPECIAL_MASK = 0x20, OCW3_POLL = 0x04, OCW3_SET_READ = 0x02, OCW3_READ_ISR = 0x01,
	POLL_ACTIVE = 0x80,
};

/* --- priorities ------------------------------------------------------------------------------------------------------ */

/* The input of highest priority in @bits, which must not be 0. */
static unsigned int highest(const struct pic_chip *chip, uint8_t bits)
{
	unsigned int first = (chip->lowest + 1u) & 7, turned = (uint8_t)(bits >> first | bits << (8 - first));

	return ((unsigned int)__builtin_ctz(turned) + first) & 7;
}

/* 0 is the highest priority, 7 the lowest. */
static unsigned int rank(const struct pic_chip *chip, unsigned int input)
{
	return (input - chip->lowest - 1) & 7;
}

/* The input that @requests should interrupt for, or -1. */
static int winner(const struct pic_chip *chip, bool is_master, uint8_t requests)
{
	uint8_t ready = requests & ~chip->mask, blocking = chip->in_service;
	unsigned int input;

	if (!ready)
		return -1;
	input = highest(chip, ready);
	if (chip->special_mask)
		blocking &= ~chip->mask;
	if (chip->special_nested && is_master)
		blocking &= ~(1u << CASCADE);
	if (blocking && rank(chip, highest(chip, blocking)) <= rank(chip, input))
		return -1;
	return (int)input;
}

/* --- requests -------------------------------------------------------------------------------------------------------- */

static uint32_t line_requests(struct pic *pic)
{
	uint32_t level = atomic_load(&pic->level);

	return level & (atomic_load(&pic->edge) | pic->level_triggered);
}

static uint8_t requests_of(struct pic *pic, unsigned int which)
{
	uint32_t lines = line_requests(pic);
	uint8_t slave = (uint8_t)(lines >> 8), master = (uint8_t)lines & ~(1u << CASCADE);

	if (which == SLAVE)
		return slave;
	if (!pic->chip[MASTER].single && winner(&pic->chip[SLAVE], false, slave) >= 0)
		master |= 1u << CASCADE;
	return master;
}

void pic_update(struct pic *pic)
{
	atomic_store(&pic->stale, false);
	pic->output = winner(&pic->chip[MASTER], true, requests_of(pic, MASTER)) >= 0;
}

/* After a change of registers. */
static void registers_changed(struct pic *pic)
{
	atomic_store(&pic->heard, (uint32_t)(uint8_t)~pic->chip[MASTER].mask | (uint32_t)(uint8_t)~pic->chip[SLAVE].mask << 8);
	pic_update(pic);
}

void pic_set_irq(struct pic *pic, unsigned int line, bool high)
{
	uint32_t bit = 1u << (line & 15);

	if (!high) {
		if (atomic_fetch_and(&pic->level, ~bit) & bit) {
			atomic_fetch_and(&pic->edge, ~bit);
			atomic_store(&pic->stale, true);
		}
		return;
	}
	if (atomic_fetch_or(&pic->level, bit) & bit)
		return;
	atomic_fetch_or(&pic->edge, bit);
	atomic_store(&pic->stale, true);
	if (pic->raised && (atomic_load(&pic->heard) & bit))
		pic->raised(pic->opaque);
}

/* --- acknowledge and end of interrupt -------------------------------------------------------------------------------- */

static void take(struct pic *pic, unsigned int which, unsigned int input)
{
	struct pic_chip *chip = &pic->chip[which];

	if (!chip->auto_eoi)
		chip->in_service |= 1u << input;
	else if (chip->rotate_on_auto_eoi)
		chip->lowest = (uint8_t)input;
	if (which == SLAVE || input != CASCADE)
		atomic_fetch_and(&pic->edge, ~(1u << (8 * which + input)));
}

static void tell_taken(struct pic *pic, unsigned int line)
{
	if (pic->taken)
		pic->taken(pic->opaque, line);
}

static int acknowledge_slave(struct pic *pic)
{
	struct pic_chip *chip = &pic->chip[SLAVE];
	int input = winner(chip, false, requests_of(pic, SLAVE));

	if (input < 0)
		return chip->base + SPURIOUS;
	take(pic, SLAVE, (unsigned int)input);
	tell_taken(pic, 8 + (unsigned int)input);
	return chip->base + input;
}

int pic_acknowledge(struct pic *pic)
{
	struct pic_chip *chip = &pic->chip[MASTER];
	int input = winner(chip, true, requests_of(pic, MASTER)), vector;

	if (input < 0) {
		vector = chip->base + SPURIOUS;
	} else {
		take(pic, MASTER, (unsigned int)input);
		if (input == CASCADE && !chip->single) {
			vector = acknowledge_slave(pic);
		} else {
			vector = chip->base + input;
			tell_taken(pic, (unsigned int)input);
		}
	}
	pic_update(pic);
	return vector;
}

/* OCW2: bit 7 rotate, bit 6 the level is given, bit 5 end of interrupt. */
static void command2(struct pic_chip *chip, uint8_t value)
{
	unsigned int input = value & 7;
	uint8_t ended;

	switch (value >> 5) {
	case 0:
	case 4:		/* rotate in automatic EOI mode: clear, set */
		chip->rotate_on_auto_eoi = value >> 7;
		break;
	case 1:
	case 5:		/* non-specific end of interrupt, and then rotate */
		ended = chip->in_service & (chip->special_mask ? ~chip->mask : 0xff);
		if (!ended)
			break;
		input = highest(chip, ended);
		chip->in_service &= ~(1u << input);
		if (value & 0x80)
			chip->lowest = (uint8_t)input;
		break;
	case 3:
	case 7:		/* specific end of interrupt, and then rotate */
		chip->in_service &= ~(1u << input);
		if (value & 0x80)
			chip->lowest = (uint8_t)input;
		break;
	case 6:		/* set priority */
		chip->lowest = (uint8_t)input;
		break;
	default:	/* no operation */
		break;
	}
}

static void command3(struct pic_chip *chip, uint8_t value)
{
	if (value & OCW3_POLL)
		chip->poll = true;
	if (value & OCW3_SET_READ)
		chip->read_isr = value & OCW3_READ_ISR;
	if (value & OCW3_SET_SPECIAL_MASK)
		chip->special_mask = value & OCW3_SPECIAL_MASK;
}

/* ICW1 also clears the edge detectors and the mask. Its bit for level triggering is ignored: that is what the ELCR is for. */
static void initialise(struct pic *pic, unsigned int which, uint8_t value)
{
	struct pic_chip *chip = &pic->chip[which];

	*chip = (struct pic_chip){ .base = chip->base, .lowest = 7, .init_step = 2, .wants_icw4 = value & ICW1_ICW4,
				   .single = value & ICW1_SINGLE };
	atomic_fetch_and(&pic->edge, which == MASTER ? ~0xffu : ~0xff00u);
}

static void initialise_more(struct pic_chip *chip, uint8_t value)
{
	switch (chip->init_step) {
	case 2:
		chip->base = value & 0xf8;
		chip->init_step = chip->single ? (chip->wants_icw4 ? 4 : 0) : 3;
		break;
	case 3:		/* which input the slave is at: wired, so there is nothing to learn */
		chip->init_step = chip->wants_icw4 ? 4 : 0;
		break;
	default:
		chip->auto_eoi = value & ICW4_AUTO_EOI;
		chip->special_nested = value & ICW4_SPECIAL_NESTED;
		chip->init_step = 0;
		break;
	}
}

void pic_set_level_triggered(struct pic *pic, uint16_t lines)
{
	pic->level_triggered = lines & ELCR_WRITABLE;
	registers_changed(pic);
}

/* --- ports ----------------------------------------------------------------------------------------------------------- */

static void chip_out(struct pic *pic, unsigned int which, uint32_t offset, uint8_t value)
{
	struct pic_chip *chip = &pic->chip[which];

	if (offset == 0 && (value & ICW1))
		initialise(pic, which, value);
	else if (offset == 0 && (value & OCW3))
		command3(chip, value);
	else if (offset == 0)
		command2(chip, value);
	else if (chip->init_step)
		initialise_more(chip, value);
	else
		chip->mask = value;
	registers_changed(pic);
}

static uint8_t poll(struct pic *pic, unsigned int which)
{
	int input = winner(&pic->chip[which], which == MASTER, requests_of(pic, which));

	pic->chip[which].poll = false;
	if (input < 0)
		return 0;
	take(pic, which, (unsigned int)input);
	if (which == SLAVE || input != CASCADE)
		tell_taken(pic, 8 * which + (unsigned int)input);
	pic_update(pic);
	return (uint8_t)(POLL_ACTIVE | input);
}

static uint8_t chip_in(struct pic *pic, unsigned int which, uint32_t offset)
{
	const struct pic_chip *chip = &pic->chip[which];

	if (chip->poll)
		return poll(pic, which);
	if (offset == 1)
		return chip->mask;
	return chip->read_isr ? chip->in_service : requests_of(pic, which);
}

static uint32_t master_in(void *opaque, uint32_t offset, unsigned int size)
{
	return chip_in(opaque, MASTER, offset);
}

static void master_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	chip_out(opaque, MASTER, offset, (uint8_t)value);
}

static uint32_t slave_in(void *opaque, uint32_t offset, unsigned int size)
{
	return chip_in(opaque, SLAVE, offset);
}

static void slave_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	chip_out(opaque, SLAVE, offset, (uint8_t)value);
}

static uint32_t elcr_in(void *opaque, uint32_t offset, unsigned int size)
{
	const struct pic *pic = opaque;

	return (pic->level_triggered >> (8 * offset)) & 0xff;
}

static void elcr_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	struct pic *pic = opaque;
	unsigned int shift = 8 * offset;

	pic_set_level_triggered(pic, (uint16_t)((pic->level_triggered & ~(0xffu << shift)) | value << shift));
}

static const struct port_ops master_ops = { .in = master_in, .out = master_out, .min_size = 1, .max_size = 1 };
static const struct port_ops slave_ops = { .in = slave_in, .out = slave_out, .min_size = 1, .max_size = 1 };
static const struct port_ops elcr_ops = { .in = elcr_in, .out = elcr_out, .min_size = 1, .max_size = 1 };

void pic_reset(struct pic *pic)
{
	pic->chip[MASTER] = (struct pic_chip){ .mask = 0xff, .base = 0x08, .lowest = 7 };
	pic->chip[SLAVE] = (struct pic_chip){ .mask = 0xff, .base = 0x70, .lowest = 7 };
	pic->level_triggered = 0;
	atomic_store(&pic->edge, 0);
	registers_changed(pic);
}

void pic_init(struct pic *pic)
{
	*pic = (struct pic){
		.master_ports = { .first = 0x20, .count = 2, .ops = &master_ops, .opaque = pic },
		.slave_ports = { .first = 0xa0, .count = 2, .ops = &slave_ops, .opaque = pic },
		.elcr_ports = { .first = 0x4d0, .count = 2, .ops = &elcr_ops, .opaque = pic },
	};
	pic_reset(pic);
}

int pic_add_ports(struct pic *pic, struct ports *ports)
{
	int error = ports_add(ports, &pic->master_ports);

	if (!error)
		error = ports_add(ports, &pic->slave_ports);
	if (!error)
		error = ports_add(ports, &pic->elcr_ports);
	return error;
}
