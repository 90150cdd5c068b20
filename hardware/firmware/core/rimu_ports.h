/* What the core needs of the world: a bus, a clock, a radio. Each is a struct of functions with a context of its own.
 *
 * The core calls them from within its own functions only, never from an interrupt, and keeps no buffer it was handed.
 */
#ifndef RIMU_PORTS_H
#define RIMU_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The bus (I2C or SPI) on which the sensor hangs. */
typedef struct {
    void *context;
    /** Read `bytes` registers from `first` on in one transfer; false when the bus failed, `data` then means nothing. */
    bool (*read)(void *context, uint8_t first, uint8_t *data, size_t bytes);
    /** Write one register; false when the bus failed. */
    bool (*write)(void *context, uint8_t address, uint8_t value);
} rimu_bus;

/** The device's clock: microseconds since boot, modulo 2^32, on a crystal, never set back. */
typedef struct {
    void *context;
    uint32_t (*now_us)(void *context);
    /** Tell when the sensor last raised its watermark line, if it did so since this was last asked; else false.
     *  May be NULL where the line is not wired: stamps are then good to half a sample. */
    bool (*take_watermark_us)(void *context, uint32_t *at_us);
} rimu_clock;

/** The radio, as far as data notifications are concerned. */
typedef struct {
    void *context;
    /** Hand over one notification; false when there is no room for it now. It is offered again later. */
    bool (*notify)(void *context, const uint8_t *data, size_t bytes);
} rimu_radio;

#endif
