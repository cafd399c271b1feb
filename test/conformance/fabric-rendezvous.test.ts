/**
 * R15: a message above the eager limit is announced, and read from its sender when a receive for it is
 * there. Whichever end goes, and however far they are, the other's operation ends exactly once. R16: what
 * the library posts itself for that is tried again when it gets FI_EAGAIN.
 */
import { describe, expect, it } from 'vitest';
import { MiB } from '../../common/bytes.ts';
import { fi_close } from '../../node/fabric/close.ts';
import type { FiErrno } from '../../node/fabric/fabric.ts';
import { AWAITED_MAX } from '../../node/fabric/outgoing-messages.ts';
import { fi_write } from '../../node/fabric/rma.ts';
import { fi_trecv, fi_tsend } from '../../node/fabric/tagged.ts';
import { FabricWorld, host, type Rank } from '../node/fabric/world.ts';
import { part } from './fabric-world.ts';

const BYTES = 4 * MiB;
/** A message takes 10 ms. */
const BYTES_PER_MS = BYTES / 10;
const LOST = ['FI_EHOSTUNREACH', 'IBV_WC_RETRY_EXC_ERR'];
const FLUSHED = ['FI_ECANCELED', 'IBV_WC_WR_FLUSH_ERR'];

/** Rank 1 has announced messages to rank 0 that wait there for receives. */
async function announced(count = 1) {
  const world = new FabricWorld(2, { bandwidthBytesPerMs: BYTES_PER_MS, latencyMs: 0.01 });
  world.introduce();
  const [receiver, sender] = [world.rank(0), world.rank(1)];
  for (let tag = 0; tag < count; tag++) {
    const bytes = host(new Uint8Array(BYTES).fill(1 + tag));
    await world.post(() => fi_tsend(sender.endpoint, bytes, 0, BigInt(tag), `sent ${tag}`));
  }
  await world.wait(5);
  const buffers = Array.from({ length: count }, () => new Uint8Array(BYTES));
  const receive = (tag = 0) => {
    const buffer = buffers[tag] ?? new Uint8Array();
    return fi_trecv(receiver.endpoint, buffer, 1, BigInt(tag), 0n, `received ${tag}`);
  };
  return { world, receiver, sender, buffers, receive };
}

function endings({ completions, errors }: Rank): unknown[][] {
  return [
    ...completions.map(({ context }) => [context, 'success']),
    ...errors.map(({ context, err, prov_errno }) => [context, err, prov_errno]),
  ];
}

/** All that comes, in time and long afterwards. */
async function endingsOf(world: FabricWorld, rank: Rank, count: number): Promise<unknown[][]> {
  await world.until(() => endings(rank).length >= count);
  await world.wait(10_000);
  return endings(rank);
}

describe('R15: a peer goes in the middle of a rendezvous', () => {
  it('both live: the message comes, which shows that the next ones lack nothing else', async () => {
    const { world, receiver, sender, buffers, receive } = await announced();
    expect(receive()).toBeUndefined();
    expect(await endingsOf(world, receiver, 1)).toEqual([['received 0', 'success']]);
    expect(await endingsOf(world, sender, 1)).toEqual([['sent 0', 'success']]);
    expect(buffers[0]?.every((byte) => byte === 1)).toBe(true);
  });

  it.each([0, 200, 20_000])(
    'the sender, %d ms before the receive is posted: it ends with an error, and has no byte',
    async (ms) => {
      const { world, receiver, buffers, receive } = await announced();
      await world.kill(1);
      if (ms > 0) await world.wait(ms);
      const refused: FiErrno | undefined = receive();
      expect(refused).toBeUndefined();
      expect(await endingsOf(world, receiver, 1)).toEqual([['received 0', ...LOST]]);
      expect(buffers[0]?.every((byte) => byte === 0)).toBe(true);
    },
  );

  it('the sender, while its message is being read', async () => {
    const { world, receiver, buffers, receive } = await announced();
    expect(receive()).toBeUndefined();
    await world.wait(5);
    await world.kill(1);
    expect(await endingsOf(world, receiver, 1)).toEqual([['received 0', ...LOST]]);
    const [first, last] = [buffers[0]?.[0], buffers[0]?.at(-1)];
    expect([first, last]).toEqual([1, 0]);
  });

  it('the sender, while as many messages as it may have announced are being read', async () => {
    const count = AWAITED_MAX;
    const { world, receiver, receive } = await announced(count);
    for (let tag = 0; tag < count; tag++) expect(receive(tag)).toBeUndefined();
    await world.wait(5);
    await world.kill(1);
    const found = await endingsOf(world, receiver, count);
    const names = Array.from({ length: count }, (_, tag) => `received ${tag}`);
    expect(found.map(([context]) => context).sort()).toEqual(names.sort());
    for (const [, ...ending] of found) expect([LOST, FLUSHED]).toContainEqual(ending);
  });

  it('the process of the sender, whose host lives on', async () => {
    const { world, receiver, sender, buffers, receive } = await announced();
    sender.process.exit();
    await world.wait(1);
    expect(receive()).toBeUndefined();
    const [[context, ending] = [], ...more] = await endingsOf(world, receiver, 1);
    expect([context, ending === 'success', more]).toEqual(['received 0', false, []]);
    expect(buffers[0]?.every((byte) => byte === 0)).toBe(true);
  });

  it('the receiver, before it has posted a receive', async () => {
    const { world, sender } = await announced();
    await world.kill(0);
    expect(await endingsOf(world, sender, 1)).toEqual([['sent 0', ...LOST]]);
  });

  it('the endpoint of the receiver, which its process closes', async () => {
    const { world, receiver, sender } = await announced();
    fi_close(receiver.endpoint);
    const [[context, ending] = [], ...more] = await endingsOf(world, sender, 1);
    expect([context, ending === 'success', more]).toEqual(['sent 0', false, []]);
    expect(endings(receiver)).toEqual([]);
  });
});

describe('R16: the read of an announced message is turned away with FI_EAGAIN', () => {
  it('it waits for room behind the writes of the program, and the message comes', async () => {
    const { world, receiver, sender, buffers, receive } = await announced(2);
    const source = await receiver.register(4096);
    const target = await sender.register(4096);
    const local = part(source.mr);
    const { address, key } = target.mr;
    const write = () => fi_write(receiver.endpoint, local, 1, address, key, 'write');
    let writes = 0;
    while (write() === undefined) writes++;
    expect(write()).toBe('FI_EAGAIN');
    expect([receive(0), receive(1)]).toEqual([undefined, undefined]);
    const found = await endingsOf(world, receiver, writes + 2);
    expect(found.slice(0, writes)).toEqual(Array(writes).fill(['write', 'success']));
    expect(found.slice(writes)).toEqual([
      ['received 0', 'success'],
      ['received 1', 'success'],
    ]);
    expect(buffers.map((bytes) => bytes.at(-1))).toEqual([1, 2]);
  });
});
