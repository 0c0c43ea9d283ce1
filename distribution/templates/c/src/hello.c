/* Greets, with a checksum of the name. */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

int main(int count, char **arguments) {
    const char *name = count > 1 ? arguments[1] : "world";
    unsigned long sum = crc32(0, (const unsigned char *)name, strlen(name));
    printf("Hello, %s! The checksum of your name is %08lx.\n", name, sum);
    return 0;
}
