/* The device: sensor, packetiser, queue and commands of RIMU v1 tied together. One per board, no allocation.
 *
 * The board around it calls in from one thread at a time (a mutex, or one task) and never from an interrupt:
 *
 *     rimu_device_begin        once
 *     rimu_device_connected    with the MTU as it is, rimu_device_mtu when it changes, rimu_device_disconnected
 *     rimu_device_subscribe    when the host switches data notifications on or off
 *     rimu_device_control      with what is written to control; its result is the ATT error of the answer
 *     rimu_device_info         when info is read
 *     rimu_device_poll         when the watermark line rose, when the radio has room again, and every 50 ms at the least
 */
#ifndef RIMU_DEVICE_H
#define RIMU_DEVICE_H

#include "lsm6ds3trc.h"
#include "rimu_ports.h"
#include "rimu_stamp.h"
#include "rimu_stream.h"

#define RIMU_FIRMWARE_MAJOR 1u
#define RIMU_FIRMWARE_MINOR 0u

/* ATT's own "unlikely error", beside the three of the profile: the sensor does not answer */
#define RIMU_ATT_SENSOR_SILENT 0x0Eu

typedef struct {
    rimu_bus bus;
    rimu_clock clock;
    rimu_radio radio;
    rimu_queue queue;
    rimu_stream stream;
    rimu_stamp stamp;
    lsm6ds3trc_rate rate;
    uint32_t sample;      /* number of the next sample out of the FIFO */
    uint32_t news_us;     /* when the FIFO last gave a sample */
    uint32_t identify_us; /* when identify was asked for */
    uint16_t mtu;
    uint16_t watermark;   /* samples */
    uint16_t settling;    /* samples still to be thrown away */
    uint8_t asked;        /* samples per packet that the host asked for */
    uint8_t chip;
    uint8_t failures;     /* bus transfers that failed in a row */
    bool subscribed;
    bool streaming;
    bool identifying;
} rimu_device;

/** Take the ports, look for the sensor and send it to sleep; false when it does not answer (a start tries again). */
bool rimu_device_begin(rimu_device *device, rimu_bus bus, rimu_clock clock, rimu_radio radio);

void rimu_device_connected(rimu_device *device, uint16_t mtu);

/** Take the MTU agreed upon; more than the profile's 247 is not made use of. */
void rimu_device_mtu(rimu_device *device, uint16_t mtu);

/** Stop the stream and forget what waits; the sensor sleeps. */
void rimu_device_disconnected(rimu_device *device);

/** Let data flow or not. Samples made meanwhile are counted, not kept. */
void rimu_device_subscribe(rimu_device *device, bool on);

/** Obey what was written to control; return 0 or the ATT error that answers it. */
uint8_t rimu_device_control(rimu_device *device, const uint8_t *data, size_t bytes);

/** Write the info record. */
void rimu_device_info(const rimu_device *device, uint8_t record[RIMU_INFO_BYTES]);

/** Take what the sensor has, give the radio what it has room for. */
void rimu_device_poll(rimu_device *device);

/** Tell whether the lamp is to blink. */
bool rimu_device_identifying(rimu_device *device);

#endif
