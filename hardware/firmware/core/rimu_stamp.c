#include "rimu_stamp.h"

#define Q8 256u

/* The rate of the sensor may be off by several percent; what is off by more than 1/8 is no period */
#define PERIOD_TOLERANCE_DIVISOR 8
/* 1/8 of what each pair of edges says: interrupts come up to 0.1 ms late, the rate drifts over minutes */
#define PERIOD_SMOOTHING_DIVISOR 8

void rimu_stamp_begin(rimu_stamp *stamp, uint16_t rate_dhz) {
    stamp->nominal_q8 = 10000000u * Q8 / rate_dhz;
    stamp->period_q8 = stamp->nominal_q8;
    stamp->measured = false;
    rimu_stamp_lose(stamp);
}

void rimu_stamp_lose(rimu_stamp *stamp) {
    stamp->anchored = false;
    stamp->edged = false;
}

static void set_anchor(rimu_stamp *stamp, uint32_t sample, uint32_t at_us) {
    stamp->anchor = sample;
    stamp->anchor_us = at_us;
    stamp->anchored = true;
}

static void measure_period(rimu_stamp *stamp, uint32_t samples, uint32_t us) {
    const int64_t found = (int64_t)us * Q8 / samples, nominal = stamp->nominal_q8;
    const int64_t tolerance = nominal / PERIOD_TOLERANCE_DIVISOR;
    if (found < nominal - tolerance || found > nominal + tolerance) {
        return;
    }
    const int64_t period = stamp->period_q8;
    stamp->period_q8 = (uint32_t)(stamp->measured ? period + (found - period) / PERIOD_SMOOTHING_DIVISOR : found);
    stamp->measured = true;
}

void rimu_stamp_edge(rimu_stamp *stamp, uint32_t sample, uint32_t at_us) {
    if (stamp->edged) {
        measure_period(stamp, sample - stamp->edge, at_us - stamp->edge_us);
    }
    stamp->edge = sample;
    stamp->edge_us = at_us;
    stamp->edged = true;
    set_anchor(stamp, sample, at_us);
}

void rimu_stamp_seen(rimu_stamp *stamp, uint32_t newest, uint32_t before_us, uint32_t after_us) {
    const uint32_t earliest_us = before_us - stamp->period_q8 / Q8;
    if (!stamp->anchored) {
        set_anchor(stamp, newest, earliest_us + (after_us - earliest_us) / 2u);
        return;
    }
    const uint32_t at_us = rimu_stamp_us(stamp, newest);
    /* differences of clocks that wrap: their sign is right as long as they are less than half an hour */
    if ((int32_t)(at_us - after_us) > 0) {
        set_anchor(stamp, newest, after_us);
    } else if ((int32_t)(at_us - earliest_us) < 0) {
        set_anchor(stamp, newest, earliest_us);
    }
}

uint32_t rimu_stamp_us(const rimu_stamp *stamp, uint32_t sample) {
    const uint32_t behind = sample - stamp->anchor, ahead = stamp->anchor - sample;
    const bool later = behind <= ahead;
    const uint64_t distance_q8 = (uint64_t)(later ? behind : ahead) * stamp->period_q8;
    const uint32_t distance_us = (uint32_t)((distance_q8 + Q8 / 2u) / Q8);
    return later ? stamp->anchor_us + distance_us : stamp->anchor_us - distance_us;
}

uint32_t rimu_ticks_us(rimu_ticks *state, uint32_t counter) {
    state->ticks += (counter - state->last) & 0xFFFFFFu;
    state->last = counter;
    /* 1,000,000 / 32,768 = 15,625 / 512 */
    return (uint32_t)(state->ticks * 15625u / 512u);
}
