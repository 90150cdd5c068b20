#include "lsm6ds3trc.h"

/* Registers, by the data sheet of the LSM6DS3TR-C */
#define FIFO_CTRL1 0x06u /* watermark in words, bits 0 to 7 */
#define FIFO_CTRL2 0x07u /* bits 8 to 10 */
#define FIFO_CTRL3 0x08u
#define FIFO_CTRL4 0x09u
#define FIFO_CTRL5 0x0Au
#define INT1_CTRL 0x0Du
#define WHO_AM_I 0x0Fu
#define CTRL1_XL 0x10u
#define CTRL2_G 0x11u
#define CTRL3_C 0x12u
#define FIFO_STATUS1 0x3Au
#define FIFO_DATA_OUT_L 0x3Eu

#define BOTH_UNDECIMATED 0x09u    /* FIFO_CTRL3: every sample of either sensor goes into the FIFO */
#define FIFO_BYPASS 0x00u         /* FIFO_CTRL5 */
#define FIFO_CONTINUOUS 0x06u     /* FIFO_CTRL5: the newest overwrites the oldest; bits 3 to 6 are the rate */
#define INT1_FIFO_WATERMARK 0x08u /* INT1_CTRL */
#define ACC_16_G 0x04u            /* CTRL1_XL; bits 4 to 7 are the rate */
#define GYR_2000_DPS 0x0Cu        /* CTRL2_G; likewise */
#define SW_RESET 0x01u            /* CTRL3_C */
#define ADDRESS_COUNTS_UP 0x04u   /* CTRL3_C */
#define BLOCK_DATA_UPDATE 0x40u   /* CTRL3_C */

#define WORDS_HIGH 0x07u /* FIFO_STATUS2: bits 8 to 10 of the waiting words */
#define EMPTY 0x10u
#define OVERRUN 0x40u
#define PATTERN_HIGH 0x03u /* FIFO_STATUS4 */

#define WORD_BYTES 2u
#define SAMPLE_BYTES (LSM6DS3TRC_SAMPLE_WORDS * WORD_BYTES)

/* A reset takes 50 us; each look at it takes about 70 us at 400 kHz, so this is 7 ms of patience */
#define RESET_LOOKS 100u

/* Below 104 Hz contact times cannot be told, above 416 Hz one radio packet a millisecond would be needed at MTU 23 */
static const lsm6ds3trc_rate RATES[] = {{1040u, 4u}, {2080u, 5u}, {4160u, 6u}};

lsm6ds3trc_rate lsm6ds3trc_nearest_rate(uint16_t rate_dhz) {
    lsm6ds3trc_rate best = RATES[0];
    uint32_t least = UINT32_MAX;
    for (size_t i = 0; i < sizeof RATES / sizeof RATES[0]; i++) {
        const uint32_t one = RATES[i].rate_dhz, other = rate_dhz;
        const uint32_t distance = one > other ? one - other : other - one;
        if (distance < least) {
            least = distance;
            best = RATES[i];
        }
    }
    return best;
}

static uint8_t with_rate(lsm6ds3trc_rate rate, unsigned bit, unsigned rest) {
    return (uint8_t)((unsigned)rate.code << bit | rest);
}

uint8_t lsm6ds3trc_chip(const rimu_bus *bus) {
    uint8_t chip = 0u;
    return bus->read(bus->context, WHO_AM_I, &chip, 1u) ? chip : 0u;
}

static bool reset(const rimu_bus *bus) {
    if (!bus->write(bus->context, CTRL3_C, SW_RESET)) {
        return false;
    }
    for (unsigned look = 0; look < RESET_LOOKS; look++) {
        uint8_t value = SW_RESET;
        /* the chip may be deaf while it resets: a failing transfer is no answer, not a fault */
        if (bus->read(bus->context, CTRL3_C, &value, 1u) && !(value & SW_RESET)) {
            return true;
        }
    }
    return false;
}

