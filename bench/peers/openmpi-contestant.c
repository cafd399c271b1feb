/*
 * OpenMPI as a contestant of `npm run bench:peers`. Arguments: one per measurement,
 * COLLECTIVE:COUNT:WARMUP:ITERATIONS, COUNT being the float32 elements of the whole array. Every rank
 * prints one line of JSON per measurement. What is timed, and what is checked, is the same for every
 * contestant: see README.md beside this folder.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A prime: a part that lands at a wrong place of a power of two shows. */
#define PERIOD 8191

struct measurement {
  char collective[32];
  long count, warmup, iterations;
};

static int rank, ranks;

/* Element `index` of what rank `of` gives. Sums of these over the ranks are exact in float32. */
static float operand(int of, long index) { return (float)((index % PERIOD) * (of + 1) + of); }

static float sum_of_operands(long index) {
  return (float)((index % PERIOD) * ((long)ranks * (ranks + 1) / 2) + (long)ranks * (ranks - 1) / 2);
}

static int is_all_reduce(const struct measurement *m) {
  return strcmp(m->collective, "all_reduce") == 0;
}

/* Complete on this rank when it returns. */
static void call(const struct measurement *m, float *data) {
  if (is_all_reduce(m))
    MPI_Allreduce(MPI_IN_PLACE, data, (int)m->count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  else
    MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, data, (int)(m->count / ranks), MPI_FLOAT,
                  MPI_COMM_WORLD);
}

static long wrong_elements(const struct measurement *m, float *data) {
  long wrong = 0, block = m->count / ranks;
  for (long i = 0; i < m->count; i++) data[i] = -1;
  if (is_all_reduce(m))
    for (long i = 0; i < m->count; i++) data[i] = operand(rank, i);
  else
    for (long i = 0; i < block; i++) data[rank * block + i] = operand(rank, i);
  call(m, data);
  for (long i = 0; i < m->count; i++) {
    float expected = is_all_reduce(m) ? sum_of_operands(i) : operand((int)(i / block), i % block);
    wrong += data[i] != expected;
  }
  return wrong;
}

static void measure(const struct measurement *m, float *data) {
  memset(data, 0, m->count * sizeof(float));
  for (long i = 0; i < m->warmup; i++) {
    if (i == m->warmup / 2) MPI_Barrier(MPI_COMM_WORLD);
    call(m, data);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  call(m, data); /* brings the ranks together */
  double start = MPI_Wtime();
  for (long i = 0; i < m->iterations; i++) call(m, data);
  double seconds = (MPI_Wtime() - start) / m->iterations;
  long wrong = wrong_elements(m, data);
  printf("{\"collective\":\"%s\",\"count\":%ld,\"ranks\":%d,\"rank\":%d,\"timeUs\":%.4f,\"wrong\":%ld}\n",
         m->collective, m->count, ranks, rank, seconds * 1e6, wrong);
  fflush(stdout);
}

static int read_measurement(const char *text, struct measurement *m) {
  if (sscanf(text, "%31[a-z_]:%ld:%ld:%ld", m->collective, &m->count, &m->warmup, &m->iterations) != 4)
    return 0;
  if (is_all_reduce(m)) return m->count > 0;
  return strcmp(m->collective, "all_gather") == 0 && m->count > 0 && m->count % ranks == 0;
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  long most = 1;
  struct measurement m;
  for (int i = 1; i < argc; i++) {
    if (!read_measurement(argv[i], &m)) {
      fprintf(stderr, "Expected COLLECTIVE:COUNT:WARMUP:ITERATIONS but found %s\n", argv[i]);
      MPI_Abort(MPI_COMM_WORLD, 2);
    }
    if (m.count > most) most = m.count;
  }
  float *data = NULL;
  /* As aligned as the pages of every other contestant's large buffers. */
  if (posix_memalign((void **)&data, 4096, most * sizeof(float)) != 0) MPI_Abort(MPI_COMM_WORLD, 3);
  for (int i = 1; i < argc; i++) {
    read_measurement(argv[i], &m);
    measure(&m, data);
  }
  free(data);
  MPI_Finalize();
  return 0;
}
