#include "rimu_device.h"

#include <string.h>

/* Fewer interrupts than one a sample where packets are small; 19 ms at 208 Hz, half of what a full packet waits for */
#define WATERMARK_LEAST 4u
/* Tenth of a second thrown away after a start: the gyroscope takes up to 80 ms from sleep to good data */
#define SETTLING_DIVISOR_DHZ 100u
/* At one look per watermark these are a third of a second, less than the FIFO holds */
#define FAILURES_MOST 8u
/* The sensor makes a sample at least every 10 ms: it has lost its settings (a brown-out) when it is silent for that long */
#define SILENCE_MOST_US 500000u

static uint16_t get_u16(const uint8_t *from) {
    return (uint16_t)(from[0] | from[1] << 8);
}

static uint8_t samples_in_use(const rimu_device *device) {
    const unsigned fit = (device->mtu - RIMU_ATT_BYTES - RIMU_HEADER_BYTES) / RIMU_SAMPLE_BYTES;
    const unsigned asked = device->asked ? device->asked : RIMU_DEFAULT_SAMPLES_PER_PACKET;
    return (uint8_t)(asked < fit ? asked : fit);
}

/* ---------------------------------------------------------------- the sensor */

static bool start_sensor(rimu_device *device) {
    device->sample = 0u;
    device->failures = 0u;
    device->settling = (uint16_t)(device->rate.rate_dhz / SETTLING_DIVISOR_DHZ + 1u);
    device->watermark = samples_in_use(device) > WATERMARK_LEAST ? samples_in_use(device) : WATERMARK_LEAST;
    device->news_us = device->clock.now_us(device->clock.context);
    rimu_stamp_begin(&device->stamp, device->rate.rate_dhz);
    return lsm6ds3trc_start(&device->bus, device->rate, device->watermark);
}

static void lose(rimu_device *device) {
    rimu_stream_lose(&device->stream);
    rimu_stamp_lose(&device->stamp);
}

static void restart_sensor(rimu_device *device) {
    lose(device);
    (void)start_sensor(device); /* when it fails, the next silence or the next failures try again */
}

static void fail(rimu_device *device) {
    if (++device->failures >= FAILURES_MOST) {
        restart_sensor(device);
    }
}

static bool take_watermark_us(rimu_device *device, uint32_t *at_us) {
    return device->clock.take_watermark_us && device->clock.take_watermark_us(device->clock.context, at_us);
}

static bool ask_fifo(rimu_device *device, lsm6ds3trc_fifo *fifo, uint32_t *before_us) {
    /* Out of step without an overrun is asked twice: users of sister chips saw it told falsely just when a sample came */
    for (unsigned times = 0; times < 2u; times++) {
        *before_us = device->clock.now_us(device->clock.context);
        if (!lsm6ds3trc_look(&device->bus, fifo)) {
            return false;
        }
        if (fifo->next_word == 0u || fifo->overrun) {
            break;
        }
    }
    return true;
}

/* Returns how many whole samples wait, with stamps ready for them. */
static uint16_t look(rimu_device *device) {
    lsm6ds3trc_fifo fifo;
    uint32_t before_us;
    if (!ask_fifo(device, &fifo, &before_us)) {
        fail(device);
        return 0u;
    }
    device->failures = 0u;
    const uint32_t after_us = device->clock.now_us(device->clock.context);
    /* asked for after the look, so that an edge is never newer than what was seen by more than one sample */
    uint32_t edge_us = 0u;
    bool edge = take_watermark_us(device, &edge_us);
    if (fifo.next_word >= LSM6DS3TRC_SAMPLE_WORDS) {
        lose(device);
        if (!lsm6ds3trc_empty_fifo(&device->bus, device->rate)) {
            fail(device);
        }
        return 0u;
    }
    if (fifo.overrun) {
        lose(device);
        edge = false; /* it counts samples that are gone */
    }
    if (fifo.next_word != 0u) {
        const uint16_t rest = (uint16_t)(LSM6DS3TRC_SAMPLE_WORDS - fifo.next_word);
        if (fifo.words < rest) {
            return 0u;
        }
        lose(device);
        edge = false;
        if (!lsm6ds3trc_skip(&device->bus, rest)) {
            fail(device);
            return 0u;
        }
        fifo.words = (uint16_t)(fifo.words - rest);
    }
    const uint16_t whole = fifo.words / LSM6DS3TRC_SAMPLE_WORDS;
    if (whole > 0u) {
        if (edge && whole + 1u >= device->watermark) {
            rimu_stamp_edge(&device->stamp, device->sample + device->watermark - 1u, edge_us);
        }
        rimu_stamp_seen(&device->stamp, device->sample + whole - 1u, before_us, after_us);
        device->news_us = after_us;
    } else if (after_us - device->news_us > SILENCE_MOST_US) {
        restart_sensor(device);
    }
    return whole;
}

