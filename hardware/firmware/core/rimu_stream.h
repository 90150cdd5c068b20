/* The packetiser: samples and their times become data records of RIMU v1, byte by byte as in hardware/rimu-v1.md.
 *
 * 1. Every sample has an index, whether somebody gets it or not.
 * 2. The samples of a packet follow each other without a hole: a loss closes the open packet and is flagged in the next.
 * 3. A full packet goes into the queue at once.
 */
#ifndef RIMU_STREAM_H
#define RIMU_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "rimu_profile.h"
#include "rimu_queue.h"

#define RIMU_SAMPLE_VALUES 6u /* acceleration x, y, z, angular rate x, y, z */

typedef struct {
    rimu_queue *queue;
    uint16_t index;  /* of the next sample */
    uint8_t size;    /* samples a packet is to hold */
    uint8_t count;   /* samples in the open packet */
    uint8_t starts;  /* modulo 16 */
    bool first;      /* the next packet is the first since the start */
    bool lost;       /* samples without an index were lost before the next packet */
    uint8_t packet[RIMU_HEADER_BYTES + RIMU_SAMPLES_MOST * RIMU_SAMPLE_BYTES];
} rimu_stream;

/** Prepare a stream that was never started. */
void rimu_stream_init(rimu_stream *stream, rimu_queue *queue);

/** Begin a new stream: index 0, start count raised by one, what waited is gone. */
void rimu_stream_start(rimu_stream *stream, uint8_t size);

/** Let packets hold `size` samples, 1 to RIMU_SAMPLES_MOST, from now on. */
void rimu_stream_resize(rimu_stream *stream, uint8_t size);

/** Add a sample measured at `at_us`: acceleration x, y, z, angular rate x, y, z in counts. */
void rimu_stream_add(rimu_stream *stream, const int16_t sample[RIMU_SAMPLE_VALUES], uint32_t at_us);

/** Count a sample that nobody gets. */
void rimu_stream_pass(rimu_stream *stream);

/** Note that samples were lost which the index cannot count. */
void rimu_stream_lose(rimu_stream *stream);

/** Send the open packet as it is, if it holds anything. */
void rimu_stream_close(rimu_stream *stream);

/** Forget the open packet and everything that waits. */
void rimu_stream_clear(rimu_stream *stream);

/* Write an integer as the profile does, lowest byte first. */
void rimu_put_u16(uint8_t *to, uint16_t value);
void rimu_put_u32(uint8_t *to, uint32_t value);

#endif
