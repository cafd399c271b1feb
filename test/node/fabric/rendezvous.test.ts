import { describe, expect, it } from 'vitest';
import { fi_close } from '../../../node/fabric/close.ts';
import { fi_cancel } from '../../../node/fabric/endpoint.ts';
import type { FiErrno } from '../../../node/fabric/fabric.ts';
import type { FiFlag } from '../../../node/fabric/flags.ts';
import { EAGER_BYTES, SEGMENT_BYTES } from '../../../node/fabric/message-header.ts';
import { AWAITED_MAX } from '../../../node/fabric/outgoing-messages.ts';
import { fi_writemsg } from '../../../node/fabric/rma.ts';
import { fi_trecv, fi_tsend, fi_tsendmsg } from '../../../node/fabric/tagged.ts';
import { pattern } from '../verbs/world.ts';
import { connected, host, type Rank, text } from './world.ts';

const LONG = 3 * EAGER_BYTES;

/** Memory of a rank: of the library, or of a device in segments of a page. */
async function place(rank: Rank, kind: 'host' | 'region', length: number) {
  if (kind === 'host') {
    const bytes = new Uint8Array(length);
    return { send: host(bytes), receive: bytes, bytes };
  }
  const { mr, memory } = await rank.register(length + 100);
  const buffer = { kind: 'mr', mr, address: mr.address + 100, length } as const;
  return { send: buffer, receive: buffer, bytes: memory.bytes.subarray(100) };
}

const contexts = ({ completions }: Rank) => completions.map(({ context }) => context);

describe('long messages', () => {
  const kinds = ['host', 'region'] as const;
  const cases = kinds.flatMap((from) =>
    kinds.flatMap((to) =>
      [EAGER_BYTES + 1, 1_000_000].map((length) => [from, to, length] as const),
    ),
  );

  it.each(cases)('go from %s memory to %s memory, %i bytes', async (from, to, length) => {
    for (const order of ['receive first', 'send first'] as const) {
      const world = await connected();
      const [a, b] = [world.rank(0), world.rank(1)];
      const [source, target] = [await place(a, from, length), await place(b, to, length)];
      source.bytes.set(pattern(length, 1));
      const regions = [a.nic.regionCount, b.nic.regionCount];
      const receive = () => fi_trecv(b.endpoint, target.receive, 0, 5n, 0n, 'r');
      if (order === 'receive first') receive();
      expect(fi_tsend(a.endpoint, source.send, 1, 5n, 's')).toBeUndefined();
      await world.wait(5);
      expect(contexts(a)).toEqual(order === 'send first' ? [] : ['s']);
      if (order === 'send first') receive();
      await world.until(() => contexts(a).length + contexts(b).length === 2);
      expect(b.completions).toMatchObject([{ context: 'r', length, tag: 5n, source: 0 }]);
      expect(Buffer.compare(target.bytes, source.bytes)).toBe(0);
      expect([a.nic.regionCount, b.nic.regionCount]).toEqual(regions);
    }
  });

  it('that are too long for their receive are cut there, and the sender is content', async () => {
    for (const capacity of [0, 100]) {
      const world = await connected();
      const [a, b] = [world.rank(0), world.rank(1)];
      const buffer = new Uint8Array(capacity);
      fi_trecv(b.endpoint, buffer, 0, 1n, 0n, 'r');
      fi_tsend(a.endpoint, host(pattern(LONG, 2)), 1, 1n, 's');
      await world.until(() => contexts(a).length === 1 && b.errors.length === 1);
      expect(b.errors).toMatchObject([
        { context: 'r', err: 'FI_ETRUNC', olen: LONG - capacity, peer: 0, tag: 1n },
      ]);
      expect(buffer).toEqual(pattern(LONG, 2).subarray(0, capacity));
    }
  });

  it(`one more than ${AWAITED_MAX} at a time is FI_EAGAIN`, async () => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    const send = (index: number) => fi_tsend(a.endpoint, host(new Uint8Array(LONG)), 1, 1n, index);
    for (let index = 0; index < AWAITED_MAX; index++) await world.post(() => send(index));
    let answer: FiErrno | undefined = 'FI_EAGAIN';
    a.onProgress = () => {
      if (answer === 'FI_EAGAIN') answer = send(AWAITED_MAX);
    };
    a.onProgress();
    await world.wait(1000);
    expect(answer).toBe('FI_EAGAIN');
    fi_trecv(b.endpoint, new Uint8Array(LONG), 0, 1n, 0n, 'r');
    await world.until(() => answer === undefined);
  });

  it('of one peer do not hold up those of another', async () => {
    const world = await connected(3);
    const [a, b, c] = [world.rank(0), world.rank(1), world.rank(2)];
    fi_tsend(a.endpoint, host(new Uint8Array(LONG)), 2, 1n, 'waits');
    fi_tsend(b.endpoint, host(pattern(LONG, 1)), 2, 2n, 's');
    fi_trecv(c.endpoint, new Uint8Array(LONG), 1, 2n, 0n, 'r');
    await world.until(() => contexts(c).length === 1 && contexts(b).length === 1);
    expect(contexts(a)).toEqual([]);
  });

  it('whose receive is cancelled before they come go to the next', async () => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    fi_trecv(b.endpoint, new Uint8Array(LONG), 0, 1n, 0n, 'gone');
    fi_trecv(b.endpoint, new Uint8Array(LONG), 0, 1n, 0n, 'stays');
    fi_cancel(b.endpoint, 'gone');
    fi_tsend(a.endpoint, host(new Uint8Array(LONG)), 1, 1n, 's');
    await world.until(() => contexts(b).length === 1);
    // It has met its message: too late.
    fi_cancel(b.endpoint, 'stays');
    await world.wait(5);
    expect(b.errors.map(({ context, err }) => [context, err])).toEqual([['gone', 'FI_ECANCELED']]);
  });

  it('vanish with either endpoint, and nothing of them is left', async () => {
    for (const closer of [0, 1]) {
      const world = await connected(2, { bandwidthBytesPerMs: 10_000 });
      const [a, b] = [world.rank(0), world.rank(1)];
      fi_trecv(b.endpoint, new Uint8Array(12_000_000), 0, 1n, 0n, 'r');
      fi_tsend(a.endpoint, host(new Uint8Array(12_000_000)), 1, 1n, 's');
      await world.wait(20);
      const closing = world.rank(closer);
      fi_close(closing.endpoint);
      expect(closing.nic.regionCount + closing.nic.queuePairCount).toBe(0);
      await world.wait(60_000);
      expect([...closing.completions, ...closing.errors]).toEqual([]);
      const other = world.rank(1 - closer);
      expect(other.errors).toMatchObject([{ err: 'FI_EHOSTUNREACH' }]);
    }
  });
});

