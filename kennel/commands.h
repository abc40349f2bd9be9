/* SPDX-License-Identifier: MIT */
/* commands.h - the subcommands, and what they return to the shell. */
#ifndef KENNEL_KENNEL_COMMANDS_H
#define KENNEL_KENNEL_COMMANDS_H

struct options;

enum {
	STATUS_OK = 0,		/* the guest powered off */
	STATUS_TROUBLE = 1,	/* wrong usage, or trouble on the host */
	STATUS_CRASHED = 2,	/* the guest's trouble */
	STATUS_SLOWER = 3,	/* doctor --json: guests run, but not as they could */
	STATUS_TIMEOUT = 124,	/* as timeout(1) says it */
};

/** run - run one guest until it ends; returns an exit status */
int run(const struct options *options);

/** doctor - look at this host, print what is there and what to do about the rest; STATUS_TROUBLE if no guest can run; with --json, STATUS_SLOWER too */
int doctor(int argc, char **argv);

/**
 * fetch - become the script that fetches the guest called argv[1], with the arguments behind it
 * Returns only if there is none, with STATUS_TROUBLE, or to give help. The script exits with STATUS_OK or STATUS_TROUBLE.
 */
int fetch(int argc, char **argv);

/** vhost_user - serve the device argv[1] (blk, net, rng) to virtual machines of others until SIGTERM; returns an exit status */
int vhost_user(int argc, char **argv);

#endif
