/* SPDX-License-Identifier: MIT */
/*
 * bundle.h - a guest in a directory, as `kennel fetch` leaves it: vmlinuz, and beside it, if there are any, initrd.img, root.ext4
 * (the first disk) and cmdline (kernel parameters, ahead of the user's).
 */
#ifndef KENNEL_KENNEL_BUNDLE_H
#define KENNEL_KENNEL_BUNDLE_H

struct error;
struct options;

/**
 * bundle_resolve - if the kernel that @options name is a bundle, put what it consists of in its place
 *
 * A bundle is a directory, or the name of one in the cache (${XDG_CACHE_HOME:-~/.cache}/kennel). A name that is not there but
 * can be fetched is fetched. What the user gave with --initrd or --root is kept. Everything else is left as it is.
 * Returns 0, or a negative errno and a sentence; the sentence is empty if somebody has said what is wrong.
 */
int bundle_resolve(struct options *options, struct error *error);

#endif
