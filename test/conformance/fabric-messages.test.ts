/** Fabric conformance: fabtests/functional, messages and their receives. */
import { describe, expect } from 'vitest';
import { fi_av_insert, fi_av_remove } from '../../node/fabric/av.ts';
import { fi_cq_readfrom, fi_cq_sread } from '../../node/fabric/cq.ts';
import { fi_cancel } from '../../node/fabric/endpoint.ts';
import { FI_ADDR_UNSPEC, type FiErrno } from '../../node/fabric/fabric.ts';
import { UNEXPECTED_MESSAGES_MAX } from '../../node/fabric/match-queue.ts';
import { EAGER_BYTES } from '../../node/fabric/message-header.ts';
import {
  fi_inject,
  fi_injectdata,
  fi_recv,
  fi_send,
  fi_senddata,
  fi_sendmsg,
} from '../../node/fabric/msg.ts';
import { fi_writedata, fi_writemsg } from '../../node/fabric/rma.ts';
import {
  fi_tinject,
  fi_tinjectdata,
  fi_trecv,
  fi_tsend,
  fi_tsenddata,
  fi_tsendmsg,
} from '../../node/fabric/tagged.ts';
import { host, type Rank, text } from '../node/fabric/world.ts';
import { pattern } from '../node/verbs/world.ts';
import { behaves, behavesCompletely } from './fabric-behaviours.ts';
import { contexts, FABRIC_PROVIDERS, fabricWorlds, pairOf, part } from './fabric-world.ts';

