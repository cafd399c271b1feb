/** Fabric conformance: fabtests/functional, looking for messages before they are received. */
import { describe, expect } from 'vitest';
import type { FiFlag } from '../../node/fabric/flags.ts';
import { EAGER_BYTES } from '../../node/fabric/message-header.ts';
import { fi_trecv, fi_trecvmsg, fi_tsend } from '../../node/fabric/tagged.ts';
import { host, text } from '../node/fabric/world.ts';
import { pattern } from '../node/verbs/world.ts';
import { behaves, behavesCompletely } from './fabric-behaviours.ts';
import { contexts, FABRIC_PROVIDERS, fabricWorlds, pairOf } from './fabric-world.ts';

describe.each(FABRIC_PROVIDERS)('fabric conformance, peek: $name', (provider) => {
  const { connected } = fabricWorlds(provider);

  /** Ten messages with tags 0 to 9 from `a`, all of them waiting at `b`; context = tag. */
  async function tenWaiting(length = 8) {
    const { world, a, b } = await pairOf(connected);
    for (let tag = 0; tag < 10; tag++) {
      await world.post(() => fi_tsend(a.endpoint, host(pattern(length, tag)), 1, BigInt(tag), tag));
    }
    await world.post(() => fi_tsend(a.endpoint, host(text('end')), 1, 99n, 'end'));
    await world.post(() => fi_trecv(b.endpoint, new Uint8Array(3), 0, 99n, 0n, 'end'));
    await world.until(() => contexts(b).includes('end'));
    b.completions.length = 0;
    const ask = async (tag: number, flags: readonly FiFlag[], buffer = new Uint8Array(length)) => {
      const message = { buffer, source: 0, tag: BigInt(tag), context: tag };
      expect(fi_trecvmsg(b.endpoint, message, flags)).toBeUndefined();
      await world.until(() => b.completions.length + b.errors.length > 0);
      return { buffer, entry: b.completions.shift(), error: b.errors.shift() };
    };
    return { world, a, b, ask };
  }

  behaves('rdm_tagged_peek', 'a tag that is not there is FI_ENOMSG', async () => {
    const { ask } = await tenWaiting();
    for (const flags of [
      ['FI_PEEK'],
      ['FI_PEEK', 'FI_CLAIM'],
      ['FI_PEEK', 'FI_DISCARD'],
    ] as const) {
      expect((await ask(50, flags)).error).toMatchObject({
        err: 'FI_ENOMSG',
        context: 50,
        tag: 50n,
      });
    }
  });

  behaves('rdm_tagged_peek', 'peek, then receive', async () => {
    const { ask } = await tenWaiting();
    for (const _ of ['once', 'twice']) {
      const { entry, buffer } = await ask(3, ['FI_PEEK']);
      expect(entry).toMatchObject({ kind: 'recv', context: 3, tag: 3n, length: 8, source: 0 });
      expect(buffer).toEqual(new Uint8Array(8));
    }
    expect((await ask(3, [])).buffer).toEqual(pattern(8, 3));
    expect((await ask(3, ['FI_PEEK'])).error).toMatchObject({ err: 'FI_ENOMSG' });
  });

  behaves('rdm_tagged_peek', 'peek and claim, then receive', async () => {
    const { b, ask } = await tenWaiting();
    expect((await ask(4, ['FI_PEEK', 'FI_CLAIM'])).entry).toMatchObject({ tag: 4n, length: 8 });
    const again = { buffer: new Uint8Array(8), tag: 5n, context: 4 };
    expect(fi_trecvmsg(b.endpoint, again, ['FI_PEEK', 'FI_CLAIM'])).toBe('FI_EINVAL');
    expect((await ask(4, ['FI_PEEK'])).error).toMatchObject({ err: 'FI_ENOMSG' });
    expect((await ask(4, ['FI_CLAIM'])).buffer).toEqual(pattern(8, 4));
    expect(fi_trecvmsg(b.endpoint, again, ['FI_CLAIM'])).toBe('FI_EINVAL');
  });

  behaves('rdm_tagged_peek', 'peek and discard', async () => {
    const { b, ask } = await tenWaiting();
    expect((await ask(5, ['FI_PEEK', 'FI_DISCARD'])).entry).toMatchObject({ tag: 5n, length: 8 });
    expect((await ask(5, ['FI_PEEK'])).error).toMatchObject({ err: 'FI_ENOMSG' });
    const alone = { buffer: new Uint8Array(8), tag: 6n };
    expect(fi_trecvmsg(b.endpoint, alone, ['FI_DISCARD'])).toBe('FI_EINVAL');
    const all = ['FI_PEEK', 'FI_CLAIM', 'FI_DISCARD'] as const;
    expect(fi_trecvmsg(b.endpoint, alone, all)).toBe('FI_EINVAL');
  });

  behaves('rdm_tagged_peek', 'claim and discard', async () => {
    const { world, a, b, ask } = await tenWaiting(2 * EAGER_BYTES);
    await ask(6, ['FI_PEEK', 'FI_CLAIM']);
    expect((await ask(6, ['FI_CLAIM', 'FI_DISCARD'])).entry).toMatchObject({ tag: 6n });
    // The sender of a long message is told that nobody will read it.
    await world.until(() => contexts(a).includes(6));
    const gone = { buffer: new Uint8Array(8), tag: 6n, context: 6 };
    expect(fi_trecvmsg(b.endpoint, gone, ['FI_CLAIM', 'FI_DISCARD'])).toBe('FI_EINVAL');
    expect((await ask(7, [])).buffer).toEqual(pattern(2 * EAGER_BYTES, 7));
  });

  behaves('rdm_tagged_peek', 'ten messages in order, and in reverse', async () => {
    for (const order of [
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ]) {
      const { ask } = await tenWaiting();
      for (const tag of order) {
        expect((await ask(tag, ['FI_PEEK'])).entry).toMatchObject({ tag: BigInt(tag) });
        expect((await ask(tag, [])).buffer).toEqual(pattern(8, tag));
      }
    }
  });
});

describe('fabtests of peek', () => {
  behavesCompletely('rdm_tagged_peek');
});
