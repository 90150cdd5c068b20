#include "rimu_queue.h"

void rimu_queue_clear(rimu_queue *queue) {
    queue->first = 0u;
    queue->used = 0u;
}

static uint8_t *at(const rimu_queue *queue, uint32_t offset) {
    return (uint8_t *)&queue->bytes[(queue->first + offset) % RIMU_QUEUE_BYTES];
}

void rimu_queue_put(rimu_queue *queue, const uint8_t *data, uint8_t bytes) {
    while (queue->used + 1u + bytes > RIMU_QUEUE_BYTES) {
        rimu_queue_drop(queue);
    }
    *at(queue, queue->used) = bytes;
    for (uint32_t i = 0; i < bytes; i++) {
        *at(queue, queue->used + 1u + i) = data[i];
    }
    queue->used += 1u + bytes;
}

uint8_t rimu_queue_front(const rimu_queue *queue, uint8_t *data) {
    if (queue->used == 0u) {
        return 0u;
    }
    const uint8_t bytes = *at(queue, 0u);
    for (uint32_t i = 0; i < bytes; i++) {
        data[i] = *at(queue, 1u + i);
    }
    return bytes;
}

void rimu_queue_drop(rimu_queue *queue) {
    if (queue->used > 0u) {
        const uint32_t whole = 1u + *at(queue, 0u);
        queue->first = (queue->first + whole) % RIMU_QUEUE_BYTES;
        queue->used -= whole;
    }
}