const words = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe.each(FABRIC_PROVIDERS)('fabric conformance, messages: $name', (provider) => {
  const { connected, strangers } = fabricWorlds(provider);
  const pair = () => pairOf(connected);

  behaves('rdm', 'exchanges messages, read by wait', async () => {
    const { world, a, b } = await pair();
    for (const { cq } of [a, b]) expect(cq.canWait).toBe(true);
    [a.reading, b.reading] = [false, false];
    const buffer = new Uint8Array(16);
    fi_recv(b.endpoint, buffer, FI_ADDR_UNSPEC, 'r');
    expect(fi_send(a.endpoint, host(text('hello')), 1, 's')).toBeUndefined();
    expect(await world.settle(fi_cq_sread(b.cq, 1, 10_000))).toMatchObject([
      { context: 'r', length: 5, source: 0, flags: ['FI_RECV', 'FI_MSG'] },
    ]);
    expect(await world.settle(fi_cq_sread(a.cq, 1, 10_000))).toMatchObject([{ context: 's' }]);
    expect(words(buffer.subarray(0, 5))).toBe('hello');
  });

  behaves('loopback', 'exchanges messages with itself', async () => {
    const world = await connected(1);
    const a = world.rank(0);
    for (const length of [0, 5, EAGER_BYTES, 3 * EAGER_BYTES]) {
      const sent = pattern(length, 1);
      const buffer = new Uint8Array(length);
      fi_trecv(a.endpoint, buffer, 0, 1n, 0n, `r${length}`);
      await world.post(() => fi_tsend(a.endpoint, host(sent), 0, 1n, `s${length}`));
      await world.until(
        () => contexts(a).includes(`s${length}`) && contexts(a).includes(`r${length}`),
      );
      expect(Buffer.compare(buffer, sent)).toBe(0);
    }
  });

  behaves('av_xfer', 'exchanges messages after insert, remove and insert', async () => {
    const { world, a, b } = await pair();
    const exchange = async (dest: number, tag: bigint) => {
      const buffer = new Uint8Array(8);
      fi_trecv(b.endpoint, buffer, FI_ADDR_UNSPEC, tag, 0n, tag);
      await world.post(() =>
        fi_tsend(a.endpoint, host(text(`message ${tag}`).subarray(0, 8)), dest, tag, tag),
      );
      await world.until(() => contexts(b).includes(tag));
    };
    await exchange(1, 1n);
    expect(fi_av_remove(a.av, 1)).toBeUndefined();
    expect(fi_tsend(a.endpoint, host(text('x')), 1, 1n, 's')).toBe('FI_EINVAL');
    expect(fi_av_insert(a.av, [b.name])).toEqual([1]);
    await exchange(1, 2n);
    expect(fi_av_remove(b.av, 0)).toBeUndefined();
    expect(fi_av_insert(b.av, [a.name])).toEqual([0]);
    await world.until(() => b.endpoint.connection(0)?.isConnected === true);
    await exchange(1, 3n);
    expect(b.errors).toEqual([]);
  });

  behaves('cq_data', 'senddata carries data, flags and length', async () => {
    const { world, a, b } = await pair();
    const send: readonly (readonly [string, () => FiErrno | undefined])[] = [
      ['senddata', () => fi_senddata(a.endpoint, host(text('x')), 0x1234_5678, 1, 's')],
      ['injectdata', () => fi_injectdata(a.endpoint, text('x'), 0x1234_5678, 1)],
      [
        'sendmsg',
        () =>
          fi_sendmsg(a.endpoint, { buffer: host(text('x')), dest: 1, data: 0x1234_5678 }, [
            'FI_REMOTE_CQ_DATA',
          ]),
      ],
    ];
    for (const [name, call] of send) {
      fi_recv(b.endpoint, new Uint8Array(4), FI_ADDR_UNSPEC, name);
      await world.post(call);
      await world.until(() => contexts(b).includes(name));
      expect(b.completions.at(-1)).toMatchObject({
        kind: 'recv',
        data: 0x1234_5678,
        flags: ['FI_RECV', 'FI_MSG', 'FI_REMOTE_CQ_DATA'],
        length: 1,
      });
    }
    fi_trecv(b.endpoint, new Uint8Array(4), FI_ADDR_UNSPEC, 2n, 0n, 'tagged');
    await world.post(() => fi_tsenddata(a.endpoint, host(text('xy')), -1, 1, 2n, 's'));
    await world.until(() => contexts(b).includes('tagged'));
    expect(b.completions.at(-1)).toMatchObject({
      data: 0xffff_ffff,
      flags: ['FI_RECV', 'FI_TAGGED', 'FI_REMOTE_CQ_DATA'],
      length: 2,
      tag: 2n,
    });
    fi_recv(b.endpoint, new Uint8Array(4), FI_ADDR_UNSPEC, 'none');
    await world.post(() =>
      fi_sendmsg(a.endpoint, { buffer: host(text('x')), dest: 1, data: 5 }, []),
    );
    await world.until(() => contexts(b).includes('none'));
    expect(b.completions.at(-1)).toMatchObject({ data: 0, flags: ['FI_RECV', 'FI_MSG'] });
  });

  behaves('cq_data', 'writedata carries data, masked to cq_data_size', async () => {
    const { world, a, b } = await pair();
    const source = await a.register(4096);
    const target = await b.register(4096);
    const { address, key } = target.mr;
    b.reading = false;
    await world.post(() =>
      fi_writedata(a.endpoint, part(source.mr, 0, 64), 2 ** 33 + 5, 1, address, key, 'w'),
    );
    const told = await world.settle(fi_cq_sread(b.cq, 1, 10_000));
    const flags = ['FI_REMOTE_WRITE', 'FI_RMA', 'FI_REMOTE_CQ_DATA'];
    expect(told).toMatchObject([{ kind: 'remoteWriteData', data: 5, length: 64, flags }]);
    const remote = { local: part(source.mr, 0, 8), dest: 1, remoteAddress: address, key, data: 9 };
    await world.post(() =>
      fi_writemsg(a.endpoint, { ...remote, context: 'm' }, ['FI_REMOTE_CQ_DATA']),
    );
    await world.until(() => contexts(a).includes('m'));
    await world.until(() => b.notified > 0 && b.cq.room < 1024);
    expect(fi_cq_readfrom(b.cq, 4)).toMatchObject({ completions: [{ data: 9 }], sources: [0] });
  });

  behaves(
    'inject_test',
    'inject: the receiver sees what was there before the overwriting',
    async () => {
      const { world, a, b } = await pair();
      const calls = [
        (bytes: Uint8Array) => fi_inject(a.endpoint, bytes, 1),
        (bytes: Uint8Array) => fi_tinject(a.endpoint, bytes, 1, 1n),
        (bytes: Uint8Array) => fi_tinjectdata(a.endpoint, bytes, 3, 1, 1n),
      ];
      for (const [index, call] of calls.entries()) {
        const buffer = new Uint8Array(64);
        if (index === 0) fi_recv(b.endpoint, buffer, FI_ADDR_UNSPEC, index);
        else fi_trecv(b.endpoint, buffer, FI_ADDR_UNSPEC, 1n, 0n, index);
        const bytes = pattern(64, index);
        await world.post(() => call(bytes));
        bytes.fill(0);
        await world.until(() => contexts(b).includes(index));
        expect(buffer).toEqual(pattern(64, index));
      }
      expect(a.completions).toEqual([]);
      const longest = a.info.tx_attr?.inject_size ?? 0;
      expect(fi_inject(a.endpoint, new Uint8Array(longest + 1), 1)).toBe('FI_EMSGSIZE');
    },
  );

  behaves(
    'inject_test',
    'FI_INJECT and FI_INJECT_COMPLETE: the same, and the entry comes at once',
    async () => {
      const { world, a, b } = await pair();
      for (const flag of ['FI_INJECT', 'FI_INJECT_COMPLETE'] as const) {
        const buffer = new Uint8Array(64);
        fi_trecv(b.endpoint, buffer, FI_ADDR_UNSPEC, 1n, 0n, flag);
        const bytes = pattern(64, 5);
        const message = { buffer: host(bytes), dest: 1, tag: 1n, context: flag };
        await world.post(() => fi_tsendmsg(a.endpoint, message, [flag]));
        if (flag === 'FI_INJECT_COMPLETE') a.drain();
        if (flag === 'FI_INJECT_COMPLETE') expect(contexts(a)).toContain(flag);
        bytes.fill(0);
        await world.until(() => contexts(b).includes(flag) && contexts(a).includes(flag));
        expect(buffer).toEqual(pattern(64, 5));
        expect(contexts(a).filter((context) => context === flag)).toHaveLength(1);
      }
      const long = host(new Uint8Array(EAGER_BYTES + 1));
      expect(fi_sendmsg(a.endpoint, { buffer: long, dest: 1 }, ['FI_INJECT'])).toBe('FI_EMSGSIZE');
      const { mr } = await a.register(64);
      expect(fi_sendmsg(a.endpoint, { buffer: part(mr), dest: 1 }, ['FI_INJECT'])).toBe(
        'FI_EINVAL',
      );
    },
  );

  behaves(
    'recv_cancel',
    'one FI_ECANCELED, the other receive is fine, and a repost works',
    async () => {
      const { world, a, b } = await pair();
      const post = (context: string) =>
        fi_trecv(b.endpoint, new Uint8Array(8), FI_ADDR_UNSPEC, 1n, 0n, context);
      post('cancelled');
      post('other');
      fi_cancel(b.endpoint, 'cancelled');
      fi_cancel(b.endpoint, 'cancelled');
      fi_cancel(b.endpoint, 'unknown');
      await world.post(() => fi_tsend(a.endpoint, host(text('one')), 1, 1n, 's'));
      await world.until(() => contexts(b).length === 1);
      expect(b.errors).toMatchObject([
        { context: 'cancelled', err: 'FI_ECANCELED', flags: ['FI_RECV', 'FI_TAGGED'] },
      ]);
      post('again');
      await world.post(() => fi_tsend(a.endpoint, host(text('two')), 1, 1n, 's'));
      await world.until(() => contexts(b).length === 2);
      expect(contexts(b)).toEqual(['other', 'again']);
      fi_cancel(b.endpoint, 'other');
      await world.wait(10);
      expect(b.errors).toHaveLength(1);
    },
  );

  behaves('unexpected_msg', 'receives posted late and in reverse match, data intact', async () => {
    const { world, a, b } = await pair();
    const lengths = [1, 100, EAGER_BYTES, EAGER_BYTES + 1, 100_000];
    for (const [index, length] of lengths.entries()) {
      const sent = host(pattern(length, index));
      await world.post(() => fi_tsenddata(a.endpoint, sent, index, 1, BigInt(index), index));
    }
    await world.wait(20);
    const buffers = lengths.map((length) => new Uint8Array(length));
    for (const index of [4, 3, 2, 1, 0]) {
      const buffer = buffers[index] ?? new Uint8Array();
      fi_trecv(b.endpoint, buffer, 0, BigInt(index), 0n, index);
    }
    await world.until(() => b.completions.length === 5 && a.completions.length === 5);
    for (const [index, length] of lengths.entries()) {
      expect(Buffer.compare(buffers[index] ?? new Uint8Array(), pattern(length, index))).toBe(0);
      const entry = b.completions.find(({ context }) => context === index);
      expect(entry).toMatchObject({ data: index, length, tag: BigInt(index) });
    }
  });

  behaves('resmgmt_test', 'posts until FI_EAGAIN, drains, and loses nothing', async () => {
    const world = await strangers(2, () => ({ cqSize: 4 }));
    world.introduce();
    const [a, b] = [world.rank(0), world.rank(1)];
    b.reading = false;
    const total = 3 * UNEXPECTED_MESSAGES_MAX;
    let posted = 0;
    let turnedAway = 0;
    const pump = () => {
      while (posted < total) {
        if (fi_tsend(a.endpoint, host(text(`${posted}`)), 1, 1n, posted) === 'FI_EAGAIN') {
          turnedAway++;
          return;
        }
        posted++;
      }
    };
    a.onProgress = pump;
    pump();
    await world.until(() => posted > UNEXPECTED_MESSAGES_MAX);
    b.reading = true;
    const buffer = new Uint8Array(8);
    for (let index = 0; index < total; index++) {
      fi_trecv(b.endpoint, buffer, 0, 1n, 0n, index);
      if (b.completions.length <= index) b.drain();
      await world.until(() => b.completions.length > index);
      expect(words(buffer.subarray(0, b.completions[index]?.length))).toBe(`${index}`);
    }
    await world.until(() => a.completions.length === total);
    expect(turnedAway).toBeGreaterThan(0);
    expect([...a.errors, ...b.errors]).toEqual([]);
  });

  behaves('flood', 'a flood of unexpected messages arrives complete', async () => {
    const world = await connected(3);
    const b = world.rank(2);
    const total = 600;
    const pumpOf = (rank: Rank, sender: number) => {
      let posted = 0;
      return () => {
        while (posted < total) {
          const bytes = pattern(posted % 5000, posted);
          if (fi_tsend(rank.endpoint, host(bytes), 2, BigInt(sender), posted) !== undefined) return;
          posted++;
        }
      };
    };
    for (const sender of [0, 1]) {
      const rank = world.rank(sender);
      rank.onProgress = pumpOf(rank, sender);
      rank.onProgress();
    }
    await world.wait(50);
    for (const sender of [0, 1]) {
      for (let index = 0; index < total; index++) {
        const buffer = new Uint8Array(5000);
        fi_trecv(b.endpoint, buffer, sender, BigInt(sender), 0n, buffer);
        await world.until(() => b.completions.length === sender * total + index + 1);
        const length = b.completions.at(-1)?.length;
        expect(length).toBe(index % 5000);
        expect(Buffer.compare(buffer.subarray(0, length), pattern(index % 5000, index))).toBe(0);
      }
    }
  });
});

describe('fabtests of messages', () => {
  behavesCompletely(
    'rdm',
    'loopback',
    'av_xfer',
    'cq_data',
    'inject_test',
    'recv_cancel',
    'unexpected_msg',
    'resmgmt_test',
    'flood',
  );
});
