/* What a Cortex-M4 needs before newlib's own start: a stack and a place to begin. Files go to the host by semihosting. */
#include <stdint.h>

extern uint32_t __stack;
extern void _mainCRTStartup(void);

static void fault(void) {
    /* semihosting's SYS_EXIT with ADP_Stopped_RunTimeErrorUnknown: qemu ends with 1 */
    __asm__ volatile("mov r0, #0x18\n ldr r1, =0x20023\n bkpt 0xab");
}

void reset(void);

void reset(void) {
    _mainCRTStartup();
}

/* what the processor looks for at address 0 */
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*reset)(void);
    void (*nmi_and_faults[5])(void);
} VECTORS = {&__stack, reset, {fault, fault, fault, fault, fault}};
