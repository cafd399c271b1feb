/*
 * What sockets give a C program: two processes, a stream of its own for each direction, plain read(2) and
 * write(2) of 1 MiB between two buffers, blocking, one thread per direction and process. The receiver
 * answers a byte when it has everything.
 *
 *   socket-rate tcp|unix one|both BYTES      for every line on standard input: seconds of one run
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 1 << 20 };

static size_t bytes;

static void must(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static void connected(int unix_socket, int pair[2]) {
  union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_un un;
  } address;
  socklen_t length = unix_socket ? sizeof(sa_family_t) : sizeof address.in;
  memset(&address, 0, sizeof address);
  address.any.sa_family = unix_socket ? AF_UNIX : AF_INET;
  if (!unix_socket) address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int listener = socket(address.any.sa_family, SOCK_STREAM, 0);
  /* Autobind: the kernel chooses the port, or the abstract name (unix(7)). */
  must(bind(listener, &address.any, length) == 0, "bind");
  must(listen(listener, 1) == 0, "listen");
  length = sizeof address;
  must(getsockname(listener, &address.any, &length) == 0, "getsockname");
  pair[0] = socket(address.any.sa_family, SOCK_STREAM, 0);
  must(connect(pair[0], &address.any, length) == 0, "connect");
  pair[1] = accept(listener, NULL, NULL);
  must(pair[1] >= 0, "accept");
  close(listener);
  int on = 1;
  for (int end = 0; !unix_socket && end < 2; end++) {
    setsockopt(pair[end], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
}

static char *filled(void) {
  char *memory = malloc(bytes);
  must(memory != NULL, "malloc");
  memset(memory, 1, bytes);
  return memory;
}

static void send_all(int fd, const char *memory) {
  for (size_t at = 0; at < bytes;) {
    size_t left = bytes - at;
    ssize_t count = write(fd, memory + at, left < PIECE ? left : PIECE);
    must(count > 0, "write");
    at += (size_t)count;
  }
  char answer;
  must(read(fd, &answer, 1) == 1, "answer");
}

/* Receives until the other end closes. */
static void *receive(void *argument) {
  int fd = *(int *)argument;
  char *memory = filled();
  for (;;) {
    for (size_t at = 0; at < bytes;) {
      size_t left = bytes - at;
      ssize_t count = read(fd, memory + at, left < PIECE ? left : PIECE);
      if (count <= 0) return NULL;
      at += (size_t)count;
    }
    must(write(fd, "", 1) == 1, "answer");
  }
}

int main(int argc, char **argv) {
  must(argc == 4, "arguments");
  int unix_socket = strcmp(argv[1], "unix") == 0, both = strcmp(argv[2], "both") == 0;
  bytes = strtoull(argv[3], NULL, 10);
  int there[2], back[2], go[2], done[2];
  connected(unix_socket, there);
  connected(unix_socket, back);
  must(pipe(go) == 0 && pipe(done) == 0, "pipe");
  pthread_t receiver;
  char token = 0;
  if (fork() == 0) {
    close(there[0]), close(back[1]), close(go[1]), close(done[0]);
    char *memory = filled();
    must(pthread_create(&receiver, NULL, receive, &there[1]) == 0, "thread");
    while (read(go[0], &token, 1) == 1) {
      if (both) send_all(back[0], memory);
      must(write(done[1], &token, 1) == 1, "done");
    }
    return 0;
  }
  close(there[1]), close(back[0]), close(go[0]), close(done[1]);
  char *memory = filled();
  must(pthread_create(&receiver, NULL, receive, &back[1]) == 0, "thread");
  int character;
  while ((character = getchar()) != EOF) {
    if (character != '\n') continue;
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    must(write(go[1], &token, 1) == 1, "go");
    send_all(there[0], memory);
    must(read(done[0], &token, 1) == 1, "done");
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.9f\n", (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
    fflush(stdout);
  }
  close(go[1]);
  wait(NULL);
  return 0;
}
