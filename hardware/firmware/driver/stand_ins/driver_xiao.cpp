/* Plays a scenario against the whole sketch, as ../driver.c does against the core alone. The letters are the same where they
 * mean the same; what the radio and the board were asked for is told with 'J'. */
#include <stdlib.h>

#include "xiao.ino"

static FILE *scenario, *output;
static fake_chip chip;
static uint32_t room = UINT32_MAX;
static uint64_t passed_us; /* the chip's clock wraps, time does not */
static uint32_t last_us;

TwoWire Wire1;
NRF_RTC_Type rtc2;
NRF_WDT_Type wdt;
AdafruitBluefruit Bluefruit;

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(5);
}

static void say(char what, const void *data, size_t bytes) {
    const uint8_t head[2] = {(uint8_t)what, (uint8_t)bytes};
    fwrite(head, 1, sizeof head, output);
    fwrite(data, 1, bytes, output);
}

static void tell(const char *format, unsigned value) {
    char text[80];
    const int bytes = snprintf(text, sizeof text, format, value);
    say('J', text, (size_t)bytes);
}

static uint64_t time_us() {
    passed_us += chip.now_us - last_us;
    last_us = chip.now_us;
    return passed_us;
}

/* ---------------------------------------------------------------- Arduino */

static uint32_t pins[PINS];
static uint32_t cell_mv = 4000;
static voidFuncPtr interrupt;
static uint8_t sent[8], received[64];
static size_t sent_count, received_count, received_at;

void pinMode(uint32_t, uint32_t) {}
void digitalWrite(uint32_t pin, uint32_t value) { pins[pin] = value; }
void analogReference(int) {}
void analogReadResolution(int) {}
void analogSampleTime(uint8_t) {}
void delay(uint32_t ms) { fake_chip_wait(&chip, ms * 1000); }
uint32_t millis(void) { return (uint32_t)(time_us() / 1000); }

uint32_t analogRead(uint32_t pin) {
    if (pin != PIN_VBAT || pins[VBAT_ENABLE] != LOW) {
        fail("the divider is not switched on");
    }
    return cell_mv * 510 / 1510 * 4096 / 2400;
}

int attachInterrupt(uint32_t, voidFuncPtr callback, uint32_t) {
    interrupt = callback;
    return 1;
}

void detachInterrupt(uint32_t) { interrupt = NULL; }

static void rise() {
    if (interrupt) {
        interrupt();
    }
}

void TwoWire::begin(void) {
    if (!pins[PIN_LSM6DS3TR_C_POWER]) {
        fail("the sensor has no power");
    }
}
void TwoWire::setClock(uint32_t hz) { chip.us_per_byte = (uint16_t)(9000000 / hz); }
void TwoWire::beginTransmission(uint8_t address) {
    if (address != 0x6A) {
        fail("nobody has this address");
    }
    sent_count = 0;
}
size_t TwoWire::write(uint8_t value) {
    sent[sent_count++ % sizeof sent] = value;
    return 1;
}
uint8_t TwoWire::endTransmission(void) { return endTransmission(true); }
uint8_t TwoWire::endTransmission(bool stop) {
    /* without a stop it is the first half of a read, which comes as a whole with requestFrom */
    return stop && !fake_chip_write(&chip, sent[0], sent[1]) ? 4 : 0;
}
uint8_t TwoWire::requestFrom(uint8_t, size_t quantity) {
    if (quantity > sizeof received) {
        fail("more than Wire's buffer holds");
    }
    received_at = 0;
    received_count = fake_chip_read(&chip, sent[0], received, quantity) ? quantity : 0;
    return (uint8_t)received_count;
}
int TwoWire::read(void) { return received_at < received_count ? received[received_at++] : -1; }

/* ---------------------------------------------------------------- FreeRTOS, nRF52840 */

struct mutex {
    bool taken;
};
static mutex the_mutex;
static bool notified;

SemaphoreHandle_t xSemaphoreCreateMutex(void) { return &the_mutex; }
BaseType_t xSemaphoreTake(SemaphoreHandle_t mutex, TickType_t) {
    if (mutex->taken) {
        fail("a lock is taken twice");
    }
    mutex->taken = true;
    return pdTRUE;
}
BaseType_t xSemaphoreGive(SemaphoreHandle_t mutex) {
    mutex->taken = false;
    return pdTRUE;
}
TaskHandle_t xTaskGetCurrentTaskHandle(void) { return &notified; }
BaseType_t xTaskNotifyGive(TaskHandle_t) {
    notified = true;
    return pdTRUE;
}
void vTaskNotifyGiveFromISR(TaskHandle_t, BaseType_t *) { notified = true; }

static uint32_t sleep_ticks;

uint32_t ulTaskNotifyTake(BaseType_t, TickType_t ticks) {
    if (the_mutex.taken) {
        fail("it sleeps with the lock");
    }
    sleep_ticks = ticks;
    notified = false;
    return 0;
}

