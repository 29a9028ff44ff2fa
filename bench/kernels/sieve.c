// Primes below a million, `scale` times over. Prints its name, its time in nanoseconds and a checksum.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LIMIT = 1000000 };
static uint8_t composite[LIMIT];

static uint64_t primes(void) {
  uint64_t sum = 0;
  memset(composite, 0, sizeof composite);
  for (uint32_t i = 2; i < LIMIT; i++) {
    if (composite[i]) continue;
    sum += i;
    for (uint64_t j = (uint64_t)i * i; j < LIMIT; j += i) composite[j] = 1;
  }
  return sum;
}

int main(int argc, char **argv) {
  unsigned long scale = argc > 1 ? strtoul(argv[1], 0, 10) : 100;
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  uint64_t sum = 0;
  while (scale--) sum += primes();
  clock_gettime(CLOCK_MONOTONIC, &end);
  long long time = (end.tv_sec - start.tv_sec) * 1000000000ll + end.tv_nsec - start.tv_nsec;
  printf("sieve %lld %llx\n", time, (unsigned long long)sum);
  return 0;
}
