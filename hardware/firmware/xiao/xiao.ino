/* RIMU v1 on a Seeed XIAO nRF52840 Sense: the board around ../core, for the board package "Seeed nRF52 Boards".
 *
 * NOT RUN ON HARDWARE HERE. This sketch is compiled and played against stand-ins for the board package
 * (tests/test_firmware.py), whose names and types were taken from the package's public sources. Whether a real board does what it
 * should, nobody has seen yet: ../README.md says what to look at first.
 *
 * How it works
 * ------------
 * 1. loop() is the one place that reads the sensor and sends. It sleeps until the watermark line rises, the radio has sent
 *    something, or a while has passed.
 * 2. What the radio brings (connections, MTU, subscriptions, writes) comes in order in the package's radio task. It enters the
 *    core under a lock, and nobody waits for the radio while holding it: notifications go straight to the SoftDevice, which
 *    refuses at once when its queue is full.
 * 3. The clock is RTC2 on the 32 kHz crystal: it runs while everything else sleeps. The interrupt only reads it.
 * 4. Nobody connected: the sensor sleeps, the processor wakes every few seconds to feed the watchdog.
 * 5. A bus that hangs hangs the sketch (the package's Wire waits for ever); the watchdog then restarts the board.
 */
#include <Adafruit_TinyUSB.h> /* the package does not link without it */
#include <Arduino.h>
#include <Wire.h>
#include <bluefruit.h>

extern "C" {
#include <rimu_device.h>
}

static const uint8_t SENSOR_ADDRESS = 0x6A;
static const uint32_t SENSOR_BOOT_MS = 35;    /* from power to the first answer: 15 ms by the data sheet, and as much again */
static const uint32_t STREAMING_WAKE_MS = 50; /* a lost interrupt costs no more than this */
static const uint32_t BLINK_MS = 100;
static const uint32_t IDLE_WAKE_MS = 5000; /* less than the watchdog waits, and than RTC2 takes to wrap (512 s) */
static const uint32_t WATCHDOG_S = 15;
static const uint32_t BATTERY_EVERY_MS = 60000;
static const uint16_t ADVERTISE_FAST = 32;    /* x 0.625 ms: 20 ms in the first half minute */
static const uint16_t ADVERTISE_SLOW = 1636;  /* 1022.5 ms */
static const uint16_t ADVERTISE_FAST_S = 30;
static const uint32_t CONNECTION_UNIT_US = 1250;
static const uint16_t ATT_ERROR = 0x0100;     /* the SoftDevice's status is this plus the error */
static const uint32_t WATCHDOG_RELOAD = 0x6E524635; /* what the chip wants to be fed with */

static const uint8_t SERVICE_UUID[16] = RIMU_SERVICE_UUID_BYTES;
static const uint8_t DATA_UUID[16] = RIMU_DATA_UUID_BYTES;
static const uint8_t CONTROL_UUID[16] = RIMU_CONTROL_UUID_BYTES;
static const uint8_t INFO_UUID[16] = RIMU_INFO_UUID_BYTES;

static BLEService service(SERVICE_UUID);
static BLECharacteristic data_characteristic(DATA_UUID);
static BLECharacteristic control_characteristic(CONTROL_UUID);
static BLECharacteristic info_characteristic(INFO_UUID);
static BLEBas battery_service;
static BLEDis information_service;

static rimu_device device; /* under `lock`, like everything that calls into the core */
static SemaphoreHandle_t lock;
static TaskHandle_t loop_task;
static rimu_ticks ticks;
static volatile uint16_t connection = BLE_CONN_HANDLE_INVALID;
static volatile bool edge;
static volatile uint32_t edge_ticks;

class Locked {
public:
    Locked() { xSemaphoreTake(lock, portMAX_DELAY); }
    ~Locked() { xSemaphoreGive(lock); }
};

/* ---------------------------------------------------------------- ports */

static bool bus_read(void *, uint8_t first, uint8_t *data, size_t bytes) {
    Wire1.beginTransmission(SENSOR_ADDRESS);
    Wire1.write(first);
    if (Wire1.endTransmission(false) != 0 || Wire1.requestFrom(SENSOR_ADDRESS, bytes) != bytes) {
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)Wire1.read();
    }
    return true;
}

