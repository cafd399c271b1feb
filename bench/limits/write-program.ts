/**
 * One region by RDMA WRITE from the first of two ranks to the second, for `npm run bench:limits`: a user
 * program of verbs, with the memory of both devices registered through dma-bufs. Argument:
 * write:2:BYTES:ITERATIONS. The first rank prints the line, once the second has checked what it got.
 */
import process from 'node:process';
import * as hlsim from 'hlsim';
import { assert, defined } from '../../common/assert.ts';
import { KiB, MiB } from '../../common/bytes.ts';
import { wallClock } from '../../common/clock.ts';
import { HlsimError } from '../../common/errors.ts';
import { RankDevice } from '../../training/rank-device.ts';
import { readLimit } from './plan.ts';

/** What one end tells the other, gathered by HCCL as bytes. */
const CARD_BYTES = 4 * KiB;
const STAGING_BYTES = 1 * MiB;
const ACCESS = ['IBV_ACCESS_LOCAL_WRITE', 'IBV_ACCESS_REMOTE_WRITE'] as const;
/** Before those that are timed: the runtime compiles what is called often. */
const WARM_UP_WRITES = 60;
const COMPLETION_DEADLINE_MS = 60_000;

interface Card {
  readonly address: hlsim.QueuePairAddress;
  readonly rkey: number;
}

const world = await hlsim.initWorld();
const { fd, rank, comm } = world;
const measurement = defined(readLimit(process.argv[2] ?? ''), 'write:2:BYTES:ITERATIONS');
assert(world.worldSize === 2, `Expected 2 ranks but found ${world.worldSize}`);
const { bytes, iterations } = measurement;
const device = await RankDevice.open(hlsim, fd, STAGING_BYTES);
const region = await device.allocate(bytes);
for (let offset = 0; offset < bytes; offset += STAGING_BYTES) {
  await device.upload(pieceAt(offset, rank), region + offset);
}

const context = await hlsim.ibv_open_device();
const pd = await hlsim.ibv_alloc_pd(context);
const dmabuf = await hlsim.hlthunk_device_mapped_memory_export_dmabuf_fd(fd, region, bytes);
const mr = await hlsim.ibv_reg_dmabuf_mr(pd, 0, bytes, 0, dmabuf, ACCESS);
const cq = await hlsim.ibv_create_cq(context, 16);
const cap = { max_send_wr: 4, max_recv_wr: 4, max_send_sge: 1, max_recv_sge: 1 };
const qp = await hlsim.ibv_create_qp(pd, { send_cq: cq, recv_cq: cq, cap });
await hlsim.initQueuePair(qp);
const peer = await exchange({ address: await hlsim.queuePairAddress(qp), rkey: mr.rkey });
await hlsim.connectQueuePair(qp, peer.address);
await hlsim.jobBarrier();

let timeUs = 0;
if (rank === 0) {
  for (let count = 0; count < WARM_UP_WRITES; count++) await write();
  const startMs = wallClock.now();
  for (let count = 0; count < iterations; count++) await write();
  timeUs = ((wallClock.now() - startMs) * 1000) / iterations;
}
await hlsim.jobBarrier();
if (rank === 1) await expectRegionOf(0);
await hlsim.jobBarrier();
if (rank === 0) {
  const line = { limit: measurement.limit, ranks: 2, bytes, timeUs };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
await hlsim.ibv_close_device(context);
await hlsim.hcclCommDestroy(comm);

/** The whole region, complete when the peer's NIC has acknowledged its placement. */
async function write(): Promise<void> {
  const { rkey } = peer;
  const sg_list = [{ address: mr.addr, length: bytes, lkey: mr.lkey }];
  const request = { wr_id: 1, opcode: 'IBV_WR_RDMA_WRITE', sg_list, remote_addr: 0, rkey } as const;
  await hlsim.ibv_post_send(qp, { ...request, send_flags: ['IBV_SEND_SIGNALED'] });
  const [completion] = await hlsim.waitForCompletions(cq, 1, COMPLETION_DEADLINE_MS);
  if (completion?.status === 'IBV_WC_SUCCESS') return;
  throw new HlsimError(
    'HLSIM_JOB_FAILED',
    `Expected the write to complete but found ${completion?.status ?? `nothing for ${COMPLETION_DEADLINE_MS} ms`}`,
  );
}

/** The other rank's card. */
async function exchange(card: Card): Promise<Card> {
  const cards = await device.allocate(2 * CARD_BYTES);
  const padded = new Uint8Array(CARD_BYTES).fill(0x20);
  padded.set(new TextEncoder().encode(JSON.stringify(card)));
  const own = cards + rank * CARD_BYTES;
  await device.upload(padded, own);
  await hlsim.hcclAllGather(own, cards, CARD_BYTES, hlsim.hcclInt8, comm);
  await hlsim.synStreamSynchronize();
  const other = await device.download(cards + (1 - rank) * CARD_BYTES, CARD_BYTES);
  return JSON.parse(new TextDecoder().decode(other)) as Card;
}

/** What a rank's region holds at first. */
function pieceAt(offset: number, of: number): Uint8Array {
  const words = new Uint32Array(STAGING_BYTES / 4);
  for (let index = 0; index < words.length; index++) words[index] = offset + 4 * index + of;
  return new Uint8Array(words.buffer);
}

async function expectRegionOf(of: number): Promise<void> {
  for (let offset = 0; offset < bytes; offset += STAGING_BYTES) {
    const found = await device.download(region + offset, STAGING_BYTES);
    if (Buffer.compare(found, pieceAt(offset, of)) === 0) continue;
    throw new HlsimError('HLSIM_JOB_FAILED', `Expected the sender's bytes at offset ${offset}`);
  }
}