Counter::operator uint32_t() const { return (uint32_t)(time_us() * 32768 / 1000000) & 0xFFFFFF; }

/* ---------------------------------------------------------------- SoftDevice, Bluefruit */

static const uint16_t HANDLE = 3;
static BLECharacteristic::write_cccd_cb_t subscription_callback;
static BLECharacteristic::write_authorize_cb_t control_callback;
static BLEPeriph::connect_callback_t connect_callback;
static AdafruitBluefruit::event_cb_t event_callback;
static bool subscribed;
static char name[32];

uint32_t sd_ble_gatts_hvx(uint16_t to, ble_gatts_hvx_params_t const *notification) {
    if (to != HANDLE || notification->type != BLE_GATT_HVX_NOTIFICATION) {
        fail("a notification to nobody");
    }
    if (room == 0) {
        return NRF_ERROR_RESOURCES;
    }
    room--;
    say('D', notification->p_data, *notification->p_len);
    return NRF_SUCCESS;
}

uint32_t sd_ble_gatts_rw_authorize_reply(uint16_t, ble_gatts_rw_authorize_reply_params_t const *reply) {
    const uint16_t status = reply->params.write.gatt_status;
    if (reply->type != BLE_GATTS_AUTHORIZE_TYPE_WRITE || !reply->params.write.update || (status && status >> 8 != 1)) {
        fail("no reply to a write");
    }
    const uint8_t error = (uint8_t)status;
    say('A', &error, 1);
    return NRF_SUCCESS;
}

uint32_t sd_power_dcdc_mode_set(uint8_t) { return NRF_SUCCESS; }

void BLECharacteristic::setCccdWriteCallback(write_cccd_cb_t callback, bool deferred) {
    subscription_callback = deferred ? NULL : callback;
}
void BLECharacteristic::setWriteAuthorizeCallback(write_authorize_cb_t callback, bool deferred) {
    control_callback = deferred ? NULL : callback; /* deferred, it would see one byte of a write */
}
err_t BLECharacteristic::begin(void) { return 0; }
ble_gatts_char_handles_t BLECharacteristic::handles(void) {
    const ble_gatts_char_handles_t handles = {16, 0, 17, 0};
    return handles;
}
uint16_t BLECharacteristic::write(const void *data, uint16_t bytes) {
    memcpy(value, data, bytes);
    return bytes;
}
bool BLECharacteristic::notifyEnabled(uint16_t) { return subscribed; }

bool BLEBas::write(uint8_t level) {
    tell("battery %u", level);
    return true;
}
bool BLEBas::notify(uint8_t level) { return write(level); }
void BLEDis::setFirmwareRev(const char *text) { say('J', text, strlen(text)); }
bool BLEConnection::requestPHY(uint8_t phy) {
    tell("phy %u", phy);
    return true;
}
bool BLEConnection::requestDataLengthUpdate(void const *, void *) {
    tell("data length", 0);
    return true;
}
bool BLEConnection::requestMtuExchange(uint16_t mtu) {
    tell("mtu %u", mtu);
    return true;
}
bool BLEAdvertisingData::addFlags(uint8_t) { return true; }
bool BLEAdvertisingData::addService(BLEService &of) {
    say('J', of.uuid.uuid128, 16);
    return true;
}
bool BLEAdvertisingData::addName(void) {
    say('J', name, strlen(name));
    return true;
}
void BLEAdvertising::restartOnDisconnect(bool) {}
void BLEAdvertising::setInterval(uint16_t, uint16_t) {}
void BLEAdvertising::setFastTimeout(uint16_t) {}
bool BLEAdvertising::start(uint16_t) {
    tell("advertises", 0);
    return true;
}
void BLEPeriph::setConnectCallback(connect_callback_t callback) { connect_callback = callback; }
bool BLEPeriph::setConnInterval(uint16_t least, uint16_t most) {
    tell("interval from %u", least);
    tell("interval to %u", most);
    return true;
}
void AdafruitBluefruit::autoConnLed(bool) {}
void AdafruitBluefruit::configPrphBandwidth(uint8_t bandwidth) { tell("bandwidth %u", bandwidth); }
bool AdafruitBluefruit::begin(uint8_t, uint8_t) { return true; }
uint8_t AdafruitBluefruit::getAddr(uint8_t mac[6]) {
    const uint8_t address[6] = {0x2B, 0x1A, 3, 4, 5, 6};
    memcpy(mac, address, 6);
    return 1;
}
void AdafruitBluefruit::setName(const char *text) { snprintf(name, sizeof name, "%s", text); }
void AdafruitBluefruit::setEventCallback(event_cb_t callback) { event_callback = callback; }
BLEConnection *AdafruitBluefruit::Connection(uint16_t connection) {
    static BLEConnection link;
    return connection == HANDLE ? &link : NULL;
}

