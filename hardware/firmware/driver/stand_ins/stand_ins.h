/* What the sketch uses of Arduino, FreeRTOS and Bluefruit, with the names and types of the package's public sources.
 *
 * Stand-ins to compile and play the sketch on a PC: one radio connection, one sensor, no tasks but the caller's.
 */
#ifndef STAND_INS_H
#define STAND_INS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

extern "C" {
#include "fake_chip.h"
}

/* ---------------------------------------------------------------- Arduino */

enum { LOW = 0, HIGH = 1, INPUT = 0, OUTPUT = 1, RISING = 3, AR_INTERNAL_2_4 = 3, PINS = 40 };
enum { LED_BLUE = 12, VBAT_ENABLE = 14, PIN_LSM6DS3TR_C_POWER = 15, PIN_LSM6DS3TR_C_INT1 = 18, PIN_VBAT = 32 };

typedef void (*voidFuncPtr)(void);

void pinMode(uint32_t pin, uint32_t mode);
void digitalWrite(uint32_t pin, uint32_t value);
uint32_t analogRead(uint32_t pin);
void analogReference(int reference);
void analogReadResolution(int bits);
void analogSampleTime(uint8_t us);
int attachInterrupt(uint32_t pin, voidFuncPtr callback, uint32_t mode);
void detachInterrupt(uint32_t pin);
void delay(uint32_t ms);
uint32_t millis(void);

class TwoWire {
public:
    void begin(void);
    void setClock(uint32_t hz);
    void beginTransmission(uint8_t address);
    uint8_t endTransmission(void);
    uint8_t endTransmission(bool stop);
    uint8_t requestFrom(uint8_t address, size_t quantity);
    size_t write(uint8_t value);
    int read(void);
};
extern TwoWire Wire1;

/* ---------------------------------------------------------------- FreeRTOS */

typedef void *TaskHandle_t;
typedef struct mutex *SemaphoreHandle_t;
typedef long BaseType_t;
typedef uint32_t TickType_t;

enum { pdFALSE = 0, pdTRUE = 1 };
#define portMAX_DELAY 0xFFFFFFFFu
#define pdMS_TO_TICKS(ms) ((TickType_t)((ms) * 1024 / 1000))
#define portYIELD_FROM_ISR(woken) ((void)(woken))
#define taskENTER_CRITICAL() ((void)0)
#define taskEXIT_CRITICAL() ((void)0)

SemaphoreHandle_t xSemaphoreCreateMutex(void);
BaseType_t xSemaphoreTake(SemaphoreHandle_t mutex, TickType_t ticks);
BaseType_t xSemaphoreGive(SemaphoreHandle_t mutex);
TaskHandle_t xTaskGetCurrentTaskHandle(void);
BaseType_t xTaskNotifyGive(TaskHandle_t task);
void vTaskNotifyGiveFromISR(TaskHandle_t task, BaseType_t *woken);
uint32_t ulTaskNotifyTake(BaseType_t clear, TickType_t ticks);

/* ---------------------------------------------------------------- nRF52840 */

struct Counter {
    operator uint32_t() const;
};
typedef struct {
    Counter COUNTER;
    uint32_t PRESCALER, TASKS_START;
} NRF_RTC_Type;
typedef struct {
    uint32_t CONFIG, CRV, RREN, TASKS_START, RR[8];
} NRF_WDT_Type;
extern NRF_RTC_Type rtc2;
extern NRF_WDT_Type wdt;
#define NRF_RTC2 (&rtc2)
#define NRF_WDT (&wdt)
#define WDT_CONFIG_SLEEP_Run 1u
#define WDT_CONFIG_SLEEP_Pos 0u
#define WDT_RREN_RR0_Msk 1u

/* ---------------------------------------------------------------- SoftDevice */

#define NRF_SUCCESS 0u
#define NRF_ERROR_RESOURCES 19u
#define NRF_POWER_DCDC_ENABLE 1
#define BLE_CONN_HANDLE_INVALID 0xFFFF
#define BLE_GATT_HVX_NOTIFICATION 0x01
#define BLE_GATT_STATUS_SUCCESS 0x0000
#define BLE_GATT_STATUS_ATTERR_REQUEST_NOT_SUPPORTED 0x0106
#define BLE_GATTS_OP_WRITE_REQ 0x01
#define BLE_GATTS_AUTHORIZE_TYPE_WRITE 0x02
#define BLE_GAP_PHY_2MBPS 0x02
#define BLE_GAP_ADV_FLAGS_LE_ONLY_GENERAL_DISC_MODE 0x06
enum {
    BLE_GAP_EVT_CONNECTED = 0x10,
    BLE_GAP_EVT_DISCONNECTED = 0x11,
    BLE_GATTC_EVT_EXCHANGE_MTU_RSP = 0x3A,
    BLE_GATTS_EVT_EXCHANGE_MTU_REQUEST = 0x55,
    BLE_GATTS_EVT_HVN_TX_COMPLETE = 0x57
};

