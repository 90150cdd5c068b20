/* When was a sample measured? Device time of every sample in the FIFO, from watermark edges and from what was seen when.
 *
 * How it works
 * ------------
 * 1. Samples are counted. One of them, the anchor, has a time; the others lie whole periods before or behind it.
 * 2. The watermark line rises when a certain sample enters the FIFO: that sample becomes the anchor.
 * 3. Two edges and the samples between them give the sensor's true period, which may be off by several percent.
 * 4. Whoever finds n samples waiting knows that the newest was made by now and the next one not yet. An anchor that
 *    contradicts this is moved just as far as it must be. So stamps stay within one period of the truth however edges
 *    are late, missing or false, and within half of one without any.
 * 5. All arithmetic is in integers and wraps with the clock: the same on every machine.
 */
#ifndef RIMU_STAMP_H
#define RIMU_STAMP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t nominal_q8; /* period in us / 256 */
    uint32_t period_q8;  /* as measured, nominal until then */
    uint32_t anchor;     /* number of a sample, */
    uint32_t anchor_us;  /* and when it was made */
    uint32_t edge;       /* the same of the last edge */
    uint32_t edge_us;
    bool anchored;
    bool edged;
    bool measured;
} rimu_stamp;

/** Begin anew with a sensor at this nominal rate in 0.1 Hz. */
void rimu_stamp_begin(rimu_stamp *stamp, uint16_t rate_dhz);

/** Forget when samples were made, keep the period: the count of samples has a hole of unknown length. */
void rimu_stamp_lose(rimu_stamp *stamp);

/** Take note that the line rose at `at_us` for the sample of this number, a later one than at the last edge. */
void rimu_stamp_edge(rimu_stamp *stamp, uint32_t sample, uint32_t at_us);

/** Take note that `newest` was the newest sample when it was looked for, between `before_us` and `after_us`. */
void rimu_stamp_seen(rimu_stamp *stamp, uint32_t newest, uint32_t before_us, uint32_t after_us);

/** Return when the sample of this number was made; something must have been seen before. */
uint32_t rimu_stamp_us(const rimu_stamp *stamp, uint32_t sample);

/** Turn a counter of 24 bits at 32,768 Hz, the clock that runs while a microcontroller sleeps, into microseconds since
 *  boot modulo 2^32. To be asked at least every 512 s, each time with the same `state`, which begins as zeros. */
typedef struct {
    uint32_t last;
    uint64_t ticks;
} rimu_ticks;

uint32_t rimu_ticks_us(rimu_ticks *state, uint32_t counter);

#endif