static bool bus_write(void *, uint8_t address, uint8_t value) {
    Wire1.beginTransmission(SENSOR_ADDRESS);
    Wire1.write(address);
    Wire1.write(value);
    return Wire1.endTransmission() == 0;
}

static uint32_t now_us(void *) {
    return rimu_ticks_us(&ticks, NRF_RTC2->COUNTER);
}

static void on_watermark() {
    edge_ticks = NRF_RTC2->COUNTER;
    edge = true;
    BaseType_t woken = pdFALSE;
    vTaskNotifyGiveFromISR(loop_task, &woken);
    portYIELD_FROM_ISR(woken);
}

static bool take_watermark_us(void *, uint32_t *at_us) {
    taskENTER_CRITICAL();
    const bool rose = edge;
    const uint32_t then = edge_ticks;
    edge = false;
    taskEXIT_CRITICAL();
    if (rose) {
        const uint32_t counter = NRF_RTC2->COUNTER;
        const uint32_t ago = (counter - then) & 0xFFFFFF;
        *at_us = rimu_ticks_us(&ticks, counter) - (uint32_t)((uint64_t)ago * 15625 / 512);
    }
    return rose;
}

static bool notify(void *, const uint8_t *data, size_t bytes) {
    uint16_t length = (uint16_t)bytes;
    ble_gatts_hvx_params_t notification;
    memset(&notification, 0, sizeof notification);
    notification.handle = data_characteristic.handles().value_handle;
    notification.type = BLE_GATT_HVX_NOTIFICATION;
    notification.p_len = &length;
    notification.p_data = data;
    return sd_ble_gatts_hvx(connection, &notification) == NRF_SUCCESS;
}

/* ---------------------------------------------------------------- what the radio brings */

static void show_info() {
    uint8_t record[RIMU_INFO_BYTES];
    rimu_device_info(&device, record);
    info_characteristic.write(record, sizeof record);
}

static void take_mtu(uint16_t of_the_host) {
    rimu_device_mtu(&device, of_the_host < RIMU_MTU ? of_the_host : RIMU_MTU);
}

static void on_radio_event(ble_evt_t *event) {
    Locked locked;
    switch (event->header.evt_id) {
    case BLE_GAP_EVT_CONNECTED:
        connection = event->evt.gap_evt.conn_handle;
        rimu_device_connected(&device, RIMU_MTU_LEAST);
        attachInterrupt(PIN_LSM6DS3TR_C_INT1, on_watermark, RISING);
        break;
    case BLE_GAP_EVT_DISCONNECTED:
        connection = BLE_CONN_HANDLE_INVALID;
        detachInterrupt(PIN_LSM6DS3TR_C_INT1);
        rimu_device_disconnected(&device);
        break;
    case BLE_GATTS_EVT_EXCHANGE_MTU_REQUEST:
        take_mtu(event->evt.gatts_evt.params.exchange_mtu_request.client_rx_mtu);
        break;
    case BLE_GATTC_EVT_EXCHANGE_MTU_RSP:
        take_mtu(event->evt.gattc_evt.params.exchange_mtu_rsp.server_rx_mtu);
        break;
    case BLE_GATTS_EVT_HVN_TX_COMPLETE: /* there is room again */
        xTaskNotifyGive(loop_task);
        return;
    default:
        return;
    }
    show_info();
    xTaskNotifyGive(loop_task);
}

/* In a task of its own, for it may wait: asks for what a host rarely asks for by itself. The package asks for the interval. */
static void on_connect(uint16_t handle) {
    BLEConnection *link = Bluefruit.Connection(handle);
    if (link != NULL) {
        link->requestPHY(BLE_GAP_PHY_2MBPS);
        link->requestDataLengthUpdate();
        link->requestMtuExchange(RIMU_MTU);
    }
}

static void on_subscription(uint16_t, BLECharacteristic *, uint16_t value) {
    Locked locked;
    rimu_device_subscribe(&device, (value & BLE_GATT_HVX_NOTIFICATION) != 0);
}

