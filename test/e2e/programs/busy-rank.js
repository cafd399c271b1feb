/**
 * Rank 1 computes without a pause, for 3 s at least, until the others say that they have finished a
 * number of all-reduces among themselves, by a file each: nothing else could reach it. Arguments: a
 * folder for those files, and the number.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import {
  allocateDevice,
  hcclAllReduce,
  hcclCommInitRank,
  hcclFloat32,
  hcclGetUniqueId,
  hcclSum,
  hlthunk_open,
  rankEnvironment,
  storeGet,
  storeSet,
  synStreamSynchronize,
} from 'hlsim';

const BUSY_RANK = 1;
const BUSY_MS = 3_000;
/** Far above what the others need; then they have been held up. */
const BUSY_MS_MAX = 60_000;
const COUNT = 64 * 1024;

const { rank, worldSize, localRank } = rankEnvironment();
const [folder, iterations] = [process.argv[2], Number(process.argv[3])];

function compute() {
  const from = Date.now();
  let finished = 0;
  let turns = 0;
  while (Date.now() < from + BUSY_MS || finished < worldSize - 1) {
    if (Date.now() > from + BUSY_MS_MAX) break;
    turns++;
    if (turns % 100_000 === 0) finished = readdirSync(folder).length;
  }
  return { from, to: Date.now(), finished };
}

async function reduce() {
  const fd = await hlthunk_open(localRank);
  const member = rank < BUSY_RANK ? rank : rank - 1;
  if (member === 0) await storeSet('others', await hcclGetUniqueId());
  const comm = await hcclCommInitRank(fd, worldSize - 1, await storeGet('others'), member);
  const buffer = await allocateDevice(fd, 4 * COUNT);
  await storeSet(`ready ${rank}`, 'yes');
  await storeGet('computing');
  for (let iteration = 0; iteration < iterations; iteration++) {
    await hcclAllReduce(buffer, buffer, COUNT, hcclFloat32, hcclSum, comm);
    await synStreamSynchronize();
  }
  writeFileSync(join(folder, String(rank)), '');
}

if (rank === BUSY_RANK) {
  for (let other = 0; other < worldSize; other++) {
    if (other !== BUSY_RANK) await storeGet(`ready ${other}`);
  }
  await storeSet('computing', 'now');
  process.stdout.write(`${JSON.stringify(compute())}\n`);
} else {
  await reduce();
}