bool lsm6ds3trc_start(const rimu_bus *bus, lsm6ds3trc_rate rate, uint16_t watermark_samples) {
    const uint16_t words = (uint16_t)(watermark_samples * LSM6DS3TRC_SAMPLE_WORDS);
    const uint8_t settings[][2] = {
        {CTRL3_C, BLOCK_DATA_UPDATE | ADDRESS_COUNTS_UP},
        {FIFO_CTRL1, (uint8_t)(words & 0xFFu)},
        {FIFO_CTRL2, (uint8_t)(words >> 8 & WORDS_HIGH)},
        {FIFO_CTRL3, BOTH_UNDECIMATED},
        {FIFO_CTRL4, 0u},
        {INT1_CTRL, INT1_FIFO_WATERMARK},
        {CTRL1_XL, with_rate(rate, 4u, ACC_16_G)},
        {CTRL2_G, with_rate(rate, 4u, GYR_2000_DPS)},
    };
    if (lsm6ds3trc_chip(bus) != LSM6DS3TRC_CHIP || !reset(bus)) {
        return false;
    }
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (!bus->write(bus->context, settings[i][0], settings[i][1])) {
            return false;
        }
    }
    return lsm6ds3trc_empty_fifo(bus, rate);
}

bool lsm6ds3trc_stop(const rimu_bus *bus) {
    const bool fifo = bus->write(bus->context, FIFO_CTRL5, FIFO_BYPASS);
    const bool acc = bus->write(bus->context, CTRL1_XL, 0u);
    const bool gyr = bus->write(bus->context, CTRL2_G, 0u);
    return fifo && acc && gyr;
}

bool lsm6ds3trc_empty_fifo(const rimu_bus *bus, lsm6ds3trc_rate rate) {
    return bus->write(bus->context, FIFO_CTRL5, FIFO_BYPASS) &&
           bus->write(bus->context, FIFO_CTRL5, with_rate(rate, 3u, FIFO_CONTINUOUS));
}

bool lsm6ds3trc_look(const rimu_bus *bus, lsm6ds3trc_fifo *fifo) {
    uint8_t status[4];
    if (!bus->read(bus->context, FIFO_STATUS1, status, sizeof status)) {
        return false;
    }
    const unsigned words = status[0] | (unsigned)(status[1] & WORDS_HIGH) << 8;
    const unsigned pattern = status[2] | (unsigned)(status[3] & PATTERN_HIGH) << 8;
    const bool full = words == 0u && !(status[1] & EMPTY);
    fifo->words = (uint16_t)(full ? LSM6DS3TRC_FIFO_WORDS : words);
    fifo->next_word = (uint8_t)(pattern < LSM6DS3TRC_SAMPLE_WORDS ? pattern : LSM6DS3TRC_SAMPLE_WORDS);
    fifo->overrun = (status[1] & OVERRUN) != 0u;
    return true;
}

bool lsm6ds3trc_skip(const rimu_bus *bus, uint16_t words) {
    for (; words > 0u; words--) {
        uint8_t word[WORD_BYTES];
        if (!bus->read(bus->context, FIFO_DATA_OUT_L, word, sizeof word)) {
            return false;
        }
    }
    return true;
}

bool lsm6ds3trc_read(const rimu_bus *bus, int16_t (*samples)[LSM6DS3TRC_VALUES], uint16_t count) {
    uint8_t data[LSM6DS3TRC_BURST_SAMPLES * SAMPLE_BYTES];
    if (count > LSM6DS3TRC_BURST_SAMPLES || !bus->read(bus->context, FIFO_DATA_OUT_L, data, count * SAMPLE_BYTES)) {
        return false;
    }
    for (uint16_t i = 0; i < count; i++) {
        for (size_t word = 0; word < LSM6DS3TRC_SAMPLE_WORDS; word++) {
            const uint8_t *low = &data[i * SAMPLE_BYTES + word * WORD_BYTES];
            const int32_t value = low[0] | (int32_t)low[1] << 8;
            /* the chip stores angular rate first, the profile acceleration */
            const size_t place = word < 3u ? word + 3u : word - 3u;
            samples[i][place] = (int16_t)(value < 32768 ? value : value - 65536);
        }
    }
    return true;
}