static void on_control(uint16_t handle, BLECharacteristic *, ble_gatts_evt_write_t *request) {
    uint16_t status = BLE_GATT_STATUS_ATTERR_REQUEST_NOT_SUPPORTED; /* long writes: no command is long */
    if (request->op == BLE_GATTS_OP_WRITE_REQ) {
        Locked locked;
        /* a host that is bonded finds its subscription restored without writing it */
        rimu_device_subscribe(&device, data_characteristic.notifyEnabled(handle));
        const uint8_t error = rimu_device_control(&device, request->data, request->len);
        status = error ? (uint16_t)(ATT_ERROR + error) : (uint16_t)BLE_GATT_STATUS_SUCCESS;
        show_info();
    }
    ble_gatts_rw_authorize_reply_params_t reply;
    memset(&reply, 0, sizeof reply);
    reply.type = BLE_GATTS_AUTHORIZE_TYPE_WRITE;
    reply.params.write.gatt_status = status;
    reply.params.write.update = 1;
    reply.params.write.offset = request->offset;
    reply.params.write.len = request->len;
    reply.params.write.p_data = request->data;
    sd_ble_gatts_rw_authorize_reply(handle, &reply);
    xTaskNotifyGive(loop_task);
}

/* ---------------------------------------------------------------- battery, lamp, watchdog */

/* Cell voltage to charge left, by the usual curve of a lithium cell under a small load: rough. */
static uint8_t battery_percent(uint32_t mv) {
    static const uint16_t MV[] = {3300, 3600, 3700, 3800, 3900, 4000, 4180};
    static const uint8_t PERCENT[] = {0, 8, 22, 48, 65, 80, 100};
    const size_t last = sizeof MV / sizeof MV[0] - 1;
    if (mv <= MV[0]) {
        return PERCENT[0];
    }
    for (size_t i = 1; i <= last; i++) {
        if (mv < MV[i]) {
            const uint32_t step = MV[i] - MV[i - 1];
            return (uint8_t)(PERCENT[i - 1] + (mv - MV[i - 1]) * (uint32_t)(PERCENT[i] - PERCENT[i - 1]) / step);
        }
    }
    return PERCENT[last];
}

static uint8_t read_battery_percent() {
    /* 12 bits of 2.4 V, behind 1 MOhm and 510 kOhm: 151 / 51 */
    const uint32_t raw = (uint32_t)analogRead(PIN_VBAT);
    return battery_percent(raw * 2400 * 151 / 51 / 4096);
}

static void lamp(bool on) {
    digitalWrite(LED_BLUE, on ? LOW : HIGH); /* lit when low, whatever the package's LED_STATE_ON says */
}

static void start_watchdog() {
    NRF_WDT->CONFIG = WDT_CONFIG_SLEEP_Run << WDT_CONFIG_SLEEP_Pos;
    NRF_WDT->CRV = WATCHDOG_S * 32768 - 1;
    NRF_WDT->RREN = WDT_RREN_RR0_Msk;
    NRF_WDT->TASKS_START = 1;
}

/* ---------------------------------------------------------------- set-up and loop */

static void start_sensor() {
    pinMode(PIN_LSM6DS3TR_C_POWER, OUTPUT);
    digitalWrite(PIN_LSM6DS3TR_C_POWER, HIGH);
    pinMode(PIN_LSM6DS3TR_C_INT1, INPUT);
    delay(SENSOR_BOOT_MS);
    Wire1.begin();
    Wire1.setClock(400000);
    const rimu_bus bus = {NULL, bus_read, bus_write};
    const rimu_clock clock = {NULL, now_us, take_watermark_us};
    const rimu_radio radio = {NULL, notify};
    rimu_device_begin(&device, bus, clock, radio); /* a sensor that is silent now is tried again with every start */
}

static void start_radio() {
    Bluefruit.autoConnLed(false);
    Bluefruit.configPrphBandwidth(BANDWIDTH_MAX); /* MTU 247, the most the package has */
    Bluefruit.begin();
    sd_power_dcdc_mode_set(NRF_POWER_DCDC_ENABLE);

    uint8_t address[6];
    char name[sizeof RIMU_NAME_PREFIX + 5];
    Bluefruit.getAddr(address);
    snprintf(name, sizeof name, "%s-%02X%02X", RIMU_NAME_PREFIX, address[1], address[0]);
    Bluefruit.setName(name);
    Bluefruit.setEventCallback(on_radio_event);
    Bluefruit.Periph.setConnectCallback(on_connect);
    Bluefruit.Periph.setConnInterval(RIMU_INTERVAL_LEAST_US / CONNECTION_UNIT_US,
                                     RIMU_INTERVAL_MOST_US / CONNECTION_UNIT_US);
}

