/* A boot sector: the smallest guest. It reads a sector of the second disk again and again and says when that begins and
   when it fails. After the first failure it resets the machine, after the next it switches it off. */
.code16
.globl _start
_start:
    cli
    xor  %ax, %ax
    mov  %ax, %ds
    mov  %ax, %es
    mov  %ax, %ss
    mov  $0x7c00, %sp
    cld
    sti
    mov  $hello, %si
    call print
read:
    mov  $0x0201, %ax           /* read one sector */
    mov  $0x0001, %cx           /* the first */
    mov  $0x0081, %dx           /* of the second disk */
    mov  $0x8000, %bx
    int  $0x13
    jc   failed
    cmpb $1, said
    je   read
    movb $1, said
    mov  $works, %si
    call print
    jmp  read
failed:
    mov  $fails, %si
    call print
    mov  $0x50, %al             /* a byte that is kept with the clock */
    out  %al, $0x70
    in   $0x71, %al
    cmp  $0xa5, %al
    je   off
    mov  $0xa5, %al
    out  %al, $0x71
    mov  $0xcf9, %dx            /* the chipset's reset register */
    mov  $0x06, %al
    out  %al, %dx
    hlt
off:
    mov  $0x604, %dx            /* the chipset's power management: sleep state 5 */
    mov  $0x2000, %ax
    out  %ax, %dx
    hlt
print:
    lodsb
    test %al, %al
    jz   done
    mov  %al, %bl
    mov  $0x3fd, %dx
full:
    in   %dx, %al
    test $0x20, %al
    jz   full
    mov  $0x3f8, %dx
    mov  %bl, %al
    out  %al, %dx
    jmp  print
done:
    ret
hello: .asciz "guest started\r\n"
works: .asciz "sector read\r\n"
fails: .asciz "sector not readable\r\n"
said:  .byte 0
    .org 510
    .word 0xaa55