/* ---------------------------------------------------------------- what a scenario may ask for */

static uint32_t get_number(size_t bytes) {
    uint8_t data[4] = {0};
    if (fread(data, 1, bytes, scenario) != bytes) {
        fail("the scenario ends too soon");
    }
    return data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

static void happen(uint16_t id, uint16_t mtu = 0) {
    ble_evt_t event;
    memset(&event, 0, sizeof event);
    event.header.evt_id = id;
    event.evt.gap_evt.conn_handle = HANDLE;
    if (id == BLE_GATTS_EVT_EXCHANGE_MTU_REQUEST) {
        event.evt.gatts_evt.params.exchange_mtu_request.client_rx_mtu = mtu;
    } else if (id == BLE_GATTC_EVT_EXCHANGE_MTU_RSP) {
        event.evt.gattc_evt.params.exchange_mtu_rsp.server_rx_mtu = mtu;
    }
    event_callback(&event);
}

static void connect(uint16_t mtu) {
    happen(BLE_GAP_EVT_CONNECTED);
    connect_callback(HANDLE);
    if (mtu != RIMU_MTU_LEAST) {
        happen(BLE_GATTC_EVT_EXCHANGE_MTU_RSP, mtu);
    }
}

static void control(uint8_t op) {
    union {
        ble_gatts_evt_write_t request;
        uint8_t bytes[64];
    } write;
    memset(&write, 0, sizeof write);
    write.request.op = op;
    write.request.len = (uint16_t)get_number(1);
    for (size_t i = 0; i < write.request.len; i++) {
        write.bytes[offsetof(ble_gatts_evt_write_t, data) + i] = (uint8_t)get_number(1);
    }
    control_callback(HANDLE, &control_characteristic, &write.request);
}

static void plan() {
    for (uint32_t count = get_number(2); count > 0; count--) {
        fake_sample sample;
        sample.at_us = get_number(4);
        for (int i = 0; i < 6; i++) {
            sample.values[i] = (int16_t)get_number(2);
        }
        fake_chip_plan(&chip, sample);
    }
}

static void play(int what) {
    switch (what) {
    case 'B':
        setup();
        break;
    case 'C':
        connect((uint16_t)get_number(2));
        break;
    case 'M':
        happen(BLE_GATTS_EVT_EXCHANGE_MTU_REQUEST, (uint16_t)get_number(2));
        break;
    case 'D':
        subscribed = false;
        happen(BLE_GAP_EVT_DISCONNECTED);
        break;
    case 'S':
        subscribed = get_number(1) != 0;
        subscription_callback(HANDLE, &data_characteristic, subscribed ? BLE_GATT_HVX_NOTIFICATION : 0);
        break;
    case 's': /* a bonded host's subscription, restored without a word */
        subscribed = true;
        break;
    case 'W':
        control(BLE_GATTS_OP_WRITE_REQ);
        break;
    case 'w': /* a long write, of which this is one part */
        control(0x04);
        break;
    case 'I':
        say('I', info_characteristic.value, info_characteristic.most);
        break;
    case 'V':
        loop();
        break;
    case 'v': /* only if something woke it */
        if (notified) {
            loop();
        }
        break;
    case 'Z': { /* how long it sleeps, unless it is woken, and whether the watchdog was fed */
        const uint32_t said[2] = {sleep_ticks, wdt.RR[0]};
        say('Z', said, sizeof said);
        wdt.RR[0] = 0;
        break;
    }
    case 'O': {
        const uint8_t lit = pins[LED_BLUE] == LOW;
        say('O', &lit, 1);
        break;
    }
    case 'H':
        happen(BLE_GATTS_EVT_HVN_TX_COMPLETE);
        break;
    case 'b':
        cell_mv = get_number(2);
        break;
    case 'N':
        plan();
        break;
    case 'T': {
        const uint32_t left_us = get_number(4) - chip.now_us;
        fake_chip_wait(&chip, left_us < 0x80000000u ? left_us : 0);
        break;
    }
    case 'R':
        room = get_number(4);
        break;
    case 'F':
        chip.good_transfers = get_number(4);
        chip.bad_transfers = get_number(4);
        break;
    case 'X':
        fake_chip_lose_words(&chip, get_number(2));
        break;
    case 'G': /* the bus has the speed that the sketch chose; interrupts come at once */
        (void)get_number(4);
        break;
    case 'Q':
        say('Q', chip.registers, 0x20);
        break;
    default:
        fail("no such letter");
    }
}

int main(int argc, char **argv) {
    if (argc != 3 || !(scenario = fopen(argv[1], "rb")) || !(output = fopen(argv[2], "wb"))) {
        return 1;
    }
    fake_chip_power_on(&chip);
    chip.rise = rise;
    int what;
    while ((what = fgetc(scenario)) != EOF) {
        play(what);
    }
    return fclose(output) == 0 ? 0 : 2;
}