static void start_services() {
    service.begin();

    data_characteristic.setProperties(CHR_PROPS_NOTIFY);
    data_characteristic.setPermission(SECMODE_OPEN, SECMODE_NO_ACCESS);
    data_characteristic.setMaxLen(RIMU_MTU - RIMU_ATT_BYTES);
    data_characteristic.setCccdWriteCallback(on_subscription, false);
    data_characteristic.begin();

    control_characteristic.setProperties(CHR_PROPS_WRITE);
    control_characteristic.setPermission(SECMODE_NO_ACCESS, SECMODE_OPEN);
    control_characteristic.setMaxLen(RIMU_MTU_LEAST - RIMU_ATT_BYTES); /* so that the core sees what is too long */
    /* false: in the radio's own task. The package's deferred way keeps only the first byte of a write. */
    control_characteristic.setWriteAuthorizeCallback(on_control, false);
    control_characteristic.begin();

    info_characteristic.setProperties(CHR_PROPS_READ);
    info_characteristic.setPermission(SECMODE_OPEN, SECMODE_NO_ACCESS);
    info_characteristic.setFixedLen(RIMU_INFO_BYTES);
    info_characteristic.begin();
    show_info();

    battery_service.begin();
    battery_service.write(read_battery_percent());

    static char firmware[8];
    snprintf(firmware, sizeof firmware, "%u.%u", RIMU_FIRMWARE_MAJOR, RIMU_FIRMWARE_MINOR);
    information_service.setManufacturer("hipdrive");
    information_service.setModel("XIAO nRF52840 Sense");
    information_service.setFirmwareRev(firmware);
    information_service.begin();
}

static void advertise() {
    /* flags and a 128-bit UUID leave 10 of 31 bytes: the name goes into the scan response */
    Bluefruit.Advertising.addFlags(BLE_GAP_ADV_FLAGS_LE_ONLY_GENERAL_DISC_MODE);
    Bluefruit.Advertising.addService(service);
    Bluefruit.ScanResponse.addName();
    Bluefruit.Advertising.restartOnDisconnect(true);
    Bluefruit.Advertising.setInterval(ADVERTISE_FAST, ADVERTISE_SLOW);
    Bluefruit.Advertising.setFastTimeout(ADVERTISE_FAST_S);
    Bluefruit.Advertising.start(0);
}

void setup() {
    pinMode(LED_BLUE, OUTPUT);
    lamp(false);
    /* low, and left low: while the cell charges with this pin high, the processor's pin would see too much (the maker's note) */
    pinMode(VBAT_ENABLE, OUTPUT);
    digitalWrite(VBAT_ENABLE, LOW);
    analogReference(AR_INTERNAL_2_4);
    analogReadResolution(12);
    analogSampleTime(40); /* us; the divider has 340 kOhm */

    lock = xSemaphoreCreateMutex();
    loop_task = xTaskGetCurrentTaskHandle();
    start_radio();
    NRF_RTC2->PRESCALER = 0;
    NRF_RTC2->TASKS_START = 1;
    start_sensor();
    start_services();
    start_watchdog();
    advertise();
}

void loop() {
    static uint32_t battery_ms;
    NRF_WDT->RR[0] = WATCHDOG_RELOAD;
    uint32_t wake_ms = IDLE_WAKE_MS;
    {
        Locked locked;
        (void)now_us(NULL); /* the counter must not wrap unseen */
        rimu_device_poll(&device);
        if (device.streaming) {
            wake_ms = STREAMING_WAKE_MS;
        }
        if (rimu_device_identifying(&device)) {
            wake_ms = wake_ms < BLINK_MS ? wake_ms : BLINK_MS;
            lamp(millis() / BLINK_MS % 2 == 0);
        } else {
            lamp(false);
        }
    }
    if (connection != BLE_CONN_HANDLE_INVALID && millis() - battery_ms >= BATTERY_EVERY_MS) {
        battery_ms = millis();
        battery_service.notify(read_battery_percent());
    }
    ulTaskNotifyTake(pdTRUE, pdMS_TO_TICKS(wake_ms));
}