static void take(rimu_device *device, const int16_t sample[LSM6DS3TRC_VALUES]) {
    const uint32_t at_us = rimu_stamp_us(&device->stamp, device->sample++);
    if (device->settling > 0u) {
        device->settling--;
    } else if (device->subscribed) {
        rimu_stream_add(&device->stream, sample, at_us);
    } else {
        rimu_stream_pass(&device->stream);
    }
}

static void drain(rimu_device *device) {
    uint16_t left = look(device);
    if (left == 0u) {
        return;
    }
    while (left > 0u) {
        int16_t burst[LSM6DS3TRC_BURST_SAMPLES][LSM6DS3TRC_VALUES];
        const uint16_t count = left < LSM6DS3TRC_BURST_SAMPLES ? left : LSM6DS3TRC_BURST_SAMPLES;
        if (!lsm6ds3trc_read(&device->bus, burst, count)) {
            lose(device); /* how many words went is unknown; the next look finds the beginning of a sample again */
            fail(device);
            return;
        }
        for (uint16_t i = 0; i < count; i++) {
            take(device, burst[i]);
        }
        left = (uint16_t)(left - count);
    }
    /* the line may have risen once more while words were read; for which sample nobody can tell */
    uint32_t ignored_us;
    (void)take_watermark_us(device, &ignored_us);
}

static void send(rimu_device *device) {
    uint8_t data[UINT8_MAX];
    uint8_t bytes;
    while ((bytes = rimu_queue_front(&device->queue, data)) > 0u &&
           device->radio.notify(device->radio.context, data, bytes)) {
        rimu_queue_drop(&device->queue);
    }
}

/* ---------------------------------------------------------------- what the board calls */

bool rimu_device_begin(rimu_device *device, rimu_bus bus, rimu_clock clock, rimu_radio radio) {
    memset(device, 0, sizeof *device);
    device->bus = bus;
    device->clock = clock;
    device->radio = radio;
    device->mtu = RIMU_MTU_LEAST;
    device->rate = lsm6ds3trc_nearest_rate(RIMU_DEFAULT_RATE_DHZ);
    rimu_stream_init(&device->stream, &device->queue);
    device->chip = lsm6ds3trc_chip(&device->bus);
    return device->chip == LSM6DS3TRC_CHIP && lsm6ds3trc_stop(&device->bus);
}

void rimu_device_mtu(rimu_device *device, uint16_t mtu) {
    device->mtu = (uint16_t)(mtu < RIMU_MTU_LEAST ? RIMU_MTU_LEAST : mtu > RIMU_MTU ? RIMU_MTU : mtu);
    rimu_stream_resize(&device->stream, samples_in_use(device));
}

void rimu_device_connected(rimu_device *device, uint16_t mtu) {
    rimu_device_disconnected(device);
    rimu_device_mtu(device, mtu);
}

static void stop(rimu_device *device) {
    if (device->streaming) {
        (void)lsm6ds3trc_stop(&device->bus); /* when it fails, the battery pays: there is nobody to be told */
    }
    device->streaming = false;
    rimu_stream_clear(&device->stream);
}

void rimu_device_disconnected(rimu_device *device) {
    stop(device);
    device->subscribed = false;
    rimu_device_mtu(device, RIMU_MTU_LEAST);
}