typedef struct {
    uint16_t handle;
    uint8_t type;
    uint16_t offset;
    uint16_t *p_len;
    uint8_t const *p_data;
} ble_gatts_hvx_params_t;
typedef struct {
    uint16_t gatt_status;
    uint8_t update : 1;
    uint16_t offset, len;
    uint8_t const *p_data;
} ble_gatts_authorize_params_t;
typedef struct {
    uint8_t type;
    union {
        ble_gatts_authorize_params_t read, write;
    } params;
} ble_gatts_rw_authorize_reply_params_t;
typedef struct {
    uint16_t handle;
    uint8_t op, auth_required;
    uint16_t offset, len;
    uint8_t data[1]; /* and what follows */
} ble_gatts_evt_write_t;
typedef struct {
    uint16_t value_handle, user_desc_handle, cccd_handle, sccd_handle;
} ble_gatts_char_handles_t;
typedef struct {
    struct {
        uint16_t evt_id, evt_len;
    } header;
    union {
        struct {
            uint16_t conn_handle;
        } gap_evt;
        struct {
            uint16_t conn_handle;
            union {
                struct {
                    uint16_t client_rx_mtu;
                } exchange_mtu_request;
            } params;
        } gatts_evt;
        struct {
            uint16_t conn_handle;
            union {
                struct {
                    uint16_t server_rx_mtu;
                } exchange_mtu_rsp;
            } params;
        } gattc_evt;
    } evt;
} ble_evt_t;

uint32_t sd_ble_gatts_hvx(uint16_t connection, ble_gatts_hvx_params_t const *notification);
uint32_t sd_ble_gatts_rw_authorize_reply(uint16_t connection, ble_gatts_rw_authorize_reply_params_t const *reply);
uint32_t sd_power_dcdc_mode_set(uint8_t mode);

/* ---------------------------------------------------------------- Bluefruit */

enum { BANDWIDTH_AUTO, BANDWIDTH_LOW, BANDWIDTH_NORMAL, BANDWIDTH_HIGH, BANDWIDTH_MAX };
enum { CHR_PROPS_READ = 2, CHR_PROPS_WRITE_WO_RESP = 4, CHR_PROPS_WRITE = 8, CHR_PROPS_NOTIFY = 16 };
typedef enum { SECMODE_NO_ACCESS = 0x00, SECMODE_OPEN = 0x11 } SecureMode_t;
typedef uint32_t err_t;

struct BLEUuid {
    uint8_t const *uuid128;
    BLEUuid(uint8_t const uuid[16]) : uuid128(uuid) {}
};

class BLEService {
public:
    BLEUuid uuid;
    BLEService(BLEUuid of) : uuid(of) {}
    virtual ~BLEService() {}
    virtual err_t begin(void) { return 0; }
};

class BLECharacteristic {
public:
    typedef void (*write_authorize_cb_t)(uint16_t, BLECharacteristic *, ble_gatts_evt_write_t *);
    typedef void (*write_cccd_cb_t)(uint16_t, BLECharacteristic *, uint16_t);

    BLECharacteristic(BLEUuid of) : uuid(of) {}
    void setProperties(uint8_t of) { properties = of; }
    void setPermission(SecureMode_t, SecureMode_t) {}
    void setMaxLen(uint16_t bytes) { most = bytes; }
    void setFixedLen(uint16_t bytes) { most = bytes; }
    void setCccdWriteCallback(write_cccd_cb_t callback, bool deferred = true);
    void setWriteAuthorizeCallback(write_authorize_cb_t callback, bool deferred = true);
    err_t begin(void);
    ble_gatts_char_handles_t handles(void);
    uint16_t write(const void *data, uint16_t bytes);
    bool notifyEnabled(uint16_t connection);

    BLEUuid uuid;
    uint8_t properties = 0;
    uint16_t most = 0;
    uint8_t value[32] = {0};
};

class BLEBas : public BLEService {
public:
    BLEBas() : BLEService(BLEUuid(NULL)) {}
    bool write(uint8_t level);
    bool notify(uint8_t level);
};

class BLEDis : public BLEService {
public:
    BLEDis() : BLEService(BLEUuid(NULL)) {}
    void setManufacturer(const char *) {}
    void setModel(const char *) {}
    void setFirmwareRev(const char *text);
};

class BLEConnection {
public:
    bool requestPHY(uint8_t phy);
    bool requestDataLengthUpdate(void const *parameters = NULL, void *limitation = NULL);
    bool requestMtuExchange(uint16_t mtu);
};

class BLEAdvertisingData {
public:
    bool addFlags(uint8_t flags);
    bool addService(BLEService &service);
    bool addName(void);
};

class BLEAdvertising : public BLEAdvertisingData {
public:
    void restartOnDisconnect(bool on);
    void setInterval(uint16_t fast, uint16_t slow);
    void setFastTimeout(uint16_t s);
    bool start(uint16_t timeout_s);
};

class BLEPeriph {
public:
    typedef void (*connect_callback_t)(uint16_t connection);
    void setConnectCallback(connect_callback_t callback);
    bool setConnInterval(uint16_t least, uint16_t most);
};

class AdafruitBluefruit {
public:
    typedef void (*event_cb_t)(ble_evt_t *event);
    BLEPeriph Periph;
    BLEAdvertising Advertising;
    BLEAdvertisingData ScanResponse;
    void autoConnLed(bool on);
    void configPrphBandwidth(uint8_t bandwidth);
    bool begin(uint8_t peripherals = 1, uint8_t centrals = 0);
    uint8_t getAddr(uint8_t mac[6]);
    void setName(const char *text);
    void setEventCallback(event_cb_t callback);
    BLEConnection *Connection(uint16_t connection);
};
extern AdafruitBluefruit Bluefruit;

#endif
