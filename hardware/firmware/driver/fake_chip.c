#include "fake_chip.h"

#include <string.h>

static uint32_t watermark(const fake_chip *chip) {
    return chip->registers[0x06] | (uint32_t)(chip->registers[0x07] & 7u) << 8;
}

static void set_line(fake_chip *chip) {
    const bool up = (chip->registers[0x0D] & 0x08u) && watermark(chip) > 0u && chip->words >= watermark(chip);
    if (up && !chip->line && chip->wired) {
        chip->edge = true;
        chip->edge_us = chip->now_us + chip->edge_delay_us;
        if (chip->rise) {
            chip->rise();
        }
    }
    chip->line = up;
}

static uint16_t pop(fake_chip *chip) {
    if (chip->words == 0u) {
        return 0u;
    }
    const uint16_t word = chip->fifo[chip->oldest];
    chip->oldest = (chip->oldest + 1u) % FAKE_CHIP_FIFO_WORDS;
    chip->words--;
    chip->next_word = (uint8_t)((chip->next_word + 1u) % 6u);
    return word;
}

void fake_chip_push(fake_chip *chip, uint16_t word) {
    if (chip->words == FAKE_CHIP_FIFO_WORDS) {
        (void)pop(chip);
        chip->overrun = true;
    }
    chip->fifo[(chip->oldest + chip->words) % FAKE_CHIP_FIFO_WORDS] = word;
    chip->words++;
}

static void empty(fake_chip *chip) {
    chip->words = 0u;
    chip->next_word = 0u;
    chip->overrun = false;
    chip->lies = 0u;
    set_line(chip);
}

/* Both sensors awake at one rate, +-16 g and +-2000 deg/s, FIFO continuous at that rate and undecimated. */
static bool measuring(const fake_chip *chip) {
    const uint8_t *now = chip->registers;
    const unsigned rate = now[0x10] >> 4;
    return rate > 0u && now[0x11] >> 4 == rate && (now[0x10] & 0x0Fu) == 0x04u && (now[0x11] & 0x0Fu) == 0x0Cu &&
           now[0x0A] == (rate << 3 | 6u) && now[0x08] == 0x09u;
}

static void make(fake_chip *chip, const fake_sample *sample) {
    if (!measuring(chip)) {
        return;
    }
    for (unsigned word = 0; word < 6u; word++) {
        fake_chip_push(chip, (uint16_t)sample->values[(word + 3u) % 6u]); /* angular rate first */
    }
    set_line(chip);
}

static void restart(fake_chip *chip) {
    memset(chip->registers, 0, sizeof chip->registers);
    chip->registers[0x0F] = 0x6Au;
    chip->registers[0x12] = 0x04u;
    empty(chip);
}

void fake_chip_power_on(fake_chip *chip) {
    memset(chip, 0, sizeof *chip);
    chip->wired = true;
    restart(chip);
}

void fake_chip_plan(fake_chip *chip, fake_sample sample) {
    if (chip->planned_count < FAKE_CHIP_PLANNED) {
        chip->planned[(chip->first_planned + chip->planned_count++) % FAKE_CHIP_PLANNED] = sample;
    }
}

void fake_chip_wait(fake_chip *chip, uint32_t us) {
    const uint32_t start_us = chip->now_us;
    while (chip->planned_count > 0u) {
        const fake_sample *next = &chip->planned[chip->first_planned];
        if (next->at_us - start_us > us) {
            break;
        }
        chip->now_us = next->at_us;
        make(chip, next);
        chip->first_planned = (chip->first_planned + 1u) % FAKE_CHIP_PLANNED;
        chip->planned_count--;
    }
    chip->now_us = start_us + us;
}

void fake_chip_lose_words(fake_chip *chip, uint32_t words) {
    for (; words > 0u; words--) {
        (void)pop(chip);
    }
    set_line(chip);
}

static bool transfer(fake_chip *chip, size_t bytes) {
    fake_chip_wait(chip, (uint32_t)bytes * chip->us_per_byte); /* address and register; data take their own time */
    if (chip->good_transfers > 0u) {
        chip->good_transfers--;
        return true;
    }
    if (chip->bad_transfers > 0u) {
        chip->bad_transfers--;
        return false;
    }
    return true;
}

static uint8_t get(fake_chip *chip, uint8_t address) {
    switch (address) {
    case 0x12:
        if (chip->resetting > 0u && --chip->resetting == 0u) {
            chip->registers[0x12] &= 0xFEu;
        }
        return chip->registers[0x12];
    case 0x3A:
        return (uint8_t)(chip->words & 0xFFu);
    case 0x3B:
        return (uint8_t)((chip->words >> 8 & 7u) | (chip->words == 0u ? 0x10u : 0u) |
                         (chip->words == FAKE_CHIP_FIFO_WORDS ? 0x20u : 0u) | (chip->overrun ? 0x40u : 0u) |
                         (chip->line ? 0x80u : 0u));
    case 0x3C:
        return (uint8_t)(chip->lies ? chip->false_pattern & 0xFFu : chip->next_word);
    case 0x3D:
        if (chip->lies > 0u) {
            chip->lies--;
            return (uint8_t)(chip->false_pattern >> 8);
        }
        return 0u;
    case 0x3E:
        return (uint8_t)(chip->words ? chip->fifo[chip->oldest] & 0xFFu : 0u);
    case 0x3F: {
        const uint16_t word = pop(chip);
        chip->overrun = false;
        set_line(chip);
        return (uint8_t)(word >> 8);
    }
    default:
        return chip->registers[address & 0x7Fu];
    }
}

bool fake_chip_read(fake_chip *chip, uint8_t first, uint8_t *data, size_t bytes) {
    const bool good = transfer(chip, 2u);
    uint8_t address = first;
    for (size_t i = 0; i < bytes; i++) {
        if (!good && i >= bytes / 2u) {
            return false; /* the bus fails half-way: words are gone that nobody has */
        }
        fake_chip_wait(chip, chip->us_per_byte);
        data[i] = get(chip, address);
        if (address == 0x3Fu) {
            address = 0x3Eu;
        } else if (chip->registers[0x12] & 0x04u) {
            address++;
        }
    }
    return good;
}

bool fake_chip_write(fake_chip *chip, uint8_t address, uint8_t value) {
    if (!transfer(chip, 2u)) {
        return false;
    }
    if (chip->resetting > 0u) {
        return true; /* acknowledged, and forgotten */
    }
    chip->registers[address & 0x7Fu] = value;
    if (address == 0x12u && (value & 1u)) {
        restart(chip);
        chip->registers[0x12] |= 1u;
        chip->resetting = 3u;
    }
    if (address == 0x0Au && (value & 7u) == 0u) {
        empty(chip);
    }
    set_line(chip);
    return true;
}
