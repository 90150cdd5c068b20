/* Plays a scenario against the core and writes down what it sends: on a PC, and the same on an emulated Cortex-M4.
 *
 * driver SCENARIO OUTPUT. Both are files of records that tests/firmware_world.py writes and reads: in the scenario a letter and
 * what belongs to it, in the output a letter, a length and as many bytes. Everything is little-endian.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_chip.h"
#include "rimu_device.h"

static FILE *scenario, *output;
static fake_chip chip;
static rimu_device device;
static uint32_t room; /* packets the radio still takes */

static void say(char what, const uint8_t *data, size_t bytes) {
    const uint8_t head[2] = {(uint8_t)what, (uint8_t)bytes};
    if (fwrite(head, 1, sizeof head, output) != sizeof head || fwrite(data, 1, bytes, output) != bytes) {
        exit(2);
    }
}

static void get(void *data, size_t bytes) {
    if (fread(data, 1, bytes, scenario) != bytes) {
        exit(3);
    }
}

static uint32_t get_number(size_t bytes) {
    uint8_t data[4] = {0};
    get(data, bytes);
    return data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

static fake_sample get_sample(void) {
    uint8_t data[16];
    get(data, sizeof data);
    fake_sample sample;
    sample.at_us = data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
    for (size_t i = 0; i < 6u; i++) {
        const uint16_t bits = (uint16_t)(data[4u + 2u * i] | data[5u + 2u * i] << 8);
        memcpy(&sample.values[i], &bits, sizeof bits);
    }
    return sample;
}

/* ---------------------------------------------------------------- ports */

static bool bus_read(void *context, uint8_t first, uint8_t *data, size_t bytes) {
    return fake_chip_read(context, first, data, bytes);
}

static bool bus_write(void *context, uint8_t address, uint8_t value) {
    return fake_chip_write(context, address, value);
}

static uint32_t now_us(void *context) {
    return ((const fake_chip *)context)->now_us;
}

static bool take_watermark_us(void *context, uint32_t *at_us) {
    fake_chip *source = context;
    *at_us = source->edge_us;
    const bool edge = source->edge;
    source->edge = false;
    return edge;
}

static bool notify(void *context, const uint8_t *data, size_t bytes) {
    (void)context;
    if (room == 0u) {
        return false;
    }
    room--;
    say('D', data, bytes);
    return true;
}

/* ---------------------------------------------------------------- what a scenario may ask for */

static void begin(void) {
    const rimu_bus bus = {&chip, bus_read, bus_write};
    const rimu_clock clock = {&chip, now_us, chip.wired ? take_watermark_us : NULL};
    const rimu_radio radio = {NULL, notify};
    const uint8_t found = rimu_device_begin(&device, bus, clock, radio);
    say('B', &found, 1u);
}

static void control(void) {
    uint8_t data[32];
    const size_t bytes = get_number(1u);
    get(data, bytes);
    const uint8_t error = rimu_device_control(&device, data, bytes);
    say('A', &error, 1u);
}

static void info(void) {
    uint8_t record[RIMU_INFO_BYTES];
    rimu_device_info(&device, record);
    say('I', record, sizeof record);
}

static void drain_queue(void) {
    uint8_t data[UINT8_MAX];
    uint8_t bytes;
    while ((bytes = rimu_queue_front(&device.queue, data)) > 0u) {
        say('D', data, bytes);
        rimu_queue_drop(&device.queue);
    }
}

static void ticks(void) {
    rimu_ticks state = {0u, 0u};
    for (uint32_t count = get_number(2u); count > 0u; count--) {
        uint8_t data[4];
        rimu_put_u32(data, rimu_ticks_us(&state, get_number(4u)));
        say('K', data, sizeof data);
    }
}

static void play(int what) {
    uint8_t flag;
    uint32_t left_us;
    switch (what) {
    /* the packetiser alone */
    case 'p': /* start a stream with packets of so many samples */
        rimu_stream_start(&device.stream, (uint8_t)get_number(1u));
        break;
    case 's': /* so many samples with their times */
        for (uint32_t count = get_number(2u); count > 0u; count--) {
            const fake_sample sample = get_sample();
            rimu_stream_add(&device.stream, sample.values, sample.at_us);
            drain_queue();
        }
        break;
    case 'k': /* samples that nobody gets */
        for (uint32_t count = get_number(4u); count > 0u; count--) {
            rimu_stream_pass(&device.stream);
        }
        break;
    case 'l':
        rimu_stream_lose(&device.stream);
        drain_queue();
        break;
    case 'z':
        rimu_stream_resize(&device.stream, (uint8_t)get_number(1u));
        drain_queue();
        break;
    /* the device */
    case 'B':
        begin();
        break;
    case 'C':
        rimu_device_connected(&device, (uint16_t)get_number(2u));
        break;
    case 'M':
        rimu_device_mtu(&device, (uint16_t)get_number(2u));
        break;
    case 'D':
        rimu_device_disconnected(&device);
        break;
    case 'S':
        rimu_device_subscribe(&device, get_number(1u) != 0u);
        break;
    case 'W':
        control();
        break;
    case 'I':
        info();
        break;
    case 'V':
        rimu_device_poll(&device);
        break;
    case 'O':
        flag = rimu_device_identifying(&device);
        say('O', &flag, 1u);
        break;
    case 'K':
        ticks();
        break;
    /* the world around it */
    case 'N': /* samples to come */
        for (uint32_t count = get_number(2u); count > 0u; count--) {
            fake_chip_plan(&chip, get_sample());
        }
        break;
    case 'T': /* until the clock shows this, unless it does already */
        left_us = get_number(4u) - chip.now_us;
        fake_chip_wait(&chip, left_us < 0x80000000u ? left_us : 0u);
        break;
    case 'P': /* words as they lie in the chip's FIFO */
        for (uint32_t count = get_number(2u); count > 0u; count--) {
            fake_chip_push(&chip, (uint16_t)get_number(2u));
        }
        break;
    case 'R':
        room = get_number(4u);
        break;
    case 'F':
        chip.good_transfers = get_number(4u);
        chip.bad_transfers = get_number(4u);
        break;
    case 'X':
        fake_chip_lose_words(&chip, get_number(2u));
        break;
    case 'Y':
        chip.false_pattern = (uint16_t)get_number(2u);
        chip.lies = get_number(4u);
        break;
    case 'e': /* an edge on the line that means nothing */
        chip.edge = true;
        chip.edge_us = chip.now_us;
        break;
    case 'H': /* another chip */
        chip.registers[0x0F] = (uint8_t)get_number(1u);
        break;
    case 'G':
        chip.us_per_byte = (uint16_t)get_number(2u);
        chip.edge_delay_us = (uint16_t)get_number(2u);
        break;
    case 'E':
        chip.wired = get_number(1u) != 0u;
        break;
    case 'U': /* the chip alone loses power for a moment */
        (void)fake_chip_write(&chip, 0x12u, 0x01u);
        break;
    case 'Q':
        say('Q', chip.registers, 0x20u);
        break;
    default:
        exit(4);
    }
}

int main(int argc, char **argv) {
    if (argc != 3 || !(scenario = fopen(argv[1], "rb")) || !(output = fopen(argv[2], "wb"))) {
        return 1;
    }
    fake_chip_power_on(&chip);
    room = UINT32_MAX;
    int what;
    while ((what = fgetc(scenario)) != EOF) {
        play(what);
    }
    return fclose(output) == 0 ? 0 : 2;
}
