/* SPDX-License-Identifier: MIT */
/* random.h - a small deterministic generator (splitmix64) and the few draws the oracle needs. */
#ifndef ORACLE_RANDOM_H
#define ORACLE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

static inline uint64_t rng64(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static inline uint32_t rng32(struct rng *rng)
{
	return (uint32_t)(rng64(rng) >> 32);
}

/* 0 .. n-1 */
static inline uint32_t rng_below(struct rng *rng, uint32_t n)
{
	return (uint32_t)(((rng64(rng) >> 32) * n) >> 32);
}

static inline bool rng_percent(struct rng *rng, uint32_t percent)
{
	return rng_below(rng, 100) < percent;
}

/* A generator of its own for each (seed, a, b, c), so that any one case can be made again without those before it. */
static inline struct rng rng_fork(uint64_t seed, uint32_t a, uint32_t b, uint32_t c)
{
	struct rng rng = { seed };

	rng.state ^= rng64(&rng) + a;
	rng.state ^= rng64(&rng) + b;
	rng.state ^= rng64(&rng) + c;
	return rng;
}

#endif
