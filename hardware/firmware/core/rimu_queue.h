/* Packets that wait for the radio: a ring of bytes with a bound, oldest first.
 *
 * When it is full the oldest packet goes: what is newest is worth most to somebody who runs and listens. The index in
 * every packet tells the host exactly what is missing, and nothing is ever reordered.
 */
#ifndef RIMU_QUEUE_H
#define RIMU_QUEUE_H

#include <stdint.h>

/* 6 s of packets of 8 samples at 208 Hz, 3.7 s of single samples: longer than a radio link that survives is silent */
#ifndef RIMU_QUEUE_BYTES
#define RIMU_QUEUE_BYTES 16384u
#endif

typedef struct {
    uint8_t bytes[RIMU_QUEUE_BYTES]; /* packets, each behind its length */
    uint32_t first;                  /* place of the oldest packet's length */
    uint32_t used;
} rimu_queue;

void rimu_queue_clear(rimu_queue *queue);

/** Add a packet; the oldest ones go until it fits. */
void rimu_queue_put(rimu_queue *queue, const uint8_t *data, uint8_t bytes);

/** Copy the oldest packet into `data` (255 bytes are always enough) and return its length, 0 when there is none. */
uint8_t rimu_queue_front(const rimu_queue *queue, uint8_t *data);

/** Let the oldest packet go, if there is one. */
void rimu_queue_drop(rimu_queue *queue);

#endif
