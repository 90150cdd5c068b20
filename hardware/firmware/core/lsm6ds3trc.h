/* The inertial sensor LSM6DS3TR-C (ST): set-up and FIFO, by its data sheet.
 *
 * How its FIFO works
 * ------------------
 * 1. It holds 2048 words of 16 bits. A sample is six of them in this order: angular rate x, y, z, acceleration x, y, z.
 * 2. FIFO_STATUS1..4 are read together: how many words wait, whether words were overwritten, and which word of a sample
 *    comes next (the pattern). A full FIFO shows 0 waiting words, for the count has only 11 bits.
 * 3. Words are read from one pair of addresses, to which the chip itself goes back after every word.
 * 4. 2048 is no multiple of 6: after an overrun the oldest word is one from the middle of a sample.
 */
#ifndef LSM6DS3TRC_H
#define LSM6DS3TRC_H

#include "rimu_ports.h"

#define LSM6DS3TRC_CHIP 0x6Au       /* WHO_AM_I */
#define LSM6DS3TRC_SAMPLE_WORDS 6u
#define LSM6DS3TRC_FIFO_WORDS 2048u
#define LSM6DS3TRC_VALUES 6u        /* acceleration x, y, z, angular rate x, y, z */

/** A rate of the sensor: nominal, and what the data sheet writes into registers for it. */
typedef struct {
    uint16_t rate_dhz;
    uint8_t code;
} lsm6ds3trc_rate;

/** What the FIFO says of itself. */
typedef struct {
    uint16_t words;    /* waiting, whole samples or not */
    uint8_t next_word; /* place of the oldest word in its sample, 0 to 5; more means that the chip has lost itself */
    bool overrun;      /* words were overwritten since the FIFO was last empty */
} lsm6ds3trc_fifo;

/** Return the rate nearest to the one asked for in 0.1 Hz; the lower one of two equally near. */
lsm6ds3trc_rate lsm6ds3trc_nearest_rate(uint16_t rate_dhz);

/** Read WHO_AM_I; 0 when nobody answers. */
uint8_t lsm6ds3trc_chip(const rimu_bus *bus);

/** Reset the chip and let it measure: +-16 g, +-2000 deg/s, FIFO running, watermark on INT1.
 *  False when the bus failed, another chip answers, or the reset does not end. */
bool lsm6ds3trc_start(const rimu_bus *bus, lsm6ds3trc_rate rate, uint16_t watermark_samples);

/** Put both sensors to sleep and empty the FIFO. */
bool lsm6ds3trc_stop(const rimu_bus *bus);

/** Empty the FIFO and let it run on at the next sample. */
bool lsm6ds3trc_empty_fifo(const rimu_bus *bus, lsm6ds3trc_rate rate);

/** Ask what waits in the FIFO. */
bool lsm6ds3trc_look(const rimu_bus *bus, lsm6ds3trc_fifo *fifo);

/** Throw away `words` words; false when the bus failed, nobody knows then how many are gone. */
bool lsm6ds3trc_skip(const rimu_bus *bus, uint16_t words);

/** Read one burst of at most LSM6DS3TRC_BURST_SAMPLES whole samples, turned into the profile's order:
 *  acceleration x, y, z, angular rate x, y, z. False as for skip. */
bool lsm6ds3trc_read(const rimu_bus *bus, int16_t (*samples)[LSM6DS3TRC_VALUES], uint16_t count);

/* 60 bytes: within the 64 that small I2C drivers (Arduino's Wire among them) take in one transfer */
#define LSM6DS3TRC_BURST_SAMPLES 5u

#endif