void rimu_device_subscribe(rimu_device *device, bool on) {
    device->subscribed = on;
    if (!on) {
        rimu_stream_clear(&device->stream);
    }
}

static uint8_t start(rimu_device *device, const uint8_t *data) {
    const uint8_t asked = data[RIMU_START_SAMPLES_PER_PACKET_OFFSET];
    const uint16_t rate_dhz = get_u16(&data[RIMU_START_RATE_DHZ_OFFSET]);
    if (asked > RIMU_SAMPLES_MOST) {
        return RIMU_ATT_OUT_OF_RANGE;
    }
    device->asked = asked;
    device->rate = lsm6ds3trc_nearest_rate(rate_dhz ? rate_dhz : RIMU_DEFAULT_RATE_DHZ);
    stop(device);
    if (!start_sensor(device)) {
        return RIMU_ATT_SENSOR_SILENT;
    }
    device->chip = LSM6DS3TRC_CHIP;
    rimu_stream_start(&device->stream, samples_in_use(device));
    device->streaming = true;
    return 0u;
}

uint8_t rimu_device_control(rimu_device *device, const uint8_t *data, size_t bytes) {
    if (bytes == 0u) {
        return RIMU_ATT_WRONG_LENGTH;
    }
    switch (data[0]) {
    case RIMU_START:
        return bytes == RIMU_START_BYTES ? start(device, data) : RIMU_ATT_WRONG_LENGTH;
    case RIMU_STOP:
        if (bytes != RIMU_STOP_BYTES) {
            return RIMU_ATT_WRONG_LENGTH;
        }
        stop(device);
        return 0u;
    case RIMU_IDENTIFY:
        if (bytes != RIMU_IDENTIFY_BYTES) {
            return RIMU_ATT_WRONG_LENGTH;
        }
        device->identifying = true;
        device->identify_us = device->clock.now_us(device->clock.context);
        return 0u;
    default:
        return RIMU_ATT_UNKNOWN_COMMAND;
    }
}

void rimu_device_info(const rimu_device *device, uint8_t record[RIMU_INFO_BYTES]) {
    record[RIMU_INFO_TYPE_OFFSET] = RIMU_INFO_TYPE;
    record[RIMU_INFO_RESERVED_OFFSET] = 0u;
    rimu_put_u16(&record[RIMU_INFO_RATE_DHZ_OFFSET], device->rate.rate_dhz);
    rimu_put_u32(&record[RIMU_INFO_ACC_SCALE_NG_OFFSET], RIMU_DEFAULT_ACC_SCALE_NG);
    rimu_put_u32(&record[RIMU_INFO_GYR_SCALE_NDPS_OFFSET], RIMU_DEFAULT_GYR_SCALE_NDPS);
    record[RIMU_INFO_ACC_RANGE_G_OFFSET] = RIMU_DEFAULT_ACC_RANGE_G;
    record[RIMU_INFO_SAMPLES_PER_PACKET_OFFSET] = samples_in_use(device);
    rimu_put_u16(&record[RIMU_INFO_GYR_RANGE_DPS_OFFSET], RIMU_DEFAULT_GYR_RANGE_DPS);
    record[RIMU_INFO_FIRMWARE_MAJOR_OFFSET] = RIMU_FIRMWARE_MAJOR;
    record[RIMU_INFO_FIRMWARE_MINOR_OFFSET] = RIMU_FIRMWARE_MINOR;
    record[RIMU_INFO_CHIP_OFFSET] = device->chip;
    record[RIMU_INFO_STREAM_OFFSET] = device->stream.starts;
}

bool rimu_device_identifying(rimu_device *device) {
    if (device->identifying) {
        const uint32_t since_us = device->clock.now_us(device->clock.context) - device->identify_us;
        device->identifying = since_us < RIMU_IDENTIFY_S * 1000000u;
    }
    return device->identifying;
}

void rimu_device_poll(rimu_device *device) {
    if (!device->streaming) {
        return;
    }
    drain(device);
    send(device);
}
