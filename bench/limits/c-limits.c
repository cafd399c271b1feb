/*
 * What a C program gets out of this machine, for `npm run bench:limits`. Arguments: one per
 * measurement, LIMIT:RANKS:BYTES:ITERATIONS. Prints one line of JSON per measurement: the mean time of
 * an iteration, of the slowest process. What each limit is: README.md beside this folder.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RANKS_MAX 32
#define PAGE 4096

struct shared {
  atomic_int arrived, phase;
  double seconds[RANKS_MAX];
};

struct measurement {
  char limit[32];
  int ranks, iterations;
  size_t bytes;
};

static struct shared *shared;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *what) {
  perror(what);
  exit(3);
}

static void *pages(size_t bytes) {
  void *memory =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  memset(memory, 1, bytes); /* every page is there before the clock runs */
  return memory;
}

/* All `ranks` processes are here before any goes on. */
static void barrier(int ranks) {
  int phase = atomic_load(&shared->phase);
  if (atomic_fetch_add(&shared->arrived, 1) + 1 == ranks) {
    atomic_store(&shared->arrived, 0);
    atomic_fetch_add(&shared->phase, 1);
    return;
  }
  while (atomic_load(&shared->phase) == phase) sched_yield();
}

/* dst += the sum of what lies at `offset` in the others' arrays: one pass over dst. */
static void add_blocks(float **arrays, int rank, int ranks, size_t first, size_t count) {
  enum { PIECE = 4096 }; /* elements: the running sums stay in the first cache */
  for (size_t at = first; at < first + count; at += PIECE) {
    size_t length = first + count - at < PIECE ? first + count - at : PIECE;
    float *restrict sum = arrays[rank] + at;
    for (int peer = 0; peer < ranks; peer++) {
      if (peer == rank) continue;
      const float *restrict other = arrays[peer] + at;
      for (size_t i = 0; i < length; i++) sum[i] += other[i];
    }
  }
}

/* In place: every rank copies every other's block to the same place of its own array. */
static void gather(float **arrays, int rank, int ranks, size_t block) {
  for (int step = 1; step < ranks; step++) {
    size_t peer = (rank + step) % ranks;
    memcpy(arrays[rank] + peer * block, arrays[peer] + peer * block, block * sizeof(float));
  }
}

static void iteration(const struct measurement *m, float **arrays, float **copies, int rank) {
  size_t block = m->bytes / sizeof(float) / m->ranks;
  if (strcmp(m->limit, "copy") == 0) {
    memcpy(copies[rank], arrays[rank], m->bytes);
  } else if (strcmp(m->limit, "add") == 0) {
    float *restrict sum = copies[rank];
    const float *restrict other = arrays[rank];
    for (size_t i = 0; i < m->bytes / sizeof(float); i++) sum[i] += other[i];
  } else {
    if (strcmp(m->limit, "reduce") == 0) {
      add_blocks(arrays, rank, m->ranks, rank * block, block);
      barrier(m->ranks);
    }
    gather(arrays, rank, m->ranks, block);
    /* Nobody may change what another still reads. */
    barrier(m->ranks);
  }
}

/* Waits for all processes; the time of the one that took longest. */
static double slowest(const pid_t *children, int ranks) {
  double most = 0;
  for (int rank = 0; rank < ranks; rank++) {
    int status;
    waitpid(children[rank], &status, 0);
    if (status != 0) exit(4);
    if (shared->seconds[rank] > most) most = shared->seconds[rank];
  }
  return most;
}

/* One process per rank, all at once, their arrays in memory that all have mapped. */
static double memory_seconds(const struct measurement *m) {
  float *arrays[RANKS_MAX], *copies[RANKS_MAX];
  for (int rank = 0; rank < m->ranks; rank++) {
    arrays[rank] = pages(m->bytes);
    copies[rank] = pages(m->bytes);
    memset(arrays[rank], 0, m->bytes);
    memset(copies[rank], 0, m->bytes);
  }
  pid_t children[RANKS_MAX];
  for (int rank = 0; rank < m->ranks; rank++) {
    children[rank] = fork();
    if (children[rank] < 0) fail("fork");
    if (children[rank] > 0) continue;
    for (int i = 0; i < 2; i++) iteration(m, arrays, copies, rank);
    barrier(m->ranks);
    double start = now();
    for (int i = 0; i < m->iterations; i++) iteration(m, arrays, copies, rank);
    shared->seconds[rank] = (now() - start) / m->iterations;
    _exit(0);
  }
  double most = slowest(children, m->ranks);
  for (int rank = 0; rank < m->ranks; rank++) {
    munmap(arrays[rank], m->bytes);
    munmap(copies[rank], m->bytes);
  }
  return most;
}

