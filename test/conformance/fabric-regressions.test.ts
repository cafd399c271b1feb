/** Fabric conformance: faults that real stacks have had, by their number in the list of scenarios. */
import { describe, expect, it } from 'vitest';
import { fi_close } from '../../node/fabric/close.ts';
import { EAGER_BYTES } from '../../node/fabric/message-header.ts';
import { CONTROL_CREDITS } from '../../node/fabric/outbound.ts';
import { RECV_DEPTH, SEND_DEPTH } from '../../node/fabric/queue-pair.ts';
import { fi_write } from '../../node/fabric/rma.ts';
import { fi_trecv, fi_tsend } from '../../node/fabric/tagged.ts';
import { host, type Rank, text } from '../node/fabric/world.ts';
import { pattern } from '../node/verbs/world.ts';
import {
  contexts,
  FABRIC_PROVIDERS,
  fabricWorlds,
  failures,
  pairOf,
  part,
} from './fabric-world.ts';

const LONG = 4 * EAGER_BYTES;

describe.each(FABRIC_PROVIDERS)('fabric regressions: $name', (provider) => {
  const { connected } = fabricWorlds(provider, { bandwidthBytesPerMs: 100_000 });
  const pair = () => pairOf(connected);

  it.each([['initiator', 'target'], ['target', 'initiator'], ['initiator'], ['target']] as const)(
    'R12: a region closed in mid-flight at the %s costs its own operations only',
    async (...sides) => {
      const { world, a, b } = await pair();
      const doomed = {
        initiator: await a.register(2_000_000),
        target: await b.register(2_000_000),
      };
      const safe = { initiator: await a.register(2_000_000), target: await b.register(2_000_000) };
      safe.initiator.memory.bytes.set(pattern(4096, 1));
      for (let index = 0; index < 20; index++) {
        const { initiator, target } = index % 2 === 0 ? doomed : safe;
        const { address, key } = target.mr;
        expect(fi_write(a.endpoint, part(initiator.mr), 1, address, key, index)).toBeUndefined();
      }
      fi_tsend(a.endpoint, host(text('after')), 1, 1n, 'after');
      fi_trecv(b.endpoint, new Uint8Array(8), 0, 1n, 0n, 'after');
      let closed = false;
      a.onRead = () => {
        if (closed) return;
        closed = true;
        for (const side of sides) fi_close(doomed[side].mr);
      };
      await world.until(() => a.completions.length + a.errors.length === 21);
      await world.until(() => contexts(b).includes('after'));
      const failed = a.errors.map(({ context }) => Number(context));
      expect(failed.length).toBeGreaterThan(0);
      expect(failed.filter((index) => index % 2 === 1)).toEqual([]);
      const done = contexts(a).filter(
        (context) => typeof context === 'number' && context % 2 === 1,
      );
      expect(done).toEqual(Array.from({ length: 10 }, (_, index) => 2 * index + 1));
      expect(Buffer.compare(safe.target.memory.bytes, safe.initiator.memory.bytes)).toBe(0);
    },
  );

  it.each(['host', 'region'] as const)(
    'R15: the receiver is gone after RTS, before READ: the sender of %s memory hears of it',
    async (kind) => {
      const { world, a } = await pair();
      const { mr } = await a.register(LONG);
      const buffer = kind === 'host' ? host(new Uint8Array(LONG)) : part(mr);
      fi_tsend(a.endpoint, buffer, 1, 1n, 'long');
      fi_tsend(a.endpoint, host(text('x')), 1, 2n, 'short');
      await world.until(() => contexts(a).includes('short'));
      await world.kill(1);
      await world.until(() => a.errors.length === 1);
      expect(failures(a)).toEqual([['long', 'FI_EHOSTUNREACH', 'IBV_WC_RETRY_EXC_ERR']]);
    },
  );

  it('R15: the sender is gone after RTS, before READ: the receiver hears of it', async () => {
    const { world, a, b } = await pair();
    fi_tsend(a.endpoint, host(new Uint8Array(LONG)), 1, 1n, 'long');
    fi_tsend(a.endpoint, host(text('x')), 1, 2n, 'short');
    fi_trecv(b.endpoint, new Uint8Array(4), 0, 2n, 0n, 'short');
    await world.until(() => contexts(b).includes('short'));
    await world.kill(0);
    const buffer = new Uint8Array(LONG).fill(7);
    const error = fi_trecv(b.endpoint, buffer, 0, 1n, 0n, 'long');
    if (error === undefined) await world.until(() => b.errors.length === 1);
    else expect(error).toBe('FI_EHOSTUNREACH');
    expect(b.errors.map(({ err }) => err)).toEqual(error === undefined ? ['FI_EHOSTUNREACH'] : []);
    expect(buffer.every((byte) => byte === 7)).toBe(true);
  });

  it('R15: the sender takes its endpoint away after RTS: nobody reads what it has let go', async () => {
    const { world, a, b } = await pair();
    fi_tsend(a.endpoint, host(new Uint8Array(LONG).fill(1)), 1, 1n, 'long');
    await world.wait(20);
    const regions = a.nic.regionCount;
    fi_close(a.endpoint);
    expect(a.nic.regionCount).toBeLessThan(regions);
    const buffer = new Uint8Array(LONG);
    fi_trecv(b.endpoint, buffer, 0, 1n, 0n, 'long');
    await world.wait(50);
    expect(buffer).toEqual(new Uint8Array(LONG));
    expect(contexts(b)).toEqual([]);
  });

  it('R16: FI_EAGAIN on the read of a long message is tried again', async () => {
    const { world, a, b } = await pair();
    fi_tsend(a.endpoint, host(pattern(LONG, 1)), 1, 1n, 'long');
    fi_tsend(a.endpoint, host(text('x')), 1, 2n, 'short');
    fi_trecv(b.endpoint, new Uint8Array(4), 0, 2n, 0n, 'short');
    await world.until(() => contexts(b).includes('short'));
    const [source, target] = [await b.register(64), await a.register(64)];
    const { address, key } = target.mr;
    const write = () => fi_write(b.endpoint, part(source.mr), 0, address, key, 'w');
    for (let index = 0; index < SEND_DEPTH; index++) expect(write()).toBeUndefined();
    expect(write()).toBe('FI_EAGAIN');
    const buffer = new Uint8Array(LONG);
    expect(fi_trecv(b.endpoint, buffer, 0, 1n, 0n, 'long')).toBeUndefined();
    await world.until(() => contexts(b).includes('long') && contexts(a).includes('long'));
    expect(Buffer.compare(buffer, pattern(LONG, 1))).toBe(0);
  });

  it('R16: an acknowledgement gets through when the peer takes nothing else', async () => {
    const { world, a, b } = await pairOf(connected, (index) => (index === 0 ? { cqSize: 8 } : {}));
    a.reading = false;
    // `a` has no room for any of this; `b` may still say that it has received.
    let posted = 0;
    const filler = (rank: Rank) => fi_tsend(rank.endpoint, host(text('filler')), 0, 9n, 'filler');
    for (let index = 0; index < 4 * RECV_DEPTH; index++)
      fi_trecv(a.endpoint, new Uint8Array(8), 1, 9n);
    while (posted < 2 * RECV_DEPTH) {
      if (filler(b) === undefined) posted++;
      else if (posted >= RECV_DEPTH) break;
      await world.wait(1);
    }
    expect(filler(b)).toBe('FI_EAGAIN');
    expect(posted).toBeLessThanOrEqual(RECV_DEPTH - CONTROL_CREDITS + 8);
    fi_trecv(b.endpoint, new Uint8Array(LONG), 0, 1n, 0n, 'long');
    await world.post(() => fi_tsend(a.endpoint, host(pattern(LONG, 1)), 1, 1n, 'long'));
    await world.until(() => contexts(b).includes('long'));
    a.drain();
    await world.until(() => {
      a.drain();
      return contexts(a).includes('long');
    });
    expect([...a.errors, ...b.errors]).toEqual([]);
  });
});
