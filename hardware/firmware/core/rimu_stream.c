#include "rimu_stream.h"

/* Either end of int16; -32767 counts too, as it does on the host */
#define END_OF_RANGE 32767

void rimu_put_u16(uint8_t *to, uint16_t value) {
    to[0] = (uint8_t)(value & 0xFFu);
    to[1] = (uint8_t)(value >> 8);
}

void rimu_put_u32(uint8_t *to, uint32_t value) {
    rimu_put_u16(to, (uint16_t)(value & 0xFFFFu));
    rimu_put_u16(to + 2, (uint16_t)(value >> 16));
}

void rimu_stream_init(rimu_stream *stream, rimu_queue *queue) {
    stream->queue = queue;
    stream->index = 0u;
    stream->size = RIMU_DEFAULT_SAMPLES_PER_PACKET;
    stream->starts = 0u;
    stream->first = false;
    stream->lost = false;
    rimu_stream_clear(stream);
}

void rimu_stream_start(rimu_stream *stream, uint8_t size) {
    rimu_stream_clear(stream);
    stream->index = 0u;
    stream->size = size;
    stream->starts = (uint8_t)((stream->starts + 1u) % RIMU_STREAM_WRAP);
    stream->first = true;
    stream->lost = false;
}

void rimu_stream_resize(rimu_stream *stream, uint8_t size) {
    stream->size = size;
    if (stream->count >= size) {
        rimu_stream_close(stream);
    }
}

static bool clipped(const int16_t *values) {
    for (unsigned i = 0; i < 3u; i++) {
        if (values[i] >= END_OF_RANGE || values[i] <= -END_OF_RANGE) {
            return true;
        }
    }
    return false;
}

static void open_packet(rimu_stream *stream, uint32_t at_us) {
    unsigned flags = (unsigned)stream->starts << RIMU_STREAM_SHIFT;
    flags |= stream->first ? RIMU_FIRST_PACKET : 0u;
    flags |= stream->lost ? RIMU_OVERRUN : 0u;
    stream->first = false;
    stream->lost = false;
    stream->packet[RIMU_DATA_TYPE_OFFSET] = RIMU_DATA_TYPE;
    stream->packet[RIMU_DATA_FLAGS_OFFSET] = (uint8_t)flags;
    rimu_put_u16(&stream->packet[RIMU_DATA_INDEX_OFFSET], stream->index);
    rimu_put_u32(&stream->packet[RIMU_DATA_DEVICE_US_OFFSET], at_us);
}

void rimu_stream_add(rimu_stream *stream, const int16_t sample[RIMU_SAMPLE_VALUES], uint32_t at_us) {
    if (stream->count == 0u) {
        open_packet(stream, at_us);
    }
    unsigned flags = stream->packet[RIMU_DATA_FLAGS_OFFSET];
    flags |= clipped(&sample[0]) ? RIMU_ACC_CLIP : 0u;
    flags |= clipped(&sample[3]) ? RIMU_GYR_CLIP : 0u;
    stream->packet[RIMU_DATA_FLAGS_OFFSET] = (uint8_t)flags;
    uint8_t *to = &stream->packet[RIMU_HEADER_BYTES + stream->count * RIMU_SAMPLE_BYTES];
    for (unsigned i = 0; i < RIMU_SAMPLE_VALUES; i++) {
        rimu_put_u16(to + 2u * i, (uint16_t)sample[i]);
    }
    stream->count++;
    rimu_stream_pass(stream);
    if (stream->count >= stream->size) {
        rimu_stream_close(stream);
    }
}

void rimu_stream_pass(rimu_stream *stream) {
    stream->index++; /* wraps as the profile says */
}

void rimu_stream_lose(rimu_stream *stream) {
    rimu_stream_close(stream);
    stream->lost = true;
}

void rimu_stream_close(rimu_stream *stream) {
    if (stream->count > 0u) {
        rimu_queue_put(stream->queue, stream->packet, (uint8_t)(RIMU_HEADER_BYTES + stream->count * RIMU_SAMPLE_BYTES));
        stream->count = 0u;
    }
}

void rimu_stream_clear(rimu_stream *stream) {
    stream->count = 0u;
    rimu_queue_clear(stream->queue);
}