describe('short messages into regions', () => {
  it.each([1, SEGMENT_BYTES + 1, EAGER_BYTES])(
    'of %i bytes are put there by the NIC',
    async (length) => {
      const world = await connected();
      const [a, b] = [world.rank(0), world.rank(1)];
      const targets = await Promise.all([1, 2, 3].map(() => place(b, 'region', length)));
      for (const [index, { receive }] of targets.entries()) {
        fi_trecv(b.endpoint, receive, 0, BigInt(index), 0n, index);
      }
      for (const index of targets.keys()) {
        await world.post(() =>
          fi_tsend(a.endpoint, host(pattern(length, index)), 1, BigInt(index), 's'),
        );
      }
      await world.until(() => contexts(b).length === 3);
      expect(contexts(b)).toEqual([0, 1, 2]);
      for (const [index, { bytes }] of targets.entries()) {
        expect(Buffer.compare(bytes, pattern(length, index))).toBe(0);
      }
    },
  );

  it('a region that is gone fails its own receive, and the next one works', async () => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    const gone = await b.register(64);
    const there = await place(b, 'region', 64);
    const { mr } = gone;
    fi_trecv(b.endpoint, { kind: 'mr', mr, address: mr.address, length: 64 }, 0, 1n, 0n, 'gone');
    fi_trecv(b.endpoint, there.receive, 0, 1n, 0n, 'there');
    fi_close(mr);
    for (const index of [1, 2]) fi_tsend(a.endpoint, host(pattern(64, index)), 1, 1n, index);
    await world.until(() => contexts(b).length + b.errors.length === 2);
    expect(b.errors).toMatchObject([
      { context: 'gone', err: 'FI_EIO', prov_errno: 'IBV_WC_LOC_PROT_ERR' },
    ]);
    expect(there.bytes).toEqual(pattern(64, 2));
    expect(gone.memory.bytes).toEqual(new Uint8Array(64));
  });
});

describe('completion levels', () => {
  it.each<[FiFlag, boolean]>([
    ['FI_INJECT_COMPLETE', true],
    ['FI_TRANSMIT_COMPLETE', true],
    ['FI_DELIVERY_COMPLETE', false],
    ['FI_MATCH_COMPLETE', false],
  ])('%s: completes before there is a receive: %s', async (flag, isEarly) => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    const message = { buffer: host(text('x')), dest: 1, tag: 1n, context: 's' };
    expect(fi_tsendmsg(a.endpoint, message, [flag])).toBeUndefined();
    await world.wait(20);
    expect(contexts(a)).toEqual(isEarly ? ['s'] : []);
    fi_trecv(b.endpoint, new Uint8Array(4), 0, 1n, 0n, 'r');
    await world.until(() => contexts(a).length === 1);
    await world.wait(600);
    expect(contexts(a)).toEqual(['s']);
  });

  it('FI_COMMIT_COMPLETE is FI_EOPNOTSUPP', async () => {
    const { endpoint } = (await connected(1)).rank(0);
    const message = { buffer: host(text('x')), dest: 0, tag: 1n };
    expect(fi_tsendmsg(endpoint, message, ['FI_COMMIT_COMPLETE'])).toBe('FI_EOPNOTSUPP');
  });

  it('FI_FENCE starts when everything before it has completed', async () => {
    const world = await connected();
    const [a, b] = [world.rank(0), world.rank(1)];
    const [source, target] = [await a.register(64), await b.register(64)];
    const { mr } = source;
    const local = { kind: 'mr', mr, address: mr.address, length: 64 } as const;
    const { address, key } = target.mr;
    const write = { local, dest: 1, remoteAddress: address, key, context: 'fenced' };
    fi_tsend(a.endpoint, host(new Uint8Array(LONG)), 1, 1n, 'long');
    expect(fi_writemsg(a.endpoint, write, ['FI_FENCE'])).toBe('FI_EAGAIN');
    let answer: unknown = 'FI_EAGAIN';
    a.onProgress = () => {
      if (answer === 'FI_EAGAIN') answer = fi_writemsg(a.endpoint, write, ['FI_FENCE']);
    };
    fi_trecv(b.endpoint, new Uint8Array(LONG), 0, 1n, 0n, 'r');
    await world.until(() => contexts(a).length === 2);
    expect(contexts(a)).toEqual(['long', 'fenced']);
  });
});
