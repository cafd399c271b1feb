/**
 * The matrix as a user program: carries out the cases in the file that its argument names, on real data,
 * and writes a line with a digest of each result into a file of the rank's own beside it.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, readFileSync } from 'node:fs';
import process from 'node:process';
import * as hlsim from 'hlsim';
import type { BenchBuffers } from '../../../bench/buffers.ts';
import { postCall } from '../../../bench/calls.ts';
import { DATA_TYPES } from '../../../bench/data-types.ts';
import { buffersOf } from '../../../bench/operand-jobs.ts';
import { ELEMENT_TYPES } from '../../../collectives/arithmetic.ts';
import { assert } from '../../../common/assert.ts';
import { RankDevice } from '../../../training/rank-device.ts';
import { inputOf, layoutOfCase, rootOf, sizeOf } from './call.ts';
import type { MatrixCase } from './cases.ts';
import { type CaseReport, reportFile, reportLine } from './report.ts';

const STAGING_BYTES = 2 ** 20;
const UNWRITTEN = 0xa5;

const [, , file = ''] = process.argv;
const cases: readonly MatrixCase[] = JSON.parse(readFileSync(file, 'utf8'));
const world = await hlsim.initWorld();
const { rank } = world;
const device = await RankDevice.open(hlsim, world.fd, STAGING_BYTES);
const buffers = await allocate();
for (const one of cases) appendFileSync(reportFile(file, rank), reportLine(await run(one)));
await device.close();
await hlsim.hcclCommDestroy(world.comm);
await hlsim.hlthunk_close(world.fd);

/** For the largest case. */
async function allocate(): Promise<BenchBuffers> {
  let [send, recv] = [0, 0];
  for (const one of cases) {
    const { inputLength, inPlace } = layoutOfCase(one, rank);
    const { bytes } = ELEMENT_TYPES[DATA_TYPES[one.dataType]];
    send = Math.max(send, inputLength * bytes);
    recv = Math.max(recv, inPlace.length * bytes);
  }
  return {
    send: await device.allocate(send),
    recv: await device.allocate(recv),
    counter: await device.allocate(4),
  };
}

async function run(one: MatrixCase): Promise<CaseReport> {
  const { algorithm, channels, collective, place } = one;
  const isMessages = collective === 'sendrecv';
  await hlsim.hcclCommSetChoice(world.comm, isMessages ? null : { algorithm, channels });
  const layout = layoutOfCase(one, rank);
  const size = sizeOf(one);
  const { bytes } = ELEMENT_TYPES[DATA_TYPES[one.dataType]];
  const { input, output } = buffersOf(buffers, { layout, size, place });
  const given = inputOf(one, rank, layout.inputLength);
  const whole = place === 'inPlace' ? layout.inPlace.length : layout.outputLength;
  await fill(buffers.recv, whole * bytes);
  await upload(given, input);
  await postCall(hlsim, { collective, size, layout, input, output, root: rootOf(one), world });
  await hlsim.synStreamSynchronize();
  const last = isMessages ? null : await hlsim.hcclCommLastChoice(world.comm);
  assert(isMessages || last !== null, 'Expected a choice after a collective');
  return {
    case: one.id,
    digest: await digestAt(output, layout.outputLength * bytes),
    inputKept:
      place === 'inPlace'
        ? null
        : (await digestAt(input, given.length)) ===
          createHash('sha256').update(given).digest('hex'),
    choice: last,
  };
}

async function fill(address: number, bytes: number): Promise<void> {
  if (bytes === 0) return;
  const tensors = [{ address, bytes }];
  await device.run([{ kind: 'kernel', kernel: 'fill_u8', tensors, scalars: [UNWRITTEN] }]);
}

async function upload(data: Uint8Array, address: number): Promise<void> {
  for (let offset = 0; offset < data.length; offset += STAGING_BYTES) {
    await device.upload(data.subarray(offset, offset + STAGING_BYTES), address + offset);
  }
}

async function digestAt(address: number, bytes: number): Promise<string> {
  const hash = createHash('sha256');
  for (let offset = 0; offset < bytes; offset += STAGING_BYTES) {
    hash.update(await device.download(address + offset, Math.min(STAGING_BYTES, bytes - offset)));
  }
  return hash.digest('hex');
}
