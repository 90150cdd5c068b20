/* An LSM6DS3TR-C to test against, written from the data sheet and not from the core: registers, FIFO, watermark line.
 *
 * It lives in its own time: samples are laid up with the times at which they are made, and made when the clock gets there,
 * be it while the bus is busy.
 */
#ifndef FAKE_CHIP_H
#define FAKE_CHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_CHIP_FIFO_WORDS 2048u
#define FAKE_CHIP_PLANNED 8192u

typedef struct {
    uint32_t at_us;
    int16_t values[6]; /* acceleration x, y, z, angular rate x, y, z */
} fake_sample;

typedef struct {
    uint32_t now_us;
    uint16_t us_per_byte;    /* of a bus transfer */
    uint16_t edge_delay_us;  /* from the line to the interrupt's look at the clock */
    bool wired;              /* the watermark line */
    bool edge;
    void (*rise)(void);      /* called with every edge, may be NULL */
    uint32_t edge_us;
    uint32_t good_transfers; /* until the bus fails, */
    uint32_t bad_transfers;  /* and how often it does */
    uint32_t lies;           /* how often it still tells this pattern, unless the FIFO is emptied */
    uint16_t false_pattern;
    uint8_t registers[128];
    uint8_t resetting;       /* looks at CTRL3_C until a reset is over */
    uint16_t fifo[FAKE_CHIP_FIFO_WORDS];
    uint32_t oldest, words;  /* in the FIFO */
    uint8_t next_word;       /* place of the oldest word in its sample */
    bool overrun;
    bool line;
    fake_sample planned[FAKE_CHIP_PLANNED];
    uint32_t first_planned, planned_count;
} fake_chip;

void fake_chip_power_on(fake_chip *chip);
void fake_chip_plan(fake_chip *chip, fake_sample sample);
void fake_chip_wait(fake_chip *chip, uint32_t us);
void fake_chip_push(fake_chip *chip, uint16_t word);
void fake_chip_lose_words(fake_chip *chip, uint32_t words);
bool fake_chip_read(fake_chip *chip, uint8_t first, uint8_t *data, size_t bytes);
bool fake_chip_write(fake_chip *chip, uint8_t address, uint8_t value);

#endif