static void tcp_pair(int pair[2]) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t length = sizeof address;
  int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1)) fail("listen");
  getsockname(listener, (struct sockaddr *)&address, &length);
  pair[0] = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(pair[0], (struct sockaddr *)&address, length)) fail("connect");
  pair[1] = accept(listener, NULL, NULL);
  close(listener);
  for (int end = 0; end < 2; end++)
    setsockopt(pair[end], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void move(int fd, char *data, size_t bytes, int is_write) {
  for (size_t done = 0; done < bytes;) {
    ssize_t moved = is_write ? write(fd, data + done, bytes - done) : read(fd, data + done, bytes - done);
    if (moved <= 0) fail(is_write ? "write" : "read");
    done += moved;
  }
}

/* The region goes over whole, straight to its place, and one byte comes back when it is there. */
static double socket_seconds(const struct measurement *m, int is_tcp) {
  int pair[2];
  if (is_tcp) tcp_pair(pair);
  else if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) fail("socketpair");
  char *region = pages(m->bytes), acknowledgement = 0;
  int rounds = m->iterations + 1;
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    char *place = pages(m->bytes);
    for (int i = 0; i < rounds; i++) {
      move(pair[1], place, m->bytes, 0);
      move(pair[1], &acknowledgement, 1, 1);
    }
    _exit(0);
  }
  double start = 0;
  for (int i = 0; i < rounds; i++) {
    if (i == 1) start = now(); /* after the warm-up */
    move(pair[0], region, m->bytes, 1);
    move(pair[0], &acknowledgement, 1, 0);
  }
  double seconds = (now() - start) / m->iterations;
  int status;
  waitpid(child, &status, 0);
  if (status != 0) exit(4);
  close(pair[0]);
  close(pair[1]);
  munmap(region, m->bytes);
  return seconds;
}

/* Writes `bytes` to one socket and reads as many from another, both as they can, in pieces that stay in a cache. */
static void exchange(int to, int from, const char *out, char *in, size_t bytes) {
  enum { PIECE = 256 * 1024 };
  size_t written = 0, got = 0;
  while (written < bytes || got < bytes) {
    size_t piece = bytes - written < PIECE ? bytes - written : PIECE;
    ssize_t moved = piece > 0 ? write(to, out + written, piece) : 0;
    if (moved < 0 && errno != EAGAIN) fail("write");
    if (moved > 0) written += moved;
    piece = bytes - got < PIECE ? bytes - got : PIECE;
    ssize_t arrived = piece > 0 ? read(from, in + got, piece) : 0;
    if (arrived < 0 && errno != EAGAIN) fail("read");
    if (arrived > 0) got += arrived;
    if (moved > 0 || arrived > 0) continue;
    struct pollfd ready[2] = {{written < bytes ? to : -1, POLLOUT, 0}, {got < bytes ? from : -1, POLLIN, 0}};
    if (poll(ready, 2, -1) < 0) fail("poll");
  }
}

/* A ring of processes: each sends `bytes` to the next one and gets as many from the one before, all at once. */
static double ring_seconds(const struct measurement *m) {
  int pairs[RANKS_MAX][2];
  for (int rank = 0; rank < m->ranks; rank++) {
    tcp_pair(pairs[rank]);
    for (int end = 0; end < 2; end++) fcntl(pairs[rank][end], F_SETFL, O_NONBLOCK);
  }
  pid_t children[RANKS_MAX];
  for (int rank = 0; rank < m->ranks; rank++) {
    children[rank] = fork();
    if (children[rank] < 0) fail("fork");
    if (children[rank] > 0) continue;
    char *out = pages(m->bytes), *in = pages(m->bytes);
    int to = pairs[rank][0], from = pairs[(rank + m->ranks - 1) % m->ranks][1];
    for (int i = 0; i < 3; i++) exchange(to, from, out, in, m->bytes);
    barrier(m->ranks);
    double start = now();
    for (int i = 0; i < m->iterations; i++) exchange(to, from, out, in, m->bytes);
    shared->seconds[rank] = (now() - start) / m->iterations;
    _exit(0);
  }
  double most = slowest(children, m->ranks);
  for (int rank = 0; rank < m->ranks; rank++)
    for (int end = 0; end < 2; end++) close(pairs[rank][end]);
  return most;
}

int main(int argc, char **argv) {
  shared = pages(PAGE);
  memset(shared, 0, PAGE);
  for (int i = 1; i < argc; i++) {
    struct measurement m;
    int read = sscanf(argv[i], "%31[a-z]:%d:%zu:%d", m.limit, &m.ranks, &m.bytes, &m.iterations);
    if (read != 4 || m.ranks < 1 || m.ranks > RANKS_MAX) {
      fprintf(stderr, "Expected LIMIT:RANKS:BYTES:ITERATIONS but found %s\n", argv[i]);
      return 2;
    }
    double seconds;
    if (strcmp(m.limit, "tcp") == 0) seconds = socket_seconds(&m, 1);
    else if (strcmp(m.limit, "unix") == 0) seconds = socket_seconds(&m, 0);
    else if (strcmp(m.limit, "ring") == 0) seconds = ring_seconds(&m);
    else seconds = memory_seconds(&m);
    printf("{\"limit\":\"%s\",\"ranks\":%d,\"bytes\":%zu,\"timeUs\":%.3f}\n", m.limit, m.ranks, m.bytes,
           seconds * 1e6);
    fflush(stdout);
  }
  return 0;
}
